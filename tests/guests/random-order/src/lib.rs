//! Hostile: the standard library seeds each map differently, and a row's value shows the order of one.

use std::collections::HashMap;

use trifold_sdk::prelude::*;

/// Any row.
#[derive(Input)]
pub struct Row {
    /// Whose row it is.
    #[entity]
    pub key: i64,
}

/// An order.
#[derive(Output)]
pub struct Order {
    /// The numbers 0 to 15 as a map gives them.
    pub numbers: Vec<i64>,
}

/// Shows the order of a map with a random hasher.
#[row_view]
pub fn random_order(row: Row) -> Order {
    let map: HashMap<i64, i64> = (0..16).map(|number| (number, row.key)).collect();
    Order { numbers: map.into_keys().collect() }
}
