//! Folding a batch of events into the tiles of a window view.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use trifold_eventlog::{Aside, AsideReason, Events, row_json};
use trifold_model::{ArrivalTime, CanonicalRows, EntityKey, EventTime};
use trifold_sandbox::Budget;
use trifold_store::{EntityQuery, SlotChange, Slots};
use trifold_windows::{Entity, Event, Layout, Plan, Question, Seen};

use crate::ingest::{Changes, IngestError, Ingested};
use crate::rows::Rows;
use crate::version::LiveVersion;
use crate::windows::fold::ComponentFold;
use crate::windows::{Prepared, contents, prepare};

/// A batch of events of one window view, admitted, prepared and keyed; it waits for the slots of
/// [`WindowIngest::queries`].
pub struct WindowIngest {
    version: LiveVersion,
    layout: Layout,
    events: Events,
    prepared: RecordBatch,
    contents: Vec<[u8; 16]>,
    /// Each entity's events, in the order of the log.
    entities: BTreeMap<EntityKey, Vec<u32>>,
    queries: Vec<EntityQuery>,
}

impl WindowIngest {
    /// Sets aside what does not count, prepares the rest and computes the entity key of each.
    pub fn new(version: &LiveVersion, events: Events, budget: &mut Budget) -> Result<Self, IngestError> {
        let view = version.view();
        let Some(spec) = view.windows() else { return Err(IngestError::Kind { view: view.name.to_string() }) };
        let layout = Layout::new(spec, view.lateness_limit());
        let Prepared { events, columns: prepared } = prepare::<IngestError>(version, events, budget)?;
        let keys = CanonicalRows::of_columns(&events.inputs, view.key_columns().iter().copied())?;
        let mut scratch = Vec::new();
        let mut entities: BTreeMap<EntityKey, Vec<u32>> = BTreeMap::new();
        for row in 0..events.times.len() {
            entities.entry(keys.key(row, &mut scratch)).or_default().push(row as u32);
        }
        let query = |(key, rows): (&EntityKey, &Vec<u32>)| {
            let needed = rows.iter().flat_map(|&row| {
                let time = events.times[row as usize];
                let arrival = events.arrivals.as_ref().map(|arrivals| arrivals[row as usize]);
                layout.needed_events(time).map(|needed| [needed, layout.spent_events(time, arrival)])
            });
            EntityQuery { key: key.clone(), events: joined(needed.flatten().collect()) }
        };
        let queries = entities.iter().map(query).collect();
        let contents = contents(&events.inputs)?;
        Ok(WindowIngest { version: version.clone(), layout, events, prepared, contents, entities, queries })
    }

    /// What [`WindowIngest::fold`] needs.
    pub fn queries(&self) -> &[EntityQuery] {
        &self.queries
    }

    /// Folds the events onto the slots as they were before the batch, `slots[i]` being those of `queries()[i]`, and
    /// computes the row that each event emits. `clock` is the earliest arrival that an event to come can have.
    pub fn fold(
        self,
        slots: &[Slots],
        clock: Option<ArrivalTime>,
        budget: &mut Budget,
    ) -> Result<Ingested, IngestError> {
        let mut entities = self.decode(slots)?;
        let mut plan = Plan::new(&self.layout);
        let mut asked = Vec::with_capacity(self.events.times.len());
        let mut as_of = vec![EventTime(0); self.events.times.len()];
        let (mut conflicts, mut duplicate_count) = (Vec::new(), 0);
        for (entity, rows) in entities.iter_mut().zip(self.entities.values()) {
            for &row in rows {
                let place = row as usize;
                let time = self.events.times[place];
                let event = Event { time, id: self.events.ids.value(place), content: self.contents[place], row };
                match plan.add(entity, event) {
                    Seen::New => {}
                    Seen::Duplicate => duplicate_count += 1,
                    Seen::Conflict => {
                        duplicate_count += 1;
                        conflicts.push(self.conflict(place));
                    }
                }
                as_of[place] = entity.latest().unwrap_or(time);
                plan.ask(entity, Question { key: row, at: as_of[place] });
                asked.push(row);
            }
        }
        let keys = self.events.inputs.project(self.version.view().key_columns())?;
        let mut fold = ComponentFold::new(&self.version, &self.prepared, &keys, budget)?;
        let settled = plan.carry_out(&mut fold)?;
        let rows = in_order(fold.rows(&settled)?, &asked)?;
        let mut changes = Vec::new();
        for (entity, key) in entities.iter_mut().zip(self.entities.keys()) {
            settled.settle(entity);
            let changed = entity.take_changes(&self.layout, clock).into_iter();
            changes.extend(changed.map(|(slot, bytes)| SlotChange { key: key.clone(), slot, bytes }));
        }
        let mut events = self.events;
        let mut aside = std::mem::take(&mut events.aside);
        aside.extend(conflicts);
        aside.sort_by_key(|aside| aside.offset);
        Ok(Ingested { changes: Changes::Slots(changes), rows, as_of, events, aside, duplicate_count })
    }

    fn decode(&self, slots: &[Slots]) -> Result<Vec<Entity>, IngestError> {
        let decode = |(entity, slots): (&EntityKey, &Slots)| {
            let slots = slots.iter().map(|(slot, bytes)| (*slot, bytes.as_slice()));
            Entity::decode(&self.layout, slots).map_err(|source| IngestError::Tiles {
                view: self.version.view().name.to_string(),
                state: self.version.state_id(),
                entity: entity.clone(),
                source,
            })
        };
        self.entities.keys().zip(slots).map(decode).collect()
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
}

/// The same times in as few ranges as possible.
pub(crate) fn joined(mut ranges: Vec<Range<EventTime>>) -> Vec<Range<EventTime>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<EventTime>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Puts rows that were asked for entity by entity back into the order of the events.
fn in_order(rows: Rows, asked: &[u32]) -> Result<Rows, IngestError> {
    let mut places = vec![0; asked.len()];
    for (place, &row) in asked.iter().enumerate() {
        places[row as usize] = place as u32;
    }
    let outputs = take_record_batch(rows.outputs(), &UInt32Array::from(places.clone()))?;
    Ok(rows.rearranged(outputs, &places))
}
