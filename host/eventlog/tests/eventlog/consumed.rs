//! Logs that are opened again after somebody changed their files.

use std::fs;
use std::path::Path;

use trifold_eventlog::{FileLog, LogChange, LogError, LogOptions};

use crate::fixtures::{write_lines, write_parquet};

fn open(path: &Path) -> FileLog {
    let name = Some("flights".to_owned());
    FileLog::open(path, LogOptions { name, ..LogOptions::default() }).unwrap()
}

/// Three files, the offsets 0..3, 3..5 and 5..9.
fn three_files(dir: &Path) {
    write_lines(&dir.join("b.jsonl"), 0..3);
    write_parquet(&dir.join("d.parquet"), 3..5, 2);
    write_lines(&dir.join("f.jsonl"), 5..9);
}

/// Takes note of what was read up to `next`, makes the change, and checks what the log says when it is opened again.
fn reopened(next: u64, change: impl FnOnce(&Path)) -> Result<(), LogError> {
    let directory = tempfile::tempdir().unwrap();
    three_files(directory.path());
    let mut log = open(directory.path());
    log.rows_known().unwrap();
    let consumed = log.consumed(next).unwrap();
    change(directory.path());
    open(directory.path()).check_consumed(next, &consumed)
}

#[track_caller]
fn changed(next: u64, change: impl FnOnce(&Path)) -> LogChange {
    match reopened(next, change).unwrap_err() {
        LogError::Consumed { log, change } => {
            assert_eq!(log, "flights");
            change
        }
        other => panic!("{other}"),
    }
}

#[test]
fn what_was_read_depends_on_the_position_alone() {
    let directory = tempfile::tempdir().unwrap();
    three_files(directory.path());
    let mut read = open(directory.path());
    for next in 0..=9 {
        if next > 0 {
            read.read(next - 1, 1).unwrap().unwrap();
        }
        let consumed = read.consumed(next).unwrap();
        let mut counted = open(directory.path());
        counted.rows_known().unwrap();
        assert_eq!(counted.consumed(next).unwrap(), consumed, "{next}");
        counted.check_consumed(next, &consumed).unwrap();
    }
}

#[test]
fn growth_and_new_last_files_are_no_change() {
    let grow = |dir: &Path| write_lines(&dir.join("f.jsonl"), 5..20);
    let add = |dir: &Path| write_lines(&dir.join("g.jsonl"), 9..12);
    let empty = |dir: &Path| write_lines(&dir.join("a.jsonl"), 0..0);
    for next in 0..=9 {
        reopened(next, |_| {}).unwrap();
        reopened(next, grow).unwrap();
        reopened(next, add).unwrap();
        reopened(next, empty).unwrap();
    }
    // What was not read yet may change: nothing has an offset there.
    reopened(4, |dir| write_lines(&dir.join("e.jsonl"), 0..7)).unwrap();
    reopened(3, |dir| fs::remove_file(dir.join("d.parquet")).unwrap()).unwrap();
    reopened(6, |dir| write_lines(&dir.join("f.jsonl"), 5..6)).unwrap();
    reopened(0, |dir| write_lines(&dir.join("a.jsonl"), 0..7)).unwrap();
}

#[test]
fn a_file_that_sorts_before_others_is_named() {
    for (name, next) in [("a.jsonl", 1), ("a.jsonl", 9), ("c.jsonl", 4), ("e.jsonl", 6)] {
        let change = changed(next, |dir| write_lines(&dir.join(name), 0..2));
        assert!(matches!(&change, LogChange::Added { file, rows: 2, .. } if file == name), "{change}");
        assert!(change.to_string().contains("rename it so that it sorts last"), "{change}");
    }
}

#[test]
fn a_file_that_is_gone_is_named() {
    for (name, next, count) in [("b.jsonl", 9, 3), ("b.jsonl", 2, 2), ("d.parquet", 9, 2), ("f.jsonl", 8, 3)] {
        let change = changed(next, |dir| fs::remove_file(dir.join(name)).unwrap());
        assert_eq!(change, LogChange::Removed { file: name.to_owned(), rows: count });
    }
}

#[test]
fn a_file_that_was_renamed_is_named() {
    for (from, to) in [("b.jsonl", "a.jsonl"), ("b.jsonl", "e-longer.jsonl"), ("d.parquet", "a.parquet")] {
        let change = changed(9, |dir| fs::rename(dir.join(from), dir.join(to)).unwrap());
        assert_eq!(change, LogChange::Renamed { from: from.to_owned(), to: to.to_owned() });
    }
    // Behind the position it is no longer among the files before it.
    let change = changed(9, |dir| fs::rename(dir.join("b.jsonl"), dir.join("z.jsonl")).unwrap());
    assert_eq!(change, LogChange::Removed { file: "b.jsonl".to_owned(), rows: 3 });
    let change = changed(9, |dir| fs::rename(dir.join("f.jsonl"), dir.join("z.jsonl")).unwrap());
    assert_eq!(change, LogChange::Removed { file: "f.jsonl".to_owned(), rows: 4 });
}

#[test]
fn a_file_of_another_length_is_named() {
    let resized = |file: &str, was, is| LogChange::Resized { file: file.to_owned(), was, is };
    assert_eq!(changed(9, |dir| write_lines(&dir.join("b.jsonl"), 0..2)), resized("b.jsonl", 3, 2));
    assert_eq!(changed(6, |dir| write_lines(&dir.join("b.jsonl"), 0..4)), resized("b.jsonl", 3, 4));
    let short = changed(9, |dir| write_parquet(&dir.join("d.parquet"), 3..4, 2));
    assert_eq!(short, resized("d.parquet", 2, 1));
    assert_eq!(changed(8, |dir| write_lines(&dir.join("f.jsonl"), 5..7)), resized("f.jsonl", 3, 2));
}

#[test]
fn more_than_one_change_is_refused_too() {
    let change = changed(9, |dir| {
        write_lines(&dir.join("a.jsonl"), 0..2);
        write_lines(&dir.join("b.jsonl"), 0..1);
    });
    let told = change.to_string();
    assert!(told.contains("2 files with 5 rows") && told.contains("3 files with 5 rows"), "{told}");
    let directory = tempfile::tempdir().unwrap();
    three_files(directory.path());
    let unknown = open(directory.path()).check_consumed(1, &[]).unwrap_err();
    assert!(matches!(unknown, LogError::Consumed { change: LogChange::Unknown { bytes: 0 }, .. }), "{unknown}");
}
