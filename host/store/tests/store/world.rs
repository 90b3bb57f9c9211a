//! A store in buckets that are each as far as they are, over a log that can be asked what was when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use trifold_model::{EntityKey, EventTime, LogId, Positions, Slot, StateId};
use trifold_store::{
    EntityQuery, Marker, OnlineStore, Record, SlotSnapshot, Slots, Snapshot, Stopwatch, StoreError,
};

use crate::fixtures::{key, record};

pub(crate) const RECORDS: StateId = StateId([1; 16]);
pub(crate) const SLOTS: StateId = StateId([2; 16]);
pub(crate) const PARTITIONS: u32 = 3;
pub(crate) const ENTITIES: u64 = 12;
const BUCKETS: u64 = 4;

/// What happened, and how far the store is.
#[derive(Default)]
pub(crate) struct World {
    /// By life: the entities of each partition's events.
    pub(crate) logs: BTreeMap<u64, [Vec<u64>; PARTITIONS as usize]>,
    pub(crate) life: u64,
    /// How far each bucket is with each partition.
    pub(crate) applied: [[u64; PARTITIONS as usize]; BUCKETS as usize],
    pub(crate) is_down: bool,
    pub(crate) is_complete: bool,
    pub(crate) now: Duration,
    /// How often it was asked.
    pub(crate) asked: u64,
}

impl World {
    pub(crate) fn partition(entity: u64) -> u32 {
        (entity % u64::from(PARTITIONS)) as u32
    }

    /// The offsets of an entity's events before one.
    fn offsets(&self, life: u64, entity: u64, next: u64) -> Vec<u64> {
        let log = &self.logs[&life][Self::partition(entity) as usize];
        (0..next).filter(|offset| log.get(*offset as usize) == Some(&entity)).collect()
    }

    /// The record of an entity at a position.
    pub(crate) fn record(&self, life: u64, entity: u64, next: u64) -> Option<Record> {
        let offset = *self.offsets(life, entity, next).last()?;
        Some(Record { partition: Self::partition(entity), event_id: format!("{life}/{offset}"), ..record(offset) })
    }

    /// Its slots: how many events it has, and each of those that are asked for.
    pub(crate) fn slots(&self, life: u64, query: &EntityQuery, next: u64) -> Slots {
        let offsets = self.offsets(life, number(&query.key), next);
        let Some(count) = (!offsets.is_empty()).then_some(offsets.len()) else { return Slots::new() };
        let head = (Slot::Head, Bytes::from(format!("{life}: {count}")));
        let events = offsets.iter().map(|offset| {
            (Slot::Events { start: EventTime(*offset as i64) }, Bytes::from(format!("{life}: at {offset}")))
        });
        [head].into_iter().chain(events).filter(|(slot, _)| query.wants(slot)).collect()
    }

    pub(crate) fn new_life(&mut self) {
        self.life += 1;
        self.logs.insert(self.life, Default::default());
        self.applied = Default::default();
        self.is_complete = true;
    }

    /// What all of some entities' buckets have, and the entities that are there of which more is.
    fn read(&self, keys: &[&EntityKey]) -> (Option<Marker>, BTreeMap<usize, Positions>) {
        let buckets: BTreeSet<_> = keys.iter().map(|key| number(key) % BUCKETS).collect();
        let next = |partition: u32| {
            let of_bucket = |bucket: &u64| self.applied[*bucket as usize][partition as usize];
            (partition, buckets.iter().map(of_bucket).min().unwrap_or(0))
        };
        let positions = Positions((0..PARTITIONS).map(next).collect());
        let mut ahead = BTreeMap::new();
        for (place, key) in keys.iter().enumerate() {
            let partition = World::partition(number(key));
            let own = self.own(number(key));
            if own > positions.next(partition) && !self.offsets(self.life, number(key), own).is_empty() {
                ahead.insert(place, Positions(BTreeMap::from([(partition, own)])));
            }
        }
        let marker = Marker {
            incarnation: self.life,
            log: LogId("world".into()),
            source: String::new(),
            arrivals: positions.0.iter().map(|(partition, next)| (*partition, *next as i64)).collect(),
            positions,
            consumed: Vec::new(),
            release: None,
        };
        (self.is_complete.then_some(marker), ahead)
    }

    /// How far the store is with an entity.
    pub(crate) fn own(&self, entity: u64) -> u64 {
        self.applied[(entity % BUCKETS) as usize][World::partition(entity) as usize]
    }
}

pub(crate) fn entity(number: u64) -> EntityKey {
    key(&format!("{number}"))
}

pub(crate) fn number(key: &EntityKey) -> u64 {
    std::str::from_utf8(&key.0).unwrap().parse().unwrap()
}

/// The world as a store. A read takes a permit, if it is told to.
#[derive(Clone)]
pub(crate) struct Buckets {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) permits: Option<Arc<Semaphore>>,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        let mut world = World::default();
        world.new_life();
        Buckets { world: Arc::new(Mutex::new(world)), permits: None }
    }

    pub(crate) fn stopwatch(&self) -> Stopwatch {
        let world = self.world.clone();
        Arc::new(move || world.lock().unwrap().now)
    }

    fn asked(&self) -> Result<(), StoreError> {
        let mut world = self.world.lock().unwrap();
        world.asked += 1;
        match world.is_down {
            true => {
                Err(StoreError::Remote { address: "here".into(), action: "read", reason: "it is down".into() })
            }
            false => Ok(()),
        }
    }

    async fn permitted(&self) {
        if let Some(permits) = &self.permits {
            permits.acquire().await.unwrap().forget();
        }
    }
}

impl OnlineStore for Buckets {
    fn read<'a>(&'a self, _: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        async move {
            self.asked()?;
            self.permitted().await;
            let world = self.world.lock().unwrap();
            let (marker, ahead) = world.read(&keys.iter().collect::<Vec<_>>());
            let records = keys.iter().map(|key| world.record(world.life, number(key), world.own(number(key))));
            Ok(Snapshot { marker, records: records.collect(), ahead, ..Snapshot::default() })
        }
        .boxed()
    }

    fn read_slots<'a>(
        &'a self,
        _: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>> {
        async move {
            self.asked()?;
            let world = self.world.lock().unwrap();
            let (marker, ahead) = world.read(&queries.iter().map(|query| &query.key).collect::<Vec<_>>());
            let slots = queries.iter().map(|query| world.slots(world.life, query, world.own(number(&query.key))));
            Ok(SlotSnapshot { marker, entities: slots.collect(), ahead, ..SlotSnapshot::default() })
        }
        .boxed()
    }

    fn marker(&self, _: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        async move { Ok(self.world.lock().unwrap().read(&[]).0) }.boxed()
    }
}
