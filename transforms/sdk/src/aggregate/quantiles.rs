//! Quantiles from a sketch.

use std::fmt::Debug;
use std::marker::PhantomData;

use super::{Aggregate, FoldOrder, StateError, StateReader, put_varint, put_zigzag};
use crate::Timestamp;

/// The quantile of so many thousandths: `Permille<500>` is the median, `Permille<999>` the 99.9th percentile.
#[derive(Debug, Clone, Copy)]
pub struct Permille<const N: u16>;

/// The 5th percentile.
pub type P5 = Permille<50>;
/// The 10th percentile.
pub type P10 = Permille<100>;
/// The lower quartile.
pub type P25 = Permille<250>;
/// The median.
pub type P50 = Permille<500>;
/// The upper quartile.
pub type P75 = Permille<750>;
/// The 90th percentile.
pub type P90 = Permille<900>;
/// The 95th percentile.
pub type P95 = Permille<950>;
/// The 99th percentile.
pub type P99 = Permille<990>;

/// What [`Quantiles`] answers: a [`Permille`] or a tuple of two to four.
pub trait Percentiles: Debug + Clone {
    /// One `Option<f64>` for each.
    type Feature;
    /// The features' names.
    const FEATURES: &'static [&'static str];
    /// Asks for each of the quantiles, in thousandths.
    fn each(quantile: impl Fn(u16) -> Option<f64>) -> Self::Feature;
}

impl<const N: u16> Permille<N> {
    const NUMBER: u16 = {
        assert!(N <= 1000, "a quantile has at most 1000 thousandths");
        N
    };
    /// `p`, the whole percents, and the thousandth after an underscore if there is one.
    const DIGITS: ([u8; 6], usize) = {
        let mut text = [b'p', 0, 0, 0, 0, 0];
        let mut end = 1;
        let percents = N / 10;
        if percents >= 100 {
            text[end] = b'0' + (percents / 100) as u8;
            end += 1;
        }
        if percents >= 10 {
            text[end] = b'0' + (percents / 10 % 10) as u8;
            end += 1;
        }
        text[end] = b'0' + (percents % 10) as u8;
        end += 1;
        if !N.is_multiple_of(10) {
            text[end] = b'_';
            text[end + 1] = b'0' + (N % 10) as u8;
            end += 2;
        }
        (text, end)
    };
    const NAME: &'static str = match std::str::from_utf8(Self::DIGITS.0.split_at(Self::DIGITS.1).0) {
        Ok(name) => name,
        Err(_) => panic!("digits are text"),
    };
}

impl<const N: u16> Percentiles for Permille<N> {
    type Feature = Option<f64>;
    const FEATURES: &'static [&'static str] = &[""];

    fn each(quantile: impl Fn(u16) -> Option<f64>) -> Option<f64> {
        quantile(Self::NUMBER)
    }
}

macro_rules! percentiles {
    ($($number:ident $feature:ty),*) => {
        impl<$(const $number: u16),*> Percentiles for ($(Permille<$number>,)*) {
            type Feature = ($($feature,)*);
            const FEATURES: &'static [&'static str] = &[$(Permille::<$number>::NAME),*];

            fn each(quantile: impl Fn(u16) -> Option<f64>) -> Self::Feature {
                ($(quantile(Permille::<$number>::NUMBER),)*)
            }
        }
    };
}

percentiles!(A Option<f64>, B Option<f64>);
percentiles!(A Option<f64>, B Option<f64>, C Option<f64>);
percentiles!(A Option<f64>, B Option<f64>, C Option<f64>, D Option<f64>);

/// Quantiles of doubles, within 0.8 % of the true ones.
///
/// `Quantiles<P50>` is one feature that bears the field's name; `Quantiles<(P50, P95, P99)>` are the features `p50`,
/// `p95` and `p99` from one state. Item `f64` or `Option<f64>`, of which none is ignored; each feature is an
/// `Option<f64>`, none without items. The quantile q of n items is the one with floor(q (n - 1)) smaller ones before
/// it in the sorted list.
///
/// The sketch counts items in buckets that divide every power of two into 2^`BITS` equal parts, 64 by default; a
/// bucket is the leading bits of a double, so no logarithm is taken, and the answer is the middle of a bucket: within
/// 2^-(`BITS` + 1) of the true quantile, relative to it (below 2^-1022: to 2^-1022). This is the linearly
/// interpolated mapping of DDSketch (Masson, Rim and Lee 2019). `BITS` is 1 to 10.
///
/// At most 2048 buckets are kept. Items that would need more, spread over 32 powers of two or more without a gap,
/// double the width of all buckets and with it the bound on the error, until the buckets are few enough again
/// (uniform collapse, UDDSketch, Epicoco et al. 2020). Halving the keys of a larger set never leaves fewer, so the
/// width is the smallest with which the buckets of all items fit: it depends on the multiset of items alone, as the
/// counts do, and the sketch may be folded in any order.
///
/// -0.0 counts as 0.0, which is answered exactly. Infinities lie at the ends of the list and are answered as
/// themselves. A NaN has no place in a sorted list and is ignored, as by [`Min`](super::Min). The state takes 2 to 4
/// bytes for each bucket in use and a few more, at most 10 KiB for counts below 2^21.
#[derive(Debug, Clone)]
pub struct Quantiles<Q, const BITS: u32 = 6> {
    /// How many times the buckets' width was doubled.
    doublings: u32,
    zeros: u64,
    infinite: u64,
    negative_infinite: u64,
    /// Ascending keys and their counts. A positive number's key is its leading bits, a negative one's the complement of
    /// its absolute value's, so that keys ascend with numbers, and a shift to the right halves both alike.
    buckets: Vec<(i32, u64)>,
    quantiles: PhantomData<Q>,
}

const BUCKETS_MAX: usize = 2_048;
const MANTISSA_BITS: u32 = 52;

/// In the first byte of a state, above the doublings.
const ZEROS: u8 = 32;
const INFINITE: u8 = 64;
const NEGATIVE_INFINITE: u8 = 128;

impl<Q, const BITS: u32> Default for Quantiles<Q, BITS> {
    #[inline]
    fn default() -> Self {
        const { assert!(BITS >= 1 && BITS <= 10, "the bits of a bucket are 1 to 10") };
        Quantiles {
            doublings: 0,
            zeros: 0,
            infinite: 0,
            negative_infinite: 0,
            buckets: Vec::new(),
            quantiles: PhantomData,
        }
    }
}

impl<Q, const BITS: u32> Quantiles<Q, BITS> {
    /// A bucket for every two powers of two: 1024 for either sign, which always fit.
    const DOUBLINGS_MAX: u32 = BITS + 1;

    fn is_empty(&self) -> bool {
        self.buckets.is_empty() && self.zeros == 0 && self.infinite == 0 && self.negative_infinite == 0
    }

    /// The key of a finite number with the narrowest buckets.
    #[inline]
    fn key(value: f64) -> i32 {
        let bits = value.to_bits();
        let key = (bits << 1 >> 1 >> (MANTISSA_BITS - BITS)) as i32;
        key ^ (bits as i64 >> 63) as i32
    }

    /// The middle of a bucket.
    fn middle(&self, key: i32) -> f64 {
        let sign = key >> 31;
        let shift = MANTISSA_BITS - BITS + self.doublings;
        let low = ((key ^ sign) as u64) << shift;
        // Very wide buckets end beyond the largest double.
        let magnitude = f64::from_bits(low + (1 << (shift - 1))).min(f64::MAX);
        if sign < 0 { -magnitude } else { magnitude }
    }

    #[inline]
    fn count(&mut self, key: i32, more: u64) {
        match self.buckets.binary_search_by_key(&key, |bucket| bucket.0) {
            Ok(place) => self.buckets[place].1 = self.buckets[place].1.wrapping_add(more),
            Err(place) => {
                self.buckets.insert(place, (key, more));
                self.collapse();
            }
        }
    }

    /// Doubles the buckets' width until they are few enough.
    fn collapse(&mut self) {
        while self.buckets.len() > BUCKETS_MAX {
            self.double();
        }
    }

    fn double(&mut self) {
        self.doublings += 1;
        self.buckets.iter_mut().for_each(|bucket| bucket.0 >>= 1);
        self.buckets.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.wrapping_add(next.1);
            }
            same
        });
    }

    fn quantile(&self, permille: u16) -> Option<f64> {
        let finite = self.buckets.iter().map(|(key, count)| (self.middle(*key), *count));
        let split = self.buckets.partition_point(|(key, _)| *key < 0);
        let ascending = std::iter::once((f64::NEG_INFINITY, self.negative_infinite))
            .chain(finite.clone().take(split))
            .chain([(0.0, self.zeros)])
            .chain(finite.skip(split))
            .chain([(f64::INFINITY, self.infinite)]);
        let total: u128 = ascending.clone().map(|(_, count)| u128::from(count)).sum();
        let mut before = total.checked_sub(1)? * u128::from(permille) / 1000;
        for (value, count) in ascending {
            match before.checked_sub(u128::from(count)) {
                Some(left) => before = left,
                None => return Some(value),
            }
        }
        None
    }
}

impl<Q: Percentiles, const BITS: u32> Aggregate for Quantiles<Q, BITS> {
    type Item<'a> = Option<f64>;
    type Feature = Q::Feature;
    const FEATURES: &'static [&'static str] = Q::FEATURES;
    const ORDER: FoldOrder = FoldOrder::Any;

    #[inline]
    fn add(&mut self, item: Option<f64>) {
        match item {
            None => {}
            Some(0.0) => self.zeros = self.zeros.wrapping_add(1),
            Some(f64::INFINITY) => self.infinite = self.infinite.wrapping_add(1),
            Some(f64::NEG_INFINITY) => self.negative_infinite = self.negative_infinite.wrapping_add(1),
            Some(value) if value.is_nan() => {}
            Some(value) => self.count(Self::key(value) >> self.doublings, 1),
        }
    }

    fn merge(&mut self, later: &Self) {
        self.zeros = self.zeros.wrapping_add(later.zeros);
        self.infinite = self.infinite.wrapping_add(later.infinite);
        self.negative_infinite = self.negative_infinite.wrapping_add(later.negative_infinite);
        while self.doublings < later.doublings {
            self.double();
        }
        if self.buckets.is_empty() {
            self.buckets.clone_from(&later.buckets);
            return;
        }
        for (key, count) in &later.buckets {
            // A merge may itself double the width, while later's keys stay what they are.
            self.count(key >> (self.doublings - later.doublings), *count);
        }
    }

    /// A byte of doublings and kinds, the counts of the special kinds, how many buckets there are, the first key, the
    /// gaps between keys, and after each key its count.
    fn encode(&self, out: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        let special =
            [(self.zeros, ZEROS), (self.infinite, INFINITE), (self.negative_infinite, NEGATIVE_INFINITE)];
        let present = special.iter().filter(|(count, _)| *count > 0);
        out.push(present.clone().fold(self.doublings as u8, |byte, (_, kind)| byte | kind));
        present.for_each(|(count, _)| put_varint(out, *count));
        put_varint(out, self.buckets.len() as u64);
        let mut before = None;
        for (key, count) in &self.buckets {
            match before.replace(*key) {
                None => put_zigzag(out, i64::from(*key)),
                Some(before) => put_varint(out, (key - before) as u64),
            }
            put_varint(out, *count);
        }
    }

    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        let head = input.byte()?;
        let mut special = |kind| if head & kind == 0 { Ok(0) } else { input.positive() };
        let (zeros, infinite, negative_infinite) =
            (special(ZEROS)?, special(INFINITE)?, special(NEGATIVE_INFINITE)?);
        let doublings = u32::from(head & (ZEROS - 1));
        let length = input.length(2)?;
        if length > BUCKETS_MAX || doublings > Self::DOUBLINGS_MAX || (doublings > 0 && length == 0) {
            return Err(StateError::invalid("a sketch of quantiles has too many buckets or too wide ones"));
        }
        let largest = i64::from(Self::key(f64::MAX) >> doublings);
        let mut buckets = Vec::with_capacity(length + 1);
        let mut key = 0;
        for place in 0..length {
            key = match place {
                0 => input.zigzag()?,
                _ => {
                    i64::try_from(input.positive()?).ok().and_then(|gap| key.checked_add(gap)).unwrap_or(i64::MAX)
                }
            };
            if !(-1 - largest..=largest).contains(&key) {
                return Err(StateError::invalid("a bucket of quantiles lies outside of the range of doubles"));
            }
            buckets.push((key as i32, input.positive()?));
        }
        let state = Quantiles { doublings, zeros, infinite, negative_infinite, buckets, quantiles: PhantomData };
        if state.is_empty() { Err(StateError::invalid("a sketch of no quantiles")) } else { Ok(state) }
    }

    fn finish(&self, _as_of: Timestamp) -> Q::Feature {
        Q::each(|permille| self.quantile(permille))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(0);

    fn fold<Q: Percentiles>(items: &[f64]) -> Q::Feature {
        let mut state = Quantiles::<Q>::default();
        items.iter().for_each(|item| state.add(Some(*item)));
        state.finish(NOW)
    }

    #[test]
    fn features_are_named_by_their_percents() {
        assert_eq!(Quantiles::<P50>::FEATURES, [""]);
        assert_eq!(Quantiles::<(P5, P50, P99)>::FEATURES, ["p5", "p50", "p99"]);
        assert_eq!(Quantiles::<(Permille<5>, Permille<999>)>::FEATURES, ["p0_5", "p99_9"]);
        assert_eq!(Quantiles::<(Permille<0>, Permille<1000>)>::FEATURES, ["p0", "p100"]);
    }

    #[test]
    fn special_values_are_answered_as_themselves() {
        assert_eq!(fold::<P50>(&[]), None);
        assert_eq!(fold::<P50>(&[f64::NAN]), None);
        assert_eq!(fold::<P50>(&[-0.0]).map(f64::to_bits), Some(0));
        type Ends = (Permille<0>, P50, Permille<1000>);
        let ends = fold::<Ends>(&[f64::INFINITY, f64::NEG_INFINITY, 0.0, f64::NAN]);
        assert_eq!(ends, (Some(f64::NEG_INFINITY), Some(0.0), Some(f64::INFINITY)));
    }

    #[test]
    fn the_middle_of_a_bucket_is_near_its_ends() {
        let state = Quantiles::<P50>::default();
        for value in [f64::MIN_POSITIVE, 0.1, 1.0, 1.0_f64.next_down(), 1.5, 1e300, f64::MAX] {
            for value in [value, -value] {
                let middle = state.middle(Quantiles::<P50>::key(value));
                assert!(((middle - value) / value).abs() <= 1.0 / 128.0, "{value}: {middle}");
            }
        }
    }
}
