//! The entities of the log: what there is to look up.

use std::collections::BTreeSet;
use std::path::Path;

use arrow_array::{Array, RecordBatch, cast::AsArray, types::TimestampMicrosecondType};
use trifold_eventlog::{FileLog, LogOptions, decode_columns};
use trifold_model::{CanonicalRows, EntityKey, EventTime, Field, FieldType};

use crate::error::DemoError;

const READ_ROWS: usize = 8192;
const EVENT_TIME: &str = "event_time";

/// The entities of a log, each once, and its latest event time.
pub(crate) struct Entities {
    pub(crate) keys: BTreeSet<EntityKey>,
    pub(crate) latest: EventTime,
}

/// Reads a log for the entities of a view with these key fields. Events without a key belong to none.
pub(crate) fn of_log(events: &Path, fields: &[Field]) -> Result<Entities, DemoError> {
    let mut wanted: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.ty)).collect();
    wanted.push((EVENT_TIME, FieldType::Timestamp));
    let mut log = FileLog::open(events, LogOptions::default())?;
    let mut entities = Entities { keys: BTreeSet::new(), latest: EventTime(i64::MIN) };
    let mut next = 0;
    while let Some(raw) = log.read(next, READ_ROWS)? {
        next = raw.next_offset();
        let mut columns = decode_columns(&raw, &wanted)?;
        if let Some(times) = columns.pop() {
            let times = times.array.as_primitive::<TimestampMicrosecondType>().iter().flatten();
            entities.latest = times.map(EventTime).fold(entities.latest, EventTime::max);
        }
        let named = fields.iter().zip(columns).map(|(field, column)| (field.name.as_str(), column.array));
        entities.keys.extend(keys(&RecordBatch::try_from_iter(named)?)?);
    }
    Ok(entities)
}

fn keys(columns: &RecordBatch) -> Result<Vec<EntityKey>, DemoError> {
    let canonical = CanonicalRows::new(columns)?;
    let mut scratch = Vec::new();
    let whole = |row: &usize| columns.columns().iter().all(|column| column.is_valid(*row));
    Ok((0..columns.num_rows()).filter(whole).map(|row| canonical.key(row, &mut scratch)).collect())
}
