//! The most frequent texts, by the sketch of Misra and Gries.

use std::collections::BTreeMap;

use super::{Aggregate, text};
use crate::{Tile, Value};

type Counts = BTreeMap<String, u64>;

/// `TopFrequent<K, CAPACITY>`.
pub fn top_frequent(field: &'static str, k: usize, capacity: usize) -> Aggregate {
    Box::new(move |tiles, _| {
        let folded = tiles.iter().map(|tile| fold(tile, field, capacity));
        let counts = folded.reduce(|left, right| merge(left, right, capacity)).unwrap_or_default();
        let mut texts: Vec<(String, u64)> = counts.into_iter().collect();
        texts.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        vec![Value::Texts(texts.into_iter().take(k).map(|(text, _)| text).collect())]
    })
}

/// A text that finds no room takes one from all that are there.
fn fold(tile: &Tile<'_>, field: &str, capacity: usize) -> Counts {
    let mut counts = Counts::new();
    for text in tile.iter().filter_map(|event| text(event, field)) {
        if counts.contains_key(text) || counts.len() < capacity {
            *counts.entry(text.to_owned()).or_default() += 1;
        } else {
            counts = less(counts, 1);
        }
    }
    counts
}

/// The sums of counts; where there are too many, less the largest that finds no room.
fn merge(mut left: Counts, right: Counts, capacity: usize) -> Counts {
    for (text, count) in right {
        *left.entry(text).or_default() += count;
    }
    let mut descending: Vec<u64> = left.values().copied().collect();
    descending.sort_by(|left, right| right.cmp(left));
    match descending.get(capacity) {
        Some(too_many) => less(left, *too_many),
        None => left,
    }
}

fn less(counts: Counts, taken: u64) -> Counts {
    counts.into_iter().filter(|(_, count)| *count > taken).map(|(text, count)| (text, count - taken)).collect()
}
