//! Hostile: a row's value is how many rows the instance has seen.

use std::sync::atomic::{AtomicI64, Ordering};

use trifold_sdk::prelude::*;

static SEEN: AtomicI64 = AtomicI64::new(0);

/// Any row.
#[derive(Input)]
pub struct Row {
    /// Whose row it is.
    #[entity]
    pub key: i64,
}

/// What came before.
#[derive(Output)]
pub struct Count {
    /// Rows seen, this one included.
    pub seen: i64,
}

/// Counts its rows in a static.
#[row_view]
pub fn static_counter(_row: Row) -> Count {
    Count { seen: SEEN.fetch_add(1, Ordering::Relaxed) + 1 }
}
