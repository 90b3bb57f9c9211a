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

/// Some entities end in one slot, and some in several.
fn check_all(order: FoldOrder) {
    let ends = (0..CASES).map(|seed| check(&Case::random(seed, order)).len());
    let (mut packed, mut apart) = (0, 0);
    for slots in ends {
        packed += u64::from(slots == 1);
        apart += u64::from(slots > 1);
    }
    assert!(packed > CASES / 10 && apart > CASES / 100, "{packed} entities in one slot, {apart} in several");
}

#[test]
fn any_order() {
    check_all(FoldOrder::Any);
}

#[test]
fn event_time_order() {
    check_all(FoldOrder::EventTime);
}
