//! Lookups of many rows, and the same questions as a spine for the backfill.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use trifold_eventlog::{RowFileWriter, RowFormat};
use trifold_model::types::UTC;
use trifold_model::{EventTime, RowStatus};
use trifold_pipeline::Outcome;
use trifold_server::client::{Client, ViewRows};

use crate::digests::Digests;
use crate::error::DemoError;

/// Rows of one request.
const REQUEST_ROWS: usize = 1000;

/// What the server answered about every row that was asked of a view.
pub(crate) struct LookedUp {
    /// The as-of time of each answer, in the order of the rows.
    pub(crate) as_of: Vec<EventTime>,
    /// The digest of what arrived, by the number of the row.
    pub(crate) digests: Digests,
    /// The offset of the first event that the answers do not include.
    pub(crate) next_offset: u64,
    /// How many answers had which status.
    pub(crate) statuses: BTreeMap<String, u64>,
}

/// Looks every row up at a time.
pub(crate) async fn every_row(
    client: &mut Client,
    view: &str,
    columns: &RecordBatch,
    as_of: EventTime,
) -> Result<LookedUp, DemoError> {
    let mut looked_up =
        LookedUp { as_of: Vec::new(), digests: Digests::new(), next_offset: 0, statuses: BTreeMap::new() };
    for request in requests(columns, REQUEST_ROWS) {
        let answer = client.get(&[view.to_owned()], &request, Some(as_of)).await?;
        let [rows] = answer.views.as_slice() else {
            return Err(DemoError::Unexpected(format!("asked for view {view}, the server answered for others")));
        };
        let first = looked_up.as_of.len() as u64;
        looked_up.digests.extend((first..).zip(digests_of(rows)?));
        looked_up.next_offset = next_offset(rows)?;
        looked_up.as_of.extend(answer.as_of);
        for outcome in rows.rows.outcomes() {
            *looked_up.statuses.entry(status_name(outcome).to_owned()).or_default() += 1;
        }
    }
    Ok(looked_up)
}

/// The digests of what arrived, which must be those that the server sent beside it.
pub(crate) fn digests_of(rows: &ViewRows) -> Result<Vec<Option<[u8; 16]>>, DemoError> {
    let digests = rows.rows.digests()?;
    if digests != rows.digests {
        let message = format!("view {}: the digests beside an answer are not those of its rows", rows.view);
        return Err(DemoError::Unexpected(message));
    }
    Ok(digests.into_iter().map(|digest| digest.map(|digest| digest.0)).collect())
}

/// The offset at which the state stands that was read; of an on-demand view, those of all that it read.
fn next_offset(rows: &ViewRows) -> Result<u64, DemoError> {
    let read = rows.reads.iter().map(|read| &read.position);
    let positions: Vec<_> = if rows.reads.is_empty() { vec![&rows.position] } else { read.collect() };
    let mut next = positions.iter().map(|position| position.as_ref().map(|position| position.positions.next(0)));
    match next.next().flatten() {
        Some(first) if next.all(|next| next == Some(first)) => Ok(first),
        _ => Err(DemoError::Unexpected(format!("view {}: the server reads states that do not agree", rows.view))),
    }
}

fn status_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Known(RowStatus::Error(_)) => "error",
        Outcome::Known(status) => status.name(),
        Outcome::Unavailable(_) => "unavailable",
    }
}

/// Writes the questions of lookups as a spine: what they ask with, and `as_of`.
pub(crate) fn write_spine(path: &Path, columns: &RecordBatch, as_of: &[EventTime]) -> Result<(), DemoError> {
    let times = TimestampMicrosecondArray::from_iter_values(as_of.iter().map(|time| time.0)).with_timezone(UTC);
    let schema = columns.schema();
    let named = schema.fields().iter().map(|field| field.name().as_str()).zip(columns.columns().iter().cloned());
    let spine = RecordBatch::try_from_iter(named.chain([("as_of", Arc::new(times) as ArrayRef)]))?;
    let mut writer = RowFileWriter::create(path, spine.schema(), RowFormat::Parquet)?;
    writer.write(&spine)?;
    writer.finish()?;
    Ok(())
}

/// Rows in requests of so many each.
pub(crate) fn requests(columns: &RecordBatch, rows: usize) -> impl Iterator<Item = RecordBatch> {
    let count = columns.num_rows();
    (0..count).step_by(rows).map(move |first| columns.slice(first, rows.min(count - first)))
}
