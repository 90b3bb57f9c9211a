//! What stands in a file of an archive.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
    UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use parquet::file::metadata::KeyValue;
use trifold_model::FieldType;
use trifold_model::types::UTC;

use super::manifest::shown;
use super::{ArchiveError, Manifest, chain};
use crate::raw::{JsonLines, Places, RawBatch, RawRows};
use crate::segment::parquet::ParquetSegment;
use crate::{ArrivalClock, LogError};

const OFFSET: &str = "offset";
const TIMESTAMP: &str = "timestamp";
const APPENDED: &str = "appended";
const KEY: &str = "key";
const EVENT: &str = "event";
const RAW: &str = "raw";
const PROBLEM: &str = "problem";

/// The columns of every file.
pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("partition", DataType::UInt32, false),
        Field::new(OFFSET, DataType::UInt64, false),
        // The arrival of the event, which never decreases; null where it has none that can be read.
        Field::new("arrival", FieldType::Timestamp.to_arrow(), true),
        // The time of the record, and whether the broker set it when it appended the record.
        Field::new(TIMESTAMP, FieldType::Timestamp.to_arrow(), true),
        Field::new(APPENDED, DataType::Boolean, false),
        Field::new(KEY, DataType::Binary, true),
        // The event as JSON, or else the value of the record and, if that is known, why it is none.
        Field::new(EVENT, DataType::Utf8, true),
        Field::new(RAW, DataType::Binary, true),
        Field::new(PROBLEM, DataType::Utf8, true),
    ]))
}

/// Rows of a file: those of a batch from one row up to another. `timestamps` and `arrivals` have one entry for each row of
/// the batch.
pub(super) fn rows(
    raw: &RawBatch,
    rows: std::ops::Range<usize>,
    timestamps: &[Option<i64>],
    arrivals: &[Option<i64>],
) -> Result<RecordBatch, ArrowError> {
    let RawRows::Lines(lines) = &raw.rows else {
        return Err(ArrowError::InvalidArgumentError("records of a topic are lines".to_owned()));
    };
    let times = |of: &[Option<i64>]| -> ArrayRef {
        let times: TimestampMicrosecondArray = of[rows.clone()].iter().copied().collect();
        Arc::new(times.with_timezone(UTC))
    };
    let problem =
        |row: usize| raw.bad().binary_search_by_key(&row, |(bad, _)| *bad).ok().map(|at| raw.bad()[at].1.as_str());
    // A record without a value has neither: its problem says so.
    let value = |row: usize| Some(lines.line(row)).filter(|line| !line.is_empty() || problem(row).is_none());
    let event =
        |row: usize| value(row).filter(|_| problem(row).is_none()).and_then(|line| std::str::from_utf8(line).ok());
    let undecoded = |row: usize| value(row).filter(|_| event(row).is_none());
    let key = |row: usize| raw.keys().and_then(|keys| keys[row].as_deref());
    let appended = |row: usize| Some(raw.append_times().is_some_and(|times| times[row].is_some()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from(vec![raw.partition; rows.len()])),
        Arc::new(UInt64Array::from_iter_values(rows.clone().map(|row| raw.offset(row)))),
        times(arrivals),
        times(timestamps),
        Arc::new(rows.clone().map(appended).collect::<BooleanArray>()),
        Arc::new(rows.clone().map(key).collect::<BinaryArray>()),
        Arc::new(rows.clone().map(event).collect::<StringArray>()),
        Arc::new(rows.clone().map(undecoded).collect::<BinaryArray>()),
        Arc::new(rows.clone().map(problem).collect::<StringArray>()),
    ];
    RecordBatch::try_new(schema(), columns)
}

/// What a file says of itself in its footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct About {
    pub(super) log: String,
    pub(super) arrival: Option<String>,
    pub(super) partition: u32,
    /// The offset at which it begins; its first event may come later.
    pub(super) first: u64,
    /// The offset at which the next file begins.
    pub(super) next: u64,
    /// Where the clock stands that the days go by.
    pub(super) clock: ArrivalClock,
    /// The last record of the partition up to here, as the topic has it.
    pub(super) last: Option<LastRecord>,
}

/// Enough of a record to know it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastRecord {
    pub(super) offset: u64,
    pub(super) digest: String,
}

impl LastRecord {
    /// A record of a batch. What is decoded of it is left out: a reader's schema may have changed.
    pub(super) fn of(raw: &RawBatch, row: usize, timestamp: Option<i64>) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(&timestamp.unwrap_or(i64::MIN).to_le_bytes());
        if let Some(key) = raw.keys().and_then(|keys| keys[row].as_deref()) {
            hash.update(key);
        }
        LastRecord { offset: raw.offset(row), digest: hash.finalize().to_hex()[..32].to_owned() }
    }
}

const LOG: &str = "trifold.log";
const ARRIVAL: &str = "trifold.arrival";
const PARTITION: &str = "trifold.partition";
const FIRST: &str = "trifold.first";
const NEXT: &str = "trifold.next";
const CLOCK: &str = "trifold.clock";
const LAST_OFFSET: &str = "trifold.last-offset";
const LAST_DIGEST: &str = "trifold.last-digest";

impl About {
    pub(super) fn key_values(&self) -> Vec<KeyValue> {
        let clock = self.clock.state().map_or_else(String::new, |state| state.to_string());
        [
            (LOG, self.log.clone()),
            (ARRIVAL, self.arrival.clone().unwrap_or_default()),
            (PARTITION, self.partition.to_string()),
            (FIRST, self.first.to_string()),
            (NEXT, self.next.to_string()),
            (CLOCK, clock),
            (LAST_OFFSET, self.last.as_ref().map_or_else(String::new, |last| last.offset.to_string())),
            (LAST_DIGEST, self.last.as_ref().map_or_else(String::new, |last| last.digest.clone())),
        ]
        .into_iter()
        .map(|(key, value)| KeyValue::new(key.to_owned(), value))
        .collect()
    }

    fn read(text: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |key: &str| text(key)?.parse::<u64>().ok();
        let clock = text(CLOCK)?;
        let clock = if clock.is_empty() { None } else { Some(clock.parse().ok()?) };
        Some(About {
            log: text(LOG)?,
            arrival: text(ARRIVAL).filter(|field| !field.is_empty()),
            partition: text(PARTITION)?.parse().ok()?,
            first: number(FIRST)?,
            next: number(NEXT)?,
            clock: ArrivalClock::restore(clock),
            last: number(LAST_OFFSET).zip(text(LAST_DIGEST)).map(|(offset, digest)| LastRecord { offset, digest }),
        })
    }
}

/// A file that is read.
pub(crate) struct ArchiveFile {
    path: Arc<Path>,
    segment: ParquetSegment,
    about: About,
    checks_keys: bool,
}

impl ArchiveFile {
    /// Opens a file, which must be what its name says and of the archive.
    pub(crate) fn open(path: Arc<Path>, manifest: &Manifest, checks_keys: bool) -> Result<Self, LogError> {
        let segment = ParquetSegment::open(path.clone(), None)?;
        let wrong = |detail: &str| ArchiveError::File { file: path.to_path_buf(), detail: detail.to_owned() };
        let about = About::read(|key| segment.key_value(key))
            .ok_or_else(|| wrong("its footer does not say what it holds"))?;
        let at = || path.to_path_buf();
        if about.log != manifest.log {
            let (found, wanted) = (about.log, manifest.log.clone());
            return Err(ArchiveError::OtherLog { at: at(), found, wanted }.into());
        }
        if about.arrival != manifest.arrival {
            let (found, wanted) = (shown(about.arrival.as_deref()), shown(manifest.arrival.as_deref()));
            return Err(ArchiveError::OtherArrival { at: at(), found, wanted }.into());
        }
        if chain::parse(&path) != Some((about.partition, about.first)) {
            let (partition, first) = (about.partition, about.first);
            return Err(wrong(&format!("it holds partition {partition} from offset {first} on")).into());
        }
        let columns = |schema: &Schema| {
            schema
                .fields()
                .iter()
                .map(|field| (field.name().clone(), field.data_type().clone()))
                .collect::<Vec<_>>()
        };
        let (found, wanted) = (columns(segment.file_schema()), columns(&schema()));
        if let Some((name, ty)) = wanted.iter().find(|column| !found.contains(column)) {
            return Err(wrong(&format!("it has no column {name} of type {ty}")).into());
        }
        if let Some((name, _)) = found.iter().find(|column| !wanted.contains(column)) {
            return Err(wrong(&format!("its column {name} is none of an archive's")).into());
        }
        Ok(ArchiveFile { path, segment, about, checks_keys })
    }

    pub(crate) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    pub(crate) fn checks_keys(&self) -> bool {
        self.checks_keys
    }

    pub(super) fn about(&self) -> &About {
        &self.about
    }

    /// The offset at which it begins.
    pub(crate) fn first(&self) -> u64 {
        self.about.first
    }

    pub(crate) fn rows(&self) -> u64 {
        self.segment.rows()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.segment.bytes()
    }

    /// How many rows stand before an offset.
    pub(crate) fn rows_before(&mut self, offset: u64) -> Result<u64, LogError> {
        if offset <= self.about.first {
            return Ok(0);
        }
        if offset >= self.about.next {
            return Ok(self.rows());
        }
        let columns = [OFFSET.to_owned()].into();
        let mut narrow = ParquetSegment::open(self.path.clone(), Some(&columns))?;
        let mut row = 0;
        while let Some(batch) = narrow.read(row, usize::MAX).map_err(|error| self.from(row, error))? {
            let before = offsets(&batch).partition_point(|other| *other < offset);
            row += before as u64;
            if before < batch.num_rows() {
                break;
            }
        }
        Ok(row)
    }

    /// Up to so many rows from a row on; `None` at the end.
    pub(crate) fn read(&mut self, row: u64, rows_max: usize) -> Result<Option<RawBatch>, LogError> {
        let batch = self.segment.read(row, rows_max).map_err(|error| self.from(row, error))?;
        batch.map(|batch| self.raw(row, &batch)).transpose()
    }

    /// Names the offset from which on a file is damaged.
    fn from(&self, row: u64, error: LogError) -> LogError {
        match error {
            LogError::Damaged { file, row: at, detail } => {
                let (partition, first) = (self.about.partition, self.about.first);
                let detail = format!("partition {partition}, offset {} or later: {detail}", first + row);
                LogError::Damaged { file, row: at, detail }
            }
            error => error,
        }
    }

    fn raw(&self, row: u64, batch: &RecordBatch) -> Result<RawBatch, LogError> {
        let column = |name: &str| batch.column_by_name(name).cloned().unwrap_or_else(|| batch.column(0).clone());
        let (events, undecoded, problems) = (column(EVENT), column(RAW), column(PROBLEM));
        let (timestamps, appended, keys) = (column(TIMESTAMP), column(APPENDED), column(KEY));
        let bytes = |array: &ArrayRef, at: usize| -> Option<Vec<u8>> {
            let text = || array.as_string_opt::<i32>().map(|array| array.value(at).as_bytes());
            let value = array.as_binary_opt::<i32>().map(|array| array.value(at)).or_else(text);
            value.filter(|_| array.is_valid(at)).map(<[u8]>::to_vec)
        };
        let rows = || 0..batch.num_rows();
        let offsets = offsets(batch).to_vec();
        let in_order = offsets.windows(2).all(|pair| pair[0] < pair[1]);
        let within = |offset: &u64| (self.about.first..self.about.next).contains(offset);
        if !in_order || !offsets.iter().all(within) {
            let detail = format!("its offsets from row {row} on are out of order");
            return Err(ArchiveError::File { file: self.path.to_path_buf(), detail }.into());
        }
        let (times, appended) = (timestamps.as_primitive::<TimestampMicrosecondType>(), appended.as_boolean());
        let append_time = |at: usize| (appended.value(at) && times.is_valid(at)).then(|| times.value(at));
        let values: Vec<Vec<u8>> =
            rows().map(|at| bytes(&events, at).or_else(|| bytes(&undecoded, at)).unwrap_or_default()).collect();
        let problem = |at: usize| Some((at, String::from_utf8_lossy(&bytes(&problems, at)?).into_owned()));
        let next_offset = match row + batch.num_rows() as u64 == self.rows() {
            true => self.about.next,
            false => offsets.last().map_or(self.about.first, |last| last + 1),
        };
        Ok(RawBatch {
            partition: self.about.partition,
            first_offset: if row == 0 {
                self.about.first
            } else {
                offsets.first().copied().unwrap_or(self.about.next)
            },
            places: Some(Places {
                offsets,
                append_times: rows().map(append_time).collect(),
                keys: self.checks_keys.then(|| rows().map(|at| bytes(&keys, at)).collect()),
                bad: rows().filter_map(problem).collect(),
                carried: None,
                next_offset,
            }),
            file: self.path.clone(),
            rows: RawRows::Lines(values.iter().map(Vec::as_slice).collect::<JsonLines>()),
        })
    }
}

fn offsets(batch: &RecordBatch) -> &[u64] {
    batch.column_by_name(OFFSET).map_or(&[], |offsets| offsets.as_primitive::<UInt64Type>().values())
}
