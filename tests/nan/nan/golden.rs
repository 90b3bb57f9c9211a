//! What programs left, as digests. The expected ones are committed, so that every processor is held against them, and
//! not only the engines of one machine against each other.

use crate::run::Left;

/// The digests over what the programs of a kind left.
pub(crate) struct Golden {
    /// Over every byte of their memories. It changes with the programs, and with nothing else.
    pub(crate) memory: &'static str,
    /// Over the fuel that each of them burned. It changes with the programs, the rewriter, and the way in which the
    /// engine counts.
    pub(crate) fuel: &'static str,
}

/// Digests what programs leave, one after the other.
#[derive(Default)]
pub(crate) struct Digests {
    memory: blake3::Hasher,
    fuel: blake3::Hasher,
}

impl Digests {
    /// Adds what a program left.
    pub(crate) fn add(&mut self, left: &Left) {
        self.memory.update(&left.memory);
        self.fuel.update(&left.fuel.to_le_bytes());
    }

    /// Says which digest is another than the expected one, and what it is.
    #[track_caller]
    pub(crate) fn check(&self, expected: &Golden) {
        let (memory, fuel) = (self.memory.finalize().to_hex(), self.fuel.finalize().to_hex());
        let found = [("memory", memory, expected.memory), ("fuel", fuel, expected.fuel)];
        let differing = found.iter().filter(|(_, found, expected)| found.as_str() != *expected);
        let differing: Vec<_> = differing
            .map(|(what, found, expected)| format!("the digest of {what} is {found} and must be {expected}"))
            .collect();
        assert!(differing.is_empty(), "on {}: {differing:#?}", std::env::consts::ARCH);
    }
}
