//! Feeding a real Redis and reading from it, beside the bare commands that carry the same bytes.

use std::collections::BTreeMap;

use anyhow::ensure;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use tokio::runtime::Runtime;
use trifold_model::{EntityKey, EventTime, LogId, Positions, Slot, StateId};
use trifold_store::{
    EntityQuery, Entry as Change, Fed, Feeding, Followed, Marker, OnlineStore, RedisSettings, RedisStore,
    SlotChange, Step,
};
use trifold_test_servers::{Redis, RedisOptions};

use crate::measure::{Effort, in_turns};
use crate::random::Random;
use crate::report::Entry;

const FEED: &str = "materialize.redis";
const READ_ONE: &str = "redis.read.1";
const READ_MANY: &str = "redis.read.100";

/// The entries of this module.
pub(crate) const NAMES: &[&str] = &[FEED, READ_ONE, READ_MANY];

const STATE: StateId = StateId([1; 16]);
const ENTITIES: u64 = 3_000;
const TILES: i64 = 5;
const TILE_BYTES: usize = 80;
/// The one entity with many tiles.
const LARGE: u64 = ENTITIES;
const TILES_LARGE: i64 = 100;

/// A Redis, what is in it, and a connection for bare commands.
struct Site {
    runtime: Runtime,
    store: RedisStore,
    feeding: Feeding,
    bare: MultiplexedConnection,
    changes: Vec<Change>,
    next: u64,
    _redis: Redis,
}

pub(crate) fn run(effort: Effort, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let mut site = Site::new()?;
    let mut entries = Vec::new();
    if wanted(FEED) {
        let (ours, baseline) = site.feed(effort)?;
        let count = (ENTITIES as i64 * TILES) as f64;
        entries.push(Entry::new(FEED, count * 1e9 / ours, count * 1e9 / baseline)?);
    }
    for (name, keys) in [(READ_ONE, LARGE..LARGE + 1), (READ_MANY, 0..100)] {
        if wanted(name) {
            let (ours, baseline) = site.read(effort, &keys.map(key).collect::<Vec<_>>())?;
            entries.push(Entry::new(name, ours / 1e3, baseline / 1e3)?);
        }
    }
    Ok(entries)
}

impl Site {
    fn new() -> anyhow::Result<Self> {
        let redis = Redis::start_with(&RedisOptions::default())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let store = runtime.block_on(RedisStore::open(&RedisSettings::new(redis.url())))?;
        let followed = Followed { source: "cluster/changes".to_owned(), partitions: 1 };
        let mut feeding = runtime.block_on(store.feeding(STATE, 0, followed))?;
        ensure!(runtime.block_on(feeding.begin(true, 1, 1))? == Fed::In, "the Redis is not empty");
        let client = redis::Client::open(redis.url())?;
        let bare = runtime.block_on(client.get_multiplexed_async_connection())?;
        let mut random = Random::new(1);
        let mut tile = |(entity, minute): (u64, i64)| {
            let slot = Slot::Tile { level: 0, start: EventTime(minute * 60_000_000) };
            let bytes: Vec<u8> = (0..TILE_BYTES / 8).flat_map(|_| random.next().to_le_bytes()).collect();
            Change::Slot(SlotChange { key: key(entity), slot, bytes: Some(Bytes::from(bytes)) })
        };
        let places = (0..ENTITIES).flat_map(|entity| (0..TILES).map(move |minute| (entity, minute)));
        let large = (0..TILES_LARGE).map(|minute| (LARGE, minute));
        let changes = places.chain(large).map(&mut tile).collect();
        let mut site = Site { runtime, store, feeding, bare, changes, next: 0, _redis: redis };
        site.bring()?;
        site.changes.truncate((ENTITIES as i64 * TILES) as usize);
        site.runtime.block_on(commands(&site.changes).query_async::<()>(&mut site.bare))?;
        let mut large = redis::cmd("HSET");
        large.arg(name(LARGE));
        for minute in 0..TILES_LARGE {
            large.arg(minute).arg(&[7_u8; TILE_BYTES][..]);
        }
        site.runtime.block_on(large.query_async::<()>(&mut site.bare))?;
        Ok(site)
    }

    fn bring(&mut self) -> anyhow::Result<()> {
        self.next += 1;
        let marker = Marker {
            incarnation: 1,
            log: LogId("cluster/events".into()),
            source: "event_time".to_owned(),
            positions: Positions(BTreeMap::from([(0, self.next)])),
            consumed: Vec::new(),
            release: Some(1),
            arrivals: BTreeMap::new(),
        };
        let step = Step {
            entries: &self.changes,
            next: self.next,
            marker: Some(&marker),
            complete: true,
            now: self.next,
        };
        ensure!(self.runtime.block_on(self.feeding.apply(&step))? == Fed::In, "the Redis lost what it had");
        Ok(())
    }

    /// The nanoseconds of a step, and of the commands that carry the same.
    fn feed(&mut self, effort: Effort) -> anyhow::Result<(f64, f64)> {
        let (changes, runtime) = (self.changes.clone(), tokio::runtime::Handle::clone(self.runtime.handle()));
        let mut bare = self.bare.clone();
        let mut outcome = Ok(());
        let ours = || {
            if let Err(error) = self.bring() {
                outcome = Err(error);
            }
        };
        let mut failed = None;
        let baseline = || {
            if let Err(error) = runtime.block_on(commands(&changes).query_async::<()>(&mut bare)) {
                failed = Some(error);
            }
        };
        let measured = in_turns(effort, ours, baseline);
        outcome?;
        failed.map_or(Ok(measured), |error| Err(error.into()))
    }

    /// The nanoseconds of reading entities, and of the commands that read as much.
    fn read(&mut self, effort: Effort, keys: &[EntityKey]) -> anyhow::Result<(f64, f64)> {
        let queries: Vec<_> =
            keys.iter().map(|key| EntityQuery { key: key.clone(), events: Vec::new() }).collect();
        let read = || self.runtime.block_on(self.store.read_slots(STATE, &queries));
        let found = read()?;
        ensure!(found.marker.is_some() && found.entities.iter().all(|slots| slots.len() >= 5), "nothing is read");
        let mut pipeline = redis::pipe();
        for key in keys {
            pipeline.cmd("HGETALL").arg(bare_name(key));
        }
        let bare = || {
            let mut connection = self.bare.clone();
            self.runtime.block_on(async { pipeline.query_async::<Vec<redis::Value>>(&mut connection).await })
        };
        ensure!(bare()?.len() == keys.len(), "nothing is read");
        Ok(in_turns(effort, || drop(read()), || drop(bare())))
    }
}

fn key(entity: u64) -> EntityKey {
    EntityKey(format!("\u{1}entity-{entity:08}").into_bytes().into())
}

fn name(entity: u64) -> Vec<u8> {
    bare_name(&key(entity))
}

fn bare_name(key: &EntityKey) -> Vec<u8> {
    [b"bare:", &key.0[..]].concat()
}

/// The commands that carry changes, one for each entity.
fn commands(changes: &[Change]) -> redis::Pipeline {
    let mut pipeline = redis::pipe();
    for tiles in changes.chunks(TILES as usize) {
        let Change::Slot(first) = &tiles[0] else { continue };
        let command = pipeline.cmd("HSET").arg(bare_name(&first.key));
        for tile in tiles {
            if let Change::Slot(SlotChange { slot: Slot::Tile { start, .. }, bytes: Some(bytes), .. }) = tile {
                command.arg([&start.0.to_be_bytes()[..], &[1, 0]].concat()).arg(&bytes[..]);
            }
        }
        command.ignore();
    }
    pipeline
}
