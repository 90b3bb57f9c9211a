//! Plans that are carried out with a fold of letters, against the rule: all events of a window, by tile.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod bounds;
mod case;
mod damage;
mod letters;
mod random;
mod rule;

use case::{Case, check};
use trifold_model::FoldOrder;

/// Of either order.
const CASES: u64 = 10_000;

#[test]
fn any_order() {
    (0..CASES).for_each(|seed| drop(check(&Case::random(seed, FoldOrder::Any))));
}

#[test]
fn event_time_order() {
    (0..CASES).for_each(|seed| drop(check(&Case::random(seed, FoldOrder::EventTime))));
}
