//! What a value is.

use std::collections::BTreeMap;

use trifold_model::WindowSpec;

use crate::letters::{Value, state};

/// An event that counts.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) time: i64,
    pub(crate) id: String,
    pub(crate) content: u8,
    pub(crate) arrival: i64,
    pub(crate) letter: char,
}

/// The value at a time of events in the order of their positions.
pub(crate) fn value(spec: &WindowSpec, events: &[Event], at: i64) -> Value {
    let mut events: Vec<&Event> = events.iter().collect();
    if spec.deduplicate {
        events.sort_by_key(|event| (event.time, event.id.clone()));
        events.dedup_by_key(|event| (event.time, event.id.clone()));
    } else {
        events.sort_by_key(|event| (event.time, event.id.clone(), event.content));
    }
    let window = |window: &trifold_model::Window| {
        let hop = i128::from(window.hop.micros());
        let first = (i128::from(at) - i128::from(window.length.micros())).div_euclid(hop);
        let mut tiles: BTreeMap<i128, Vec<char>> = BTreeMap::new();
        for event in &events {
            let tile = i128::from(event.time).div_euclid(hop);
            if tile >= first {
                tiles.entry(tile).or_default().push(event.letter);
            }
        }
        tiles.into_values().map(|letters| state(spec.order, letters.into_iter())).collect()
    };
    spec.windows.iter().map(window).collect()
}
