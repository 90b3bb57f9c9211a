//! Sums and means.

use super::exact::Total;
use super::{Aggregate, FoldOrder, StateError, StateReader, put_varint};
use crate::Timestamp;

/// The sum of doubles.
///
/// Item `f64` or `Option<f64>`, of which none is ignored; feature `f64`. Exact over the whole range of doubles, in
/// any fold order, and rounded once, to the nearest double, the even one of two; a sum beyond the largest double
/// becomes an infinity by the same rule. Like IEEE addition: any NaN, or infinities of both signs, give NaN; one
/// infinity gives itself; -0.0 is the sum of nothing but -0.0, and otherwise zero is 0.0, as it is of no item.
///
/// The state takes 3 bytes and the bytes of the exact sum that are not zero: about 6 in all for sums of integers, 12
/// for sums of fractions of like magnitudes, at most 280.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    total: Total,
}

impl Aggregate for Sum {
    type Item<'a> = Option<f64>;
    type Feature = f64;
    const FEATURES: &'static [&'static str] = &[""];
    const ORDER: FoldOrder = FoldOrder::Any;

    #[inline]
    fn add(&mut self, item: Option<f64>) {
        if let Some(value) = item {
            self.total.add(value);
        }
    }

    #[inline]
    fn merge(&mut self, later: &Self) {
        self.total.merge(&later.total);
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        if !self.total.is_empty() {
            self.total.encode(out);
        }
    }

    #[inline]
    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        Ok(Sum { total: Total::decode(input)? })
    }

    fn finish(&self, _as_of: Timestamp) -> f64 {
        self.total.sum()
    }
}

/// The arithmetic mean of doubles.
///
/// Item `f64` or `Option<f64>`, of which none is ignored; feature `Option<f64>`, none without items. The exact sum
/// divided by the count and rounded once, to the nearest double, the even one of two; in any fold order. A mean of
/// large numbers does not overflow, though their sum may. NaN, infinities and -0.0 as for [`Sum`].
///
/// The state is that of [`Sum`] and a count: 1 to 3 bytes more for up to two million items.
#[derive(Debug, Clone, Default)]
pub struct Mean {
    count: u64,
    total: Total,
}

impl Aggregate for Mean {
    type Item<'a> = Option<f64>;
    type Feature = Option<f64>;
    const FEATURES: &'static [&'static str] = &[""];
    const ORDER: FoldOrder = FoldOrder::Any;

    #[inline]
    fn add(&mut self, item: Option<f64>) {
        if let Some(value) = item {
            self.count = self.count.wrapping_add(1);
            self.total.add(value);
        }
    }

    #[inline]
    fn merge(&mut self, later: &Self) {
        self.count = self.count.wrapping_add(later.count);
        self.total.merge(&later.total);
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        if self.count != 0 {
            put_varint(out, self.count);
            self.total.encode(out);
        }
    }

    #[inline]
    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        Ok(Mean { count: input.positive()?, total: Total::decode(input)? })
    }

    fn finish(&self, _as_of: Timestamp) -> Option<f64> {
        (self.count > 0).then(|| self.total.quotient(self.count))
    }
}

/// The sum of integers.
///
/// Item `i64` or `Option<i64>`, of which none is ignored; feature `Option<i64>`: 0 without items, and none where the
/// sum is no int64, for any number in its place would be wrong. Only the whole sum counts: one that leaves the range
/// on the way and comes back is exact. In any fold order; as many bytes as the sum has groups of seven bits, at most
/// 19, and none for a sum of 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SumInt {
    /// Wide enough for as many integers as a count can count.
    sum: i128,
}

impl Aggregate for SumInt {
    type Item<'a> = Option<i64>;
    type Feature = Option<i64>;
    const FEATURES: &'static [&'static str] = &[""];
    const ORDER: FoldOrder = FoldOrder::Any;

    #[inline]
    fn add(&mut self, item: Option<i64>) {
        self.sum = self.sum.wrapping_add(i128::from(item.unwrap_or(0)));
    }

    #[inline]
    fn merge(&mut self, later: &Self) {
        self.sum = self.sum.wrapping_add(later.sum);
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        let mut zigzag = (self.sum << 1 ^ self.sum >> 127) as u128;
        while zigzag >= 0x80 {
            out.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        if self.sum != 0 {
            out.push(zigzag as u8);
        }
    }

    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        const INVALID: StateError = StateError::invalid("a sum of integers is not in its shortest form");
        let mut zigzag = 0_u128;
        for shift in (0..128).step_by(7) {
            let byte = input.byte()?;
            let bits = u128::from(byte & 0x7F);
            zigzag |= bits << shift;
            if zigzag >> shift != bits {
                return Err(INVALID);
            }
            if byte < 0x80 {
                let sum = (zigzag >> 1) as i128 ^ -((zigzag & 1) as i128);
                return if byte == 0 { Err(INVALID) } else { Ok(SumInt { sum }) };
            }
        }
        Err(INVALID)
    }

    fn finish(&self, _as_of: Timestamp) -> Option<i64> {
        i64::try_from(self.sum).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(0);

    fn sum(items: &[f64]) -> f64 {
        let mut sum = Sum::default();
        items.iter().for_each(|item| sum.add(Some(*item)));
        sum.finish(NOW)
    }

    #[test]
    fn nothing_is_lost_on_the_way() {
        assert_eq!(sum(&[1e300, 1.0, -1e300]), 1.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX, 5e-324]), f64::MAX);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[-f64::MAX, -f64::MAX]), f64::NEG_INFINITY);
    }

    #[test]
    fn zeros_and_special_values_follow_ieee_addition() {
        let bits = |items: &[f64]| sum(items).to_bits();
        assert_eq!(bits(&[]), 0.0_f64.to_bits());
        assert_eq!(bits(&[-0.0, -0.0]), (-0.0_f64).to_bits());
        assert_eq!(bits(&[-0.0, 0.0]), 0.0_f64.to_bits());
        assert_eq!(bits(&[5.0, -0.0, -5.0]), 0.0_f64.to_bits());
        assert_eq!(bits(&[f64::INFINITY, -1e308]), f64::INFINITY.to_bits());
        assert_eq!(bits(&[f64::INFINITY, f64::NEG_INFINITY]), f64::NAN.to_bits());
        assert_eq!(bits(&[-f64::NAN, 1.0]), f64::NAN.to_bits());
    }

    #[test]
    fn a_mean_overflows_nowhere() {
        let mut mean = Mean::default();
        assert_eq!(mean.finish(NOW), None);
        for item in [Some(f64::MAX), None, Some(f64::MAX)] {
            mean.add(item);
        }
        assert_eq!(mean.finish(NOW), Some(f64::MAX));
    }

    #[test]
    fn a_sum_outside_of_int64_is_none() {
        let mut sum = SumInt::default();
        assert_eq!(sum.finish(NOW), Some(0));
        sum.add(Some(i64::MAX));
        sum.add(Some(1));
        assert_eq!(sum.finish(NOW), None);
        sum.add(Some(-1));
        assert_eq!(sum.finish(NOW), Some(i64::MAX));
    }
}
