//! What the releases of a view come to, one after the other.

use crate::record::Release;

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
