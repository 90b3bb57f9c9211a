//! Folding a batch of events into the tiles of a window view.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow_array::RecordBatch;
use trifold_eventlog::{Aside, AsideReason, Events, row_json};
use trifold_model::{ArrivalTime, CanonicalRows, EntityKey, EventTime};
use trifold_sandbox::Budget;
use trifold_store::{EntityQuery, Slots};
use trifold_windows::{Entity, Event, Layout, Parts, Plan, Question, Seen};

use crate::ingest::{Changes, IngestError, Ingested, SlotChanges};
use crate::rows::Rows;
use crate::version::LiveVersion;
use crate::windows::fold::{ComponentFold, Kept};
use crate::windows::{Prepared, WindowFunctions, contents, prepare};

/// So many events are folded at once, and those of the last entity among them.
const EVENTS_PER_PLAN: usize = 1024;

/// What has come of the entities so far.
struct Walk<'a> {
    kept: Kept<'a>,
    changes: SlotChanges,
    conflicts: Vec<Aside>,
    duplicate_count: u64,
    /// Of each event.
    as_of: Vec<EventTime>,
    /// The rows of each plan, in the order in which they were asked for.
    pieces: Vec<Rows>,
    /// For each event, its row: the piece, and the place in it.
    places: Vec<(usize, usize)>,
}

impl<'a> Walk<'a> {
    fn new(kept: Kept<'a>, event_count: usize) -> Self {
        Walk {
            kept,
            changes: SlotChanges::default(),
            conflicts: Vec::new(),
            duplicate_count: 0,
            as_of: vec![EventTime(0); event_count],
            pieces: Vec::new(),
            places: vec![(0, 0); event_count],
        }
    }
}

/// A batch of events of one window view, admitted, prepared and keyed; it waits for the slots of
/// [`WindowIngest::queries`].
pub struct WindowIngest<'f> {
    version: LiveVersion,
    functions: &'f dyn WindowFunctions,
    layout: Layout,
    parts: Parts,
    events: Events,
    prepared: RecordBatch,
    contents: Vec<[u8; 16]>,
    /// Each entity's events, in the order of the log.
    entities: BTreeMap<EntityKey, Vec<u32>>,
    queries: Vec<EntityQuery>,
}

impl<'f> WindowIngest<'f> {
    /// Sets aside what does not count, prepares the rest and computes the entity key of each.
    pub fn new(
        version: &LiveVersion,
        functions: &'f dyn WindowFunctions,
        events: Events,
        budget: &mut Budget,
    ) -> Result<Self, IngestError> {
        let view = version.view();
        let Some(spec) = view.windows() else { return Err(IngestError::Kind { view: view.name.to_string() }) };
        let layout = Layout::new(spec, view.lateness_limit());
        let Prepared { events, columns: prepared } = prepare::<IngestError>(version, functions, events, budget)?;
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
        Ok(WindowIngest {
            version: version.clone(),
            functions,
            layout,
            parts: Parts::Untold,
            events,
            prepared,
            contents,
            entities,
            queries,
        })
    }

    /// Tells changes with every slot by itself too.
    pub fn with_parts(mut self, parts: Parts) -> Self {
        self.parts = parts;
        self
    }

    /// What [`WindowIngest::fold`] needs.
    pub fn queries(&self) -> &[EntityQuery] {
        &self.queries
    }

    /// Whether an entity has events in the batch.
    pub fn has(&self, entity: &EntityKey) -> bool {
        self.entities.contains_key(entity)
    }

    /// Folds the events onto the slots as they were before the batch, `slots[i]` being those of `queries()[i]`, and
    /// computes the row that each event emits. `clock` is the earliest arrival that an event to come can have.
    pub fn fold(
        self,
        slots: Vec<Slots>,
        clock: Option<ArrivalTime>,
        budget: &mut Budget,
    ) -> Result<Ingested, IngestError> {
        let keys = self.events.inputs.project(self.version.view().key_columns())?;
        let mut fold = ComponentFold::new(&self.version, self.functions, &self.prepared, &keys, budget);
        let mut walk = Walk::new(Kept::new(&self.version, &self.prepared)?, self.events.times.len());
        let mut entities = self.entities.iter().zip(slots).peekable();
        // Entities know nothing of each other, so that what is in memory of them need not be all of a step.
        while entities.peek().is_some() {
            let mut event_count = 0;
            let group = std::iter::from_fn(|| {
                let next = entities.next_if(|_| event_count < EVENTS_PER_PLAN)?;
                event_count += next.0.1.len();
                Some(next)
            });
            self.fold_entities(group, clock, &mut fold, &mut walk)?;
        }
        let rows = Rows::of_pieces(self.version.transform.outputs(), walk.pieces, &walk.places)?;
        let mut events = self.events;
        let mut aside = std::mem::take(&mut events.aside);
        aside.extend(walk.conflicts);
        aside.sort_by_key(|aside| aside.offset);
        let Walk { changes, as_of, duplicate_count, .. } = walk;
        Ok(Ingested { changes: Changes::Slots(changes), rows, as_of, events, aside, duplicate_count })
    }

    /// Folds all events of some entities in one plan.
    fn fold_entities<'s>(
        &'s self,
        group: impl Iterator<Item = ((&'s EntityKey, &'s Vec<u32>), Slots)>,
        clock: Option<ArrivalTime>,
        fold: &mut ComponentFold<'_>,
        walk: &mut Walk<'_>,
    ) -> Result<(), IngestError> {
        let mut plan = Plan::new(&self.layout);
        let mut entities = Vec::new();
        let mut asked = 0;
        for ((key, rows), slots) in group {
            let mut entity = decode(&self.version, &self.layout, key, slots)?;
            for &row in rows {
                self.add(&mut plan, &mut entity, row, walk);
                walk.places[row as usize] = (walk.pieces.len(), asked);
                asked += 1;
            }
            entities.push((key, entity));
        }
        let settled = plan.carry_out(fold)?;
        walk.pieces.push(fold.rows(&settled)?);
        for (key, mut entity) in entities {
            settled.settle(&mut entity);
            walk.changes.add(key, entity.take_changes(&self.layout, clock, self.parts));
        }
        Ok(())
    }

    /// Adds an event to its entity, and asks for the value after it.
    fn add(&self, plan: &mut Plan<'_>, entity: &mut Entity, row: u32, walk: &mut Walk<'_>) {
        let place = row as usize;
        let time = self.events.times[place];
        let (id, kept) = (self.events.ids.value(place), walk.kept.bytes(place));
        let event = Event { time, id, content: self.contents[place], row, kept };
        match plan.add(entity, event) {
            Seen::New => {}
            Seen::Duplicate => walk.duplicate_count += 1,
            Seen::Conflict => {
                walk.duplicate_count += 1;
                walk.conflicts.push(self.conflict(place));
            }
        }
        walk.as_of[place] = entity.latest().unwrap_or(time);
        plan.ask(entity, Question { key: row, at: walk.as_of[place] });
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

/// The entity that was kept in some slots.
pub(crate) fn decode(
    version: &LiveVersion,
    layout: &Layout,
    key: &EntityKey,
    slots: Slots,
) -> Result<Entity, IngestError> {
    Entity::decode(layout, slots).map_err(|source| IngestError::Tiles {
        view: version.view().name.to_string(),
        state: version.state_id(),
        entity: key.clone(),
        source,
    })
}
