//! Folding a batch of events into the records of a row view: per entity, the input row of its latest event in
//! canonical order.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use arrow_select::concat::concat_batches;
use trifold_eventlog::{Aside, AsideReason, Events, row_json};
use trifold_model::canonical::ForeignType;
use trifold_model::{
    CanonicalRows, DecodeError, EntityKey, EventTime, FeatureView, RowStatus, StateId, decode_rows,
};
use trifold_sandbox::Budget;
use trifold_store::{Output, RECORD_BYTES_MAX, Record, SlotChange};
use trifold_windows::{Damage, EntityChanges};

use crate::admission::admit;
use crate::rows::{Outcome, Rows};
use crate::values::{Latest, values};
use crate::version::LiveVersion;
use crate::windows::{FoldError, NotPrepared};

/// Why a batch could not be folded. Bad events never cause it; damaged records do.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A stored record does not decode as the view's inputs.
    #[error(
        "view {view}: the stored record of entity {entity} in state {state} is damaged: {source}; clear the state \
         and replay the log"
    )]
    Record {
        /// The view's name.
        view: String,
        /// The state.
        state: StateId,
        /// The entity; empty if only all records together do not decode.
        entity: EntityKey,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Arrow refused an operation.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// A column of a type outside the contract.
    #[error(transparent)]
    Type(#[from] ForeignType),
    /// The slots of an entity of a window view do not decode.
    #[error(
        "view {view}: the tiles of entity {entity} in state {state} are damaged: {source}; clear the state and replay \
         the log"
    )]
    Tiles {
        /// The view's name.
        view: String,
        /// The state.
        state: StateId,
        /// The entity.
        entity: EntityKey,
        /// What is wrong with them.
        source: Damage,
    },
    /// An event of a window view could not be prepared, for a reason that says nothing of it.
    #[error(transparent)]
    NotPrepared(#[from] NotPrepared),
    /// A plan of folds could not be carried out.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The view has no windows.
    #[error("view {view} is not a window view")]
    Kind {
        /// The view's name.
        view: String,
    },
}

/// A batch of events of one view, admitted and keyed; it waits for the records of [`Ingest::entities`].
pub struct Ingest {
    view: FeatureView,
    events: Events,
    /// The entity of each event, as an index into `entities`.
    entity: Vec<usize>,
    entities: Vec<EntityKey>,
    fields: Vec<Vec<u8>>,
}

/// What changed in the store, by entity key in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Of a row view.
    Records(Vec<(EntityKey, Record)>),
    /// Of a window view.
    Slots(SlotChanges),
}

/// What changed of the entities of a window view.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotChanges {
    /// In the form in which entities are stored.
    pub stored: Vec<SlotChange>,
    /// With every slot by itself, if that was asked for.
    pub parts: Vec<SlotChange>,
}

impl SlotChanges {
    /// Adds what changed of one entity.
    pub(crate) fn add(&mut self, key: &EntityKey, changes: EntityChanges) {
        let change = |(slot, bytes)| SlotChange { key: key.clone(), slot, bytes };
        self.stored.extend(changes.slots.into_iter().map(change));
        self.parts.extend(changes.parts.into_iter().map(change));
    }

    /// Adds what changed of others.
    pub fn append(&mut self, mut others: SlotChanges) {
        self.stored.append(&mut others.stored);
        self.parts.append(&mut others.parts);
    }
}

/// What a batch of events changed and emitted.
pub struct Ingested {
    /// What changed in the store.
    pub changes: Changes,
    /// One row for each admitted event: the view's value at that event's position.
    pub rows: Rows,
    /// The as-of time of each row.
    pub as_of: Vec<EventTime>,
    /// The admitted events, row for row with `rows`.
    pub events: Events,
    /// Events that do not count, ascending by offset.
    pub aside: Vec<Aside>,
    /// Events that equalled the entity's latest and were counted once.
    pub duplicate_count: u64,
}

/// The latest event of an entity: from the store, or from this batch.
struct Winner {
    time: EventTime,
    id: String,
    /// Row of the combined inputs.
    row: u32,
    /// Row of the batch, if it is from there.
    from_batch: Option<usize>,
}

impl Ingest {
    /// Sets aside what does not count and computes the entity key of every other event.
    pub fn new(view: &FeatureView, events: Events) -> Result<Self, IngestError> {
        let events = admit::<IngestError>(view, events)?;
        let count = events.times.len();
        let mut places = BTreeMap::new();
        let mut entities = Vec::new();
        let mut entity = Vec::with_capacity(count);
        let mut fields = Vec::with_capacity(count);
        let keys = CanonicalRows::of_columns(&events.inputs, view.key_columns().iter().copied())?;
        let rows = CanonicalRows::new(&events.inputs)?;
        let mut scratch = Vec::new();
        for row in 0..count {
            let key = keys.key(row, &mut scratch);
            let place = *places.entry(key).or_insert_with_key(|key| {
                entities.push(key.clone());
                entities.len() - 1
            });
            entity.push(place);
            let mut bytes = Vec::new();
            rows.write_fields(row, &mut bytes);
            fields.push(bytes);
        }
        Ok(Ingest { view: view.clone(), events, entity, entities, fields })
    }

    /// The entities whose records [`Ingest::fold`] needs, each once.
    pub fn entities(&self) -> &[EntityKey] {
        &self.entities
    }

    /// Folds the events onto the records as they were before the batch, `records[i]` being that of
    /// `entities()[i]`, and computes the row that each event emits. `keep_outputs` puts values beside the records
    /// that they were computed from.
    pub fn fold(
        mut self,
        records: &[Option<Record>],
        version: &LiveVersion,
        keep_outputs: bool,
        budget: &mut Budget,
    ) -> Result<Ingested, IngestError> {
        let (prior, mut winners) = self.prior(records)?;
        let (choice, conflicts, duplicate_count) = self.choose(&prior, records, &mut winners);
        let as_of: Vec<_> = choice.iter().map(|(_, time)| *time).collect();
        let latest = Latest {
            known: None,
            times: records
                .iter()
                .flatten()
                .map(|record| record.event_time)
                .chain(self.events.times.iter().copied())
                .collect(),
            inputs: Some(concat_batches(self.view.input_schema(), [&prior, &self.events.inputs])?),
            choice: choice.iter().map(|(row, _)| Some(*row)).collect(),
        };
        let rows = values(version, &latest, &as_of, budget)?;
        let mut puts = self.puts(&winners);
        if keep_outputs {
            keep(&mut puts, &self.events.offsets, version, &rows)?;
        }
        let mut aside = std::mem::take(&mut self.events.aside);
        aside.extend(conflicts);
        aside.sort_by_key(|aside| aside.offset);
        Ok(Ingested { changes: Changes::Records(puts), rows, as_of, events: self.events, aside, duplicate_count })
    }

    /// The inputs of the prior records, and the winner of each entity before the batch.
    fn prior(&self, records: &[Option<Record>]) -> Result<(RecordBatch, Vec<Option<Winner>>), IngestError> {
        let fields = records.iter().flatten().map(|record| record.fields.as_slice());
        let inputs = decode_rows(&self.view.inputs, fields).map_err(|source| self.damaged(records, source))?;
        let mut row = 0;
        let winners = records
            .iter()
            .map(|record| {
                record.as_ref().map(|record| {
                    row += 1;
                    Winner { time: record.event_time, id: record.event_id.clone(), row: row - 1, from_batch: None }
                })
            })
            .collect();
        Ok((inputs, winners))
    }

    /// Names the entity of the record that does not decode.
    fn damaged(&self, records: &[Option<Record>], source: DecodeError) -> IngestError {
        let (view, state) = (self.view.name.to_string(), self.view.state_id());
        for (entity, record) in self.entities.iter().zip(records) {
            let fields = record.iter().map(|record| record.fields.as_slice());
            if let Err(source) = decode_rows(&self.view.inputs, fields) {
                return IngestError::Record { view, state, entity: entity.clone(), source };
            }
        }
        IngestError::Record { view, state, entity: EntityKey(Box::default()), source }
    }

    /// Walks the events in the order of the log; for each, which row is the entity's latest after it.
    fn choose(
        &self,
        prior: &RecordBatch,
        records: &[Option<Record>],
        winners: &mut [Option<Winner>],
    ) -> (Vec<(u32, EventTime)>, Vec<Aside>, u64) {
        let mut choice = Vec::with_capacity(self.entity.len());
        let mut conflicts = Vec::new();
        let mut duplicate_count = 0;
        for (row, &entity) in self.entity.iter().enumerate() {
            let (time, id) = (self.events.times[row], self.events.ids.value(row));
            let winner = &mut winners[entity];
            match winner.as_ref().map(|winner| (time, id).cmp(&(winner.time, winner.id.as_str()))) {
                None | Some(std::cmp::Ordering::Greater) => {
                    let combined = (prior.num_rows() + row) as u32;
                    *winner = Some(Winner { time, id: id.to_owned(), row: combined, from_batch: Some(row) });
                }
                Some(std::cmp::Ordering::Less) => {}
                Some(std::cmp::Ordering::Equal) => {
                    duplicate_count += 1;
                    let kept = match winner.as_ref().and_then(|winner| winner.from_batch) {
                        Some(first) => Some(&self.fields[first]),
                        None => records[entity].as_ref().map(|record| &record.fields),
                    };
                    if kept != Some(&self.fields[row]) {
                        conflicts.push(self.conflict(row));
                    }
                }
            }
            choice.extend(winner.as_ref().map(|winner| (winner.row, winner.time)));
        }
        (choice, conflicts, duplicate_count)
    }

    fn conflict(&self, row: usize) -> Aside {
        Aside {
            partition: self.events.partition,
            offset: self.events.offsets[row],
            reason: AsideReason::Conflict,
            detail: "differs from the first event with the same entity, time and id".to_owned(),
            event: row_json(&self.events.inputs, row),
        }
    }

    /// The records that this batch changed.
    fn puts(&mut self, winners: &[Option<Winner>]) -> Vec<(EntityKey, Record)> {
        let mut puts: Vec<_> = self
            .entities
            .iter()
            .zip(winners)
            .filter_map(|(key, winner)| {
                let winner = winner.as_ref()?;
                let row = winner.from_batch?;
                let record = Record {
                    event_time: winner.time,
                    event_id: winner.id.clone(),
                    partition: self.events.partition,
                    offset: self.events.offsets[row],
                    fields: std::mem::take(&mut self.fields[row]),
                    output: None,
                };
                Some((key.clone(), record))
            })
            .collect();
        puts.sort_by(|(left, _), (right, _)| left.cmp(right));
        puts
    }
}

/// Puts the values of the events in `puts` beside their inputs. An event's own row is its value: it is the latest at
/// its position. What is no value is computed again by every lookup, and so is what would make a record too large.
fn keep(
    puts: &mut [(EntityKey, Record)],
    offsets: &[u64],
    version: &LiveVersion,
    rows: &Rows,
) -> Result<(), ForeignType> {
    let (computation, outputs) = (version.transform.computation(), CanonicalRows::new(rows.outputs())?);
    for (_, record) in puts {
        let Ok(row) = offsets.binary_search(&record.offset) else { continue };
        if rows.outcomes()[row] == Outcome::Known(RowStatus::Value) {
            let mut fields = Vec::new();
            outputs.write_fields(row, &mut fields);
            record.output = Some(Output { computation, fields });
            if record.encoded_bytes() > RECORD_BYTES_MAX {
                record.output = None;
            }
        }
    }
    Ok(())
}
