//! SplitMix64 (Steele, Lea and Flood, 2014), for the tests beside the code as well.

use std::fmt;

/// A seeded generator. Its `Display` is the seed, for the message of a failure.
pub(crate) struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random { seed, state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl fmt::Display for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}", self.seed)
    }
}

/// Runs a check with many seeds.
#[track_caller]
pub(crate) fn for_seeds(count: u64, mut check: impl FnMut(&mut Random)) {
    for seed in 0..count {
        check(&mut Random::new(seed));
    }
}
