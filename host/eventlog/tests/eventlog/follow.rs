//! Logs that grow while they are read.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use trifold_eventlog::{FileLog, LogError, LogOptions};

use crate::fixtures::{Seeded, json_lines, numbers, write_lines, write_parquet};

fn append(path: &Path, text: &[u8]) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text).unwrap();
}

fn open(path: &Path) -> FileLog {
    FileLog::open(path, LogOptions::default()).unwrap()
}

#[test]
fn a_growing_last_segment_is_followed_line_by_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl");
    append(&path, b"");
    let mut log = open(&path);
    let text = json_lines(0..3_000);
    let seed = 7;
    let mut seeded = Seeded(seed);
    let (mut written, mut next) = (0, 0);
    while written < text.len() {
        let end = (written + 1 + seeded.below(900) as usize).min(text.len());
        append(&path, &text.as_bytes()[written..end]);
        written = end;
        let whole = text[..written].matches('\n').count() as u64;
        if seeded.below(4) == 0 {
            assert_eq!(log.rows_known().unwrap(), whole, "seed {seed}");
        }
        while let Some(raw) = log.read(next, 5).unwrap() {
            numbers(&raw);
            next = raw.next_offset();
        }
        assert_eq!(next, whole, "seed {seed}");
    }
    assert_eq!(next, 3_000);
}

#[test]
fn a_later_segment_closes_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b, c) =
        (directory.path().join("a.jsonl"), directory.path().join("b.parquet"), directory.path().join("c.jsonl"));
    append(&a, json_lines(0..3).trim_end().as_bytes());
    let mut log = open(directory.path());
    assert_eq!(numbers(&log.read(0, 10).unwrap().unwrap()), [0, 1]);
    assert!(log.read(2, 10).unwrap().is_none());
    assert_eq!(log.rows_known().unwrap(), 2);
    // The unfinished line is one once nothing can be added to it.
    write_parquet(&b, 3..6, 10);
    assert_eq!(numbers(&log.read(2, 10).unwrap().unwrap()), [2]);
    assert_eq!(numbers(&log.read(3, 10).unwrap().unwrap()), [3, 4, 5]);
    assert!(log.read(6, 10).unwrap().is_none());
    let units = open(directory.path()).units().unwrap();
    let of_units = units.iter().flat_map(|unit| unit.read(None, 2).unwrap()).map(Result::unwrap);
    assert_eq!(of_units.flat_map(|raw| numbers(&raw)).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    write_lines(&c, 6..8);
    assert_eq!(numbers(&log.read(6, 10).unwrap().unwrap()), [6, 7]);
    assert_eq!(numbers(&log.read(1, 10).unwrap().unwrap()), [1, 2]);
    append(&c, json_lines(8..9).as_bytes());
    assert_eq!(log.rows_known().unwrap(), 9);
    assert_eq!(numbers(&log.read(8, 10).unwrap().unwrap()), [8]);
}

#[test]
fn a_closed_segment_that_changes_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (directory.path().join("a.jsonl"), directory.path().join("b.parquet"));
    write_lines(&a, 0..3);
    write_parquet(&b, 3..6, 10);
    let mut log = open(directory.path());
    let units = log.units().unwrap();
    assert_eq!(log.rows_known().unwrap(), 6);
    append(&a, json_lines(3..4).as_bytes());
    for error in [log.rows_known().unwrap_err(), log.read(0, 10).unwrap_err(), log.read(6, 10).unwrap_err()] {
        assert!(matches!(&error, LogError::Changed { file, .. } if *file == a), "{error}");
    }
    assert!(matches!(units[0].read(None, 10), Err(LogError::Changed { .. })));
    assert!(units[1].read(None, 10).is_ok());
}

#[test]
fn a_last_segment_that_shrinks_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let a = directory.path().join("a.jsonl");
    write_lines(&a, 0..3);
    let mut log = open(directory.path());
    assert_eq!(log.rows_known().unwrap(), 3);
    write_lines(&a, 0..2);
    assert!(matches!(log.read(3, 10), Err(LogError::Changed { .. })));
}

#[test]
fn segments_keep_their_order_and_stay() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (directory.path().join("a.jsonl"), directory.path().join("b.jsonl"));
    write_lines(&b, 0..3);
    let mut log = open(directory.path());
    assert_eq!(log.rows_known().unwrap(), 3);
    write_lines(&a, 0..3);
    let error = log.read(3, 10).unwrap_err();
    assert!(matches!(&error, LogError::OutOfOrder { file, last } if *file == a && *last == b), "{error}");
    std::fs::remove_file(&a).unwrap();
    std::fs::remove_file(&b).unwrap();
    assert!(matches!(log.read(3, 10), Err(LogError::Gone { file }) if file == b));
}
