//! Numbers from a seed, by integers alone.

/// Sebastiano Vigna's SplitMix64 (2015).
#[derive(Debug, Clone)]
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    /// The next 64 bits.
    #[inline]
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `low` up to, but not including, `high`.
    #[inline]
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + ((u128::from(self.bits()) * u128::from(high - low)) >> 64) as u64
    }

    /// A number from `low` up to, but not including, `high`, none of them negative.
    #[inline]
    pub(crate) fn micros(&mut self, low: i64, high: i64) -> i64 {
        self.between(low.unsigned_abs(), high.unsigned_abs()) as i64
    }

    /// A number from 1 to `count`, small ones much more often than large ones: half of them are about as frequent as
    /// their inverses, as in Zipf's law, since every doubling gets the same share; the other half are anything.
    #[inline]
    pub(crate) fn ranked(&mut self, count: u64) -> u64 {
        let doublings = u64::from(u64::BITS - count.leading_zeros());
        let start = 1 << self.between(0, 2 * doublings).min(doublings);
        let number = self.between(start, 2 * start);
        if number > count { self.between(1, count + 1) } else { number }
    }

    /// How often something doubles, at most `most` times: each time three of four stop.
    #[inline]
    pub(crate) fn doublings(&mut self, most: u32) -> u32 {
        (self.bits().trailing_zeros() / 2).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_frequent_and_large_ones_are_there() {
        for count in [1, 2, 3, 1_000, 1_024] {
            let mut random = SplitMix64(5);
            let drawn: Vec<_> = (0..20_000).map(|_| random.ranked(count)).collect();
            assert!(drawn.iter().all(|number| (1..=count).contains(number)));
            let frequency = |number| drawn.iter().filter(|drawn| **drawn == number).count();
            if count > 3 {
                assert!(frequency(1) > 5 * frequency(10).max(1), "{count}: {} {}", frequency(1), frequency(10));
                assert!(frequency(1) < 20_000 / 10, "{count}: {}", frequency(1));
                assert!(drawn.iter().any(|number| number * 10 > count * 9), "{count}");
            }
        }
    }
}
