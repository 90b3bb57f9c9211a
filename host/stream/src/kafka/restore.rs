//! From a topic of changes to a local store.
//!
//! A local store holds what was committed up to some offset of the topic, and says so: the offset is the position of a
//! state of its own, whose id is that of the state with all bits inverted. It never holds anything that was not
//! committed, so whatever happened, the changes from there on make it whole. Applying one again changes nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use trifold_model::{EntityKey, EventTime, LogId, Positions, Slot, StateId};
use trifold_store::{Commit, EntityQuery, Entry, Marker, Record, SlotChange, Slots, StateStore, StoreError};
use trifold_windows::{Damage, packed, unpacked};

use crate::kafka::cluster::{Changelog, Cluster};
use crate::kafka::error::ClusterError;

/// How many records are read first to find the marker, which is the last record of a transaction.
const LAST_RECORDS: u64 = 1_024;

/// Brings a local store up to date with all that was committed, and tells how many changes it took. Whoever had the
/// partition before must not be able to commit any more.
pub(crate) async fn restore(
    cluster: &mut impl Cluster,
    log: Changelog<'_>,
    store: &dyn StateStore,
) -> Result<u64, ClusterError> {
    let state = log.feed.state;
    let (low, end) = cluster.ends_of_changes(log)?;
    let known = store.marker(position_state(state)).await?.map(|marker| marker.positions.next(log.partition));
    let stored = store.marker(state).await?;
    let marker = last_marker(cluster, log, low, end)?;
    let mut from = match (&stored, known, &marker) {
        (Some(stored), Some(known), Some(marker)) if known <= end && is_same_life(stored, marker) => {
            known.max(low)
        }
        _ => {
            clear(store, state).await?;
            low
        }
    };
    let Some(marker) = marker else { return Ok(0) };
    let mut taken = 0;
    while from < end {
        let (entries, next) = cluster.changes(log, from, end)?;
        taken += entries.len() as u64;
        apply(log, store, entries, &marker, next).await?;
        from = next;
    }
    Ok(taken)
}

/// The marker of the last transaction.
pub(crate) fn last_marker(
    cluster: &mut impl Cluster,
    log: Changelog<'_>,
    low: u64,
    end: u64,
) -> Result<Option<Marker>, ClusterError> {
    let mut reach = LAST_RECORDS;
    loop {
        let first = end.saturating_sub(reach).max(low);
        let (mut found, mut from) = (None, first);
        while from < end {
            let (entries, next) = cluster.changes(log, from, end)?;
            let markers = entries.into_iter().filter_map(|entry| match entry {
                Entry::Marker(marker) => Some(marker),
                Entry::Record { .. } | Entry::Slot(_) | Entry::Switch(_) => None,
            });
            found = markers.last().or(found);
            from = next;
        }
        if found.is_some() || first == low {
            return Ok(found);
        }
        reach = reach.saturating_mul(8);
    }
}

fn is_same_life(left: &Marker, right: &Marker) -> bool {
    left.incarnation == right.incarnation && left.log == right.log
}

/// The state under which the position in the topic of changes is kept.
fn position_state(state: StateId) -> StateId {
    StateId(state.0.map(|byte| !byte))
}

/// Up to where changes are in the local store.
pub(crate) fn position(log: Changelog<'_>, next: u64) -> Commit {
    let marker = Marker {
        incarnation: 0,
        log: LogId("changes".into()),
        source: String::new(),
        positions: Positions(BTreeMap::from([(log.partition, next)])),
        consumed: Vec::new(),
        release: None,
        arrivals: BTreeMap::new(),
    };
    Commit {
        state: position_state(log.feed.state),
        marker,
        puts: Vec::new(),
        slots: Vec::new(),
        switches: Vec::new(),
    }
}

/// Removes what a local store has of a state.
pub(crate) async fn clear(store: &dyn StateStore, state: StateId) -> Result<(), StoreError> {
    store.clear(state).await?;
    store.clear(position_state(state)).await
}

/// Writes entries. Until all are in, the marker says more than is there, but nobody reads the store before.
async fn apply(
    log: Changelog<'_>,
    store: &dyn StateStore,
    entries: Vec<Entry>,
    marker: &Marker,
    next: u64,
) -> Result<(), ClusterError> {
    let state = log.feed.state;
    let mut records: BTreeMap<EntityKey, Record> = BTreeMap::new();
    let mut changed: BTreeMap<EntityKey, BTreeMap<Slot, Option<Bytes>>> = BTreeMap::new();
    let mut switches = Vec::new();
    for entry in entries {
        match entry {
            Entry::Marker(_) => {}
            Entry::Record { key, record } => drop(records.insert(key, *record)),
            Entry::Slot(SlotChange { key, slot, bytes }) => {
                changed.entry(key).or_default().insert(slot, bytes);
            }
            Entry::Switch(switch) => switches.push(switch),
        }
    }
    let queries: Vec<_> = changed
        .keys()
        .map(|key| EntityQuery { key: key.clone(), events: vec![EventTime(i64::MIN)..EventTime(i64::MAX)] })
        .collect();
    let stored = store.read_slots(state, &queries).await?.entities;
    let mut slots = Vec::new();
    for ((key, changes), stored) in changed.into_iter().zip(stored) {
        let after = merged(stored.clone(), changes).map_err(|source| ClusterError::Entity {
            feed: log.feed.to_string(),
            partition: log.partition,
            entity: key.clone(),
            source,
        })?;
        slots.extend(difference(&key, stored, after));
    }
    let puts = records.into_iter().collect();
    let commit = Commit { state, marker: marker.clone(), puts, slots, switches };
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
