//! Rows that are set aside, what every event has, and the real flights.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use trifold_eventlog::AsideReason::{Decode, NullInput, NullKey, NullTime};
use trifold_eventlog::{ArrivalClock, Aside, FileLog, LogError, LogOptions, SourceConfig, decode};
use trifold_eventlog::{RowFileWriter, RowFormat, read_row_files};
use trifold_model::{ArrivalTime, EventTime, FieldType};

use crate::fixtures::{columns, decoded, field, lines, view};

const MIN: i64 = -62_135_596_800_000_000;
const MAX: i64 = 253_402_300_799_999_999;

fn reasons(aside: &[Aside]) -> Vec<(u64, trifold_eventlog::AsideReason, &str)> {
    aside.iter().map(|aside| (aside.offset, aside.reason, aside.detail.as_str())).collect()
}

#[test]
fn each_bad_row_is_set_aside_alone() {
    let view = view(vec![field("x", FieldType::Int64, false), field("event_id", FieldType::Utf8, false)]);
    let times =
        vec![Some(0), None, Some(MIN), Some(MIN - 1), Some(MAX), Some(MAX + 1), Some(6), Some(7), Some(8), None];
    let mut keys = vec![Some("key"); 10];
    keys[6] = None;
    let mut ids = vec![Some("id"); 10];
    (ids[7], ids[9]) = (None, None);
    let mut x: Vec<Option<i64>> = (0..10).map(Some).collect();
    x[8] = None;
    let mut raw = columns(vec![
        ("event_time", Arc::new(TimestampMicrosecondArray::from(times)) as ArrayRef),
        ("k", Arc::new(StringArray::from(keys))),
        ("event_id", Arc::new(StringArray::from(ids))),
        ("x", Arc::new(Int64Array::from(x))),
    ]);
    raw.first_offset = 100;
    let events = decoded(&raw, &view).unwrap();
    assert_eq!(events.offsets, [100, 102, 104]);
    assert_eq!(events.times, [EventTime(0), EventTime(MIN), EventTime(MAX)]);
    assert_eq!(events.inputs.schema(), *view.input_schema());
    assert_eq!((events.ids.len(), events.ids.null_count()), (3, 0));
    let outside = "microseconds lie outside the years 1 to 9999";
    assert_eq!(
        reasons(&events.aside),
        [
            (101, NullTime, "event time is null"),
            (103, Decode, format!("event time: {} {outside}", MIN - 1).as_str()),
            (105, Decode, format!("event time: {} {outside}", MAX + 1).as_str()),
            (106, NullKey, "input k is null"),
            (107, NullInput, "event id is null"),
            (108, NullInput, "input x is null"),
            (109, NullTime, "event time is null"),
        ]
    );
    assert_eq!(
        events.aside[3].event,
        r#"{"event_time":"1970-01-01T00:00:00.000006Z","k":null,"event_id":"id","x":6}"#
    );
}

#[test]
fn a_line_that_is_no_object_is_an_event_that_was_set_aside() {
    let good = r#"{"k":"a","event_time":1,"event_id":"1","x":1}"#;
    let text = format!("{good}\n\n[1]\n{{\"k\"\n{good} 1\n  \n null\n{{}}\r\n  {good}\r\n");
    let events = decoded(&lines(&text), &view(vec![field("x", FieldType::Int64, true)])).unwrap();
    assert_eq!(events.offsets, [0, 8]);
    let reasons = reasons(&events.aside);
    let details: Vec<_> = reasons.iter().map(|(offset, _, detail)| (*offset, *detail)).collect();
    assert_eq!((details[0], details[4]), ((1, "the line is blank"), (5, "the line is blank")));
    assert!(details[1].1.starts_with("the line is no JSON object: invalid type: sequence"), "{details:?}");
    assert!(details[2].1.contains("EOF"), "{details:?}");
    assert!(details[3].1.contains("trailing characters"), "{details:?}");
    assert!(details[5].1.contains("invalid type: null"), "{details:?}");
    let missing_time = "event time is missing: the line has no `event_time`, `--event-time` names another column";
    assert_eq!(reasons[6], (7, NullTime, missing_time));
    assert_eq!(events.aside[2].event, r#""{\"k\"""#);
    assert_eq!(events.aside[6].event, "{}");
}

#[test]
fn inputs_named_after_what_every_event_has_come_from_the_sources_columns() {
    let source = SourceConfig { event_time: "t".to_owned(), event_id: "i".to_owned(), arrival: None };
    let view =
        view(vec![field("event_time", FieldType::Timestamp, false), field("event_id", FieldType::Utf8, false)]);
    let raw = lines(r#"{"k":"a","t":"1970-01-01T00:00:00.000007Z","i":"id","event_time":1,"event_id":"no"}"#);
    let events = decode(&raw, &source, &view, &mut ArrivalClock::default()).unwrap();
    assert_eq!(events.times, [EventTime(7)]);
    assert_eq!(crate::fixtures::shown(events.inputs.column(1), 0), "7");
    assert_eq!(crate::fixtures::shown(events.inputs.column(2), 0), "\"id\"");
    assert_eq!(source.columns([&view]).into_iter().collect::<Vec<_>>(), ["i", "k", "t"]);
}

#[test]
fn arrival_never_decreases_and_depends_on_the_log_alone() {
    let source = SourceConfig { arrival: Some("at".to_owned()), ..SourceConfig::default() };
    let view = view(vec![]);
    let row = |k: &str, at: &str| format!(r#"{{"k":{k},"event_time":0,"event_id":"i","at":{at}}}"#);
    let key = "\"a\"";
    let raw = lines(
        &[
            row(key, "10"),
            row(key, "5"),
            row("null", "20"),
            row(key, "15"),
            row(key, "null"),
            row(key, &(MAX + 1).to_string()),
            row(key, "\"x\""),
            row(key, "30"),
            r#"{"k":"a","event_time":0,"event_id":"i","at":99,"k":"b"}"#.to_owned(),
            row(key, "40"),
        ]
        .join("\n"),
    );
    let mut clock = ArrivalClock::restore(Some(7));
    let events = decode(&raw, &source, &view, &mut clock).unwrap();
    let arrivals: Vec<i64> = events.arrivals.unwrap().into_iter().map(|ArrivalTime(at)| at).collect();
    assert_eq!(
        (events.offsets.as_slice(), arrivals.as_slice()),
        (&[0, 1, 3, 7, 9][..], &[10, 10, 20, 30, 99][..])
    );
    assert_eq!(clock.state(), Some(99));
    let reasons = reasons(&events.aside);
    assert_eq!(reasons[0], (2, NullKey, "input k is null"));
    assert_eq!(reasons[1], (4, Decode, "arrival time is null"));
    assert!(reasons[2].2.starts_with("arrival time: ") && reasons[2].2.ends_with("outside the years 1 to 9999"));
    assert_eq!(reasons[4], (8, Decode, "input k: its key stands twice"));

    let mut observed = ArrivalClock::restore(Some(7));
    observed.observe(&raw, &source).unwrap();
    assert_eq!(observed, clock);
    let mut restored = ArrivalClock::restore(clock.state());
    assert_eq!(restored.advance(1), ArrivalTime(99));
    assert_eq!(decoded(&raw, &view).unwrap().arrivals, None);
}

#[test]
fn a_failed_decode_leaves_the_clock() {
    let source = SourceConfig { arrival: Some("at".to_owned()), ..SourceConfig::default() };
    let raw = columns(vec![("at", Arc::new(TimestampMicrosecondArray::from(vec![9])) as ArrayRef)]);
    let mut clock = ArrivalClock::restore(Some(7));
    let view = view(vec![field("x", FieldType::Int64, true)]);
    assert!(matches!(decode(&raw, &source, &view, &mut clock), Err(LogError::MissingColumn { .. })));
    assert_eq!(clock.state(), Some(7));
}

fn flights() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights/flights-2013-01-02.parquet")
}

#[test]
fn the_flights_decode_and_those_without_a_tail_number_are_set_aside() {
    let mut spec = (*view(vec![
        field("event_time", FieldType::Timestamp, false),
        field("dep_delay", FieldType::Float64, true),
    ]))
    .clone();
    spec.inputs[0].name = "tailnum".parse().unwrap();
    spec.entity = vec!["tailnum".parse().unwrap()];
    let view = trifold_model::FeatureView::new(spec).unwrap();
    let source = SourceConfig::default();
    let options = LogOptions { name: None, columns: Some(source.columns([&view])) };
    let mut log = FileLog::open(&flights(), options).unwrap();
    assert_eq!(log.rows_known().unwrap(), 51_955);
    assert_eq!(&*log.id().0, "flights-2013-01-02.parquet");
    let (mut next, mut kept, mut without_tail, mut without_delay, mut last) = (0, 0, 0, 0, EventTime(0));
    while let Some(raw) = log.read(next, 4096).unwrap() {
        let events = decode(&raw, &source, &view, &mut ArrivalClock::default()).unwrap();
        kept += events.offsets.len();
        without_tail += events.aside.iter().filter(|aside| aside.reason == NullKey).count();
        assert_eq!(events.offsets.len() + events.aside.len(), raw.rows());
        without_delay += events.inputs.column_by_name("dep_delay").unwrap().null_count();
        assert!(events.times.is_sorted() && events.times[0] >= last);
        last = events.times[events.times.len() - 1];
        next = raw.next_offset();
    }
    assert_eq!((next, kept, without_tail), (51_955, 51_955 - 601, 601));
    // Of the 1,782 flights without delays, 601 have no tail number either.
    assert_eq!(without_delay, 1_782 - 601);
}

#[test]
fn the_same_events_decode_to_the_same_inputs_from_both_formats() {
    let mut parquet = FileLog::open(&flights(), LogOptions::default()).unwrap();
    let from_parquet = parquet.read(0, 3_000).unwrap().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flights.jsonl");
    let rows = read_row_files(&flights(), None).unwrap().next().unwrap().unwrap().slice(0, 3_000);
    let mut writer = RowFileWriter::create(&path, rows.schema(), RowFormat::JsonLines).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    let from_lines = FileLog::open(&path, LogOptions::default()).unwrap().read(0, 3_000).unwrap().unwrap();

    let mut spec = (*view(vec![
        field("event_time", FieldType::Timestamp, false),
        field("event_id", FieldType::Utf8, false),
        field("flight", FieldType::Int64, false),
        field("distance", FieldType::Float64, true),
        field("dep_delay", FieldType::Float64, true),
    ]))
    .clone();
    spec.inputs[0].name = "tailnum".parse().unwrap();
    spec.entity = vec!["tailnum".parse().unwrap()];
    let view = trifold_model::FeatureView::new(spec).unwrap();
    let (a, b) = (decoded(&from_parquet, &view).unwrap(), decoded(&from_lines, &view).unwrap());
    assert_eq!(a.inputs, b.inputs);
    assert_eq!((a.offsets, a.times, a.ids), (b.offsets, b.times, b.ids));
    assert!(!a.aside.is_empty());
    assert_eq!(a.aside, b.aside);
}
