//! Rows as canonical bytes, wherever they come from.

use std::collections::BTreeMap;
use std::path::Path;

use arrow_array::RecordBatch;
use trifold_eventlog::read_row_files;
use trifold_model::{CanonicalRows, FeatureView, RowDigest, RowStatus};
use trifold_pipeline::{Rows, read_rows};
use trifold_sandbox::{Applied, Verdict};

/// A row: its canonical bytes, or why there are none.
pub type Row = Result<Vec<u8>, String>;

/// The rows that a transform computed.
#[track_caller]
pub fn applied(applied: &Applied) -> Vec<Row> {
    let columns = CanonicalRows::new(&applied.outputs).unwrap();
    let failures: BTreeMap<usize, _> = applied.failures.iter().map(|failure| (failure.row, failure)).collect();
    let row = |row: usize| {
        let status = match failures.get(&row).map(|failure| failure.verdict) {
            None => RowStatus::Value,
            Some(Verdict::Error(code)) => RowStatus::Error(code),
            Some(Verdict::Unavailable(cause)) => return Err(cause.name().to_owned()),
        };
        let mut bytes = Vec::new();
        columns.write_row(status, row, &mut bytes);
        Ok(bytes)
    };
    (0..applied.outputs.num_rows()).map(row).collect()
}

/// The rows that a runner answered.
#[track_caller]
pub fn answered(rows: &Rows) -> Vec<Row> {
    let reason = |row: usize| match &rows.outcomes()[row] {
        trifold_pipeline::Outcome::Unavailable(reason) => reason.clone(),
        trifold_pipeline::Outcome::Known(status) => panic!("{status:?} without bytes"),
    };
    let canonical = rows.canonical().unwrap().into_iter().enumerate();
    canonical.map(|(row, bytes)| bytes.ok_or_else(|| reason(row))).collect()
}

/// Reads the Parquet row files of a directory: by offset or number, each there once, with digests that fit.
#[track_caller]
pub fn files(dir: &Path, view: &FeatureView) -> BTreeMap<u64, Row> {
    let mut rows = BTreeMap::new();
    for batch in read_row_files(dir, None).unwrap() {
        for (number, row) in batch_rows(&batch.unwrap(), view) {
            assert!(rows.insert(number, row).is_none(), "{}: row {number} stands twice", dir.display());
        }
    }
    rows
}

fn batch_rows(batch: &RecordBatch, view: &FeatureView) -> Vec<(u64, Row)> {
    let read = read_rows(view, batch).unwrap();
    let digests = read.digests.as_ref().expect("rows without digests");
    let rows = answered(&read.rows);
    for (row, digest) in rows.iter().zip(digests) {
        assert_eq!(row.as_ref().ok().map(|bytes| RowDigest::of(bytes)), *digest);
    }
    read.numbers.iter().copied().zip(rows).collect()
}
