//! What a worker refuses, and how it says so.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use trifold_eventlog::{FileLog, LogOptions};
use trifold_model::{EntityKey, StateId};
use trifold_store::{Commit, EmbeddedStore, Marker, OnlineStore, Page, Snapshot, StoreError};
use trifold_stream::{Fixed, NoSink, StreamError, Until};

use crate::support::{World, config, driver, echo, feeds, joined, run, unruly_events};

fn world() -> (World, Fixed) {
    let world = World::new();
    world.write_segment("0.jsonl", &joined(&unruly_events(4, 40)));
    let live = world.live(&[&echo("echo", "", 1)]);
    (world, live)
}

async fn refusal(store: Arc<dyn OnlineStore>, log: FileLog, live: &Fixed) -> StreamError {
    let mut driver = driver(log, store, NoSink, live.clone(), config(8));
    run(&mut driver, Until::End).await.unwrap_err()
}

#[tokio::test]
async fn nothing_in_force_is_an_error_unless_somebody_waits() {
    let (world, _) = world();
    let error = refusal(Arc::new(world.store("run")), world.log(), &world.live(&[])).await;
    assert!(matches!(error, StreamError::NoViews), "{error}");
}

#[tokio::test]
async fn a_state_of_another_log_is_left_alone() {
    let (world, live) = world();
    let store = Arc::new(world.store("run"));
    run(&mut driver(world.log(), store.clone(), NoSink, live.clone(), config(8)), Until::End).await.unwrap();
    let other = LogOptions { name: Some("other".to_owned()), ..LogOptions::default() };
    let error = refusal(store.clone(), FileLog::open(&world.log_dir(), other).unwrap(), &live).await;
    assert!(matches!(&error, StreamError::OtherLog { stored, given, .. } if stored == "log" && given == "other"));
    world.write_segment("0.jsonl", &joined(&unruly_events(4, 39)));
    let error = refusal(store, world.log(), &live).await;
    assert!(matches!(error, StreamError::AheadOfLog { applied: 40, known: 39, .. }), "{error}");
}

/// A store whose records come back damaged, or whose marker another worker moves.
struct Tampered {
    inner: EmbeddedStore,
    flip: bool,
}

impl OnlineStore for Tampered {
    fn read<'a>(&'a self, state: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        async move {
            let mut snapshot = self.inner.read(state, keys).await?;
            match (&mut snapshot.marker, self.flip) {
                (_, true) => snapshot.records.iter_mut().flatten().for_each(|record| record.fields[0] ^= 2),
                (Some(marker), false) => *marker.positions.0.get_mut(&0).unwrap() += 1,
                (None, false) => {}
            }
            Ok(snapshot)
        }
        .boxed()
    }

    fn marker(&self, state: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        self.inner.marker(state)
    }

    fn scan(
        &self,
        state: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.inner.scan(state, after, limit)
    }

    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.commit(commits)
    }

    fn clear(&self, state: StateId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.clear(state)
    }
}

#[tokio::test]
async fn a_damaged_record_stops_the_worker_and_is_named() {
    let (world, live) = world();
    let error = refusal(Arc::new(Tampered { inner: world.store("run"), flip: true }), world.log(), &live)
        .await
        .to_string();
    let state = feeds(&live)[0].state;
    assert!(error.contains("view echo: the stored record of entity 01"), "{error}");
    assert!(error.contains(&format!("in state {state}")) && error.contains("field key"), "{error}");
}

#[tokio::test]
async fn two_workers_on_one_state_are_found_out() {
    let (world, live) = world();
    let error = refusal(Arc::new(Tampered { inner: world.store("run"), flip: false }), world.log(), &live).await;
    let state = feeds(&live)[0].state;
    assert!(matches!(&error, StreamError::Overtaken { state: found, .. } if *found == state), "{error}");
}
