//! Hashing that is the same in every instance, on every machine.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A `HashMap` with a fixed hasher: the same insertions iterate in the same order in every instance of a
/// component. Make one with `FixedMap::default()`.
///
/// The order is no promise beyond that: it differs between a component and the same code under `cargo test`, so
/// no feature should depend on it; a `BTreeMap` has an order that means something.
pub type FixedMap<K, V> = HashMap<K, V, BuildHasherDefault<FixedHasher>>;

/// A `HashSet` with a fixed hasher; see [`FixedMap`].
pub type FixedSet<T> = HashSet<T, BuildHasherDefault<FixedHasher>>;

/// An odd number whose bits are well spread, taken from the fraction of the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A fast hasher without a seed. It does not resist chosen collisions: a row that carries them burns its own
/// fuel and nobody else's.
#[derive(Debug, Clone, Copy, Default)]
pub struct FixedHasher(u64);

impl FixedHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    }
}

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.add(chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
        let rest = chunks.remainder();
        self.add(rest.iter().rev().fold(rest.len() as u64, |word, byte| word << 8 | u64::from(*byte)));
    }

    fn write_u8(&mut self, value: u8) {
        self.add(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.add(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.add(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.add(value as u64);
    }

    fn finish(&self) -> u64 {
        // A table takes its slot from the low bits, and a product has its entropy in the high ones.
        self.0 ^ (self.0 >> 32)
    }
}

/// A 64-bit hash of bytes, or of a text's, for features: FNV-1a, then the finaliser of SplitMix64, which spreads the last bytes
/// over all bits. Its values are part of the contract with trained models and never change.
pub fn hash64<B: AsRef<[u8]> + ?Sized>(bytes: &B) -> u64 {
    let fnv = bytes
        .as_ref()
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, Hash};

    #[test]
    fn maps_with_equal_insertions_iterate_alike() {
        let fill = || (0..1_000).map(|i| (format!("key {i}"), i)).collect::<FixedMap<_, _>>();
        let first: Vec<_> = fill().into_iter().collect();
        // Maps made in between change the seed of std's own hasher, and must not change ours.
        let _between: Vec<FixedSet<i64>> = (0..3).map(|i| FixedSet::from_iter([i])).collect();
        assert_eq!(first, fill().into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn short_keys_spread_over_the_low_bits() {
        let hasher = BuildHasherDefault::<FixedHasher>::default();
        let low = |key: String| hasher.hash_one(key) & 1023;
        let slots: std::collections::BTreeSet<_> = (0..1024).map(|i| low(format!("N{i}"))).collect();
        // Throwing 1,024 balls into 1,024 bins fills 647 of them on average.
        assert!(slots.len() > 550, "{}", slots.len());
    }

    #[test]
    fn the_length_of_a_tail_counts() {
        let of = |bytes: &[u8]| {
            let mut hasher = FixedHasher::default();
            bytes.hash(&mut hasher);
            hasher.finish()
        };
        assert_ne!(of(&[]), of(&[0]));
        assert_ne!(of(&[0]), of(&[0, 0]));
    }

    #[test]
    fn the_feature_hash_never_changes() {
        assert_eq!(hash64(b""), hash64_by_hand(0xCBF2_9CE4_8422_2325));
        assert_eq!(hash64(b"a"), hash64_by_hand(0xAF63_DC4C_8601_EC8C));
        assert_eq!(hash64(b"foobar"), hash64_by_hand(0x8594_4171_F739_67E8));
    }

    /// The finaliser alone, over a published FNV-1a value.
    fn hash64_by_hand(fnv: u64) -> u64 {
        let mut mixed = fnv;
        for (shift, factor) in [(30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB_u64), (31, 1)] {
            mixed = (mixed ^ (mixed >> shift)).wrapping_mul(factor);
        }
        mixed
    }
}
