//! The departures of the log: which entities they are about, and what can be asked about them.

use std::collections::BTreeSet;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, RecordBatch, UInt64Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use trifold_eventlog::{FileLog, LogOptions, decode_columns};
use trifold_model::view::arrow_schema;
use trifold_model::{CanonicalRows, EntityKey, EventTime, Field, FieldType, decode_keys};

use crate::error::DemoError;

const READ_ROWS: usize = 8192;
const EVENT_TIME: &str = "event_time";
/// Of so many departures, one is asked about.
const SAMPLED: u64 = 50;

/// What there is to look up.
pub(crate) struct Questions {
    /// The fields by which a view is asked, row by row.
    pub(crate) columns: RecordBatch,
    /// The latest event time of the log.
    pub(crate) latest: EventTime,
}

/// The entities of a view with these key fields, each once. Departures without a key belong to none.
pub(crate) fn entities(events: &Path, fields: &[Field]) -> Result<Questions, DemoError> {
    let mut entities = BTreeSet::new();
    let latest = scan(events, fields, |_, columns| {
        entities.extend(keys(&columns)?);
        Ok(())
    })?;
    Ok(Questions { columns: decode_keys(fields, &entities)?, latest })
}

/// A sample of the departures as requests with these fields.
pub(crate) fn requests(events: &Path, fields: &[Field]) -> Result<Questions, DemoError> {
    let mut sampled = Vec::new();
    let latest = scan(events, fields, |first, columns| {
        let numbers = (0..columns.num_rows() as u64).filter(|row| (first + row).is_multiple_of(SAMPLED));
        sampled.push(take_record_batch(&columns, &UInt64Array::from_iter_values(numbers))?);
        Ok(())
    })?;
    Ok(Questions { columns: concat_batches(&arrow_schema(fields), &sampled)?, latest })
}

/// Reads columns of the log, batch by batch with the offset of its first row, and returns the latest event time.
fn scan(
    events: &Path,
    fields: &[Field],
    mut each: impl FnMut(u64, RecordBatch) -> Result<(), DemoError>,
) -> Result<EventTime, DemoError> {
    let mut wanted: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.ty)).collect();
    wanted.push((EVENT_TIME, FieldType::Timestamp));
    // Any of them may be missing in the log, whatever a view makes of that.
    let fields: Vec<_> = fields.iter().map(|field| Field { nullable: true, ..field.clone() }).collect();
    let mut log = FileLog::open(events, LogOptions::default())?;
    let (mut latest, mut next) = (EventTime(i64::MIN), 0);
    while let Some(raw) = log.read(next, READ_ROWS)? {
        let first = next;
        next = raw.next_offset();
        let mut columns = decode_columns(&raw, &wanted)?;
        if let Some(times) = columns.pop() {
            let times = times.array.as_primitive::<TimestampMicrosecondType>().iter().flatten();
            latest = times.map(EventTime).fold(latest, EventTime::max);
        }
        let columns = columns.into_iter().map(|column| column.array).collect();
        each(first, RecordBatch::try_new(arrow_schema(&fields), columns)?)?;
    }
    Ok(latest)
}

fn keys(columns: &RecordBatch) -> Result<Vec<EntityKey>, DemoError> {
    let canonical = CanonicalRows::new(columns)?;
    let mut scratch = Vec::new();
    let whole = |row: &usize| columns.columns().iter().all(|column| column.is_valid(*row));
    Ok((0..columns.num_rows()).filter(whole).map(|row| canonical.key(row, &mut scratch)).collect())
}
