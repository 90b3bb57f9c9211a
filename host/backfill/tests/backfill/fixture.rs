//! Logs, guests and jobs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use tempfile::TempDir;
use trifold_backfill::{Backfill, BackfillError, Job, Output, Report, Resources, Watch};
use trifold_eventlog::{RowFileWriter, RowFormat, SourceConfig, read_row_files};
use trifold_model::types::UTC;
use trifold_model::{EventTime, FieldType, RowDigest, RowStatus, Span};
use trifold_pipeline::{ArrivalPolicy, Ask, LiveVersion, Outcome, RowTable, read_rows};
use trifold_sandbox::{Sandbox, SandboxConfig};
use trifold_wat_guest::{Guest, field, row_view};

/// An event of the tests. Its value is its offset, so that a row tells which event it was computed from.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) key: i64,
    /// Seconds.
    pub(crate) time: i64,
    pub(crate) id: String,
    /// Seconds.
    pub(crate) arrival: i64,
}

/// What a view says of time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) ttl: Option<u64>,
    pub(crate) lateness: Option<u64>,
    pub(crate) max_early: Option<u64>,
}

pub(crate) fn seconds(time: i64) -> EventTime {
    EventTime(time * 1_000_000)
}

pub(crate) fn span(seconds: u64) -> Span {
    Span::from_seconds(seconds).unwrap()
}

/// Sebastiano Vigna's SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new(SandboxConfig::default()).unwrap());

/// A view that answers its inputs: key, value (the offset), event time and event id, and optionally padding.
pub(crate) fn echo(limits: Limits, padded: bool) -> LiveVersion {
    let mut fields = vec![
        field("key", "int64"),
        field("value", "int64"),
        field("event_time", "timestamp"),
        field("event_id", "utf8"),
    ];
    if padded {
        fields.push(field("padding", "utf8"));
    }
    let mut description = row_view("echo", &fields, &fields);
    for (name, limit) in [
        ("ttl-seconds", limits.ttl),
        ("lateness-seconds", limits.lateness),
        ("max-early-seconds", limits.max_early),
    ] {
        if let Some(limit) = limit {
            description[name] = limit.into();
        }
    }
    let wasm = Guest::new(description).build().unwrap();
    LiveVersion { version: 3, release: None, transform: SANDBOX.admit(&wasm).unwrap() }
}

/// Events with few keys, times and ids, so that they tie, repeat and come out of order.
pub(crate) fn random_events(random: &mut Random, count: usize) -> Vec<Event> {
    (0..count)
        .map(|index| {
            let time = index as i64 / 4 + random.below(12) as i64;
            Event {
                key: random.below(5) as i64,
                time,
                id: ["a", "b", "c", "é"][random.below(4) as usize].to_owned(),
                arrival: (time + random.below(14) as i64 - 4).max(0),
            }
        })
        .collect()
}

fn schema(padding: usize) -> SchemaRef {
    let timestamp = FieldType::Timestamp.to_arrow();
    let mut fields = vec![
        Field::new("event_id", DataType::Utf8, false),
        Field::new("event_time", timestamp.clone(), false),
        Field::new("arrived", timestamp, false),
        Field::new("key", DataType::Int64, false),
        Field::new("value", DataType::Int64, false),
    ];
    if padding > 0 {
        fields.push(Field::new("padding", DataType::Utf8, false));
    }
    Arc::new(Schema::new(fields))
}

pub(crate) fn batch(events: &[Event], first: u64, padding: usize) -> RecordBatch {
    let times = |time: fn(&Event) -> i64| -> ArrayRef {
        let times = events.iter().map(|event| seconds(time(event)).0);
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone(UTC))
    };
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(events.iter().map(|event| &event.id))),
        times(|event| event.time),
        times(|event| event.arrival),
        Arc::new(Int64Array::from_iter_values(events.iter().map(|event| event.key))),
        Arc::new(Int64Array::from_iter_values((0..events.len() as i64).map(|row| first as i64 + row))),
    ];
    if padding > 0 {
        let text = |row: usize| format!("{row:0padding$}");
        columns.push(Arc::new(StringArray::from_iter_values((0..events.len()).map(text))));
    }
    RecordBatch::try_new(schema(padding), columns).unwrap()
}

/// Writes events as a log of several segments, of both formats by turns.
pub(crate) fn write_log(dir: &Path, events: &[Event], segments: usize, padding: usize) {
    let mut first = 0;
    for segment in 0..segments {
        let end = events.len() * (segment + 1) / segments;
        let format = if segment % 2 == 0 { RowFormat::Parquet } else { RowFormat::JsonLines };
        let path = dir.join(format!("{segment:04}.{}", format.extension()));
        let mut file = RowFileWriter::create(&path, schema(padding), format).unwrap();
        for chunk in (first..end).collect::<Vec<_>>().chunks(1000) {
            let rows = &events[chunk[0]..chunk[chunk.len() - 1] + 1];
            file.write(&batch(rows, chunk[0] as u64, padding)).unwrap();
        }
        file.finish().unwrap();
        first = end;
    }
}

/// A log and a place for rows.
pub(crate) struct Scene {
    _dir: TempDir,
    pub(crate) log: PathBuf,
    pub(crate) out: PathBuf,
}

impl Scene {
    pub(crate) fn new(events: &[Event], segments: usize) -> Scene {
        Scene::padded(events, segments, 0)
    }

    pub(crate) fn padded(events: &[Event], segments: usize, padding: usize) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        write_log(&log, events, segments, padding);
        Scene { log, out: dir.path().join("out"), _dir: dir }
    }

    pub(crate) fn job(&self, version: &LiveVersion, ask: Ask, before: bool, recorded: bool) -> Job {
        let arrival = recorded.then(|| "arrived".to_owned());
        Job {
            version: version.clone(),
            log: self.log.clone(),
            log_name: None,
            checks_keys: true,
            source: SourceConfig { arrival, ..SourceConfig::default() },
            ask,
            before,
            arrivals: ArrivalPolicy::new(version.view(), recorded, true).unwrap(),
            until: None,
        }
    }

    pub(crate) fn backfill(&self, job: Job, shards: u32) -> Backfill {
        Backfill {
            job,
            spine: None,
            output: Output { dir: self.out.clone(), format: RowFormat::Parquet, digest: true, overwrite: true },
            resources: Resources { shards, ..Resources::default() },
            watch: Watch::default(),
        }
    }
}

/// One row of a backfill's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) as_of: EventTime,
    pub(crate) status: RowStatus,
    /// The offset of the event that it was computed from.
    pub(crate) value: Option<i64>,
    pub(crate) digest: RowDigest,
}

/// Runs a backfill and reads its files back, by the number that each row answers.
pub(crate) fn run(backfill: &Backfill) -> Result<(Report, BTreeMap<u64, Row>), BackfillError> {
    let report = backfill.run()?;
    let rows = read_back(backfill);
    assert_eq!(rows.len() as u64, report.counts.rows, "every number stands there once");
    Ok((report, rows))
}

pub(crate) fn read_back(backfill: &Backfill) -> BTreeMap<u64, Row> {
    let view = backfill.job.version.view();
    let schema = match (backfill.output.format, &backfill.spine) {
        (RowFormat::JsonLines, None) => {
            Some(RowTable::of_events(view, backfill.job.arrivals, true).schema().clone())
        }
        _ => None,
    };
    let mut found = BTreeMap::new();
    for batch in read_row_files(&backfill.output.dir, schema).unwrap() {
        let read = read_rows(view, &batch.unwrap()).unwrap();
        let digests = read.rows.digests().unwrap();
        assert_eq!(read.digests.as_ref(), Some(&digests), "the digests are those of the rows");
        let values = read.rows.outputs().column_by_name("value").unwrap().clone();
        let values = arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(&values).clone();
        for (index, outcome) in read.rows.outcomes().iter().enumerate() {
            let Outcome::Known(status) = outcome else { panic!("row {index} is unavailable: {outcome:?}") };
            let row = Row {
                as_of: read.as_of[index],
                status: *status,
                value: (*status == RowStatus::Value).then(|| values.value(index)),
                digest: digests[index].unwrap(),
            };
            let number = read.numbers[index];
            assert!(found.insert(number, row).is_none(), "number {number} stands there twice");
        }
    }
    found
}
