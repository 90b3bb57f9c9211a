//! A store in memory, as strict as those on disk, for thousands of small logs none of which waits for one.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use trifold_model::{EntityKey, Slot, StateId};
use trifold_store::{
    Commit, EntityQuery, Marker, OnlineStore, Page, Record, RowSwitch, SlotChange, SlotPage, SlotSnapshot, Slots,
    Snapshot, StateStore, StoreError,
};

/// States in memory.
#[derive(Default)]
pub struct Memory(Mutex<BTreeMap<StateId, State>>);

#[derive(Default, Clone)]
struct State {
    marker: Option<Marker>,
    records: BTreeMap<EntityKey, Record>,
    slots: BTreeMap<EntityKey, BTreeMap<Slot, Bytes>>,
    switches: BTreeMap<(u32, u64), RowSwitch>,
}

impl Memory {
    fn states(&self) -> MutexGuard<'_, BTreeMap<StateId, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, id: StateId) -> State {
        self.states().get(&id).cloned().unwrap_or_default()
    }
}

impl OnlineStore for Memory {
    fn read<'a>(&'a self, id: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        let state = self.state(id);
        let records = keys.iter().map(|key| state.records.get(key).cloned()).collect();
        ready(Ok(Snapshot { marker: state.marker, records, ..Snapshot::default() })).boxed()
    }

    fn read_slots<'a>(
        &'a self,
        id: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>> {
        let state = self.state(id);
        let read = |query: &EntityQuery| -> Slots {
            let is_read = |slot: &Slot| match slot {
                Slot::Events { start } => query.events.iter().any(|range| range.contains(start)),
                Slot::Head | Slot::Tile { .. } => true,
            };
            let slots = state.slots.get(&query.key).into_iter().flatten();
            slots.filter(|(slot, _)| is_read(slot)).map(|(slot, bytes)| (*slot, bytes.clone())).collect()
        };
        let entities = queries.iter().map(read).collect();
        ready(Ok(SlotSnapshot { marker: state.marker.clone(), entities, ..SlotSnapshot::default() })).boxed()
    }

    fn marker(&self, id: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        ready(Ok(self.state(id).marker)).boxed()
    }
}

impl StateStore for Memory {
    fn scan(&self, _: StateId, _: Option<EntityKey>, _: usize) -> BoxFuture<'_, Result<Page, StoreError>> {
        ready(Ok(Page::default())).boxed()
    }

    fn scan_slots(
        &self,
        id: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<SlotPage, StoreError>> {
        let state = self.state(id);
        let mut living = state.slots.into_iter().filter(|(key, _)| after.as_ref() < Some(key));
        let entities: Vec<_> =
            living.by_ref().take(limit).map(|(key, slots)| (key, slots.into_iter().collect())).collect();
        let next = living.next().and(entities.last()).map(|(key, _): &(EntityKey, Slots)| key.clone());
        ready(Ok(SlotPage { marker: state.marker, entities, next })).boxed()
    }

    fn switches(&self, id: StateId) -> BoxFuture<'_, Result<Vec<RowSwitch>, StoreError>> {
        ready(Ok(self.state(id).switches.into_values().collect())).boxed()
    }

    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut states = self.states();
        for commit in commits {
            let state = states.entry(commit.state).or_default();
            if let Some(before) = &state.marker {
                assert_eq!(before.incarnation, commit.marker.incarnation, "a life of a state went on as another");
                for (partition, next) in &before.positions.0 {
                    assert!(*next <= commit.marker.positions.next(*partition), "a position went back");
                }
            }
            state.marker = Some(commit.marker);
            state.records.extend(commit.puts);
            let places = commit.switches.into_iter().map(|switch| ((switch.partition, switch.offset), switch));
            state.switches.extend(places);
            for SlotChange { key, slot, bytes } in commit.slots {
                let slots = state.slots.entry(key.clone()).or_default();
                match bytes {
                    Some(bytes) => drop(slots.insert(slot, bytes)),
                    None => drop(slots.remove(&slot)),
                }
                if slots.is_empty() {
                    state.slots.remove(&key);
                }
            }
        }
        ready(Ok(())).boxed()
    }

    fn clear(&self, id: StateId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.states().remove(&id);
        ready(Ok(())).boxed()
    }
}
