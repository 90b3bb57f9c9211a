//! Data directories with both views of the example in force, and logs made from its first departures.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arrow_array::RecordBatch;
use serde_json::Value;
use trifold_eventlog::{RowFileWriter, RowFormat, read_row_files, value_json};
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::flights;
use trifold_tests::guests::component;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_trifold-under-test");

/// An empty data directory.
pub(crate) fn empty() -> Trifold {
    Trifold::new(PROGRAM)
}

/// A data directory in whose registry both views are in force. What is the same in all of them is made once.
pub(crate) fn with_views() -> Trifold {
    static MADE: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let trifold = empty();
        for package in ["flight-profile", "aircraft"] {
            push(&trifold, &component(package, &[]).component);
        }
        let mut files = Vec::new();
        for part in ["registry", "cache"] {
            read(&trifold.data(part), Path::new(part), &mut files);
        }
        files
    });
    let trifold = empty();
    for (name, bytes) in made {
        let path = trifold.data(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    trifold
}

/// The files below a directory, each under its name there with `name` before it.
fn read(directory: &Path, name: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = name.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            read(&entry.path(), &name, files);
        } else {
            files.push((name, fs::read(entry.path()).unwrap()));
        }
    }
}

/// Pushes and releases a component.
#[track_caller]
pub(crate) fn push(trifold: &Trifold, wasm: &[u8]) {
    let path = trifold.path("pushed.wasm");
    fs::write(&path, wasm).unwrap();
    trifold.run(["push", path.to_str().unwrap(), "--release"]).succeeded();
}

/// The first departures, with all columns of the file.
pub(crate) fn departures(rows: usize) -> RecordBatch {
    let batch = read_row_files(&flights(), None).unwrap().next().unwrap().unwrap();
    batch.slice(0, rows)
}

/// The same as JSON objects.
pub(crate) fn departures_json(rows: usize) -> Vec<Value> {
    let batch = departures(rows);
    let schema = batch.schema();
    let row = |row: usize| {
        let cells = schema.fields().iter().zip(batch.columns());
        cells.map(|(field, column)| (field.name().clone(), value_json(column, row).unwrap())).collect()
    };
    (0..rows).map(|number| Value::Object(row(number))).collect()
}

/// Writes a Parquet segment below the test's directory.
pub(crate) fn parquet(path: &Path, batch: &RecordBatch) {
    let mut writer = RowFileWriter::create(path, batch.schema(), RowFormat::Parquet).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
}

/// Writes a segment of JSON lines; a string stands for a line as it is.
pub(crate) fn lines(path: &Path, events: &[Value]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let line = |event: &Value| match event {
        Value::String(line) => format!("{line}\n"),
        event => format!("{event}\n"),
    };
    fs::write(path, events.iter().map(line).collect::<String>()).unwrap();
}

/// The log directory of a test.
pub(crate) fn log(trifold: &Trifold) -> PathBuf {
    trifold.path("log")
}

/// Streams the test's log to its end.
pub(crate) fn stream(trifold: &Trifold) -> Ran {
    trifold.run(["stream", "--events", log(trifold).to_str().unwrap(), "--format", "json"])
}

/// What `stream` says of one view.
#[track_caller]
pub(crate) fn of_view<'a>(summary: &'a Value, view: &str) -> &'a Value {
    let views = summary["views"].as_array().unwrap();
    views.iter().find(|summary| summary["view"] == view).unwrap_or_else(|| panic!("no {view}: {summary}"))
}
