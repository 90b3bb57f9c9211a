//! A batch as N x 1 rows, 1 x N rows, shuffled, in fresh and in used instances: equal bytes, for every component
//! of this workspace, over generated rows and over real ones.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use serde_json::json;
use trifold_eventlog::{ArrivalClock, FileLog, LogOptions, SourceConfig, decode};
use trifold_pipeline::{GateReport, publish_gate, synthetic_samples};
use trifold_sandbox::{Budget, Transform, WarmInstance};
use trifold_tests::live::{admit, transform};
use trifold_tests::random::SplitMix64;
use trifold_tests::rows::{Row, applied};
use trifold_tests::{flights, guests};
use trifold_wat_guest::unruly;

const SEED: u64 = 0x0067_6174_6500;
const GENERATED_ROWS: usize = 500;
const FLIGHT_ROWS: usize = 5_000;
const WINDOW_ROWS: usize = 1_000;

/// Computes rows in every way, without the gate, and returns how many of them are errors.
#[track_caller]
fn check(transform: &Transform, samples: &RecordBatch, seed: u64) -> usize {
    let name = &transform.view().name;
    let fresh = |rows: &RecordBatch| applied(&transform.apply(rows, &mut Budget::unlimited()));
    let rows = samples.num_rows();
    let alone: Vec<Row> = (0..rows).flat_map(|row| fresh(&samples.slice(row, 1))).collect();
    assert!(alone.iter().all(Result::is_ok), "{name}: every row has a verdict");
    assert_eq!(alone, fresh(samples), "{name}: one batch");
    let mut warm = transform.warm().unwrap();
    let used = |warm: &mut WarmInstance, rows: &RecordBatch| applied(&warm.apply(rows));
    let singly: Vec<Row> = (0..rows).flat_map(|row| used(&mut warm, &samples.slice(row, 1))).collect();
    assert_eq!(alone, singly, "{name}: one by one in a used instance");
    assert_eq!(alone, used(&mut warm, samples), "{name}: one batch in a used instance");
    let order = SplitMix64(seed).shuffled(rows);
    let shuffled = take_record_batch(samples, &UInt32Array::from(order.clone())).unwrap();
    let expected: Vec<Row> = order.iter().map(|&row| alone[row as usize].clone()).collect();
    assert_eq!(expected, fresh(&shuffled), "{name}: shuffled with seed {seed}");
    assert_eq!(expected, used(&mut warm, &shuffled), "{name}: shuffled in a used instance with seed {seed}");
    alone.iter().flatten().filter(|bytes| bytes[0] == 3).count()
}

/// The same through the gate.
#[track_caller]
fn check_gate(transform: &Transform, samples: &RecordBatch, error_rows: usize) {
    let report = publish_gate(transform, &[], samples, SEED).unwrap();
    check_report(&report, samples, error_rows);
    assert!(report.passed(), "{}: {report:?}", transform.view().name);
}

#[track_caller]
fn check_report(report: &GateReport, samples: &RecordBatch, error_rows: usize) {
    assert_eq!((report.sample_rows, report.error_rows()), (samples.num_rows(), error_rows));
    assert_eq!(report.checks.len(), 6);
    assert!(report.checks.iter().all(|check| check.rows == samples.num_rows()), "{report:?}");
}

#[track_caller]
fn check_generated(transform: &Transform) -> usize {
    let mut errors = 0;
    for seed in SEED..SEED + 3 {
        let samples = synthetic_samples(transform.view(), seed, GENERATED_ROWS).unwrap();
        let error_rows = check(transform, &samples, seed);
        check_gate(transform, &samples, error_rows);
        errors += error_rows;
    }
    errors
}

/// The first rows of the flights that have what the view needs.
fn departures(transform: &Transform) -> RecordBatch {
    let source = SourceConfig::default();
    let mut log = FileLog::open(&flights(), LogOptions::default()).unwrap();
    let raw = log.read(0, FLIGHT_ROWS).unwrap().unwrap();
    decode(&raw, &source, transform.view(), &mut ArrivalClock::default()).unwrap().inputs
}

#[track_caller]
fn check_package(package: &str, features: &[&str]) {
    check_generated(&transform(package, features));
}

#[track_caller]
fn check_flights(package: &str, features: &[&str], rows: usize) {
    let transform = transform(package, features);
    let samples = departures(&transform);
    assert_eq!(samples.num_rows(), rows);
    let error_rows = check(&transform, &samples, SEED);
    check_gate(&transform, &samples, error_rows);
}

#[test]
fn stock_transforms() {
    for package in ["calendar", "text-embedding"] {
        check_package(package, &[]);
    }
}

#[test]
fn example_transforms() {
    check_package("flight-profile", &[]);
    check_package("flight-profile", &["v2"]);
    check_package("aircraft", &[]);
    check_package("departure-context", &[]);
    check_package("card-profile", &[]);
    check_package("payment-risk", &[]);
}

#[test]
fn example_transforms_on_real_departures() {
    check_flights("flight-profile", &[], 5_000);
    check_flights("flight-profile", &["v2"], 5_000);
    check_flights("aircraft", &[], 4_993);
}

/// Window views are prepared row by row; what their folds must keep to, the gate tries.
#[track_caller]
fn check_windows(package: &str, departed: bool) {
    let transform = transform(package, &[]);
    let samples = match departed {
        true => departures(&transform).slice(0, WINDOW_ROWS),
        false => synthetic_samples(transform.view(), SEED, WINDOW_ROWS).unwrap(),
    };
    let report = publish_gate(&transform, &[], &samples, SEED).unwrap();
    assert!(report.passed(), "{package}: {report:?}");
    assert!(report.checks.len() >= 14, "{package}: {report:?}");
}

#[test]
fn window_views() {
    for package in ["airport-load", "carrier-load"] {
        check_windows(package, false);
        check_windows(package, true);
    }
    for package in ["card-spend", "card-recent", "window-numbers"] {
        check_windows(package, false);
    }
    check_windows("window-fold", false);
}

#[test]
fn components_whose_rows_fail() {
    assert!(check_generated(&transform("panicker", &[])) > 0);
    assert!(check_generated(&transform("burner", &[])) > 0);
    let limits = json!({"fuel": 100_000, "memory-bytes": 4 << 20});
    let unruly = admit(&unruly("unruly", |view| view["limits"] = limits).build().unwrap());
    let samples = RecordBatch::try_new(unruly.view().input_schema().clone(), unruly_rows()).unwrap();
    let error_rows = check(&unruly, &samples, SEED);
    let report = publish_gate(&unruly, &[], &samples, SEED).unwrap();
    check_report(&report, &samples, error_rows);
    // Some acts break the contract, and do so alike in every batch.
    let failed: Vec<_> = report.checks.iter().filter(|check| check.failure.is_some()).collect();
    assert_eq!(failed.len(), 1, "{report:?}");
    assert_eq!(failed[0].name, "answers as described");
    assert!(failed[0].failure.as_ref().unwrap().contains("2 rows for 1 rows"), "{report:?}");
    // Only values, burning, growing and logging end well.
    assert_eq!(error_rows, 14 * 20);
}

/// Twenty times every act of the unruly guest that has a verdict; acts 5 (native stack) and 14 (counts what it
/// has seen) have none.
fn unruly_rows() -> Vec<ArrayRef> {
    let acts: Vec<i64> = (0..20).filter(|act| ![5, 14].contains(act)).cycle().take(18 * 20).collect();
    let count = acts.len() as i64;
    let column = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as _;
    vec![column((0..count).collect()), column(acts), column((0..count).map(|row| row % 100).collect())]
}

#[test]
fn the_components_of_the_workspace_are_all_here() {
    let mut found = Vec::new();
    for folder in ["transforms", "examples/flights", "examples/payments"] {
        for entry in std::fs::read_dir(trifold_tests::root().join(folder)).unwrap() {
            let manifest = std::fs::read_to_string(entry.unwrap().path().join("Cargo.toml"));
            let manifest: toml::Table = manifest.unwrap_or_default().parse().unwrap();
            let is_guest = manifest.get("lib").is_some_and(|lib| lib.to_string().contains("cdylib"));
            found.extend(is_guest.then(|| manifest["package"]["name"].as_str().unwrap().to_owned()));
        }
    }
    found.sort();
    assert_eq!(
        found,
        [
            "aircraft",
            "airport-load",
            "calendar",
            "card-profile",
            "card-recent",
            "card-spend",
            "carrier-load",
            "departure-context",
            "flight-profile",
            "payment-risk",
            "text-embedding"
        ]
    );
    assert_eq!(guests::component("calendar", &[]).package, "calendar");
}
