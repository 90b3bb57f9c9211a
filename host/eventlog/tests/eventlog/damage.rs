//! Files that cannot be read.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use trifold_eventlog::{FileLog, LogError, LogOptions};
use trifold_model::FieldType;

use crate::fixtures::{Seeded, decoded, field, json_lines, view, write_lines, write_parquet};

/// Reads a log to its end.
fn read(path: &Path) -> Result<u64, LogError> {
    let mut log = FileLog::open(path, LogOptions::default())?;
    let mut next = 0;
    while let Some(raw) = log.read(next, 1_000)? {
        next = raw.next_offset();
    }
    Ok(next)
}

#[test]
fn what_is_no_log_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let error = read(path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("directory {} has no *.parquet or *.jsonl file: put at least one there", path.display())
    );
    let missing = read(&path.join("missing")).unwrap_err();
    assert!(matches!(&missing, LogError::NotFound { path: p } if p.ends_with("missing")), "{missing}");
    fs::write(path.join("events.csv"), "a\n").unwrap();
    assert!(matches!(read(&path.join("events.csv")), Err(LogError::NotASegment { .. })));
    assert!(matches!(read(path), Err(LogError::NoSegments { .. })));
    fs::create_dir(path.join("a.jsonl")).unwrap();
    let error = read(path).unwrap_err();
    assert!(error.to_string().contains("a.jsonl is a directory"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", directory.path().join("a.parquet")).unwrap();
    let error = read(directory.path()).unwrap_err();
    assert!(matches!(&error, LogError::NotFound { path } if path.ends_with("a.parquet")), "{error}");
}

#[test]
fn files_that_are_no_parquet_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    File::create(&path).unwrap();
    assert!(matches!(read(&path), Err(LogError::ZeroBytes { file }) if file == path));
    fs::write(&path, json_lines(0..100)).unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(&error, LogError::Footer { file, .. } if *file == path), "{error}");
    assert!(error.to_string().contains("rename it when it is complete"), "{error}");
}

#[test]
fn a_parquet_file_cut_anywhere_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    write_parquet(&path, 0..2_000, 500);
    let whole = fs::read(&path).unwrap();
    let seed = 11;
    let mut seeded = Seeded(seed);
    for _ in 0..100 {
        let length = 1 + seeded.below(whole.len() as u64 - 1) as usize;
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(read(&path), Err(LogError::Footer { .. })), "seed {seed}, {length} bytes");
    }
}

#[test]
fn damage_inside_a_parquet_file_is_an_error_or_other_values_and_never_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    write_parquet(&path, 0..2_000, 500);
    let whole = fs::read(&path).unwrap();
    let seed = 13;
    let mut seeded = Seeded(seed);
    let mut refused = 0;
    for turn in 0..300 {
        let mut bytes = whole.clone();
        let at = seeded.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << seeded.below(8);
        fs::write(&path, &bytes).unwrap();
        match read(&path) {
            Ok(_) => {}
            Err(LogError::Damaged { .. } | LogError::Footer { .. }) => refused += 1,
            Err(other) => panic!("seed {seed}, turn {turn}, byte {at}: {other}"),
        }
    }
    assert!(refused > 30, "seed {seed}: {refused}");
}

#[test]
fn pages_that_are_gone_are_named_with_their_row() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    write_parquet(&path, 0..20_000, 2_000);
    let file = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let (start, length) = file.metadata().row_group(6).column(3).byte_range();
    let mut bytes = fs::read(&path).unwrap();
    bytes[start as usize..(start + length) as usize].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(&error, LogError::Damaged { file, row: 11_000..=12_000, .. } if *file == path), "{error}");
}

/// Writes a column that claims to be text, and is not in one row.
fn write_false_text(path: &Path) {
    let schema = "message m { required int64 event_time (TIMESTAMP(MICROS,true)); required binary event_id (UTF8);
        required binary k (UTF8); optional binary x (STRING); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[1, 2, 3], None, None).unwrap();
    column.close().unwrap();
    for values in [[b"1".as_slice(), b"2", b"3"], [b"k", b"k", b"k"]] {
        let mut column = group.next_column().unwrap().unwrap();
        let values = values.map(|value| ByteArray::from(value.to_vec()));
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    let values = [b"\xff\xfe".as_slice(), "é".as_bytes()].map(|value| ByteArray::from(value.to_vec()));
    column.typed::<ByteArrayType>().write_batch(&values, Some(&[1, 1, 0]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn text_that_is_none_is_its_rows_problem_even_where_parquet_calls_it_text() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    write_false_text(&path);
    let mut log = FileLog::open(&path, LogOptions::default()).unwrap();
    let raw = log.read(0, 10).unwrap().unwrap();
    let events = decoded(&raw, &view(vec![field("x", FieldType::Utf8, true)])).unwrap();
    assert_eq!(events.offsets, [1, 2]);
    assert_eq!(crate::fixtures::shown(events.inputs.column(1), 0), "\"é\"");
    assert_eq!(events.aside[0].detail, "input x: \"\u{fffd}\u{fffd}\" is not UTF-8");
    assert_eq!(
        events.aside[0].event,
        "{\"event_time\":\"1970-01-01T00:00:00.000001Z\",\"event_id\":\"1\",\"k\":\"k\",\"x\":\"\u{fffd}\u{fffd}\"}"
    );
    let error = decoded(&raw, &view(vec![field("x", FieldType::Int64, true)])).unwrap_err();
    assert!(error.to_string().contains("column x of") && error.to_string().contains("has type Utf8"), "{error}");
}

#[test]
fn a_line_that_is_too_long_or_not_utf8_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl");
    let long = format!("{{\"event_id\":\"{}\"}}\n", "x".repeat(16 << 20));
    let mut bytes = json_lines(0..1).into_bytes();
    bytes.extend_from_slice(long.as_bytes());
    bytes.extend_from_slice(b"{\"event_id\":\"\xff\"}\n");
    bytes.extend_from_slice(json_lines(3..4).as_bytes());
    fs::write(&path, &bytes).unwrap();
    let raw = FileLog::open(&path, LogOptions::default()).unwrap().read(0, 10).unwrap().unwrap();
    let events = decoded(&raw, &view(vec![field("n", FieldType::Int64, true)])).unwrap();
    assert_eq!(events.offsets, [0, 3]);
    assert_eq!(events.aside[0].detail, "the line is longer than 16777216 bytes");
    assert!(events.aside[0].event.len() < 5_000);
    assert_eq!(events.aside[1].detail, "the line is not UTF-8 from byte 13 on");
    write_lines(&path, 0..0);
    assert_eq!(read(&path).unwrap(), 0);
}
