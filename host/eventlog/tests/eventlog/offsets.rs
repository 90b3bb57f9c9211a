//! Offsets over segments of both kinds, and parts that are read side by side.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use trifold_eventlog::{FileLog, LogError, LogOptions, RawBatch, RawRows, SegmentKind, SourceConfig};
use trifold_model::FieldType;

use crate::fixtures::{Seeded, field, json_lines, numbers, view, write_lines, write_parquet};

const ROWS: i64 = 9_000;

/// A log of five segments: Parquet with many row groups, lines, an empty one of each kind, and lines with an
/// unfinished one at the end.
fn mixed(directory: &Path) -> FileLog {
    write_parquet(&directory.join("a.parquet"), 0..3_000, 700);
    write_lines(&directory.join("b.jsonl"), 3_000..5_500);
    write_lines(&directory.join("c.jsonl"), 0..0);
    write_parquet(&directory.join("d.parquet"), 0..0, 700);
    write_parquet(&directory.join("e.parquet"), 5_500..6_000, 100);
    let unfinished = format!("{}{}", json_lines(6_000..ROWS), json_lines(ROWS..ROWS + 1).trim_end());
    std::fs::write(directory.join("f.jsonl"), unfinished).unwrap();
    std::fs::write(directory.join(".g.jsonl"), "hidden\n").unwrap();
    std::fs::write(directory.join("README.md"), "not an event\n").unwrap();
    FileLog::open(directory, LogOptions::default()).unwrap()
}

fn read_all(log: &mut FileLog, from: u64, rows_max: usize) -> Vec<i64> {
    let (mut all, mut next) = (Vec::new(), from);
    while let Some(raw) = log.read(next, rows_max).unwrap() {
        assert!(raw.first_offset == next && raw.rows() > 0 && raw.rows() <= rows_max);
        all.extend(numbers(&raw));
        next = raw.next_offset();
    }
    all
}

#[test]
fn offsets_count_the_rows_over_all_segments() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = mixed(directory.path());
    assert_eq!(
        log.segments().map(|(_, kind)| kind == SegmentKind::Parquet).collect::<Vec<_>>(),
        [true, false, false, true, true, false]
    );
    assert_eq!(read_all(&mut log, 0, 1_000), (0..ROWS).collect::<Vec<_>>());
    assert_eq!(log.rows_known().unwrap(), ROWS as u64);
    let mut fresh = FileLog::open(directory.path(), LogOptions::default()).unwrap();
    assert_eq!(fresh.rows_known().unwrap(), ROWS as u64);
    assert_eq!(read_all(&mut fresh, 0, usize::MAX), (0..ROWS).collect::<Vec<_>>());
}

#[test]
fn reading_from_any_offset_equals_reading_in_sequence() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = mixed(directory.path());
    let seed = 20_130_101;
    let mut seeded = Seeded(seed);
    for turn in 0..300 {
        let from = seeded.below(ROWS as u64);
        let rows_max = 1 + seeded.below(1_500) as usize;
        // Every so often a log that has just been opened, as after a restart.
        if turn % 10 == 0 {
            log = FileLog::open(directory.path(), LogOptions::default()).unwrap();
        }
        let mut next = from;
        for _ in 0..=seeded.below(3) {
            let Some(raw) = log.read(next, rows_max).unwrap() else { break };
            let expected: Vec<i64> = (next as i64..raw.next_offset() as i64).collect();
            assert_eq!(numbers(&raw), expected, "seed {seed}, turn {turn}");
            let head = raw.head(3);
            assert_eq!(numbers(&head), expected[..expected.len().min(3)], "seed {seed}, turn {turn}");
            next = raw.next_offset();
        }
    }
}

#[test]
fn an_offset_beyond_the_log_is_an_error_and_the_end_is_not() {
    let directory = tempfile::tempdir().unwrap();
    for from_start in [true, false] {
        let mut log = mixed(directory.path());
        if from_start {
            read_all(&mut log, 0, 1_000);
        }
        assert!(log.read(ROWS as u64, 10).unwrap().is_none());
        let error = log.read(ROWS as u64 + 1, 10).unwrap_err();
        assert!(matches!(error, LogError::Beyond { offset: 9_001, rows: 9_000, .. }), "{error}");
    }
}

#[test]
fn units_cover_the_log_without_gaps() {
    let directory = tempfile::tempdir().unwrap();
    write_parquet(&directory.path().join("a.parquet"), 0..200_000, 30_000);
    write_lines(&directory.path().join("b.jsonl"), 200_000..200_100);
    write_lines(&directory.path().join("c.jsonl"), 200_100..200_200);
    let mut log = FileLog::open(directory.path(), LogOptions::default()).unwrap();
    let units = log.units().unwrap();
    let extents: Vec<_> = units.iter().map(|unit| (unit.first_offset, unit.rows)).collect();
    assert_eq!(extents, [(0, 90_000), (90_000, 90_000), (180_000, 20_000), (200_000, 100), (200_100, 100)]);
    // What is appended after the log was cut belongs to none of its parts.
    let grown = format!("{}{}", json_lines(200_100..200_200), json_lines(200_200..200_300));
    std::fs::write(directory.path().join("c.jsonl"), grown).unwrap();
    let read = |unit: &trifold_eventlog::ScanUnit| -> Vec<RawBatch> {
        unit.read(None, 7_000).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let parts: Vec<Vec<RawBatch>> = std::thread::scope(|scope| {
        let threads: Vec<_> = units.iter().map(|unit| scope.spawn(move || read(unit))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let all: Vec<i64> = parts.iter().flatten().flat_map(numbers).collect();
    assert!(all.iter().copied().eq(0..200_200));
    assert!(parts.iter().flatten().all(|raw| raw.rows() <= 7_000));
}

#[test]
fn only_the_columns_named_are_read() {
    let directory = tempfile::tempdir().unwrap();
    write_parquet(&directory.path().join("a.parquet"), 0..100, 30);
    let view = view(vec![field("n", FieldType::Int64, false)]);
    let wanted = SourceConfig::default().columns([&view]);
    let options = LogOptions { name: Some("log".to_owned()), columns: Some(wanted.clone()) };
    let mut log = FileLog::open(directory.path(), options).unwrap();
    assert_eq!(&*log.id().0, "log");
    let raw = log.read(50, 10).unwrap().unwrap();
    assert_eq!(numbers(&raw), (50..60).collect::<Vec<_>>());
    let unit = &log.units().unwrap()[0];
    let of_unit = unit.read(Some(&wanted), 10).unwrap().next().unwrap().unwrap();
    for raw in [raw, of_unit] {
        let RawRows::Columns { batch, file_schema } = &raw.rows else { panic!("a Parquet segment") };
        assert_eq!((batch.num_columns(), file_schema.fields().len()), (4, 5));
        let other = crate::fixtures::view(vec![field("unused", FieldType::Utf8, true)]);
        let error = crate::fixtures::decoded(&raw, &other).unwrap_err();
        assert!(matches!(error, LogError::UnreadColumn { .. }), "{error}");
    }
}

#[test]
fn logs_and_units_may_move_between_threads() {
    fn movable<T: Send>() {}
    movable::<FileLog>();
    movable::<trifold_eventlog::ScanUnit>();
    movable::<trifold_eventlog::UnitReader>();
}

/// Large values are few bytes in the file if they are compressed or repeat each other; what counts is what they are
/// in memory.
#[test]
fn a_batch_of_large_rows_ends_early() {
    const ROWS: u64 = 150;
    const VALUE: usize = 1 << 20;
    let directory = tempfile::tempdir().unwrap();
    for dictionary in [true, false] {
        let file = directory.path().join("a.parquet");
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(|_| "x".repeat(VALUE))));
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_dictionary_enabled(dictionary)
            .set_dictionary_page_size_limit(4 * VALUE)
            .build();
        let writer = ArrowWriter::try_new(File::create(&file).unwrap(), batch.schema(), Some(properties));
        let mut writer = writer.unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert!(std::fs::metadata(&file).unwrap().len() < 16 << 20);
        let mut log = FileLog::open(&file, LogOptions::default()).unwrap();
        let (mut next, mut batches) = (0, 0);
        while let Some(raw) = log.read(next, 8_192).unwrap() {
            assert!(raw.rows() <= 64, "{} rows, dictionary {dictionary}", raw.rows());
            (next, batches) = (raw.next_offset(), batches + 1);
        }
        assert_eq!((next, batches), (ROWS, 3), "dictionary {dictionary}");
    }
}
