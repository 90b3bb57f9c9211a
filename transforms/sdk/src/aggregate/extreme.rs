//! Smallest and largest values.

use std::cmp::Ordering;

use super::kept::Ordered;
use super::{Aggregate, FoldOrder, StateError, StateReader};
use crate::Timestamp;

/// The smallest value.
///
/// `T` is `f64`, `i64` or [`Timestamp`]; item `T` or `Option<T>`, of which none is ignored; feature `Option<T>`, none
/// without items. In any fold order; 8 bytes, or as many as the integer has groups of seven bits.
///
/// Doubles have IEEE's total order, in which -0.0 is smaller than 0.0, and infinities are values like others. A NaN
/// has no place in an order and is ignored, like none: it stands for a value that nobody knows, and one of those
/// among thousands should not hide the smallest of the rest. (A sum does become NaN, since no number is right.)
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Min<T>(Option<T>);

/// The largest value; otherwise like [`Min`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Max<T>(Option<T>);

macro_rules! extreme {
    ($name:ident, $better:expr) => {
        impl<T> Default for $name<T> {
            #[inline]
            fn default() -> Self {
                $name(None)
            }
        }

        impl<T: Ordered> Aggregate for $name<T> {
            type Item<'a> = Option<T>;
            type Feature = Option<T>;
            const FEATURES: &'static [&'static str] = &[""];
            const ORDER: FoldOrder = FoldOrder::Any;

            #[inline]
            fn add(&mut self, item: Option<T>) {
                let Some(value) = item.filter(|value| value.has_place()) else { return };
                if self.0.is_none_or(|best| value.order(&best) == $better) {
                    self.0 = Some(value);
                }
            }

            #[inline]
            fn merge(&mut self, later: &Self) {
                self.add(later.0);
            }

            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                if let Some(value) = self.0 {
                    value.put(out);
                }
            }

            #[inline]
            fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
                let value = T::take(input)?;
                if value.has_place() { Ok($name(Some(value))) } else { Err(PLACELESS) }
            }

            fn finish(&self, _as_of: Timestamp) -> Option<T> {
                self.0
            }
        }
    };
}

const PLACELESS: StateError = StateError::invalid("the smallest or largest value is NaN");

extreme!(Min, Ordering::Less);
extreme!(Max, Ordering::Greater);

#[cfg(test)]
mod tests {
    use super::*;

    fn extremes(items: &[f64]) -> (Option<f64>, Option<f64>) {
        let (mut min, mut max) = (Min::default(), Max::default());
        for item in items {
            min.add(Some(*item));
            max.add(Some(*item));
        }
        (min.0, max.0)
    }

    #[test]
    fn nan_is_no_extreme_and_infinity_is() {
        assert_eq!(extremes(&[]), (None, None));
        assert_eq!(extremes(&[f64::NAN, -f64::NAN]), (None, None));
        assert_eq!(extremes(&[f64::NAN, 2.0, -1.0]), (Some(-1.0), Some(2.0)));
        assert_eq!(extremes(&[f64::INFINITY, 2.0]), (Some(2.0), Some(f64::INFINITY)));
    }

    #[test]
    fn negative_zero_is_below_zero() {
        let bits = |(min, max): (Option<f64>, Option<f64>)| (min.map(f64::to_bits), max.map(f64::to_bits));
        let expected = (Some((-0.0_f64).to_bits()), Some(0.0_f64.to_bits()));
        assert_eq!(bits(extremes(&[0.0, -0.0])), expected);
        assert_eq!(bits(extremes(&[-0.0, 0.0])), expected);
    }
}
