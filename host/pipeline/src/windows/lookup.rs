//! Reading the values of a window view from an online store.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow_array::RecordBatch;
use trifold_model::{ArrivalTime, EntityKey, EventTime, Positions, decode_keys};
use trifold_sandbox::Budget;
use trifold_store::{EntityQuery, Marker, SlotSnapshot, Slots};
use trifold_windows::{Entity, Layout, Plan, Question};

use crate::in_hand::Admitted;
use crate::lookup::{LookupError, Reach, ViewKeys};
use crate::rows::Rows;
use crate::version::LiveVersion;
use crate::windows::contents;
use crate::windows::fold::{ComponentFold, Kept};
use crate::windows::ingest::joined;

/// The entities of a lookup, each read once, however often it is asked for.
pub(crate) struct WindowRead {
    /// The entity of each row, as an index into the entities.
    pub(crate) entity: Vec<usize>,
    marker: Option<Marker>,
    /// The entities whose tiles include more than the marker says.
    ahead: BTreeMap<usize, Positions>,
    /// The entities whose tiles were kept from before.
    stale: BTreeMap<usize, Duration>,
    keys: Vec<EntityKey>,
    entities: Vec<Result<Entity, String>>,
    layout: Layout,
    /// Events that are in no log yet.
    in_hand: Option<Admitted>,
}

impl WindowRead {
    /// What is asked for about each entity, for some rows.
    pub(crate) fn queries(
        view: &ViewKeys,
        entity: &[usize],
        keys: &[EntityKey],
    ) -> Result<Vec<EntityQuery>, LookupError> {
        let layout = layout(&view.version)?;
        let mut events = vec![Vec::new(); keys.len()];
        for (row, &entity) in entity.iter().enumerate() {
            let time = view.in_hand.as_ref().and_then(|held| held.time(row));
            events[entity].extend(time.and_then(|time| layout.needed_events(time)));
        }
        let queries = keys.iter().zip(events);
        Ok(queries.map(|(key, events)| EntityQuery { key: key.clone(), events: joined(events) }).collect())
    }

    /// From what was read of each entity; `entity` has those of the rows.
    pub(crate) fn new(
        view: ViewKeys,
        entity: Vec<usize>,
        keys: Vec<EntityKey>,
        snapshot: SlotSnapshot,
    ) -> Result<Self, LookupError> {
        let layout = layout(&view.version)?;
        let SlotSnapshot { marker, entities, ahead, stale, mut unread } = snapshot;
        let decode = |(place, slots): (usize, Slots)| {
            if let Some(reason) = unread.remove(&place) {
                return Err(reason);
            }
            Entity::decode(&layout, slots).map_err(|damage| {
                format!("its tiles are damaged: {damage}; clear the state with `trifold clear` and replay")
            })
        };
        let entities = entities.into_iter().enumerate().map(decode).collect();
        Ok(WindowRead { entity, marker, ahead, stale, keys, entities, layout, in_hand: view.in_hand })
    }

    /// The latest event time of the entity of a row.
    pub(crate) fn latest(&self, row: usize) -> Option<EventTime> {
        let stored = self.entities[self.entity[row]].as_ref().ok().and_then(Entity::latest);
        stored.max(self.in_hand.as_ref().and_then(|held| held.time(row)))
    }

    pub(crate) fn take_reach(&mut self) -> Option<Reach> {
        let (ahead, stale) = (std::mem::take(&mut self.ahead), std::mem::take(&mut self.stale));
        Some(Reach::new(self.marker.take()?, ahead, stale, &self.entity))
    }

    /// The value of each row at its as-of time.
    pub(crate) fn values(
        mut self,
        version: &LiveVersion,
        marker: Option<&Marker>,
        as_of: &[EventTime],
        budget: &mut Budget,
    ) -> Result<Rows, LookupError> {
        let clock = marker.and_then(|marker| marker.arrivals.values().min());
        let floor = self.layout.floor(clock.map(|clock| ArrivalTime(*clock)));
        let mut plan = Plan::new(&self.layout);
        let mut nobody = Entity::new(&self.layout);
        let contents = self.in_hand.as_ref().map(|held| contents(&held.events.inputs)).transpose()?;
        let nothing = RecordBatch::new_empty(version.transform.prepared().clone());
        let prepared = self.in_hand.as_ref().map_or(&nothing, |held| &held.prepared);
        let kept = Kept::new(version, prepared).map_err(LookupError::Type)?;
        for (row, (&entity, &at)) in self.entity.iter().zip(as_of).enumerate() {
            let known = self.entities[entity].as_mut().unwrap_or(&mut nobody);
            let question = Question { key: entity as u32, at };
            match self.in_hand.as_ref().zip(contents.as_ref()).and_then(|(held, all)| held.event(row, all, &kept))
            {
                None => plan.ask(known, question),
                Some(event) => {
                    // It counts for this row alone.
                    let mut with = known.clone();
                    plan.add(&mut with, event);
                    plan.ask(&mut with, question);
                }
            }
        }
        let damaged = |source| LookupError::Record { view: version.view().name.to_string(), source };
        let keys = decode_keys(version.view().key_fields(), &self.keys).map_err(damaged)?;
        let mut fold = ComponentFold::new(version, &version.transform, prepared, &keys, budget);
        let settled = plan.carry_out(&mut fold)?;
        let rows = fold.rows(&settled)?;
        let mut without = self.in_hand.map(Admitted::into_refused).unwrap_or_default();
        for (row, &entity) in self.entity.iter().enumerate() {
            match (&self.entities[entity], floor) {
                (Err(reason), _) => drop(without.insert(row, reason.clone())),
                // What is left of the entity, if it ever was, is what values from then on need.
                (Ok(entity), Some(floor))
                    if as_of[row] < floor && entity.latest().is_none_or(|latest| latest < floor) =>
                {
                    without.insert(row, unknown(floor));
                }
                _ => {}
            }
        }
        Ok(rows.without(without)?)
    }
}

fn layout(version: &LiveVersion) -> Result<Layout, LookupError> {
    let spec = version.view().windows();
    let spec = spec.ok_or_else(|| LookupError::Kind { view: version.view().name.to_string() })?;
    Ok(Layout::new(spec, version.view().lateness_limit()))
}

fn unknown(floor: EventTime) -> String {
    format!(
        "unknown at that time: the state reaches back to {} us since 1970, as far as events may still arrive; ask for a later \
         time, or backfill",
        floor.0
    )
}
