//! Reading the records of a row view, and the values of the events in them.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use trifold_model::{EntityKey, EventTime, StateId, decode_rows_as};
use trifold_sandbox::Budget;
use trifold_store::{Ask, Entities, OnlineStore, Record, Snapshot, StoreError};

use crate::in_hand::Admitted;
use crate::lookup::{LookupError, Reach};
use crate::rows::Rows;
use crate::values::{Latest, values};
use crate::version::LiveVersion;

/// The records of the entities of a lookup, each read once, however often it is asked for.
pub(crate) struct RecordRead {
    /// The entity of each row, as an index into the records.
    entity: Vec<usize>,
    snapshot: Snapshot,
    /// The entities whose records are damaged, with the reason.
    damaged: BTreeMap<usize, String>,
    /// Events that are in no log yet.
    in_hand: Option<Admitted>,
}

impl RecordRead {
    /// From what was read of each entity; `entity` has those of the rows.
    pub(crate) fn new(entity: Vec<usize>, snapshot: Snapshot, in_hand: Option<Admitted>) -> Self {
        RecordRead { entity, snapshot, damaged: BTreeMap::new(), in_hand }
    }

    /// Reads key by key, where a record is damaged, so that it takes no neighbour with it.
    pub(crate) async fn one_by_one(
        store: &dyn OnlineStore,
        (entity, ask): (Vec<usize>, &Ask),
        in_hand: Option<Admitted>,
        error: StoreError,
    ) -> Result<Self, StoreError> {
        let Entities::Records(keys) = &ask.entities else { return Err(error) };
        let (snapshot, damaged) = one_by_one(store, ask.state, keys, error).await?;
        Ok(RecordRead { entity, snapshot, damaged, in_hand })
    }

    /// How many rows they were read for.
    pub(crate) fn len(&self) -> usize {
        self.entity.len()
    }

    /// The latest event time of the entity of a row.
    pub(crate) fn latest(&self, row: usize) -> Option<EventTime> {
        let stored = self.snapshot.records[self.entity[row]].as_ref().map(|record| record.event_time);
        stored.max(self.in_hand.as_ref().and_then(|held| held.time(row)))
    }

    pub(crate) fn take_reach(&mut self) -> Option<Reach> {
        let Snapshot { ahead, stale, .. } = &mut self.snapshot;
        let (ahead, stale) = (std::mem::take(ahead), std::mem::take(stale));
        Some(Reach::new(self.snapshot.marker.take()?, ahead, stale, &self.entity))
    }

    /// The value of each row at its as-of time.
    pub(crate) fn values(
        mut self,
        version: &LiveVersion,
        as_of: &[EventTime],
        budget: &mut Budget,
    ) -> Result<Rows, LookupError> {
        let latest = latest(version, &mut self)?;
        let rows = values(version, &latest, as_of, budget)?;
        let damaged = self.entity.iter().enumerate();
        let reason = |entity| self.damaged.get(entity).or_else(|| self.snapshot.unread.get(entity));
        let damaged = damaged.filter_map(|(row, entity)| Some((row, reason(entity)?.clone())));
        let mut without = self.in_hand.map(Admitted::into_refused).unwrap_or_default();
        without.extend(damaged);
        Ok(rows.without(without)?)
    }
}

/// Each key once, and for each row its place among them.
pub(crate) fn distinct(keys: &[EntityKey]) -> (Vec<usize>, Vec<EntityKey>) {
    let mut places = BTreeMap::new();
    let mut entities = Vec::with_capacity(keys.len());
    let place = |key| {
        *places.entry(key).or_insert_with(|| {
            entities.push(EntityKey::clone(key));
            entities.len() - 1
        })
    };
    (keys.iter().map(place).collect(), entities)
}

async fn one_by_one(
    store: &dyn OnlineStore,
    state: StateId,
    entities: &[EntityKey],
    error: StoreError,
) -> Result<(Snapshot, BTreeMap<usize, String>), StoreError> {
    let mut read = Snapshot { marker: store.marker(state).await?, ..Snapshot::default() };
    let mut damaged = BTreeMap::new();
    for (place, key) in entities.iter().enumerate() {
        let record = match store.read(state, std::slice::from_ref(key)).await {
            // The records must belong to one moment; if the state moved on meanwhile, asking again may help.
            Ok(snapshot) if snapshot.marker != read.marker => return Err(error),
            Ok(snapshot) => {
                read.ahead.extend(snapshot.ahead.into_values().map(|ahead| (place, ahead)));
                snapshot.records.into_iter().next().flatten()
            }
            Err(error) if error.is_damage() => {
                damaged.insert(place, error.to_string());
                None
            }
            Err(error) => return Err(error),
        };
        read.records.push(record);
    }
    Ok((read, damaged))
}

/// The events of the records. A value that was kept stands for its inputs, unless another computation made it or it
/// does not decode. Inputs that do not decode join the damaged records.
fn latest(version: &LiveVersion, read: &mut RecordRead) -> Result<Latest, LookupError> {
    let known = known(version, &mut read.snapshot.records);
    let inputs = inputs(version, read)?;
    let records = &read.snapshot.records;
    let (mut times, mut places) = (Vec::new(), vec![None; records.len()]);
    for kept in [true, false] {
        for (place, record) in places.iter_mut().zip(records) {
            if let Some(record) = record.as_ref().filter(|record| record.output.is_some() == kept) {
                *place = Some(times.len() as u32);
                times.push(record.event_time);
            }
        }
    }
    let stored_count = times.len() as u32;
    let inputs = match (inputs, &read.in_hand) {
        (inputs, None) => inputs,
        (None, Some(held)) => Some(held.events.inputs.clone()),
        (Some(inputs), Some(held)) => {
            Some(concat_batches(version.view().input_schema(), [&inputs, &held.events.inputs])?)
        }
    };
    times.extend(read.in_hand.iter().flat_map(|held| &held.events.times));
    let choice = read.entity.iter().enumerate().map(|(row, &entity)| {
        let stored = records[entity].as_ref().map(|record| (record.event_time, record.event_id.as_str()));
        match read.in_hand.as_ref().and_then(|held| held.later_than(row, stored)) {
            Some(event) => Some(stored_count + event),
            None => places[entity],
        }
    });
    let choice = choice.collect();
    Ok(Latest { known, inputs, times, choice })
}

/// The values that were kept; afterwards no record has an output that is not among them.
fn known(version: &LiveVersion, records: &mut [Option<Record>]) -> Option<RecordBatch> {
    let computation = version.transform.computation();
    for record in records.iter_mut().flatten() {
        record.output.take_if(|output| output.computation != computation);
    }
    let decode = |records: &[Option<Record>]| {
        let rows = records.iter().flatten().filter_map(|record| record.output.as_ref());
        let rows = rows.map(|output| output.fields.as_slice());
        decode_rows_as(&version.view().outputs, version.transform.outputs().clone(), rows)
    };
    records.iter().flatten().any(|record| record.output.is_some()).then_some(())?;
    if let Ok(values) = decode(records) {
        return Some(values);
    }
    for place in 0..records.len() {
        if decode(&records[place..=place]).is_err()
            && let Some(record) = &mut records[place]
        {
            record.output = None;
        }
    }
    decode(records).ok()
}

/// The inputs of the records without a known value.
fn inputs(version: &LiveVersion, read: &mut RecordRead) -> Result<Option<RecordBatch>, LookupError> {
    let view = version.view();
    let wanted = |record: &&Record| record.output.is_none();
    let decode = |records: &[Option<Record>]| {
        let rows = records.iter().flatten().filter(wanted).map(|record| record.fields.as_slice());
        decode_rows_as(&view.inputs, view.input_schema().clone(), rows)
    };
    let records = &mut read.snapshot.records;
    if !records.iter().flatten().any(|record| wanted(&record)) {
        return Ok(None);
    }
    if let Ok(inputs) = decode(records) {
        return Ok(Some(inputs));
    }
    for (entity, record) in records.iter_mut().enumerate() {
        if let Err(error) = decode(std::slice::from_ref(record)) {
            *record = None;
            let reason =
                format!("its record is damaged: {error}; clear the state with `trifold clear` and replay");
            read.damaged.insert(entity, reason);
        }
    }
    let damaged = |source| LookupError::Record { view: view.name.to_string(), source };
    decode(records).map(Some).map_err(damaged)
}
