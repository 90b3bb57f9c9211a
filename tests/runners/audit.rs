//! An audit that finds nothing must be able to find something: one byte of the store, or of an emitted row,
//! changes, and the audit ends with 1 and names the field.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType, UInt64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch, StringArray};
use trifold_cli::exit::Exit;
use trifold_eventlog::{RowFileWriter, RowFormat, read_row_files, time_text};
use trifold_model::{EntityKey, EventTime};
use trifold_registry::{Registry, Steps, Trial};
use trifold_store::{Commit, Record, StateStore};
use trifold_stream::{FeedId, feed_dir};
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::flights;
use trifold_tests::guests::component;
use trifold_tests::live::{transform, version};
use trifold_tests::online::runtime;
use trifold_tests::stores;

use crate::PROGRAM;

const EVENTS: u64 = 1_000;

/// A data directory whose store and row files hold the first events.
fn streamed() -> Trifold {
    let trifold = Trifold::new(PROGRAM);
    let component = component("flight-profile", &[]);
    trifold.run(["push", component.path.to_str().unwrap(), "--release"]).succeeded();
    let (flights, stop) = (flights(), EVENTS.to_string());
    trifold.run(["stream", "--events", flights.to_str().unwrap(), "--stop-at", &stop]).succeeded();
    trifold
}

fn audit(trifold: &Trifold, arguments: &[&str]) -> Ran {
    let flights = flights();
    let audit = ["audit", "flight_profile", "--events", flights.to_str().unwrap()];
    trifold.run(audit.iter().chain(arguments))
}

/// Audits what a server answers at the end of the first day.
fn audit_online(trifold: &Trifold) -> Ran {
    let flights = flights();
    let stop = EVENTS.to_string();
    let running = trifold.start(["up", "--events", flights.to_str().unwrap(), "--stop-at", &stop]);
    audit(trifold, &["--online", "--server", &running.url, "--as-of", "2013-01-03T00:00:00Z", "--format", "json"])
}

fn feed() -> FeedId {
    FeedId::of(&version(1, transform("flight-profile", &[])))
}

/// Changes the last letter of an airport in the inputs or the value of one stored record.
fn flip(fields: &mut [u8]) {
    let airport = |letters: &[u8]| ["EWR", "JFK", "LGA"].map(str::as_bytes).contains(&letters);
    let at = fields.windows(3).position(airport).unwrap();
    fields[at + 2] ^= 1;
}

/// The record without its value, which a lookup then computes.
fn computed(record: &mut Record) -> &mut Vec<u8> {
    assert!(record.output.take().is_some());
    &mut record.fields
}

fn kept(record: &mut Record) -> &mut Vec<u8> {
    &mut record.output.as_mut().unwrap().fields
}

#[test]
fn rows_that_are_gone_or_in_another_directory_are_told_with_what_helps() {
    let trifold = streamed();
    let (above, rows) = (trifold.data("rows/flight_profile"), feed_dir(&trifold.data("rows"), &feed()));
    let parts = ["flight_profile holds no rows", "one of the directories in it", rows.to_str().unwrap()];
    audit(&trifold, &["--rows", above.to_str().unwrap()]).refused(Exit::NotFound, &parts);
    fs::remove_dir_all(&rows).unwrap();
    let parts = ["holds no rows", "the store has applied 1000 events", "`trifold clear flight_profile`"];
    audit(&trifold, &[]).refused(Exit::NotFound, &parts);
    let cleared = trifold.run(["clear", "flight_profile"]).succeeded().stdout;
    assert!(cleared.contains("cleared state"), "{cleared}");
    audit(&trifold, &[]).refused(Exit::NotFound, &["holds no rows: run `trifold stream`"]);
    let again = trifold.run(["clear", "flight_profile"]).succeeded().stdout;
    assert!(again.contains("there was nothing to clear"), "{again}");
}

/// Changes one record of the store, and puts it back.
fn change_record(trifold: &Trifold, change: impl FnOnce(&mut Record)) -> (EntityKey, Record) {
    let store = stores::open(&trifold.data(""));
    let state = feed().state;
    runtime().block_on(async {
        let page = store.scan(state, None, 1).await.unwrap();
        let (key, original) = page.entries.into_iter().next().unwrap();
        let mut record = original.clone();
        change(&mut record);
        let (marker, puts) = (page.marker.unwrap(), vec![(key.clone(), record)]);
        store.commit(vec![Commit { state, marker, puts, slots: Vec::new(), switches: Vec::new() }]).await.unwrap();
        (key, original)
    })
}

#[test]
fn a_flipped_byte_in_the_store_is_found_online() {
    let trifold = streamed();
    let report = audit_online(&trifold).succeeded().json();
    let entities = report["compared"].as_u64().unwrap();
    assert_eq!(report["differing"], 0);
    let statuses = report["statuses"].as_object().unwrap();
    assert_eq!(statuses.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), entities);
    assert!(statuses["value"].as_u64().unwrap() > 0, "{report}");
    for read in [kept, computed] {
        let (_, original) = change_record(&trifold, |record| flip(read(record)));
        let ran = audit_online(&trifold).refused(Exit::Refused, &["1 of", "rows differ", "field route: "]);
        let report = ran.json();
        assert_eq!((report["compared"].as_u64(), report["differing"].as_u64()), (Some(entities), Some(1)));
        assert_eq!(report["mismatches"][0]["field"], "route");
        change_record(&trifold, |record| *record = original);
        audit_online(&trifold).succeeded();
    }
}

#[test]
fn a_record_that_does_not_decode_is_unavailable_and_its_neighbours_are_not() {
    let trifold = streamed();
    let entities = audit_online(&trifold).succeeded().json()["compared"].as_u64().unwrap();
    change_record(&trifold, |record| kept(record).truncate(9));
    assert_eq!(audit_online(&trifold).succeeded().json()["compared"].as_u64(), Some(entities));
    change_record(&trifold, |record| computed(record).truncate(9));
    let report = audit_online(&trifold).json();
    assert_eq!((report["compared"].as_u64(), report["differing"].as_u64()), (Some(entities - 1), Some(0)));
    assert_eq!(report["unavailable"].as_u64(), Some(1));
}

/// The file of the first step.
fn row_file(trifold: &Trifold) -> PathBuf {
    let dir = feed_dir(&trifold.data("rows"), &feed());
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.remove(0)
}

/// Rewrites the first row file with another batch.
fn rewrite(trifold: &Trifold, change: impl FnOnce(RecordBatch) -> RecordBatch) {
    let path = row_file(trifold);
    let batch = read_row_files(&path, None).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.num_rows() as u64, EVENTS);
    let batch = change(batch);
    let mut writer = RowFileWriter::create(&path, batch.schema(), RowFormat::Parquet).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
}

/// Replaces a column of text, cell by cell.
fn with_text(batch: &RecordBatch, name: &str, change: impl Fn(usize, &str) -> String) -> RecordBatch {
    let index = batch.schema().index_of(name).unwrap();
    let cells = batch.column(index).as_string::<i32>().iter().enumerate();
    let cells = cells.map(|(row, cell)| cell.map(|cell| change(row, cell)));
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns[index] = Arc::new(StringArray::from_iter(cells));
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

#[test]
fn a_changed_cell_of_an_emitted_row_is_found() {
    let trifold = streamed();
    let report = audit(&trifold, &["--format", "json"]).succeeded().json();
    assert_eq!((report["compared"].as_u64(), report["differing"].as_u64()), (Some(EVENTS), Some(0)));
    rewrite(&trifold, |batch| {
        with_text(&batch, "route", |row, route| if row == 123 { route.to_lowercase() } else { route.to_owned() })
    });
    let ran = audit(&trifold, &["--format", "json"])
        .refused(Exit::Refused, &["1 of 1000 rows differ", "first 123 ", "field route: "]);
    assert_eq!(ran.json()["mismatches"][0]["number"], 123);
}

/// Changes row 5 of one column of the emitted rows: the audit names the column and both sides.
#[track_caller]
fn check_column(column: &str, change: impl FnOnce(RecordBatch) -> RecordBatch, sides: [&str; 2]) {
    let trifold = streamed();
    rewrite(&trifold, change);
    let field = format!("field {column}: {} against {} in the backfill", sides[0], sides[1]);
    audit(&trifold, &[]).refused(Exit::Refused, &["1 of 1000 rows differ", "first 5 ", &field]);
}

/// Replaces row 5 of a column of numbers or times.
fn with_number<T: ArrowPrimitiveType>(batch: &RecordBatch, name: &str, value: T::Native) -> RecordBatch {
    let index = batch.schema().index_of(name).unwrap();
    let column = batch.column(index).as_primitive::<T>();
    let cells = column.iter().enumerate().map(|(row, cell)| if row == 5 { Some(value) } else { cell });
    let changed = cells.collect::<PrimitiveArray<T>>().with_data_type(column.data_type().clone());
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns[index] = Arc::new(changed);
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

#[test]
fn columns_beside_the_value_are_compared_with_the_log_and_the_registry() {
    let batch = flights_batch();
    let time = batch.column_by_name("event_time").unwrap().as_primitive::<TimestampMicrosecondType>().value(5);
    let changed = |batch: RecordBatch| with_number::<TimestampMicrosecondType>(&batch, "_event_time", time + 1);
    let text = |time| time_text(EventTime(time));
    check_column("_event_time", changed, [&text(time + 1), &text(time)]);
    let id = batch.column_by_name("event_id").unwrap().as_string::<i32>().value(5).to_owned();
    let changed = |batch: RecordBatch| {
        with_text(&batch, "_event_id", |row, id| if row == 5 { "forged".to_owned() } else { id.to_owned() })
    };
    check_column("_event_id", changed, ["forged", &id]);
    let flight = batch.column_by_name("flight").unwrap().as_primitive::<Int64Type>().value(5).to_string();
    let changed = |batch: RecordBatch| with_number::<Int64Type>(&batch, "_key_flight", 0);
    check_column("_key_flight", changed, ["0", &flight]);
    let changed = |batch: RecordBatch| with_number::<UInt64Type>(&batch, "_version", 7);
    check_column("_version", changed, ["7", "1"]);
}

#[test]
fn another_log_is_refused_by_name() {
    let trifold = streamed();
    let flights = flights();
    let followed = flights.file_name().unwrap().to_str().unwrap();
    let option = format!("`--log-id {followed}`");
    let parts = ["follows the log ", followed, "this is the log other", &option];
    let log_id = ["--log-id", "other"];
    audit(&trifold, &log_id).refused(Exit::Data, &parts);
    let dir = feed_dir(&trifold.data("rows"), &feed());
    audit(&trifold, &["--rows", dir.to_str().unwrap(), "--log-id", "other"]).refused(Exit::Data, &parts);
    let stop = EVENTS.to_string();
    let running = trifold.start(["up", "--events", flights.to_str().unwrap(), "--stop-at", &stop]);
    let online = ["--online", "--server", &running.url, "--as-of", "2013-01-03T00:00:00Z"];
    audit(&trifold, &[&online[..], &log_id].concat()).refused(Exit::Data, &parts);
    // Beside a worker, which holds the store, rows are audited without that comparison.
    audit(&trifold, &[]).succeeded();
}

/// The first events of the log.
fn flights_batch() -> RecordBatch {
    read_row_files(&flights(), None).unwrap().next().unwrap().unwrap()
}

#[test]
fn missing_files_are_counted_wherever_they_were() {
    let trifold = Trifold::new(PROGRAM);
    let component = component("flight-profile", &[]);
    trifold.run(["push", component.path.to_str().unwrap(), "--release"]).succeeded();
    let (flights, stop) = (flights(), EVENTS.to_string());
    let steps = ["--stop-at", &stop, "--step-rows", "100"];
    trifold.run(["stream", "--events", flights.to_str().unwrap()].into_iter().chain(steps)).succeeded();
    audit(&trifold, &[]).succeeded();
    let dir = feed_dir(&trifold.data("rows"), &feed());
    for name in ["0-000000000000000900.parquet", "0-000000000000000300.parquet", "0-000000000000000000.parquet"] {
        let (path, aside) = (dir.join(name), trifold.path("aside.parquet"));
        fs::rename(&path, &aside).unwrap();
        audit(&trifold, &[]).refused(Exit::Refused, &["100 are missing"]);
        fs::rename(&aside, &path).unwrap();
    }
    audit(&trifold, &[]).succeeded();
}

#[test]
fn missing_rows_are_counted() {
    let trifold = streamed();
    rewrite(&trifold, |batch| {
        let keep: arrow_array::BooleanArray = (0..batch.num_rows()).map(|row| Some(row != 7)).collect();
        arrow_select::filter::filter_record_batch(&batch, &keep).unwrap()
    });
    let ran = audit(&trifold, &["--format", "json"]).refused(Exit::Refused, &["1 are missing"]);
    let report = ran.json();
    assert_eq!((report["compared"].as_u64(), report["missing"].as_u64()), (Some(EVENTS - 1), Some(1)));
}

/// Tries the second version of a view out.
fn try_out(trifold: &Trifold, view: &str, trial: Trial) {
    let registry = Registry::local(&trifold.data("registry"), false).unwrap();
    runtime().block_on(registry.try_out(&view.parse().unwrap(), 2, trial, EventTime(0))).unwrap();
}

fn canary(share: &str) -> Trial {
    Trial::Canary { share: share.parse().unwrap(), steps: Steps::default() }
}

#[test]
fn rows_of_a_canary_are_those_of_a_backfill_of_it_and_none_of_them_is_missed() {
    for (package, view) in [("flight-profile", "flight_profile"), ("airport-load", "airport_load")] {
        for format in ["parquet", "jsonl"] {
            let trifold = Trifold::new(PROGRAM);
            for features in [&[][..], &["v2"]] {
                trifold.run(["push", component(package, features).path.to_str().unwrap()]).succeeded();
            }
            trifold.run(["release", &format!("{view}@1")]).succeeded();
            let (flights, mut emitted) = (flights(), BTreeSet::new());
            for (stop, share) in [("400", None), ("800", Some("30%")), ("1300", Some("75%"))] {
                share.into_iter().for_each(|share| try_out(&trifold, view, canary(share)));
                let flights = flights.to_str().unwrap();
                let stream = ["stream", "--events", flights, "--stop-at", stop, "--step-rows", "100"];
                trifold.run(stream.iter().chain(&["--rows-format", format, "--assume-on-time"])).succeeded();
            }
            let audit = ["audit", view, "--events", flights.to_str().unwrap(), "--assume-on-time"];
            let audit = |more: &[&str]| trifold.run(audit.iter().chain(more));
            let report = audit(&["--format", "json"]).succeeded().json();
            for component in report["components"].as_array().unwrap() {
                emitted.insert(component["rows"].as_u64().unwrap() > 200);
            }
            assert_eq!((emitted, report["components"].as_array().unwrap().len()), ([true].into(), 2), "{report}");
            let state = feed_dir(&trifold.data("rows"), &FeedId::of(&version(1, transform(package, &[]))));
            // A row of either side that is lost is missed.
            for is_canarys in [false, true] {
                let mut files = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
                let is_meant = |file: &PathBuf| {
                    let name = file.file_name().unwrap().to_str().unwrap();
                    name.starts_with("0-") && name.contains("canary") == is_canarys
                };
                let file = files.find(is_meant).unwrap();
                let hidden = file.with_extension("hidden");
                fs::rename(&file, &hidden).unwrap();
                audit(&[]).refused(Exit::Refused, &["missing"]);
                fs::rename(&hidden, &file).unwrap();
            }
            audit(&[]).succeeded();
        }
    }
}
