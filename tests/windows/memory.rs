//! A store for thousands of small logs, none of which waits for a disk.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use trifold_model::{EntityKey, Slot, StateId};
use trifold_store::{
    Commit, EntityQuery, Marker, OnlineStore, Page, SlotChange, SlotPage, SlotSnapshot, Slots, Snapshot,
    StoreError,
};

/// What is kept of one state.
#[derive(Default)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    marker: Option<Marker>,
    slots: BTreeMap<EntityKey, BTreeMap<Slot, Bytes>>,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OnlineStore for Memory {
    fn read<'a>(&'a self, _: StateId, _: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        ready(Ok(Snapshot::default())).boxed()
    }

    fn read_slots<'a>(
        &'a self,
        _: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>> {
        let state = self.state();
        let read = |query: &EntityQuery| -> Slots {
            let is_read = |slot: &Slot| match slot {
                Slot::Events { start } => query.events.iter().any(|range| range.contains(start)),
                Slot::Head | Slot::Tile { .. } => true,
            };
            let slots = state.slots.get(&query.key).into_iter().flatten();
            slots.filter(|(slot, _)| is_read(slot)).map(|(slot, bytes)| (*slot, bytes.clone())).collect()
        };
        let entities = queries.iter().map(read).collect();
        ready(Ok(SlotSnapshot { marker: state.marker.clone(), entities })).boxed()
    }

    fn marker(&self, _: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        ready(Ok(self.state().marker.clone())).boxed()
    }

    fn scan(&self, _: StateId, _: Option<EntityKey>, _: usize) -> BoxFuture<'_, Result<Page, StoreError>> {
        ready(Ok(Page::default())).boxed()
    }

    fn scan_slots(
        &self,
        _: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<SlotPage, StoreError>> {
        let state = self.state();
        let living = state.slots.iter().filter(|(key, slots)| !slots.is_empty() && after.as_ref() < Some(*key));
        let mut page = SlotPage { marker: state.marker.clone(), ..SlotPage::default() };
        for (key, slots) in living {
            if page.entities.len() == limit {
                page.next = page.entities.last().map(|(key, _)| key.clone());
                break;
            }
            let slots = slots.iter().map(|(slot, bytes)| (*slot, bytes.clone()));
            page.entities.push((key.clone(), slots.collect()));
        }
        ready(Ok(page)).boxed()
    }

    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut state = self.state();
        for commit in commits {
            state.marker = Some(commit.marker);
            for SlotChange { key, slot, bytes } in commit.slots {
                let slots = state.slots.entry(key).or_default();
                match bytes {
                    Some(bytes) => slots.insert(slot, bytes),
                    None => slots.remove(&slot),
                };
            }
        }
        ready(Ok(())).boxed()
    }

    fn clear(&self, _: StateId) -> BoxFuture<'_, Result<(), StoreError>> {
        *self.state() = State::default();
        ready(Ok(())).boxed()
    }
}
