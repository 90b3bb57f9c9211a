//! Which keys are asked, and when: all of it from a seed.

use std::time::Duration;

use crate::args::{Arrivals, Distribution};

/// Sebastiano Vigna's SplitMix64 (2015).
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// A number from 0 up to, but not including, 1.
    fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// The places of keys, drawn one after the other.
#[derive(Debug, Clone)]
pub(super) struct Draw {
    random: Random,
    keys: u64,
    next: u64,
    zipf: Option<Zipf>,
    is_sequential: bool,
    /// What tells the places drawn so far, and their order, from others.
    pub(super) digest: u64,
}

impl Draw {
    /// From so many keys, of which there is one at least.
    pub(super) fn new(distribution: Distribution, keys: u64, seed: u64) -> Self {
        let zipf = match distribution {
            Distribution::Zipf(exponent) => Some(Zipf::new(keys, exponent)),
            Distribution::Uniform | Distribution::Sequential => None,
        };
        let is_sequential = distribution == Distribution::Sequential;
        Draw { random: Random(seed), keys, next: 0, zipf, is_sequential, digest: 0 }
    }

    /// The place of the next key, from 0 on.
    pub(super) fn place(&mut self) -> u64 {
        let place = match &self.zipf {
            Some(zipf) => zipf.rank(&mut self.random) - 1,
            None if self.is_sequential => self.next,
            None => self.random.below(self.keys),
        };
        self.next = (place + 1) % self.keys;
        self.digest = mixed(self.digest.wrapping_add(0x9E37_79B9_7F4A_7C15) ^ place);
        place
    }
}

/// Ranks from 1 on with weights 1/rank^exponent, by the rejection-inversion of Hörmann and Derflinger (1996), which takes
/// no memory and the same time for any number of ranks.
#[derive(Debug, Clone)]
struct Zipf {
    ranks: u64,
    exponent: f64,
    integral_first: f64,
    integral_last: f64,
    /// Below this distance from a rank its draw is taken without a look.
    near: f64,
}

impl Zipf {
    fn new(ranks: u64, exponent: f64) -> Self {
        let mut zipf = Zipf { ranks, exponent, integral_first: 0.0, integral_last: 0.0, near: 0.0 };
        zipf.integral_first = zipf.integral(1.5) - 1.0;
        zipf.integral_last = zipf.integral(ranks as f64 + 0.5);
        zipf.near = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.weight(2.0));
        zipf
    }

    fn rank(&self, random: &mut Random) -> u64 {
        loop {
            let area = self.integral_last + random.fraction() * (self.integral_first - self.integral_last);
            let x = self.inverse(area);
            let rank = (x + 0.5).clamp(1.0, self.ranks as f64).floor();
            if rank - x <= self.near || area >= self.integral(rank + 0.5) - self.weight(rank) {
                return rank as u64;
            }
        }
    }

    fn weight(&self, x: f64) -> f64 {
        (-self.exponent * x.ln()).exp()
    }

    /// The integral of the weights, without a constant that cancels out.
    fn integral(&self, x: f64) -> f64 {
        let log = x.ln();
        let exponent = (1.0 - self.exponent) * log;
        // (e^y - 1) / y, whose limit at 0 is 1.
        let quotient = if exponent.abs() > 1e-8 { exponent.exp_m1() / exponent } else { 1.0 + exponent / 2.0 };
        quotient * log
    }

    fn inverse(&self, area: f64) -> f64 {
        let y = (area * (1.0 - self.exponent)).max(-1.0);
        // ln(1 + y) / y, whose limit at 0 is 1.
        let quotient = if y.abs() > 1e-8 { y.ln_1p() / y } else { 1.0 - y / 2.0 };
        (quotient * area).exp()
    }
}

/// When requests leave, counted from the beginning of the load.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    rate: f64,
    arrivals: Arrivals,
    random: Random,
    count: u64,
    seconds: f64,
}

impl Schedule {
    pub(super) fn new(rate: f64, arrivals: Arrivals, seed: u64) -> Self {
        // Keys and times are drawn independently of each other.
        Schedule { rate, arrivals, random: Random(!seed), count: 0, seconds: 0.0 }
    }

    /// The time of the next request.
    pub(super) fn next(&mut self) -> Duration {
        let time = match self.arrivals {
            // Multiplied instead of added up, so that no error of rounding grows.
            Arrivals::Constant => self.count as f64 / self.rate,
            Arrivals::Poisson => {
                self.seconds -= (1.0 - self.random.fraction()).ln() / self.rate;
                self.seconds
            }
        };
        self.count += 1;
        Duration::try_from_secs_f64(time).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const DRAWS: usize = 200_000;

    fn places(distribution: Distribution, keys: u64, seed: u64) -> Vec<u64> {
        let mut draw = Draw::new(distribution, keys, seed);
        (0..DRAWS).map(|_| draw.place()).collect()
    }

    fn counts(distribution: Distribution, keys: u64) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for place in places(distribution, keys, 7) {
            assert!(place < keys, "{place}");
            *counts.entry(place).or_default() += 1;
        }
        counts
    }

    #[test]
    fn a_seed_asks_the_same_keys_in_the_same_order() {
        for distribution in [Distribution::Uniform, Distribution::Zipf(1.1), Distribution::Sequential] {
            assert_eq!(places(distribution, 1_000, 3), places(distribution, 1_000, 3), "{distribution:?}");
        }
        assert_ne!(places(Distribution::Uniform, 1_000, 3), places(Distribution::Uniform, 1_000, 4));
        let digest = |seed| {
            let mut draw = Draw::new(Distribution::Uniform, 1_000, seed);
            for _ in 0..10 {
                draw.place();
            }
            draw.digest
        };
        assert!(digest(3) == digest(3) && digest(3) != digest(4));
        let sequential = places(Distribution::Sequential, 3, 9);
        assert_eq!(sequential[..7], [0, 1, 2, 0, 1, 2, 0]);
    }

    /// Each share lies within five standard errors of what the law says.
    #[test]
    fn zipf_is_as_skewed_as_it_says() {
        const KEYS: u64 = 1_000;
        for exponent in [0.0, 0.7, 1.0, 1.1, 2.0] {
            let counts = counts(Distribution::Zipf(exponent), KEYS);
            let weights: Vec<f64> = (1..=KEYS).map(|rank| (rank as f64).powf(-exponent)).collect();
            let total: f64 = weights.iter().sum();
            for place in [0, 1, 2, 9, 99] {
                let share = weights[place as usize] / total;
                let expected = share * DRAWS as f64;
                let error = (expected * (1.0 - share)).sqrt();
                let found = counts.get(&place).copied().unwrap_or_default() as f64;
                assert!((found - expected).abs() < 5.0 * error, "zipf:{exponent} {place}: {found} of {expected}");
            }
        }
        assert_eq!(counts(Distribution::Zipf(1.0), 1), [(0, DRAWS)].into());
    }

    #[test]
    fn uniform_keys_are_asked_alike() {
        for (place, count) in counts(Distribution::Uniform, 10) {
            assert!(count.abs_diff(DRAWS / 10) < 5 * 135, "{place}: {count}");
        }
    }

    #[test]
    fn requests_leave_as_often_as_was_asked() {
        let mut constant = Schedule::new(1_000.0, Arrivals::Constant, 1);
        assert_eq!([constant.next(), constant.next(), constant.next()], [0, 1, 2].map(Duration::from_millis));
        let times = |seed| {
            let mut poisson = Schedule::new(1_000.0, Arrivals::Poisson, seed);
            (0..DRAWS).map(|_| poisson.next()).collect::<Vec<_>>()
        };
        let poisson = times(1);
        assert!(poisson.is_sorted() && poisson == times(1) && poisson != times(2));
        // Of 200 seconds, with a standard error of 0.45.
        let last = poisson[DRAWS - 1].as_secs_f64();
        assert!((last - 200.0).abs() < 2.3, "{last}");
    }
}
