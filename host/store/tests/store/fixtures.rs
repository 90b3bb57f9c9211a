//! States, keys and records.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use trifold_model::{EntityKey, EventTime, LogId, Positions, StateId};
use trifold_store::{Commit, EmbeddedStore, Holder, Marker, Record};

pub(crate) const STATE: StateId = StateId([7; 16]);

/// A directory and the path of a store in it.
pub(crate) fn place() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("online.redb");
    (dir, path)
}

pub(crate) fn holder(command: &str) -> Holder {
    Holder { pid: std::process::id(), command: command.to_owned(), since: EventTime(1_356_998_400_000_000) }
}

pub(crate) fn open(path: &Path) -> EmbeddedStore {
    EmbeddedStore::open(path, &holder("a test")).unwrap()
}

pub(crate) fn key(key: &str) -> EntityKey {
    EntityKey(key.as_bytes().into())
}

pub(crate) fn keys(count: u64) -> Vec<EntityKey> {
    (0..count).map(|entity| key(&format!("entity {entity:04}"))).collect()
}

/// A record that shows which offset wrote it.
pub(crate) fn record(offset: u64) -> Record {
    Record {
        event_time: EventTime(offset as i64 * 1_000),
        event_id: format!("event {offset}"),
        partition: 0,
        offset,
        fields: [&b"fields "[..], &offset.to_le_bytes()].concat(),
        output: None,
    }
}

/// The marker after everything before `next` of partition 0.
pub(crate) fn marker(next: u64) -> Marker {
    Marker {
        incarnation: 5,
        log: LogId("flights".into()),
        source: "arrival=none".to_owned(),
        positions: Positions(BTreeMap::from([(0, next)])),
        consumed: next.to_le_bytes().to_vec(),
        release: Some(3),
        arrivals: BTreeMap::from([(0, next as i64 * 1_000)]),
    }
}

/// Puts the record of one offset under every key.
pub(crate) fn commit(state: StateId, keys: &[EntityKey], offset: u64) -> Commit {
    let puts = keys.iter().map(|key| (key.clone(), record(offset))).collect();
    Commit { state, marker: marker(offset + 1), puts, slots: Vec::new(), switches: Vec::new() }
}
