//! The aggregators, as their documentation has them.
//!
//! An [`Aggregate`] sees the tiles of one window, each with its events in canonical order. What does not depend on the
//! fold (the exact ones and the sketches of sets) is computed from all items at once; the rest folds each tile from
//! nothing and merges from left to right.

mod decayed;
mod distinct;
mod exact;
mod frequent;
mod hash;
mod quantiles;
mod sorted;

pub use decayed::decayed_sum;
pub use distinct::distinct_count;
pub use exact::{mean, moments, sample_std_dev, sample_variance, std_dev, sum, sum_int, variance};
pub use frequent::top_frequent;
pub use hash::hash64;
pub use quantiles::quantiles;
pub use sorted::{first, largest, last, max, max_int, min, min_int};

use crate::{Event, Finish, Tile, Value};

/// What the tiles of a window come to as of a time.
pub type Aggregate = Box<dyn Fn(&[Tile<'_>], i64) -> Vec<Value> + Send + Sync>;

/// The row of a view made of aggregators: each of them over each window.
pub fn aggregates(aggregates: Vec<Aggregate>) -> Finish {
    Box::new(move |asked| {
        let over_windows = |of: &Aggregate| -> Vec<Value> {
            asked.windows.iter().flat_map(|tiles| of(tiles, asked.at)).collect()
        };
        aggregates.iter().flat_map(over_windows).collect()
    })
}

/// `Count`.
pub fn count() -> Aggregate {
    Box::new(|tiles, _| vec![Value::Int(events(tiles).count() as i64)])
}

/// `CountIf`.
pub fn count_if(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![Value::Int(bools(tiles, field).filter(|is| *is).count() as i64)])
}

/// `Share`.
pub fn share(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| {
        let all: Vec<bool> = bools(tiles, field).collect();
        let yes = all.iter().filter(|is| **is).count();
        vec![(!all.is_empty()).then(|| yes as f64 / all.len() as f64).into()]
    })
}

fn events<'a>(tiles: &'a [Tile<'a>]) -> impl Iterator<Item = &'a Event> {
    tiles.iter().flatten().copied()
}

fn bools<'a>(tiles: &'a [Tile<'a>], field: &'a str) -> impl Iterator<Item = bool> {
    events(tiles).filter_map(move |event| match event.get(field) {
        Value::Bool(value) => Some(*value),
        _ => None,
    })
}

fn floats<'a>(tiles: &'a [Tile<'a>], field: &'a str) -> Vec<f64> {
    let float = |event: &Event| match event.get(field) {
        Value::Float(value) => Some(*value),
        _ => None,
    };
    events(tiles).filter_map(float).collect()
}

fn ints<'a>(tiles: &'a [Tile<'a>], field: &'a str) -> Vec<i64> {
    let int = |event: &Event| match event.get(field) {
        Value::Int(value) => Some(*value),
        _ => None,
    };
    events(tiles).filter_map(int).collect()
}

fn text<'a>(event: &'a Event, field: &str) -> Option<&'a str> {
    match event.get(field) {
        Value::Text(text) => Some(text),
        _ => None,
    }
}
