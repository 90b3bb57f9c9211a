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
