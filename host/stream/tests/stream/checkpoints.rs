//! When a state is written: at the end of the log, when it is time, when memory is full, and before a worker stops over
//! an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use trifold_store::OnlineStore;
use trifold_stream::{Fixed, NoSink, Until, WorkerConfig};

use crate::crashes::{Fault, FaultySink, FaultyStore, Stage};
use crate::support::{World, config, driver, echo, feeds, joined, run, unruly_events};

const EVENTS: u64 = 80;
const STEP_ROWS: usize = 8;

fn world() -> (World, Fixed) {
    let world = World::new();
    world.write_segment("0.jsonl", &joined(&unruly_events(11, EVENTS)));
    let live = world.live(&[&echo("echo", "", 1)]);
    (world, live)
}

/// A fault that never strikes, and counts how often it might have.
fn counter(stage: Stage) -> Fault {
    Fault { stage, left: Arc::new(AtomicI64::new(i64::MAX)) }
}

/// How many transactions a run over the whole log takes.
async fn commits(interval: Duration, resident_bytes: usize) -> i64 {
    let (world, live) = world();
    let fault = counter(Stage::BeforeCommit);
    let store = Arc::new(FaultyStore { inner: world.store("run"), fault: fault.clone() });
    let config = WorkerConfig { resident_bytes, ..config(STEP_ROWS) };
    let mut driver = driver(world.log(), store, NoSink, live, config).with_checkpoints(interval);
    let report = run(&mut driver, Until::End).await.unwrap();
    assert_eq!(report.progress.rows_done(), EVENTS);
    i64::MAX - fault.left.load(Ordering::Relaxed)
}

#[tokio::test]
async fn steps_are_written_together_unless_time_or_memory_is_up() {
    let (never, room) = (Duration::from_secs(3_600), 1 << 20);
    assert_eq!(commits(never, room).await, 1);
    let steps = EVENTS as i64 / STEP_ROWS as i64;
    assert_eq!(commits(Duration::ZERO, room).await, steps);
    assert_eq!(commits(never, 0).await, steps);
    let some = commits(never, 600).await;
    assert!((2..steps).contains(&some), "{some} of {steps}");
}

#[tokio::test]
async fn the_steps_before_an_error_are_written() {
    let (world, live) = world();
    let fault = Fault { stage: Stage::BeforeRename, left: Arc::new(AtomicI64::new(3)) };
    let sink = FaultySink { inner: world.sink("run"), rows_dir: world.rows_dir("run"), fault };
    let store = Arc::new(world.store("run"));
    let state = feeds(&live)[0].state;
    let mut driver = driver(world.log(), store.clone(), sink, live, config(STEP_ROWS));
    run(&mut driver, Until::End).await.unwrap_err();
    let written = store.marker(state).await.unwrap().unwrap();
    assert_eq!(written.positions.next(0), 3 * STEP_ROWS as u64);
}
