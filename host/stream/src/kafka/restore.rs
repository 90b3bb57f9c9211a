//! From a topic of changes to a local store.
//!
//! A local store holds what was committed up to some offset of the topic, and says so: the offset is the position of a
//! state of its own, whose id is that of the state with all bits inverted. It never holds anything that was not
//! committed, so whatever happened, the changes from there on make it whole. Applying one again changes nothing.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use trifold_model::{EntityKey, EventTime, LogId, Positions, Slot, StateId};
use trifold_store::{
    Commit, EmbeddedStore, EntityQuery, Entry, Marker, OnlineStore, Record, SlotChange, Slots, StoreError,
};
use trifold_windows::{Damage, packed, unpacked};

use crate::kafka::error::ClusterError;
use crate::kafka::settings::{KafkaSettings, Quiet, REQUEST_TIMEOUT, Reader};

/// So many changes are written to the local store at once.
const ENTRIES_MAX: usize = 16_384;
/// How many records are read first to find the marker, which is the last record of a transaction.
const LAST_RECORDS: u64 = 1_024;
/// How often it is looked whether a transaction that was left open is over.
const OPEN_INTERVAL: Duration = Duration::from_millis(50);
/// How long a worker waits before it says so and begins anew. A cluster ends transactions of workers that are gone after
/// some ten seconds.
const OPEN_PATIENCE: Duration = Duration::from_secs(30);

/// Reads topics of changes.
pub(crate) struct Restorer {
    committed: Reader,
    uncommitted: Reader,
}

/// One partition of a topic of changes, and the state that it is of.
#[derive(Clone, Copy)]
pub(crate) struct Changelog<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: u32,
    pub(crate) state: StateId,
}

/// What a restore came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Restored {
    /// How many changes were applied.
    pub(crate) entries: u64,
}

/// What is called while a restore goes on.
pub(crate) type Serve<'a> = &'a mut (dyn FnMut() -> Result<(), ClusterError> + Send);

impl Restorer {
    pub(crate) fn new(settings: &KafkaSettings) -> Result<Self, ClusterError> {
        let make = |config: &rdkafka::ClientConfig| {
            config.create_with_context(Quiet).map_err(ClusterError::client("make a reader"))
        };
        let mut uncommitted = settings.reader();
        uncommitted.set("isolation.level", "read_uncommitted");
        Ok(Restorer { committed: make(&settings.reader())?, uncommitted: make(&uncommitted)? })
    }

    /// Brings a local store up to date with all that was committed. Whoever held the partition before must not be able
    /// to commit any more.
    pub(crate) async fn restore(
        &self,
        log: Changelog<'_>,
        store: &EmbeddedStore,
        serve: Serve<'_>,
    ) -> Result<Restored, ClusterError> {
        let (low, end) = self.closed_end(log, serve)?;
        let known =
            store.marker(position_state(log.state)).await?.map(|marker| marker.positions.next(log.partition));
        let stored = store.marker(log.state).await?;
        if stored.is_some() && known == Some(end) {
            return Ok(Restored::default());
        }
        let marker = self.last_marker(log, low, end, serve)?;
        let from = match (&stored, known, &marker) {
            (Some(stored), Some(known), Some(marker)) if known < end && is_same_life(stored, marker) => known,
            _ => {
                clear(store, log.state).await?;
                low
            }
        };
        let Some(marker) = marker else { return Ok(Restored::default()) };
        self.assign(log, from.max(low))?;
        let mut restored = Restored::default();
        loop {
            serve()?;
            let (entries, next) = self.page(log, end)?;
            restored.entries += entries.len() as u64;
            apply(log, store, entries, &marker, next).await?;
            if next >= end {
                return Ok(restored);
            }
        }
    }

    /// The first and the end offset, once no transaction is open before the end: whatever was committed is read then,
    /// even if whoever committed it was killed while the cluster was on it.
    fn closed_end(&self, log: Changelog<'_>, serve: Serve<'_>) -> Result<(u64, u64), ClusterError> {
        let (low, end) = ends(&self.uncommitted, log)?;
        let begun = Instant::now();
        loop {
            let closed = ends(&self.committed, log)?.1;
            if closed >= end {
                return Ok((low, end));
            }
            if begun.elapsed() > OPEN_PATIENCE {
                return Err(ClusterError::OpenTransaction {
                    topic: log.topic.to_owned(),
                    partition: log.partition,
                    offset: closed,
                    end,
                });
            }
            serve()?;
            thread::sleep(OPEN_INTERVAL);
        }
    }

    fn assign(&self, log: Changelog<'_>, from: u64) -> Result<(), ClusterError> {
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(log.topic, log.partition as i32, Offset::Offset(from as i64));
        added.and_then(|()| self.committed.assign(&list)).map_err(reading(log))
    }

    /// The marker of the last transaction.
    fn last_marker(
        &self,
        log: Changelog<'_>,
        low: u64,
        end: u64,
        serve: Serve<'_>,
    ) -> Result<Option<Marker>, ClusterError> {
        let mut reach = LAST_RECORDS;
        loop {
            let from = end.saturating_sub(reach).max(low);
            if from >= end {
                return Ok(None);
            }
            self.assign(log, from)?;
            let mut found = None;
            loop {
                serve()?;
                let (entries, next) = self.page(log, end)?;
                let markers = entries.into_iter().filter_map(|entry| match entry {
                    Entry::Marker(marker) => Some(marker),
                    Entry::Record { .. } | Entry::Slot(_) => None,
                });
                found = markers.last().or(found);
                if next >= end {
                    break;
                }
            }
            if found.is_some() || from == low {
                return Ok(found);
            }
            reach = reach.saturating_mul(8);
        }
    }

    /// The next entries, and the offset before which there is nothing else.
    fn page(&self, log: Changelog<'_>, end: u64) -> Result<(Vec<Entry>, u64), ClusterError> {
        let (mut entries, mut next) = (Vec::new(), 0);
        loop {
            match self.committed.poll(REQUEST_TIMEOUT) {
                Some(Ok(message)) => {
                    let decoded = Entry::decode(log.state, message.key().unwrap_or_default(), message.payload());
                    entries.push(decoded.map_err(|source| ClusterError::Entry {
                        topic: log.topic.to_owned(),
                        partition: log.partition,
                        offset: message.offset(),
                        source,
                    })?);
                    next = message.offset().unsigned_abs() + 1;
                    if next >= end || entries.len() == ENTRIES_MAX {
                        return Ok((entries, next));
                    }
                }
                // The last records may be those that say how transactions ended, which no reader gets.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok((entries, end.max(next))),
                Some(Err(error)) => return Err(reading(log)(error)),
                None => return Err(reading(log)(KafkaError::NoMessageReceived)),
            }
        }
    }
}

fn is_same_life(left: &Marker, right: &Marker) -> bool {
    left.incarnation == right.incarnation && left.log == right.log
}

fn ends(consumer: &Reader, log: Changelog<'_>) -> Result<(u64, u64), ClusterError> {
    let ends = consumer.fetch_watermarks(log.topic, log.partition as i32, REQUEST_TIMEOUT);
    let (low, end) = ends.map_err(reading(log))?;
    Ok((low.unsigned_abs(), end.unsigned_abs()))
}

fn reading(log: Changelog<'_>) -> impl FnOnce(KafkaError) -> ClusterError {
    ClusterError::client(format!("read the topic {}", log.topic))
}

/// The state under which the position in the topic of changes is kept.
fn position_state(state: StateId) -> StateId {
    StateId(state.0.map(|byte| !byte))
}

/// Up to where changes are in the local store.
pub(crate) fn position(log: Changelog<'_>, next: u64) -> Commit {
    let marker = Marker {
        incarnation: 0,
        log: LogId(log.topic.into()),
        source: String::new(),
        positions: Positions(BTreeMap::from([(log.partition, next)])),
        consumed: Vec::new(),
        release: None,
        arrivals: BTreeMap::new(),
    };
    Commit { state: position_state(log.state), marker, puts: Vec::new(), slots: Vec::new() }
}

async fn clear(store: &EmbeddedStore, state: StateId) -> Result<(), StoreError> {
    store.clear(state).await?;
    store.clear(position_state(state)).await
}

/// Writes entries. Until all are in, the marker says more than is there, but nobody reads the store before.
async fn apply(
    log: Changelog<'_>,
    store: &EmbeddedStore,
    entries: Vec<Entry>,
    marker: &Marker,
    next: u64,
) -> Result<(), ClusterError> {
    let mut records: BTreeMap<EntityKey, Record> = BTreeMap::new();
    let mut changed: BTreeMap<EntityKey, BTreeMap<Slot, Option<Bytes>>> = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::Marker(_) => {}
            Entry::Record { key, record } => drop(records.insert(key, *record)),
            Entry::Slot(SlotChange { key, slot, bytes }) => {
                changed.entry(key).or_default().insert(slot, bytes);
            }
        }
    }
    let queries: Vec<_> = changed
        .keys()
        .map(|key| EntityQuery { key: key.clone(), events: vec![EventTime(i64::MIN)..EventTime(i64::MAX)] })
        .collect();
    let stored = store.read_slots(log.state, &queries).await?.entities;
    let mut slots = Vec::new();
    for ((key, changes), stored) in changed.into_iter().zip(stored) {
        let after = merged(stored.clone(), changes).map_err(|damage| damaged(log, &key, damage))?;
        slots.extend(difference(&key, stored, after));
    }
    let puts = records.into_iter().collect();
    let commit = Commit { state: log.state, marker: marker.clone(), puts, slots };
    Ok(store.commit(vec![commit, position(log, next)]).await?)
}

/// The slots of an entity after some changes, in the form in which they are stored.
fn merged(stored: Slots, changes: BTreeMap<Slot, Option<Bytes>>) -> Result<Slots, Damage> {
    let mut slots: BTreeMap<_, _> = unpacked(stored)?.into_iter().collect();
    for (slot, bytes) in changes {
        match bytes {
            Some(bytes) => drop(slots.insert(slot, bytes)),
            None => drop(slots.remove(&slot)),
        }
    }
    packed(slots.into_iter().collect())
}

/// What makes one of the other.
fn difference(key: &EntityKey, before: Slots, after: Slots) -> Vec<SlotChange> {
    let after: BTreeMap<_, _> = after.into_iter().collect();
    let before: BTreeMap<_, _> = before.into_iter().collect();
    let removed = before.keys().filter(|slot| !after.contains_key(*slot)).map(|slot| (*slot, None));
    let put = after.iter().filter(|(slot, bytes)| before.get(*slot) != Some(*bytes));
    let put = put.map(|(slot, bytes)| (*slot, Some(bytes.clone())));
    removed.chain(put).map(|(slot, bytes)| SlotChange { key: key.clone(), slot, bytes }).collect()
}

fn damaged(log: Changelog<'_>, entity: &EntityKey, source: Damage) -> ClusterError {
    ClusterError::Entity { topic: log.topic.to_owned(), partition: log.partition, entity: entity.clone(), source }
}
