//! What the releases of a view come to, one after the other.

use crate::record::Release;

/// The releases that nobody took back, oldest first: the version of the last one is in force.
pub fn standing(history: &[Release]) -> Vec<&Release> {
    let mut standing: Vec<&Release> = Vec::new();
    for release in history {
        match release.takes_back {
            Some(taken) => standing.retain(|earlier| earlier.seq != taken),
            None => standing.push(release),
        }
    }
    standing
}
