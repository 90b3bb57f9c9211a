//! Archives: whatever offsets a partition skips, and whoever writes, each record is there once and in its place.

use std::path::Path;
use std::sync::Arc;

use trifold_eventlog::archive::{ArchiveLimits, ArchiveWriter, Finished, Manifest, PartitionWriter};
use trifold_eventlog::{Archive, ArchiveError, JsonLines, LogError, LogOptions, Places, RawBatch, RawRows, Scan};

use crate::fixtures::Seeded;

const DAY_MICROS: i64 = 86_400_000_000;

/// A record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    offset: u64,
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    problem: Option<String>,
    timestamp: Option<i64>,
    append_time: Option<i64>,
}

/// A partition that skips some offsets, with records of every kind.
fn partition(seeded: &mut Seeded, begin: u64) -> Vec<Record> {
    let mut offset = begin;
    let mut records = Vec::new();
    for number in 0..200_i64 {
        offset += if seeded.below(4) == 0 { seeded.below(20) } else { 0 };
        let arrival = number * DAY_MICROS / 60 - seeded.below(1_000) as i64;
        let (value, problem) = match seeded.below(8) {
            0 => (vec![0xff, seeded.below(256) as u8], None),
            1 => (b"\0raw".to_vec(), Some("no schema has it".to_owned())),
            2 => (Vec::new(), Some("the record has no value".to_owned())),
            3 => (Vec::new(), None),
            _ => (format!(r#"{{"n": {number}, "at": {arrival}}}"#).into_bytes(), None),
        };
        let timestamp = (seeded.below(9) > 0).then_some(arrival);
        let append_time = timestamp.filter(|_| seeded.below(2) == 0);
        let key = (seeded.below(5) > 0).then(|| number.to_le_bytes().to_vec());
        records.push(Record { offset, key, value, problem, timestamp, append_time });
        offset += 1;
    }
    records
}

fn batch(records: &[Record], first: u64) -> (RawBatch, Vec<Option<i64>>) {
    let bad = records.iter().enumerate().filter_map(|(row, record)| Some((row, record.problem.clone()?)));
    let places = Places {
        offsets: records.iter().map(|record| record.offset).collect(),
        append_times: records.iter().map(|record| record.append_time).collect(),
        keys: Some(records.iter().map(|record| record.key.clone()).collect()),
        carried: None,
        bad: bad.collect(),
        next_offset: records.last().map_or(first, |last| last.offset + 1),
    };
    let lines: JsonLines = records.iter().map(|record| record.value.as_slice()).collect();
    let file: Arc<Path> = Path::new("topic").into();
    let raw =
        RawBatch { partition: 1, first_offset: first, places: Some(places), file, rows: RawRows::Lines(lines) };
    (raw, records.iter().map(|record| record.timestamp).collect())
}

/// The records of a batch; what an archive does not give back is left out.
fn records(raw: &RawBatch) -> Vec<Record> {
    let (RawRows::Lines(lines), Some(places)) = (&raw.rows, &raw.places) else { panic!("{raw:?}") };
    let problem = |row: usize| places.bad.iter().find(|(bad, _)| *bad == row).map(|(_, problem)| problem.clone());
    let rows = lines.iter().enumerate().map(|(row, line)| Record {
        offset: raw.offset(row),
        key: places.keys.as_ref().unwrap()[row].clone(),
        value: line.to_vec(),
        problem: problem(row),
        timestamp: None,
        append_time: places.append_times[row],
    });
    rows.collect()
}

fn manifest(begin: u64, arrival: bool) -> Manifest {
    Manifest::new("cluster/topic", arrival.then(|| "at".to_owned()), vec![0, begin])
}

/// Pushes some records on, or finishes the file. An archiver that was overtaken, or is killed, begins again.
fn step(seeded: &mut Seeded, archive: &ArchiveWriter, writer: &mut PartitionWriter, all: &[Record]) {
    let from = all.partition_point(|record| record.offset < writer.next());
    let count = (seeded.below(30) as usize).min(all.len() - from);
    let outcome = if count == 0 {
        if let Some(record) = all.get(from).filter(|_| seeded.below(2) == 0) {
            writer.skip_to(record.offset);
        }
        writer.finish().unwrap()
    } else {
        let (raw, timestamps) = batch(&all[from..from + count], writer.next());
        writer.push(&raw, &timestamps).unwrap()
    };
    if matches!(outcome, Finished::Overtaken(_)) || seeded.below(12) == 0 {
        *writer = archive.partition(1).unwrap();
    }
}

#[test]
fn whatever_offsets_are_skipped_and_whoever_writes_each_record_is_there_once() {
    for seed in 0..12 {
        let seeded = &mut Seeded(seed);
        let dir = tempfile::tempdir().unwrap();
        let begin = seeded.below(2) * 1_000;
        let all = partition(seeded, begin);
        let (rows_max, bytes_max) = (1 + seeded.below(40) as usize, 1 << (8 + seeded.below(12)));
        let limits = ArchiveLimits { rows_max, bytes_max, memory_bytes_max: 1 << 10 };
        let open = || ArchiveWriter::open(dir.path(), &manifest(begin, seed % 2 == 0), limits).unwrap();
        let archives = [open(), open()];
        let mut writers = archives.each_ref().map(|archive| archive.partition(1).unwrap());
        let end = all.last().unwrap().offset + 1;
        while archives[0].partition(1).unwrap().next() < end {
            let turn = seeded.below(2) as usize;
            step(seeded, &archives[turn], &mut writers[turn], &all);
        }
        check(seeded, dir.path(), begin, &all, &format!("seed {seed}"));
    }
}

/// Reads the archive in all ways, from everywhere.
fn check(seeded: &mut Seeded, dir: &Path, begin: u64, all: &[Record], what: &str) {
    let expected: Vec<_> = all.iter().cloned().map(|record| Record { timestamp: None, ..record }).collect();
    let end = all.last().unwrap().offset + 1;
    let archive = Archive::open(dir).unwrap();
    let mut reader = archive.partition(1, true);
    assert_eq!((reader.begin().unwrap(), reader.end().unwrap()), (begin, end), "{what}");
    for _ in 0..40 {
        let from = begin + seeded.below(end - begin + 1);
        let (mut next, mut found) = (from, Vec::new());
        // Some readers stop on the way, and read on elsewhere.
        let stop = if seeded.below(2) == 0 { end } else { end.min(from + seeded.below(60)) };
        while next < stop {
            let offsets_max = 1 + seeded.below(50);
            let raw = reader.read(next, offsets_max as usize).unwrap().unwrap();
            assert_eq!(raw.first_offset, next, "{what}");
            assert!(raw.next_offset() > next && raw.next_offset() <= next + offsets_max, "{what}");
            assert!((0..raw.rows()).all(|row| (next..raw.next_offset()).contains(&raw.offset(row))), "{what}");
            found.extend(records(&raw));
            next = raw.next_offset();
        }
        let wanted = expected.iter().filter(|record| (from..next).contains(&record.offset));
        assert_eq!(found, wanted.cloned().collect::<Vec<_>>(), "{what}, from {from} up to {next}");
    }
    assert!(reader.read(end, 9).unwrap().is_none(), "{what}");
    let scan = Scan::of(dir, LogOptions::default(), true).unwrap();
    assert_eq!((scan.ends.next(0), scan.ends.next(1)), (0, end), "{what}");
    let batches = scan.units.iter().flat_map(|unit| unit.read(None, 7).unwrap());
    assert_eq!(batches.flat_map(|raw| records(&raw.unwrap())).collect::<Vec<_>>(), expected, "{what}");
    for cut in [0, begin + 1, begin + seeded.below(end - begin), end, u64::MAX] {
        let rows: u64 = scan.units.iter().map(|unit| unit.rows_before(cut).unwrap()).sum();
        assert_eq!(
            rows as usize,
            expected.iter().filter(|record| record.offset < cut).count(),
            "{what}, cut {cut}"
        );
    }
}

#[test]
fn an_archiver_that_dies_leaves_nothing_that_another_reads() {
    let dir = tempfile::tempdir().unwrap();
    let limits = ArchiveLimits { rows_max: 1_000, bytes_max: 1 << 20, memory_bytes_max: 1 << 20 };
    let all = partition(&mut Seeded(5), 0);
    let unfinished = || {
        let archive = ArchiveWriter::open(dir.path(), &manifest(0, false), limits).unwrap();
        let mut writer = archive.partition(1).unwrap();
        let left = &all[all.partition_point(|record| record.offset < writer.next())..];
        let (raw, timestamps) = batch(left, writer.next());
        writer.push(&raw, &timestamps).unwrap();
        (archive, writer)
    };
    let before = unfinished();
    let left = || std::fs::read_dir(dir.path().join("_unfinished/0")).unwrap().count();
    assert_eq!(left(), 1);
    // It dies without a word: its lock goes with it, and its file stays.
    let file = std::fs::read_dir(dir.path().join("_unfinished/0")).unwrap().next().unwrap().unwrap().path();
    drop(before);
    std::fs::write(file.with_file_name("torn.parquet"), "torn").unwrap();
    let (_archive, mut writer) = unfinished();
    writer.finish().unwrap();
    assert_eq!(left(), 0, "what the first one left is gone");
    check(&mut Seeded(6), dir.path(), 0, &all, "one file for each day");
}

#[test]
fn a_topic_that_was_made_again_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let limits = ArchiveLimits { rows_max: 1_000, bytes_max: 1 << 20, memory_bytes_max: 1 << 20 };
    let archive = ArchiveWriter::open(dir.path(), &manifest(0, false), limits).unwrap();
    let all = partition(&mut Seeded(7), 0);
    let mut writer = archive.partition(1).unwrap();
    let (raw, timestamps) = batch(&all, 0);
    writer.push(&raw, &timestamps).unwrap();
    writer.finish().unwrap();
    let writer = archive.partition(1).unwrap();
    let (next, last) = (writer.next(), all.len() - 1);
    assert_eq!(writer.last_offset(), Some(all[last].offset));
    let again = |record: Record| {
        let (raw, timestamps) = batch(std::slice::from_ref(&record), record.offset);
        writer.check_last(&raw, &timestamps)
    };
    again(all[last].clone()).unwrap();
    // A reader's schema may change what is decoded.
    again(Record { value: b"{}".to_vec(), problem: None, ..all[last].clone() }).unwrap();
    let is_other =
        |result: Result<(), LogError>| matches!(result, Err(LogError::Archive(ArchiveError::OtherTopic { .. })));
    assert!(is_other(again(Record { timestamp: Some(-1), ..all[last].clone() })));
    assert!(is_other(again(Record { key: Some(b"another".to_vec()), ..all[last].clone() })));
    assert!(is_other(writer.check_ends(0, next - 1)));
    writer.check_ends(next, next).unwrap();
    let overtaken = writer.check_ends(next + 1, next + 1);
    assert!(matches!(overtaken, Err(LogError::Archive(ArchiveError::Overtaken { .. }))), "{overtaken:?}");
    let of_other = ArchiveWriter::open(dir.path(), &Manifest::new("cluster/other", None, vec![0, 0]), limits);
    assert!(matches!(of_other, Err(LogError::Archive(ArchiveError::OtherLog { .. }))));
}

#[test]
fn a_file_that_is_not_as_archives_are_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let limits = ArchiveLimits { rows_max: 1_000, bytes_max: 1 << 20, memory_bytes_max: 1 << 20 };
    let archive = ArchiveWriter::open(dir.path(), &manifest(0, false), limits).unwrap();
    let mut writer = archive.partition(1).unwrap();
    let all = partition(&mut Seeded(8), 0);
    let (raw, timestamps) = batch(&all[..20], 0);
    writer.push(&raw, &timestamps).unwrap();
    let Finished::Added(files) = writer.finish().unwrap() else { panic!("nobody else writes") };
    let scan = || Scan::of(dir.path(), LogOptions::default(), true).map(|scan| scan.units.len());
    let (whole, units) = (std::fs::read(&files[0].path).unwrap(), scan().unwrap());
    for (name, part) in [("extra", "its column extra is none"), ("event", "it has no column event")] {
        rewrite(&whole, &files[0].path, name);
        let error = scan().unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(&files[0].path.display().to_string()), "{error}");
    }
    std::fs::write(&files[0].path, &whole).unwrap();
    assert_eq!(scan().unwrap(), units);
    std::fs::write(dir.path().join("day=1970-01-01/notes.txt"), "").unwrap();
    assert!(
        matches!(scan(), Err(LogError::Archive(ArchiveError::Foreign { path })) if path.ends_with("notes.txt"))
    );
    std::fs::write(dir.path().join("_archive.json"), "{").unwrap();
    assert!(matches!(scan(), Err(LogError::Archive(ArchiveError::Manifest { .. }))));
}

/// Writes a file of an archive again without a column, or with one more if it has none of the name.
fn rewrite(whole: &[u8], path: &Path, name: &str) {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes_of(whole)).unwrap();
    let footer = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
    let rows = reader.build().unwrap().next().unwrap().unwrap();
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let mut columns: Vec<_> =
        columns.map(|(field, column)| (field.name().clone(), column.clone(), true)).collect();
    match columns.iter().position(|(other, ..)| other == name) {
        Some(at) => drop(columns.remove(at)),
        None => {
            let extra: ArrayRef = Arc::new(Int64Array::from(vec![0; rows.num_rows()]));
            columns.push((name.to_owned(), extra, true));
        }
    }
    let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    for entry in footer.into_iter().filter(|entry| entry.key.starts_with("trifold")) {
        writer.append_key_value_metadata(entry);
    }
    writer.close().unwrap();
}

/// A file of these bytes.
fn bytes_of(whole: &[u8]) -> std::fs::File {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(whole).unwrap();
    file.rewind().unwrap();
    file
}
