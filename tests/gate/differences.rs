//! What two versions of a view declare and compute differently.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use serde_json::{Value, json};
use trifold_eventlog::{ArrivalClock, Events, FileLog, LogOptions, SourceConfig, decode};
use trifold_model::EventTime;
use trifold_pipeline::diff::{FoldedStates, Sides, StateChange, generated_pair, request_samples};
use trifold_pipeline::{DeclarationDiff, LiveVersion, ValueDiff, compare_declarations, compare_values};
use trifold_tests::flights;
use trifold_tests::live::{admit, transform, version};
use trifold_wat_guest::{Guest, field, row_view};

const SEED: u64 = 11;
const ROWS: usize = 200;
const FIRST_MAX: usize = 3;

fn declared(view: &Value) -> LiveVersion {
    version(1, admit(&Guest::new(view).build().unwrap()))
}

fn package(package: &str, features: &[&str]) -> LiveVersion {
    version(1, transform(package, features))
}

/// A row view, and the same with a change.
fn changed(change: impl FnOnce(&mut Value)) -> DeclarationDiff {
    let mut view = row_view(
        "changing",
        &[field("key", "int64"), field("amount", "float64")],
        &[field("a", "int64"), field("b", "float64")],
    );
    let left = declared(&view);
    change(&mut view);
    compare_declarations(left.view(), declared(&view).view())
}

/// What is told of a change: settings as `name: left -> right`, fields by their marks.
fn told(changes: &DeclarationDiff) -> Vec<String> {
    let setting = |side: &Option<String>| side.clone().unwrap_or_default();
    let settings = changes.settings.iter().map(|change| {
        format!("{}: {} -> {}", change.setting.name(), setting(&change.left), setting(&change.right))
    });
    let fields = changes.inputs.iter().chain(&changes.prepared).chain(&changes.outputs).map(|change| {
        let mark = match (&change.left, &change.right) {
            (None, _) => "+",
            (_, None) => "-",
            _ => "~",
        };
        format!("{mark}{}", change.name)
    });
    settings.chain(fields).collect()
}

fn breaks(changes: &DeclarationDiff) -> Vec<String> {
    changes.breaks.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_declared_alike_is_no_change() {
    let same = changed(|_| {});
    assert!(same.is_empty() && same.breaks.is_empty(), "{same:?}");
    assert_eq!(same.state, StateChange::Shared);
}

#[test]
fn features_may_come_and_may_not_go() {
    let more = changed(|view| view["outputs"].as_array_mut().unwrap().push(field("c", "utf8")));
    assert_eq!((told(&more), breaks(&more), more.state), (vec!["+c".to_owned()], vec![], StateChange::Shared));

    let other = changed(|view| {
        view["outputs"] = json!([field("b", "int64")]);
        view["outputs"][0]["nullable"] = json!(true);
    });
    assert_eq!(told(&other), ["-a", "~b"]);
    assert_eq!(breaks(&other), ["feature a is gone", "feature b was float64 and is int64"]);

    let nullable = changed(|view| view["outputs"][1]["nullable"] = json!(true));
    assert_eq!(
        (told(&nullable), breaks(&nullable)),
        (vec!["~b".to_owned()], vec!["feature b may be null".to_owned()])
    );

    let swapped = changed(|view| view["outputs"].as_array_mut().unwrap().reverse());
    assert_eq!(told(&swapped), ["order of outputs: a, b -> b, a"]);
}

#[test]
fn what_shapes_the_state_has_it_rebuilt() {
    let documented = changed(|view| {
        view["doc"] = json!("Something else.");
        view["inputs"][1]["doc"] = json!("In euros.");
        view["limits"] = json!({"fuel": 50_000});
    });
    let expected =
        ["documentation: A guest of the tests. -> Something else.", "fuel of a row: 20000000 -> 50000", "~amount"];
    assert_eq!((told(&documented), documented.state), (expected.map(str::to_owned).to_vec(), StateChange::Shared));

    for (change, expected) in [
        (json!({"state-version": 2}), "state version: 1 -> 2"),
        (json!({"lateness-seconds": 60}), "lateness: unlimited -> 1m"),
        (json!({"inputs": [field("key", "int64"), field("amount", "int64")]}), "~amount"),
        (
            json!({"inputs": [field("amount", "float64"), field("key", "int64")]}),
            "order of inputs: key, amount -> amount, key",
        ),
    ] {
        let changes = changed(|view| {
            let (name, value) = change.as_object().unwrap().iter().next().unwrap();
            view[name] = value.clone();
        });
        assert_eq!((told(&changes), changes.state), (vec![expected.to_owned()], StateChange::Rebuilt));
        assert!(changes.breaks.is_empty(), "{changes:?}");
    }
    let other_key = changed(|view| {
        view["inputs"][1] = field("amount", "int64");
        view["entity"] = json!(["key", "amount"]);
    });
    assert_eq!(breaks(&other_key), ["entities have other key fields"]);
}

#[test]
fn windows_that_change_are_told() {
    let [left, right] = [package("window-numbers", &[]), package("window-numbers", &["limits"])];
    let changes = compare_declarations(left.view(), right.view());
    let told = told(&changes);
    for expected in [
        "windows: 10s in hops of 1s, 1m in hops of 1s, 1h in hops of 20m -> 20s in hops of 10s, 21s in hops of 7s, 9s in hops of 9s",
        "lateness: unlimited -> 15s",
        "max early: unlimited -> 5s",
        "-events_10s",
        "+events_9s",
    ] {
        assert!(told.iter().any(|line| line == expected), "`{expected}` is not in {told:#?}");
    }
    assert_eq!(changes.state, StateChange::Rebuilt);
    assert!(breaks(&changes).contains(&"feature events_1h is gone".to_owned()));
}

fn on_generated_rows(left: &LiveVersion, right: &LiveVersion) -> ValueDiff {
    let samples = generated_pair(left.view(), right.view(), SEED, ROWS).unwrap();
    compare_values([left, right], &samples, FIRST_MAX).unwrap()
}

/// How often each feature that differs does.
fn differing(diff: &ValueDiff) -> Vec<(&str, u64)> {
    let features = diff.features.iter().filter(|feature| feature.differing > 0);
    features.map(|feature| (feature.name.as_str(), feature.differing)).collect()
}

#[test]
fn a_version_differs_in_nothing_from_itself() {
    for package in [
        "flight-profile",
        "aircraft",
        "departure-context",
        "card-profile",
        "payment-risk",
        "card-spend",
        "card-recent",
        "airport-load",
        "window-numbers",
        "window-fold",
        "panicker",
    ] {
        let version = self::package(package, &[]);
        let diff = on_generated_rows(&version, &version);
        assert!(diff.agrees() && diff.first.is_empty(), "{package}: {diff:?}");
        assert_eq!(diff.features.len(), version.view().outputs.len(), "{package}");
        assert_eq!(diff.rows, ROWS as u64, "{package}");
        let left_out: u64 = diff.left_out.left.by_reason.values().sum();
        assert_eq!(diff.compared + left_out, ROWS as u64, "{package}: {diff:?}");
        assert!(diff.compared > 0 && diff.fuel.left.median > 0, "{package}: {diff:?}");
        assert_eq!(diff.fuel.left, diff.fuel.right, "{package}: fuel is counted alike");
        assert_eq!(diff, on_generated_rows(&version, &version), "{package}: once more");
        let states = version.view().windows().map(|_| FoldedStates::Equal);
        assert_eq!(diff.states, states, "{package}");
    }
}

/// The first departures, as a version reads them.
fn departures(version: &LiveVersion, rows: usize) -> Events {
    let mut log = FileLog::open(&flights(), LogOptions::default()).unwrap();
    let raw = log.read(0, rows).unwrap().unwrap();
    decode(&raw, &SourceConfig::default(), version.view(), &mut ArrivalClock::default()).unwrap()
}

#[test]
fn another_formula_shows_in_its_feature_alone() {
    let [left, right] = [package("flight-profile", &[]), package("flight-profile", &["v2"])];
    let samples = [departures(&left, 500), departures(&right, 500)];
    let diff = compare_values([&left, &right], &samples, FIRST_MAX).unwrap();
    assert_eq!((diff.rows, diff.compared, diff.differing), (500, 500, 500));
    assert_eq!(differing(&diff), [("lateness_risk", 500)]);
    assert_eq!((diff.features.len(), diff.first.len()), (left.view().outputs.len(), FIRST_MAX));
    let first = &diff.first[0];
    assert_eq!((first.number, first.differences.len()), (0, 1));
    let inputs: Value = serde_json::from_str(&first.inputs).unwrap();
    assert_eq!((&inputs["carrier"], &inputs["flight"]), (&json!("UA"), &json!(1545)));
    assert_eq!(diff.states, None);
    assert!(diff.fuel.left.rows == 500 && diff.fuel.left.median != diff.fuel.right.median, "{:?}", diff.fuel);
}

#[test]
fn errors_of_one_version_are_counted() {
    let [left, right] = [package("panicker", &[]), package("panicker", &["calm"])];
    let diff = on_generated_rows(&left, &right);
    assert_eq!(diff.statuses, diff.differing);
    assert_eq!(diff.errors, Sides { left: diff.differing, right: 0 });
    assert!(diff.differing > 0 && diff.differing < diff.compared, "{diff:?}");
    let difference = &diff.first[0].differences[0];
    assert_eq!((difference.field.as_str(), difference.right.as_str()), ("status", "value"));
    assert!(difference.left.starts_with("error 65280 (trap): "), "{difference}");
}

/// The right version adds the tiles that it is given to its count.
#[test]
fn windows_are_compared_after_every_event() {
    let [left, right] = [package("window-fold", &[]), package("window-fold", &["peeks"])];
    let steps = |version: &LiveVersion| {
        let steps = [("a", 0_i64, 1), ("b", 0, 1), ("a", 1, 1), ("a", 2, 1), ("c", 2, 2), ("", 3, 1)];
        let rows = steps.map(|(id, second, foot)| (id, second * 1_000_000, foot));
        let column = |values: Vec<i64>| -> ArrayRef { Arc::new(arrow_array::Int64Array::from(values)) };
        let times = rows.map(|(_, micros, _)| micros);
        let ids = rows.map(|(id, ..)| id);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["w"; rows.len()])),
            column(rows.map(|(.., foot)| foot).to_vec()),
            Arc::new(arrow_array::TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC")),
            Arc::new(StringArray::from(ids.to_vec())),
            Arc::new(arrow_array::Float64Array::from(vec![None; rows.len()])),
        ];
        Events {
            partition: 0,
            offsets: (0..rows.len() as u64).collect(),
            times: times.map(EventTime).to_vec(),
            ids: StringArray::from(ids.to_vec()),
            arrivals: None,
            inputs: RecordBatch::try_new(version.view().input_schema().clone(), columns).unwrap(),
            aside: Vec::new(),
        }
    };
    let diff = compare_values([&left, &right], &[steps(&left), steps(&right)], 10).unwrap();
    // The event without an id is refused by both.
    assert_eq!((diff.rows, diff.compared, diff.differing), (6, 5, 5));
    assert_eq!(diff.left_out.left.by_reason, [("refused", 1)].into());
    assert_eq!(diff.left_out.left.first.as_ref().unwrap().0, 5);
    assert_eq!(differing(&diff), [("count_1m", 5)]);
    let counts: Vec<_> = diff.first.iter().map(|row| (row.number, row.differences[0].left.as_str())).collect();
    assert_eq!(counts, [(0, "1"), (1, "2"), (2, "3"), (3, "4"), (4, "1")]);
    assert_eq!(diff.states, Some(FoldedStates::Equal));
}

/// The values are the same, and yet one version cannot read what the other stored.
#[test]
fn states_in_another_layout_are_found_where_they_are_shared() {
    let [left, right] = [package("window-fold", &[]), package("window-fold", &["repacked"])];
    assert_eq!(compare_declarations(left.view(), right.view()).state, StateChange::Shared);
    let diff = on_generated_rows(&left, &right);
    assert_eq!((diff.differing, differing(&diff)), (0, vec![]));
    assert!(matches!(diff.states, Some(FoldedStates::Differ { .. })) && !diff.agrees(), "{:?}", diff.states);
}

#[test]
fn inputs_that_both_have_are_generated_alike() {
    let mut view = row_view(
        "changing",
        &[field("key", "int64"), field("event_time", "timestamp"), field("amount", "float64")],
        &[field("a", "int64")],
    );
    view["inputs"][2]["nullable"] = json!(true);
    let left = declared(&view);
    view["inputs"] = json!([field("amount", "float64"), field("channel", "utf8"), field("key", "int64")]);
    view["entity"] = json!(["key"]);
    let right = declared(&view);
    let [left, right] = generated_pair(left.view(), right.view(), SEED, ROWS).unwrap();
    for name in ["key", "amount"] {
        assert_eq!(left.inputs.column_by_name(name), right.inputs.column_by_name(name), "{name}");
    }
    assert_eq!((&left.times, &left.offsets), (&right.times, &right.offsets));
}

#[test]
fn requests_stand_in_a_file_with_the_features_that_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("requests.jsonl");
    let request = |country: &str, amount: Value| json!({"card": "c-1", "amount": amount, "country": country, "last_country": "DE", "usual": 10.0});
    let requests = [request("DE", json!(5.0)), request("PL", json!(5.0)), request("PL", Value::Null)];
    std::fs::write(&path, requests.map(|request| format!("{request}\n")).concat()).unwrap();
    let raw = FileLog::open(&path, LogOptions::default()).unwrap().read(0, 10).unwrap().unwrap();
    let versions = [package("payment-risk", &[]), package("payment-risk", &["v2"])];
    let samples = [0, 1].map(|side| request_samples(versions[side].view(), &raw).unwrap());
    let diff = compare_values([&versions[0], &versions[1]], &samples, FIRST_MAX).unwrap();
    assert_eq!((diff.rows, diff.compared, differing(&diff)), (3, 2, vec![("score", 1)]));
    assert_eq!((diff.first.len(), diff.first[0].number), (1, 1));
    let left_out = &diff.left_out.right;
    assert_eq!(left_out.by_reason, [("null-input", 1)].into());
    assert_eq!(left_out.first, Some((2, "input amount is missing or null".to_owned())));
    assert_eq!(compare_declarations(versions[0].view(), versions[1].view()).state, StateChange::Nothing);
}
