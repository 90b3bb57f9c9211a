//! A version that traps on every row is released, of a view beside another one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{BooleanArray, RecordBatch};
use trifold_model::ErrorCode;
use trifold_tests::rows::Row;

use crate::legs::{append, departures, trapping};
use crate::processes::{Answered, EVENTS, Server, Site, VIEWS, questions};

/// Those of the next departures whose flights had none before.
fn others() -> RecordBatch {
    let (before, more) = (departures(EVENTS), departures(2 * EVENTS).slice(EVENTS, EVENTS));
    let flights = |events: &RecordBatch| {
        let numbers = events.column_by_name("flight").unwrap();
        numbers.as_primitive::<Int64Type>().values().to_vec()
    };
    let known: BTreeSet<_> = flights(&before).into_iter().collect();
    let new: BooleanArray = flights(&more).iter().map(|number| Some(!known.contains(number))).collect();
    arrow_select::filter::filter_record_batch(&more, &new).unwrap()
}

/// The version that answered for a view, and its rows.
fn of<'a>(answered: &'a [Answered], view: &str) -> (u64, &'a [Row]) {
    let (_, version, _, rows) = answered.iter().find(|answered| answered.0 == view).unwrap();
    (*version, rows)
}

#[test]
fn a_version_that_traps_harms_no_other_view_and_is_taken_back() {
    let [neighbour, view] = VIEWS;
    let site = Site::new();
    assert_eq!(site.push(&trapping(view)), 2);
    let up = Server::start(&site.data(), &["up", "--events", site.log().to_str().unwrap()]);
    let values = site.answers(&up);
    let is_trap = |row: &Row| *row == Ok([&[3][..], &ErrorCode::TRAP.0.to_le_bytes()].concat());
    assert!(of(&values, view).0 == 1 && !of(&values, view).1.iter().any(is_trap));

    let stop = Arc::new(AtomicBool::new(false));
    let asking = site.keep_asking(&up, &stop);
    site.release(view, 2, &[&up]);
    let trapped = site.answers(&up);
    assert!(of(&trapped, view).0 == 2 && of(&trapped, view).1.iter().all(is_trap), "{trapped:?}");
    assert_eq!(of(&trapped, neighbour), of(&values, neighbour));
    // The worker goes on, too, and keeps what the next version needs.
    let others = others();
    append(&site.log(), "1.parquet", &others);
    let others = questions(&others);
    let has_all = || {
        let answered = site.answers_to(&others, &up, &[neighbour]);
        of(&answered, neighbour).1.iter().all(|row| row.as_ref().is_ok_and(|row| row[0] == 0))
    };
    while !has_all() {}

    site.roll_back(view, &[&up]);
    assert_eq!(site.answers(&up), values);
    stop.store(true, Ordering::Relaxed);
    let seen = site.block_on(asking).unwrap();
    let versions: BTreeSet<_> = seen.iter().map(|(view, version, ..)| (view.as_str(), *version)).collect();
    assert!(versions.contains(&(neighbour, 1)) && !versions.contains(&(neighbour, 2)), "{versions:?}");
    // As if the version had never been.
    let calm = Server::start(&site.data(), &["serve"]);
    assert_eq!(site.answers_to(&others, &up, &VIEWS), site.answers_to(&others, &calm, &VIEWS));
}
