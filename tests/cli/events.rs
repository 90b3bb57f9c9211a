//! Columns that are missing or of another type, and rows that lack what a view needs.

use std::fs;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use serde_json::{Value, json};
use trifold_cli::exit::Exit;
use trifold_tests::command::Trifold;
use trifold_wat_guest::{Guest, field, row_view};

use crate::site::{departures, departures_json, lines, log, of_view, parquet, push, stream, with_views};

const ROWS: usize = 300;

/// A log in which one view's column is bad: that view stands still, the other is streamed, and a backfill of it
/// works.
#[track_caller]
fn check_column(batch: &RecordBatch, parts: &[&str]) {
    let trifold = with_views();
    parquet(&log(&trifold).join("0.parquet"), batch);
    let summary = stream(&trifold).refused(Exit::Data, parts).json();
    let (bad, good) = (of_view(&summary, "aircraft_status"), of_view(&summary, "flight_profile"));
    assert_eq!((&bad["blocked"], &bad["next-offset"]), (&Value::Bool(true), &json!(0)));
    assert_eq!((&good["blocked"], &good["next-offset"]), (&Value::Bool(false), &json!(ROWS)));
    assert!(summary["problems"][0].as_str().unwrap().starts_with("view aircraft_status stands still at offset 0"));
    backfill(&trifold, "aircraft_status").refused(Exit::Data, &parts[1..]);
    assert_eq!(backfill(&trifold, "flight_profile").succeeded().json()["rows"], ROWS);
}

fn backfill(trifold: &Trifold, view: &str) -> trifold_tests::command::Ran {
    let (out, log) = (trifold.path(view), log(trifold));
    let arguments = ["backfill", view, "--events", log.to_str().unwrap(), "--out", out.to_str().unwrap()];
    trifold.run(arguments.into_iter().chain(["--format", "json"]))
}

#[test]
fn a_missing_column() {
    let batch = departures(ROWS);
    let kept = (0..batch.num_columns()).filter(|&column| batch.schema().field(column).name() != "tailnum");
    let batch = batch.project(&kept.collect::<Vec<_>>()).unwrap();
    let parts =
        ["view aircraft_status", "0.parquet has no column tailnum", "input tailnum of aircraft_status (utf8)"];
    check_column(&batch, &parts);
}

#[test]
fn a_column_of_another_type() {
    let batch = departures(ROWS);
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let numbers = || Arc::new(Int64Array::from_iter_values(0..ROWS as i64)) as ArrayRef;
        (field.name().clone(), if field.name() == "tailnum" { numbers() } else { column.clone() })
    });
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let parts =
        ["view aircraft_status", "column tailnum of", "0.parquet has type Int64, which cannot become utf8"];
    check_column(&batch, &parts);
}

fn changed(mut event: Value, field: &str, value: Value) -> Value {
    event[field] = value;
    event
}

/// The lines of the view's aside files.
fn aside(trifold: &Trifold, view: &str) -> Vec<Value> {
    let dir = trifold.data("aside").join(view);
    let state = fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    let mut files: Vec<_> = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn rows_that_lack_something_are_set_aside_alone() {
    let trifold = with_views();
    let good = departures_json(9);
    let events = [
        good[0].clone(),
        changed(good[1].clone(), "tailnum", Value::Null),
        changed(good[2].clone(), "event_time", Value::Null),
        changed(good[3].clone(), "event_time", json!("10000-01-01T00:00:00Z")),
        changed(good[4].clone(), "event_time", json!(i64::MIN)),
        changed(good[5].clone(), "distance", json!("far")),
        json!("{\"tailnum\": \"N1\", "),
        changed(good[6].clone(), "event_id", Value::Null),
        good[7].clone(),
    ];
    lines(&log(&trifold).join("0.jsonl"), &events);
    let summary = stream(&trifold).succeeded().json();
    let aircraft = of_view(&summary, "aircraft_status");
    assert_eq!((&aircraft["events"], &aircraft["rows"]), (&json!(9), &json!(2)));
    let counts = json!({"null-key": 1, "null-time": 1, "decode": 4, "null-input": 1});
    assert_eq!(aircraft["aside"], counts);
    // The flight has a number without an aircraft's registration.
    assert_eq!(of_view(&summary, "flight_profile")["rows"], 3);
    let lines: Vec<_> = aside(&trifold, "aircraft_status");
    let expected = [
        (1, "null-key", "input tailnum is null"),
        (2, "null-time", "event time is null"),
        (3, "decode", "event time"),
        (4, "decode", "event time: -9223372036854775808 microseconds lie outside the years 1 to 9999"),
        (5, "decode", "input distance"),
        (6, "decode", ""),
        (7, "null-input", "event id is null"),
    ];
    for (line, (offset, reason, detail)) in lines.iter().zip(expected) {
        assert_eq!((&line["offset"], &line["reason"]), (&json!(offset), &json!(reason)), "{line}");
        assert!(line["detail"].as_str().unwrap().contains(detail), "{line}");
    }
    assert_eq!(lines.len(), expected.len());
    // A backfill sets the same rows aside.
    let report = backfill(&trifold, "aircraft_status").succeeded().json();
    assert_eq!((&report["rows"], &report["aside"]), (&json!(2), &counts));
}

#[test]
fn a_view_that_limits_lateness_needs_arrivals() {
    let trifold = with_views();
    let mut view = row_view("punctual", &[field("flight", "int64")], &[field("y", "int64")]);
    view["lateness-seconds"] = json!(60);
    push(&trifold, &Guest::new(view).build().unwrap());
    parquet(&log(&trifold).join("0.parquet"), &departures(ROWS));
    let parts = ["view punctual limits lateness", "--arrival", "--assume-on-time"];
    let summary = stream(&trifold).refused(Exit::Usage, &parts).json();
    assert_eq!(of_view(&summary, "flight_profile")["next-offset"], ROWS);
    backfill(&trifold, "punctual").refused(Exit::Usage, &parts);
    let log = log(&trifold);
    let vouched = ["stream", "--assume-on-time", "--format", "json", "--events", log.to_str().unwrap()];
    assert_eq!(of_view(&trifold.run(vouched).succeeded().json(), "punctual")["rows"], ROWS);
}

#[test]
fn events_of_which_none_can_be_read_are_no_success() {
    let trifold = with_views();
    let log = log(&trifold);
    lines(&log.join("0.jsonl"), &departures_json(ROWS));
    let named = ["--events", log.to_str().unwrap(), "--event-id", "number"];
    let parts =
        ["not one of the 300 events could be read", "the line has no `number`, `--event-id` names another column"];
    trifold.run(["stream"].into_iter().chain(named)).refused(Exit::Data, &parts);
    let out = trifold.path("out");
    let backfill = ["backfill", "flight_profile", "--out", out.to_str().unwrap()];
    trifold.run(backfill.into_iter().chain(named)).refused(Exit::Data, &parts);
}

#[test]
fn a_last_line_without_its_end_is_told() {
    let trifold = with_views();
    let (log, told) = (log(&trifold), "the last line has no line end");
    let file = log.join("0.jsonl");
    lines(&file, &departures_json(ROWS));
    assert!(!stream(&trifold).succeeded().stderr.contains(told));
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{whole}{}", whole.lines().next().unwrap())).unwrap();
    let ran = stream(&trifold).succeeded();
    assert!(ran.stderr.contains(told) && ran.stderr.contains("0.jsonl"), "{}", ran.stderr);
    assert_eq!(of_view(&ran.json(), "flight_profile")["next-offset"], ROWS);
    let ran = backfill(&trifold, "flight_profile").succeeded();
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!(ran.json()["events"], ROWS);
}

/// The value of the only row of a backfill's output.
fn value(dir: &std::path::Path, field: &str) -> Value {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let text = fs::read_to_string(files.next().unwrap()).unwrap();
    assert!(files.next().is_none() && text.lines().count() == 1, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()[field].clone()
}

#[test]
fn the_cut_by_default_is_arrival_for_a_spine_where_arrivals_are_recorded() {
    let (trifold, inputs) = (crate::site::empty(), [field("key", "utf8"), field("n", "int64")]);
    let outputs = [field("who", "utf8"), field("latest", "int64")];
    push(&trifold, &Guest::new(row_view("latest", &inputs, &outputs)).build().unwrap());
    // At the time that is asked for, the second event has happened and has not arrived.
    let event = |time: i64, arrived: i64, n: i64| json!({"event_time": time, "event_id": n.to_string(), "arrived": arrived, "key": "a", "n": n});
    let log = log(&trifold);
    lines(&log.join("0.jsonl"), &[event(1, 2, 1), event(10, 100, 2)]);
    let spine = trifold.path("spine.jsonl");
    lines(&spine, &[json!({"key": "a", "as_of": 20})]);
    let backfill = |out: &str, options: &[&str]| {
        let out = trifold.path(out);
        let fixed = ["backfill", "latest", "--rows-format", "jsonl", "--out", out.to_str().unwrap()];
        let fixed = fixed.into_iter().chain(["--events", log.to_str().unwrap()]);
        trifold.run(fixed.chain(["--spine", spine.to_str().unwrap()]).chain(options.iter().copied())).succeeded();
        value(&out, "latest")
    };
    let arrival = ["--arrival", "arrived"];
    assert_eq!(backfill("by_default", &arrival), 1);
    assert_eq!(backfill("arrived", &[&arrival[..], &["--cut", "arrival"]].concat()), 1);
    assert_eq!(backfill("all", &[&arrival[..], &["--cut", "all"]].concat()), 2);
    assert_eq!(backfill("unrecorded", &[]), 2);
}

#[test]
fn rows_without_digests_are_audited_by_their_values() {
    let trifold = with_views();
    let log = log(&trifold);
    lines(&log.join("0.jsonl"), &departures_json(ROWS));
    for format in ["parquet", "jsonl"] {
        let events = ["--events", log.to_str().unwrap()];
        let backfill =
            ["backfill", "flight_profile", "--cut", "position", "--rows-format", format, "--out", format];
        trifold.run(backfill.into_iter().chain(events)).succeeded();
        let audit = ["audit", "flight_profile", "--rows", format, "--format", "json"];
        let report = trifold.run(audit.into_iter().chain(events)).succeeded().json();
        assert_eq!((&report["compared"], &report["differing"]), (&json!(ROWS), &json!(0)), "{format}");
    }
}
