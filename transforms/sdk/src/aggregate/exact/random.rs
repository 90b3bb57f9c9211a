//! Limbs that are hard on carries.

#[path = "../../../tests/aggregates/splitmix.rs"]
mod splitmix;

pub(super) use splitmix::{Random, for_seeds};

impl Random {
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
