//! What the releases of a view come to, one after the other.

use std::collections::BTreeSet;

use trifold_model::StateId;

use crate::record::{Release, VersionRecord};

/// What was put into force and not taken back, oldest first, each as its last release left it: the last one is in force.
pub fn standing(history: &[Release]) -> Vec<&Release> {
    let mut standing: Vec<&Release> = Vec::new();
    for release in history {
        match release.takes_back {
            Some(taken) => standing.retain(|earlier| earlier.seq != taken),
            None => {
                standing.pop_if(|before| before.rollout == release.rollout);
                standing.push(release);
            }
        }
    }
    standing
}

/// What would be in force if what is were taken back, and what would be taken: versions that were retired do not come back.
pub fn before<'a>(history: &'a [Release], retired: &[u64]) -> Option<(&'a Release, &'a Release)> {
    let mut standing = standing(history);
    let taken = standing.pop()?;
    let is_there = |release: &&Release| versions(release).all(|version| !retired.contains(&version));
    Some((standing.into_iter().rfind(is_there)?, taken))
}

/// The versions that a release has in force or tries out.
pub fn versions(release: &Release) -> impl Iterator<Item = u64> {
    [Some(release.version), release.candidate.as_ref().map(|candidate| candidate.version)].into_iter().flatten()
}

/// The states of versions that were tried out, are not any more, and were never in force, nor was another version with the
/// same state: nobody goes on with them.
pub fn given_up(history: &[Release], versions: &[VersionRecord]) -> BTreeSet<StateId> {
    let state =
        |number: u64| versions.iter().find(|version| version.version == number).map(|found| found.state_id);
    let candidate = |release: &Release| release.candidate.as_ref().and_then(|candidate| state(candidate.version));
    let in_force = history.iter().filter_map(|release| state(release.version));
    let kept: BTreeSet<_> = in_force.chain(history.last().and_then(candidate)).collect();
    history.iter().filter_map(candidate).filter(|state| !kept.contains(state)).collect()
}
