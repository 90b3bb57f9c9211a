//! What the place in a sorted list decides: smallest, largest, first and last.

use super::{Aggregate, events, floats, ints, text};
use crate::{Event, Tile, Value};

/// `Min<f64>`.
pub fn min(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![ascending(tiles, field).first().copied().into()])
}

/// `Max<f64>`.
pub fn max(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![ascending(tiles, field).last().copied().into()])
}

/// `Min<i64>`, `Min<Timestamp>`.
pub fn min_int(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![ints(tiles, field).into_iter().min().into()])
}

/// `Max<i64>`, `Max<Timestamp>`.
pub fn max_int(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![ints(tiles, field).into_iter().max().into()])
}

/// `TopK<f64, K>`.
pub fn largest(field: &'static str, k: usize) -> Aggregate {
    Box::new(move |tiles, _| vec![Value::Floats(ascending(tiles, field).into_iter().rev().take(k).collect())])
}

/// The numbers in IEEE's total order; a NaN has no place in it.
fn ascending(tiles: &[Tile<'_>], field: &str) -> Vec<f64> {
    let mut numbers = floats(tiles, field);
    numbers.retain(|number| !number.is_nan());
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// `First`.
pub fn first(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![in_order(tiles, field).first().map_or(Value::Null, |event| of(event, field))])
}

/// `Last`.
pub fn last(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![in_order(tiles, field).last().map_or(Value::Null, |event| of(event, field))])
}

fn of(event: &Event, field: &str) -> Value {
    event.get(field).clone()
}

/// The events that have a value, by time, then id, then value.
fn in_order<'a>(tiles: &'a [Tile<'a>], field: &str) -> Vec<&'a Event> {
    let mut having: Vec<&Event> = events(tiles).filter(|event| *event.get(field) != Value::Null).collect();
    having.sort_by(|left, right| {
        let place = (left.time, left.id.as_bytes()).cmp(&(right.time, right.id.as_bytes()));
        place.then_with(|| match (left.get(field), right.get(field)) {
            (Value::Float(left), Value::Float(right)) => canonical(*left).total_cmp(&canonical(*right)),
            _ => text(left, field).cmp(&text(right, field)),
        })
    });
    having
}

/// All NaNs are one, the largest of numbers.
fn canonical(number: f64) -> f64 {
    f64::from_bits(crate::value::bits(number))
}
