//! Sums that fade.

use super::kept::Kept;
use super::{Aggregate, FoldOrder, StateError, StateReader};
use crate::Timestamp;

/// A sum in which a value loses half of its weight every `HALF_LIFE` seconds: the sum of value * 2^-(age / `HALF_LIFE`),
/// with the age at the moment of the answer.
///
/// Item `(Timestamp, f64)` or `(Timestamp, Option<f64>)`: the event's time and its value, of which none is ignored;
/// feature `f64`, 0.0 without items. Values of 1.0 make it a decayed count.
///
/// The state is the sum as of its latest event, and every later event decays and rounds it anew, so the fold order is
/// `event-time`. A decay is within 2 units in the last place, so with n items of one sign the result is within about 3 n
/// units of the true one, unless that is subnormal. NaN and infinities are as in IEEE addition; an infinity does not fade. The state takes 16
/// bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecayedSum<const HALF_LIFE: u32>(Option<Sum>);

#[derive(Debug, Clone, Copy)]
struct Sum {
    /// The moment as of which the sum is told.
    time: Timestamp,
    sum: f64,
}

impl<const HALF_LIFE: u32> DecayedSum<HALF_LIFE> {
    const HALF_LIFE_MICROS: u64 = {
        assert!(HALF_LIFE > 0, "a half-life is at least a second");
        HALF_LIFE as u64 * 1_000_000
    };

    fn join(&mut self, later: Sum) {
        let sum = match self.0 {
            None => later,
            Some(before) => {
                let time = before.time.max(later.time);
                Sum { time, sum: Self::decayed(before, time) + Self::decayed(later, time) }
            }
        };
        self.0 = Some(Sum { sum: f64::keep(sum.sum), ..sum });
    }

    /// A sum as of a moment that is not earlier.
    fn decayed(Sum { time, sum }: Sum, at: Timestamp) -> f64 {
        if at <= time || !sum.is_finite() {
            return sum;
        }
        let elapsed = at.micros().abs_diff(time.micros());
        let halvings = elapsed / Self::HALF_LIFE_MICROS;
        let rest = (elapsed % Self::HALF_LIFE_MICROS) as f64 / Self::HALF_LIFE_MICROS as f64;
        halved(sum * exp2_negative(rest), halvings)
    }
}

/// 2^-`x` for `x` from 0 to 1, within 2 units in the last place.
///
/// Only IEEE arithmetic: the standard library would ask the platform's libm, and a native test would then see other
/// bits than a component. It is the series of e^y, for y = -`x` ln 2 or, nearer to zero, (1 - `x`) ln 2, which then
/// halves. Within 0.35 of zero the first term left out is below 2^-57.
fn exp2_negative(x: f64) -> f64 {
    const TERMS: u32 = 14;
    let (nearest, power) = if x <= 0.5 { (0.0, 1.0) } else { (1.0, 0.5) };
    let y = (nearest - x) * std::f64::consts::LN_2;
    (1..TERMS).rev().fold(1.0, |sum, term| 1.0 + y / f64::from(term) * sum) * power
}

/// `value` times 2^-`count`.
fn halved(mut value: f64, mut count: u64) -> f64 {
    // A factor must be a normal double, so it takes steps. They are exact, except where the result is subnormal: there
    // each may round by half of the smallest double.
    const STEP: u64 = 1_000;
    while count > STEP && value != 0.0 {
        value *= power_of_half(STEP);
        count -= STEP;
    }
    value * power_of_half(count.min(STEP))
}

/// 2^-`count`, for up to 1022.
fn power_of_half(count: u64) -> f64 {
    f64::from_bits((1_023 - count) << 52)
}

impl<const HALF_LIFE: u32> Aggregate for DecayedSum<HALF_LIFE> {
    type Item<'a> = (Timestamp, Option<f64>);
    type Feature = f64;
    const FEATURES: &'static [&'static str] = &[""];
    const ORDER: FoldOrder = FoldOrder::EventTime;

    #[inline]
    fn add(&mut self, (time, value): (Timestamp, Option<f64>)) {
        if let Some(sum) = value {
            self.join(Sum { time, sum });
        }
    }

    fn merge(&mut self, later: &Self) {
        if let Some(sum) = later.0 {
            self.join(sum);
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        if let Some(Sum { time, sum }) = self.0 {
            time.put(out);
            sum.put(out);
        }
    }

    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        Ok(DecayedSum(Some(Sum { time: Timestamp::take(input)?, sum: f64::take(input)? })))
    }

    fn finish(&self, as_of: Timestamp) -> f64 {
        self.0.map_or(0.0, |sum| f64::keep(Self::decayed(sum, as_of)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * SECOND)
    }

    #[test]
    fn a_half_life_halves() {
        let mut sum = DecayedSum::<60>::default();
        assert_eq!(sum.finish(at(0)), 0.0);
        sum.add((at(0), Some(8.0)));
        sum.add((at(60), None));
        sum.add((at(60), Some(1.0)));
        assert_eq!(sum.finish(at(60)), 5.0);
        assert_eq!(sum.finish(at(180)), 1.25);
        assert_eq!(sum.finish(at(i64::MAX / SECOND)), 0.0);
    }

    #[test]
    fn an_infinity_does_not_fade() {
        let mut sum = DecayedSum::<60>::default();
        sum.add((at(0), Some(f64::INFINITY)));
        assert_eq!(sum.finish(at(1_000_000)), f64::INFINITY);
    }

    #[test]
    fn decays_are_within_two_units_in_the_last_place() {
        let steps = 100_000;
        for step in 0..=steps {
            let x = f64::from(step) / f64::from(steps);
            let (ours, theirs) = (exp2_negative(x), (-x).exp2());
            assert!(ours.to_bits().abs_diff(theirs.to_bits()) <= 2, "{x}: {ours} {theirs}");
        }
    }

    #[test]
    fn halvings_reach_the_smallest_doubles() {
        assert_eq!(halved(1.0, 1_074), 5e-324);
        assert_eq!(halved(1.5, 1_074), 1e-323);
        assert_eq!(halved(1.0, 1_075), 0.0);
        assert_eq!(halved(f64::MAX, 1_000), f64::MAX * power_of_half(1_000));
        assert_eq!(halved(f64::MAX, 2_090).to_bits(), 0x100);
    }
}
