//! The window world as Rust has it. The bindings of a component map to it.

use crate::bindings::trifold::feature::types::{Batch, Failure, Outcome};

/// Prepared events that are folded onto one state.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// A state, or beyond the states the answer for an earlier group.
    pub state: u32,
    /// The first event.
    pub first: u32,
    /// How many events.
    pub count: u32,
}

/// A run of items.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The first item.
    pub first: u32,
    /// How many items.
    pub count: u32,
}

/// What a window view's component exports.
pub trait WindowGuest {
    /// The view as JSON.
    fn describe() -> String;
    /// Prepares every event of a batch.
    fn prepare(events: Batch) -> Result<Outcome, Failure>;
    /// Folds groups of prepared events onto states.
    fn accumulate(states: Batch, groups: Vec<Group>, prepared: Batch) -> Result<Batch, Failure>;
    /// Merges spans of states.
    fn merge(states: Batch, spans: Vec<Span>) -> Result<Batch, Failure>;
    /// Turns the windows of entities into rows.
    fn finish(
        tiles: Batch,
        picks: Vec<u32>,
        windows: Vec<Span>,
        keys: Batch,
        as_of: Vec<i64>,
    ) -> Result<Outcome, Failure>;
}
