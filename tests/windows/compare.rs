//! Rows against the oracle's.

use trifold_model::{FeatureView, first_difference};
use trifold_oracle::{Event, View};
use trifold_tests::rows::Row;

use crate::stream::SECOND;

/// Whether a lookup as of a time is refused after some events of a log: the state holds what values need from then on
/// when an event may still come.
pub(crate) fn is_unknown(view: &View, known: &[Event], at: i64) -> bool {
    let clock = known.iter().filter_map(|event| event.arrival).max();
    clock.zip(view.lateness).is_some_and(|(clock, lateness)| at < clock - lateness * SECOND)
}

/// Holds that a lookup was refused.
#[track_caller]
pub(crate) fn check_unknown(what: impl Fn() -> String, found: &Row) {
    let is_refused = found.as_ref().is_err_and(|reason| reason.starts_with("unknown at that time"));
    assert!(is_refused, "{}: {found:?}", what());
}

/// Compares a row and names the first field that differs.
#[track_caller]
pub(crate) fn check_row(view: &FeatureView, what: impl Fn() -> String, expected: &[u8], found: &Row) {
    match found {
        Ok(found) if found == expected => {}
        Ok(found) => {
            let difference = first_difference(&view.outputs, expected, found);
            let difference = difference.map_or("no field".to_owned(), |difference| difference.to_string());
            panic!("{}: {difference} (expected against found)", what());
        }
        Err(reason) => panic!("{}: unavailable: {reason}", what()),
    }
}
