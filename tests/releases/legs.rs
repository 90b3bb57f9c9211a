//! Views over flights of which there are as many versions as a test likes, and one that never answers.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use trifold_eventlog::{RowFileWriter, RowFormat, read_row_files};
use trifold_tests::flights;
use trifold_wat_guest::{Guest, field, row_view};

fn guest(view: &str) -> Guest {
    let inputs = [field("flight", "int64"), field("distance", "float64")];
    Guest::new(row_view(view, &inputs, &[field("number", "int64"), field("miles", "float64")]))
}

/// The version of a view that answers the number of the flight and this, and its distance.
pub(crate) fn adding(view: &str, number: i64) -> Vec<u8> {
    let apply = format!(
        "(local $at i32) (local $end i32)
         (local.set $at (local.get $words))
         (local.set $end (i32.add (local.get $words) (i32.shl (local.get $rows) (i32.const 3))))
         (block $done (loop $next
           (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
           (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (i64.const {number})))
           (local.set $at (i32.add (local.get $at) (i32.const 8)))
           (br $next)))
         (call $answer (local.get $rows) (local.get $words) (local.get $count) (i32.const 0) (i32.const 0))"
    );
    guest(view).apply(apply).build().unwrap()
}

/// The version of a view that traps on every row.
pub(crate) fn trapping(view: &str) -> Vec<u8> {
    guest(view).apply("(unreachable)").build().unwrap()
}

/// The first departures.
pub(crate) fn departures(rows: usize) -> RecordBatch {
    read_row_files(&flights(), None).unwrap().next().unwrap().unwrap().slice(0, rows)
}

/// Adds events to a log, as a segment of their own, which is there at once or not at all.
pub(crate) fn append(log: &Path, name: &str, events: &RecordBatch) -> PathBuf {
    let (made, path) = (log.with_extension("segment"), log.join(name));
    let mut writer = RowFileWriter::create(&made, events.schema(), RowFormat::Parquet).unwrap();
    writer.write(events).unwrap();
    writer.finish().unwrap();
    std::fs::create_dir_all(log).unwrap();
    std::fs::rename(made, &path).unwrap();
    path
}
