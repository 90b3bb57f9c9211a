//! Sums that fade.

use super::Aggregate;
use crate::{Event, Value};

/// A sum as of a time.
type Sum = (i64, f64);

/// `DecayedSum<HALF_LIFE>`, in seconds.
pub fn decayed_sum(field: &'static str, half_life: u64) -> Aggregate {
    Box::new(move |tiles, at| {
        let item = |event: &&Event| match event.get(field) {
            Value::Float(value) => Some((event.time, *value)),
            _ => None,
        };
        let add = |left: Sum, right: Sum| {
            let time = left.0.max(right.0);
            (time, decayed(left, time, half_life) + decayed(right, time, half_life))
        };
        let folded = tiles.iter().filter_map(|tile| tile.iter().filter_map(item).reduce(add));
        let sum = folded.reduce(add);
        vec![Value::Float(sum.map_or(0.0, |sum| decayed(sum, at, half_life)))]
    })
}

/// A sum as of a later time: halved once for every half-life, and by what is left of one.
fn decayed((time, sum): Sum, at: i64, half_life: u64) -> f64 {
    if at <= time || !sum.is_finite() {
        return sum;
    }
    let (elapsed, half_life) = (at.abs_diff(time), half_life * 1_000_000);
    let mut sum = sum * half_to((elapsed % half_life) as f64 / half_life as f64);
    // A step that reaches the subnormal numbers rounds, so the steps are those of the aggregator: a thousand at most.
    let mut halvings = elapsed / half_life;
    while halvings > 0 && sum != 0.0 {
        let step = halvings.min(1_000);
        sum *= f64::from_bits((1_023 - step) << 52);
        halvings -= step;
    }
    sum
}

/// 2^-x for x from 0 to 1, by thirteen terms of the exponential series about the nearer end.
fn half_to(x: f64) -> f64 {
    let (end, at_end) = if x <= 0.5 { (0.0, 1.0) } else { (1.0, 0.5) };
    let y = (end - x) * std::f64::consts::LN_2;
    let mut series = 1.0;
    for term in (1..=13).rev() {
        series = 1.0 + y / f64::from(term) * series;
    }
    series * at_end
}
