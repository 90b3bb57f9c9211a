//! From what a batch came to, to what is emitted.
//!
//! Each event that counts emits one row: the canary's, if it takes the event's entity, and otherwise that of the version in
//! force. A canary with a state of its own has its rows emitted from where it has caught up: for the batches that both
//! feeds take at once. Events that do not count are told of once, by the version in force.

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use trifold_eventlog::{RawBatch, row_json};
use trifold_model::RowStatus;
use trifold_pipeline::row_table::{RowTable, RowTableError};
use trifold_pipeline::{Canary, Entities, Ingested, Outcome};

use crate::error::StreamError;
use crate::sink::{AsideKind, AsideLine, Emission};
use crate::step::{Computed, Folded, check_answered};

/// What a batch emits for one of the feeds that took it; nothing for a version that is tried out.
pub(crate) fn emission(
    raw: &RawBatch,
    folded: &Folded,
    all: &[Folded],
    digest: bool,
) -> Result<Option<Emission>, StreamError> {
    let (None, Some(own)) = (folded.task.role, folded.computed.first()) else { return Ok(None) };
    let apart = folded.task.canary_feed().and_then(|(feed, canary)| {
        let beside = all.iter().find(|other| other.feed == feed)?;
        Some((beside.computed.first()?, *canary))
    });
    let (left, canary) = match apart {
        Some((computed, canary)) => (Entities::Left(canary), Some((computed, Entities::Taken(canary)))),
        None => (Entities::All, folded.computed.get(1).map(|shared| (shared, Entities::All))),
    };
    let mut aside: Vec<_> = folded.computed.iter().flat_map(|computed| excluded(&computed.ingested)).collect();
    let mut table = |computed: &Computed, entities| {
        check_answered(&folded.feed, &computed.ingested)?;
        emitted(computed, entities, digest, &mut aside)
            .map_err(|source| StreamError::Table { view: folded.feed.view.clone(), source })
    };
    let rows = table(own, left)?;
    let canary = canary.map(|(computed, entities)| table(computed, entities)).transpose()?;
    // An event that conflicts with an earlier one can emit an error row as well.
    aside.sort_by_key(|line| (line.offset, line.kind));
    aside.iter_mut().for_each(|line| line.first = raw.first_place(line.offset));
    let (feed, partition, first_offset) = (folded.feed.clone(), raw.partition, raw.first_offset);
    Ok(Some(Emission { feed, partition, first_offset, rows, canary, aside }))
}

/// The rows of some entities; those whose trouble has a message that the row itself does not carry are told aside.
fn emitted(
    computed: &Computed,
    entities: Entities,
    digest: bool,
    aside: &mut Vec<AsideLine>,
) -> Result<RecordBatch, RowTableError> {
    let Computed { version, arrivals, ingested, .. } = computed;
    let table = RowTable::of_events(version.view(), *arrivals, digest).ingested(version, ingested)?;
    let taken = |canary: Canary| canary.taken(version.view(), &ingested.events.inputs);
    let kept = match entities {
        Entities::All => {
            aside.extend(troubled(ingested).map(|(_, line)| line));
            return Ok(table);
        }
        Entities::Taken(canary) => taken(canary)?,
        Entities::Left(canary) => taken(canary)?.into_iter().map(|taken| !taken).collect(),
    };
    aside.extend(troubled(ingested).filter(|(row, _)| kept[*row]).map(|(_, line)| line));
    Ok(filter_record_batch(&table, &BooleanArray::from(kept))?)
}

/// Rows whose trouble has a message that the row itself does not carry.
fn troubled(ingested: &Ingested) -> impl Iterator<Item = (usize, AsideLine)> {
    let Ingested { rows, events, .. } = ingested;
    rows.outcomes().iter().enumerate().filter_map(|(row, outcome)| {
        let (kind, detail) = match outcome {
            Outcome::Known(RowStatus::Error(code)) => {
                let message = rows.message(row).unwrap_or_default();
                (AsideKind::RowError, format!("code {code}: {message}"))
            }
            Outcome::Known(_) => return None,
            Outcome::Unavailable(reason) => (AsideKind::Unavailable, reason.clone()),
        };
        let (offset, event) = (events.offsets[row], row_json(&events.inputs, row));
        Some((row, AsideLine { offset, first: None, kind, detail, event }))
    })
}

/// Events that do not count.
fn excluded(ingested: &Ingested) -> impl Iterator<Item = AsideLine> {
    ingested.aside.iter().map(|aside| AsideLine {
        offset: aside.offset,
        first: None,
        kind: AsideKind::Excluded(aside.reason),
        detail: aside.detail.clone(),
        event: aside.event.clone(),
    })
}
