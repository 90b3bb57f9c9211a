//! SplitMix64, and limbs that are hard on carries.

/// A seeded generator. Its `Debug` shows the seed, for the message of a failure.
#[derive(Debug)]
pub(super) struct Random {
    #[expect(dead_code, reason = "for `Debug`")]
    seed: u64,
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random { seed, state: seed }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Any word, of any length, and often one at an edge.
    pub(super) fn limb(&mut self) -> u64 {
        match self.next() % 8 {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << (self.next() % 64),
            3 => u64::MAX << (self.next() % 64),
            4 => self.next() >> (self.next() % 64),
            _ => self.next(),
        }
    }

    pub(super) fn limbs(&mut self, longest: u64) -> Vec<u64> {
        (0..self.next() % (longest + 1)).map(|_| self.limb()).collect()
    }
}
