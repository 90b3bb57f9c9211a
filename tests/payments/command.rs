//! The command over the payments: what it counts, and what its audit compares.

use std::collections::BTreeMap;
use std::path::Path;

use payments_generator::{Payment, write_log};
use serde_json::{Value, json};
use trifold_eventlog::RowFormat;
use trifold_tests::command::Trifold;
use trifold_tests::guests::component;

use crate::log::{Copy, Log, identity, is_early, is_late};
use crate::site::{ARRIVAL, STORED};

const SEED: u64 = 5;

/// How many payments that count are copies, and how many of these differ from what they copy. A window view knows every
/// payment again, a row view the latest of the card.
fn copies(log: &Log, of_windows: bool) -> (u64, u64) {
    if of_windows {
        let copies: Vec<_> = log.admitted().filter_map(|(offset, _)| log.copy(offset)).collect();
        let differing = copies.iter().filter(|copy| **copy == Copy::Differs).count();
        return (copies.len() as u64, differing as u64);
    }
    let mut latest: BTreeMap<u64, &Payment> = BTreeMap::new();
    let (mut duplicates, mut conflicts) = (0, 0);
    for (_, payment) in log.admitted() {
        let latest = latest.entry(payment.card).or_insert(payment);
        if identity(payment) > identity(latest) {
            *latest = payment;
        } else if identity(payment) == identity(latest) && !std::ptr::eq(payment, *latest) {
            duplicates += 1;
            conflicts += u64::from(payment.cents != latest.cents);
        }
    }
    (duplicates, conflicts)
}

/// What the command must say of the payments of a view.
fn expected(log: &Log, package: &str) -> Value {
    let count = |is: fn(&Payment) -> bool| log.payments.iter().filter(|payment| is(payment)).count() as u64;
    let (late, early) = (count(is_late), count(is_early));
    assert_eq!((late, early), (log.account.late, log.account.early));
    let (duplicates, conflict) = copies(log, package != "card-profile");
    assert!([late, early, duplicates, conflict].iter().all(|count| *count > 0));
    let aside = json!({"late": late, "early": early, "conflict": conflict});
    let events = log.payments.len() as u64;
    json!({"events": events, "rows": events - late - early, "duplicates": duplicates, "aside": aside})
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_payment_is_accounted_for_and_the_audit_differs_in_no_row() {
    let trifold = Trifold::new(env!("CARGO_BIN_EXE_trifold-under-test"));
    let (log, dir) = (Log::new(SEED), trifold.path("payments"));
    write_log(&log.config, &dir, RowFormat::JsonLines, 2).unwrap();
    let source = ["--events", text(&dir), "--arrival", ARRIVAL, "--format", "json"];
    for package in STORED {
        trifold.run(["push", text(&component(package, &[]).path), "--release"]).succeeded();
    }
    let steps = ["--step-rows", "400"];
    let summary = trifold.run(["stream"].iter().chain(&source).chain(&steps)).succeeded().json();
    for package in STORED {
        let view = package.replace('-', "_");
        let told = summary["views"].as_array().unwrap().iter().find(|of| of["view"] == view.as_str()).unwrap();
        let expected = expected(&log, package);
        for (name, expected) in expected.as_object().unwrap() {
            assert_eq!(&told[name], expected, "seed {SEED}, {view}: {name}");
        }
        let audit = trifold.run(["audit", view.as_str()].iter().chain(&source)).succeeded().json();
        let counts = ["compared", "differing", "missing", "extra", "unavailable"].map(|name| audit[name].clone());
        assert_eq!(counts, [expected["rows"].clone(), json!(0), json!(0), json!(0), json!(0)], "{view}: {audit}");
    }
    // All copies that the generator made are copies of payments that count, or do not count themselves.
    let all = copies(&log, true).0;
    assert!(all <= log.account.duplicate + log.account.conflicting && all > 0);
}
