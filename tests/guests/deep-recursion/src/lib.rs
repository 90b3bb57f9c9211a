//! Recurses as deep as a row says.

use std::hint::black_box;

use trifold_sdk::prelude::*;

/// How deep to go.
#[derive(Input)]
pub struct Dive {
    /// Whose row it is.
    #[entity]
    pub key: i64,
    /// How many calls deep.
    pub depth: i64,
}

/// How deep it went.
#[derive(Output)]
pub struct Depth {
    /// As many calls.
    pub depth: i64,
}

/// Recurses.
#[row_view]
pub fn deep_recursion(dive: Dive) -> Depth {
    Depth { depth: descend(dive.depth) }
}

/// Not a loop, even to an optimiser.
#[inline(never)]
fn descend(depth: i64) -> i64 {
    if black_box(depth) <= 0 { 0 } else { black_box(descend(depth - 1)) + 1 }
}
