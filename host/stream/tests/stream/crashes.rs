//! A worker that dies at any stage of any step, at any step size, leaves in the end what one that never died does.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use trifold_eventlog::LogError;
use trifold_model::{EntityKey, StateId};
use trifold_store::{
    Commit, EmbeddedStore, EntityQuery, Marker, OnlineStore, Page, RowSwitch, SlotPage, SlotSnapshot, Snapshot,
    StateStore, StoreError,
};
use trifold_stream::{Discard, Emission, FeedId, FileSink, Fixed, Sink, Until, WorkerConfig, feed_dir};

use crate::support::{SplitMix64, World, config, driver, echo, feeds, joined, run, strict, unruly_events};

/// Where in a step the worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// A row file is half written, under its hidden name.
    BeforeRename,
    /// One of the step's files is there and the next one is not begun.
    AfterRename,
    BeforeCommit,
    AfterCommit,
}

pub(crate) const STAGES: [Stage; 4] =
    [Stage::BeforeRename, Stage::AfterRename, Stage::BeforeCommit, Stage::AfterCommit];

/// Dies when its stage has been passed as often as it was told.
#[derive(Clone)]
pub(crate) struct Fault {
    pub(crate) stage: Stage,
    pub(crate) left: Arc<AtomicI64>,
}

impl Fault {
    fn strikes(&self, stage: Stage) -> bool {
        stage == self.stage && self.left.fetch_sub(1, Ordering::Relaxed) == 0
    }
}

pub(crate) struct FaultySink {
    pub(crate) inner: FileSink,
    pub(crate) rows_dir: PathBuf,
    pub(crate) fault: Fault,
}

fn disk_full(path: PathBuf) -> LogError {
    LogError::Io { action: "write", path, source: std::io::Error::from(std::io::ErrorKind::StorageFull) }
}

impl Sink for FaultySink {
    fn write(&mut self, emission: &Emission) -> Result<(), LogError> {
        let dir = feed_dir(&self.rows_dir, &emission.feed);
        if self.fault.strikes(Stage::BeforeRename) {
            fs::create_dir_all(&dir).unwrap();
            let path = dir.join(format!(".{}-{:018}.jsonl.tmp", emission.partition, emission.first_offset));
            fs::write(&path, "{\"half\":").unwrap();
            return Err(disk_full(path));
        }
        self.inner.write(emission)?;
        if self.fault.strikes(Stage::AfterRename) { Err(disk_full(dir)) } else { Ok(()) }
    }

    fn discard(&mut self, feed: &FeedId, partition: u32, next: u64) -> Result<Discard, LogError> {
        self.inner.discard(feed, partition, next)
    }
}

pub(crate) struct FaultyStore {
    pub(crate) inner: EmbeddedStore,
    pub(crate) fault: Fault,
}

impl OnlineStore for FaultyStore {
    fn read<'a>(&'a self, state: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        self.inner.read(state, keys)
    }

    fn read_slots<'a>(
        &'a self,
        state: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>> {
        self.inner.read_slots(state, queries)
    }

    fn marker(&self, state: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        self.inner.marker(state)
    }
}

impl StateStore for FaultyStore {
    fn scan(
        &self,
        state: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.inner.scan(state, after, limit)
    }

    fn scan_slots(
        &self,
        state: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<SlotPage, StoreError>> {
        self.inner.scan_slots(state, after, limit)
    }

    fn switches(&self, state: StateId) -> BoxFuture<'_, Result<Vec<RowSwitch>, StoreError>> {
        self.inner.switches(state)
    }

    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let dead = |action| StoreError::Database { path: PathBuf::new(), action, reason: "died".to_owned() };
            if self.fault.strikes(Stage::BeforeCommit) {
                return Err(dead("commit"));
            }
            self.inner.commit(commits).await?;
            if self.fault.strikes(Stage::AfterCommit) { Err(dead("say so")) } else { Ok(()) }
        }
        .boxed()
    }

    fn clear(&self, state: StateId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.clear(state)
    }
}

/// Lives until the fault strikes, or to the end of the log; whether it reached the end.
async fn live_once(world: &World, name: &str, live: &Fixed, config: WorkerConfig, fault: &Fault) -> bool {
    let sink = FaultySink { inner: world.sink(name), rows_dir: world.rows_dir(name), fault: fault.clone() };
    let store = FaultyStore { inner: world.store(name), fault: fault.clone() };
    let mut driver = driver(world.log(), Arc::new(store), sink, live.clone(), config);
    run(&mut driver, Until::End).await.is_ok()
}

fn world_of(seed: u64) -> World {
    let world = World::new();
    let lines = unruly_events(seed, 400);
    world.write_segment("0.jsonl", &joined(&lines[..250]));
    world.write_segment("1.jsonl", &joined(&lines[250..]));
    world
}

#[tokio::test]
async fn a_worker_that_dies_anywhere_leaves_what_one_that_never_died_does() {
    let seed = 0x5EED_2013;
    println_seed(seed);
    let world = world_of(seed);
    let live = world.live(&[&echo("echo", "", 1), &strict("strict")]);
    let never = Fault { stage: Stage::BeforeCommit, left: Arc::new(AtomicI64::new(i64::MAX)) };
    assert!(live_once(&world, "whole", &live, config(8192), &never).await);
    let mut random = SplitMix64(seed);
    let mut survived = BTreeSet::new();
    for trial in 0..16 {
        let (stage, name) = (STAGES[trial % STAGES.len()], format!("trial-{trial}"));
        let mut deaths = 0;
        loop {
            let left = Arc::new(AtomicI64::new(random.below(6) as i64));
            let mut config = config(1 + random.below(90) as usize);
            config.resident_bytes = random.below(3_000) as usize;
            if live_once(&world, &name, &live, config, &Fault { stage, left }).await {
                break;
            }
            deaths += 1;
        }
        if deaths > 0 {
            survived.insert(stage);
        }
        for feed in feeds(&live) {
            let (whole, trial) = (world.outcome("whole", &feed).await, world.outcome(&name, &feed).await);
            assert!(!whole.rows.is_empty() && !whole.aside.is_empty() && !whole.records.is_empty(), "{feed}");
            assert_eq!(whole, trial, "{name}, {stage:?}, {feed}");
        }
    }
    assert_eq!(survived, STAGES.into());
}

#[tokio::test]
async fn a_worker_that_failed_goes_on_when_it_is_run_again() {
    let seed = 0x5EED_2014;
    println_seed(seed);
    let world = world_of(seed);
    let live = world.live(&[&echo("echo", "", 1), &strict("strict")]);
    let never = Fault { stage: Stage::BeforeCommit, left: Arc::new(AtomicI64::new(i64::MAX)) };
    assert!(live_once(&world, "whole", &live, config(8192), &never).await);
    for stage in STAGES {
        let name = format!("again-{stage:?}");
        {
            let fault = Fault { stage, left: Arc::new(AtomicI64::new(3)) };
            let sink =
                FaultySink { inner: world.sink(&name), rows_dir: world.rows_dir(&name), fault: fault.clone() };
            let store = Arc::new(FaultyStore { inner: world.store(&name), fault });
            let config = WorkerConfig { resident_bytes: 0, ..config(50) };
            let mut driver = driver(world.log(), store, sink, live.clone(), config);
            assert!(run(&mut driver, Until::End).await.is_err());
            let report = run(&mut driver, Until::End).await.unwrap();
            assert_eq!(report.progress.rows_done(), 400);
        }
        for feed in feeds(&live) {
            assert_eq!(world.outcome("whole", &feed).await, world.outcome(&name, &feed).await, "{name}, {feed}");
        }
    }
}

/// The harness shows it when the test fails.
#[expect(clippy::print_stdout, reason = "a failure must name its seed")]
pub(crate) fn println_seed(seed: u64) {
    println!("seed {seed:#x}");
}
