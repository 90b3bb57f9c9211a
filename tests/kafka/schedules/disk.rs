//! The local stores of a worker's machine, which fail when the seed says so.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use trifold_model::{EntityKey, StateId};
use trifold_store::{
    Commit, EntityQuery, Marker, OnlineStore, Page, RowSwitch, SlotPage, SlotSnapshot, Snapshot, StateStore,
    StoreError,
};
use trifold_stream::kafka::{ClusterError, LocalStores, TopicPartition};
use trifold_tests::memory::Memory;

use super::world::World;

/// What a machine keeps, whatever happens to the worker.
pub(crate) struct Disk {
    world: Arc<Mutex<World>>,
    stores: Mutex<BTreeMap<TopicPartition, Arc<Memory>>>,
}

impl Disk {
    pub(crate) fn new(world: &Arc<Mutex<World>>) -> Self {
        Disk { world: world.clone(), stores: Mutex::default() }
    }

    /// What it keeps, which may be read without failing.
    pub(crate) fn stores(&self) -> BTreeMap<TopicPartition, Arc<Memory>> {
        self.stores.lock().unwrap().clone()
    }
}

impl LocalStores for Disk {
    fn open(&self, place: &TopicPartition, _: usize) -> Result<Arc<dyn StateStore>, ClusterError> {
        let memory = self.stores.lock().unwrap().entry(place.clone()).or_default().clone();
        Ok(Arc::new(Failing { world: self.world.clone(), memory }))
    }
}

/// What a store does, and that it fails once in so many times.
const READ: (&str, u64) = ("read", 300);
const COMMIT: (&str, u64) = ("commit", 10);
const CLEAR: (&str, u64) = ("clear", 30);

/// A store that fails now and then, and has then done nothing.
struct Failing {
    world: Arc<Mutex<World>>,
    memory: Arc<Memory>,
}

impl Failing {
    fn or_fail<'a, T: Send + 'a>(
        &'a self,
        (action, odds): (&'static str, u64),
        done: impl FnOnce() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let mut world = self.world.lock().unwrap();
        if world.one_in(odds) {
            world.tell(format!("a local store fails to {action}"));
            let reason = "the seed says so".to_owned();
            return ready(Err(StoreError::Database { path: "local".into(), action, reason })).boxed();
        }
        drop(world);
        done()
    }
}

impl OnlineStore for Failing {
    fn read<'a>(&'a self, id: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        self.or_fail(READ, || self.memory.read(id, keys))
    }

    fn read_slots<'a>(
        &'a self,
        id: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>> {
        self.or_fail(READ, || self.memory.read_slots(id, queries))
    }

    fn marker(&self, id: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        self.or_fail(READ, || self.memory.marker(id))
    }
}

impl StateStore for Failing {
    fn scan(
        &self,
        id: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.or_fail(READ, || self.memory.scan(id, after, limit))
    }

    fn scan_slots(
        &self,
        id: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<SlotPage, StoreError>> {
        self.or_fail(READ, || self.memory.scan_slots(id, after, limit))
    }

    fn switches(&self, id: StateId) -> BoxFuture<'_, Result<Vec<RowSwitch>, StoreError>> {
        self.or_fail(READ, || self.memory.switches(id))
    }

    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.or_fail(COMMIT, || self.memory.commit(commits))
    }

    fn clear(&self, id: StateId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.or_fail(CLEAR, || self.memory.clear(id))
    }
}
