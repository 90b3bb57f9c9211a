//! Variances and standard deviations.

use super::exact::Powers;
use super::{Aggregate, FoldOrder, StateError, StateReader};
use crate::Timestamp;

/// The variance of doubles: the mean squared distance from the mean.
///
/// Item `f64` or `Option<f64>`, of which none is ignored; feature `Option<f64>`. `DDOF` is what NumPy calls the delta
/// degrees of freedom: the sum of the squared distances is divided by the count less `DDOF`. With 0, the default, this
/// is the variance of the population, none without items; with 1 that of a sample, [`SampleVariance`], none with
/// fewer than two items.
///
/// Computed exactly, from the exact sum and the exact sum of squares, and rounded once, to the nearest double, the
/// even one of two; in any fold order. Never negative; 0.0 if and only if all items are equal or the variance is
/// below half of the smallest double. NaN if any item is NaN or infinite.
///
/// The state is a count, a [`Sum`](super::Sum) and the sum of squares: about 12 bytes in all for integers, 35 for
/// fractions of like magnitudes, at most 830.
#[derive(Debug, Clone, Default)]
pub struct Variance<const DDOF: u64 = 0>(Powers);

/// The variance of a sample; see [`Variance`].
pub type SampleVariance = Variance<1>;

/// The standard deviation of doubles: the square root of their [`Variance`].
///
/// Item, none, NaN, infinities, `DDOF` and state are those of [`Variance`]. The root of the exact variance, rounded
/// once: it is the double nearest to the true standard deviation, and neither overflows nor vanishes where the
/// variance as a double would.
#[derive(Debug, Clone, Default)]
pub struct StdDev<const DDOF: u64 = 0>(Powers);

/// The standard deviation of a sample; see [`StdDev`].
pub type SampleStdDev = StdDev<1>;

/// The mean and the standard deviation of doubles, from one state.
///
/// Item `f64` or `Option<f64>`, of which none is ignored; features `mean` and `deviation`, each `Option<f64>` and none
/// without items, are those of [`Mean`](super::Mean) and [`StdDev`]; `DDOF` and the state are those of [`Variance`].
#[derive(Debug, Clone, Default)]
pub struct Moments<const DDOF: u64 = 0>(Powers);

/// The mean and the standard deviation of a sample; see [`Moments`].
pub type SampleMoments = Moments<1>;

/// What the aggregators over powers have in common.
macro_rules! folds_powers {
    () => {
        type Item<'a> = Option<f64>;
        const ORDER: FoldOrder = FoldOrder::Any;

        #[inline]
        fn add(&mut self, item: Option<f64>) {
            if let Some(value) = item {
                self.0.add(value);
            }
        }

        #[inline]
        fn merge(&mut self, later: &Self) {
            self.0.merge(&later.0);
        }

        #[inline]
        fn encode(&self, out: &mut Vec<u8>) {
            self.0.encode(out);
        }

        #[inline]
        fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
            Powers::decode(input).map(Self)
        }
    };
}

impl<const DDOF: u64> Aggregate for Variance<DDOF> {
    folds_powers!();
    type Feature = Option<f64>;
    const FEATURES: &'static [&'static str] = &[""];

    fn finish(&self, _as_of: Timestamp) -> Option<f64> {
        self.0.variance(DDOF)
    }
}

impl<const DDOF: u64> Aggregate for StdDev<DDOF> {
    folds_powers!();
    type Feature = Option<f64>;
    const FEATURES: &'static [&'static str] = &[""];

    fn finish(&self, _as_of: Timestamp) -> Option<f64> {
        self.0.deviation(DDOF)
    }
}

impl<const DDOF: u64> Aggregate for Moments<DDOF> {
    folds_powers!();
    type Feature = (Option<f64>, Option<f64>);
    const FEATURES: &'static [&'static str] = &["mean", "deviation"];

    fn finish(&self, _as_of: Timestamp) -> (Option<f64>, Option<f64>) {
        (self.0.mean(), self.0.deviation(DDOF))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(0);

    fn fold<A: for<'a> Aggregate<Item<'a> = Option<f64>>>(items: &[f64]) -> A::Feature {
        let mut state = A::default();
        items.iter().for_each(|item| state.add(Some(*item)));
        state.finish(NOW)
    }

    #[test]
    fn a_small_spread_far_from_zero_is_exact() {
        let items = [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0];
        assert_eq!(fold::<Variance>(&items), Some(22.5));
        assert_eq!(fold::<SampleVariance>(&items), Some(30.0));
        assert_eq!(fold::<StdDev>(&items), Some(22.5_f64.sqrt()));
        assert_eq!(fold::<SampleStdDev>(&items), Some(30.0_f64.sqrt()));
        assert_eq!(fold::<Moments>(&items), (Some(1e9 + 10.0), Some(22.5_f64.sqrt())));
        assert_eq!(fold::<SampleMoments>(&items), (Some(1e9 + 10.0), Some(30.0_f64.sqrt())));
    }

    #[test]
    fn too_few_items_have_no_variance() {
        assert_eq!(fold::<Variance>(&[]), None);
        assert_eq!(fold::<Variance>(&[3.5]), Some(0.0));
        assert_eq!(fold::<SampleVariance>(&[3.5]), None);
        assert_eq!(fold::<Moments>(&[]), (None, None));
        assert_eq!(fold::<SampleMoments>(&[3.5]), (Some(3.5), None));
    }

    #[test]
    fn a_deviation_outlives_its_variance() {
        let deviation = fold::<StdDev>(&[f64::MAX, -f64::MAX]);
        assert_eq!((fold::<Variance>(&[f64::MAX, -f64::MAX]), deviation), (Some(f64::INFINITY), Some(f64::MAX)));
        let tiny = [5e-324, -5e-324];
        assert_eq!((fold::<Variance>(&tiny), fold::<StdDev>(&tiny)), (Some(0.0), Some(5e-324)));
    }

    #[test]
    fn special_items_make_the_spread_nan() {
        for special in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(fold::<Variance>(&[1.0, special]).is_some_and(f64::is_nan));
            assert!(fold::<StdDev>(&[1.0, special]).is_some_and(f64::is_nan));
        }
        assert_eq!(fold::<Moments>(&[f64::INFINITY]).0, Some(f64::INFINITY));
    }
}
