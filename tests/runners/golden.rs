//! Golden cases: events and the rows that they emit, written down. They use no function whose last bit depends on
//! the library that a compiler brings along, so that they hold for every toolchain.
//!
//! `UPDATE_GOLDEN=1 cargo test -p trifold-tests --test runners golden` writes the rows anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use trifold_sandbox::Transform;
use trifold_tests::live::{admit, transform};
use trifold_tests::root;
use trifold_tests::rows::Row;
use trifold_wat_guest::unruly;

use crate::case::Case;
use crate::runner::{check, check_rows};

#[derive(Serialize, Deserialize)]
struct Golden {
    doc: String,
    package: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrival: Option<String>,
    /// One line each.
    events: Vec<Value>,
    /// The canonical bytes of each event's row; null where the event does not count.
    rows: Vec<Option<String>>,
}

fn path(name: &str) -> PathBuf {
    root().join("tests/runners/golden").join(format!("{name}.json"))
}

fn golden_transform(package: &str) -> Transform {
    match package {
        "unruly" => {
            let unruly = unruly("unruly", |view| {
                view["lateness-seconds"] = json!(60);
                view["max-early-seconds"] = json!(30);
            });
            admit(&unruly.build().unwrap())
        }
        package => transform(package, &[]),
    }
}

#[track_caller]
fn check_golden(name: &str) {
    let mut golden: Golden = serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap();
    let transform = golden_transform(&golden.package);
    let case = Case::new(name, transform, golden.arrival.as_deref(), &golden.events);
    let expected = case.expected();
    if wants_update() {
        let row = |offset: u64| expected.get(&offset).map(|row| hex::encode(row.as_ref().unwrap()));
        golden.rows = (0..golden.events.len() as u64).map(row).collect();
        fs::write(path(name), serde_json::to_string_pretty(&golden).unwrap() + "\n").unwrap();
    }
    let bytes = |row: &String| -> Row { Ok(hex::decode(row).unwrap()) };
    let rows = golden.rows.iter().zip(0..).filter_map(|(row, offset)| Some((offset, bytes(row.as_ref()?))));
    check_rows(&case, "the rule", &rows.collect::<BTreeMap<_, _>>(), &expected);
    check(&case);
}

#[expect(clippy::disallowed_methods, reason = "how a person asks a test for something")]
fn wants_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[test]
fn events_out_of_order_and_copies_of_events() {
    check_golden("aircraft-order");
}

#[test]
fn events_that_cannot_be_read() {
    check_golden("aircraft-damage");
}

#[test]
fn rows_that_the_transform_refuses() {
    check_golden("aircraft-errors");
}

#[test]
fn moments_from_the_year_1_to_the_year_9999() {
    check_golden("calendar-moments");
}

#[test]
fn texts_of_several_scripts() {
    check_golden("text-scripts");
}

#[test]
fn events_that_are_late_or_early() {
    check_golden("unruly-arrivals");
}
