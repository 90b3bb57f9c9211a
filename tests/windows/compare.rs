//! Rows against the oracle's.

use trifold_model::{FeatureView, first_difference};
use trifold_tests::rows::Row;

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
