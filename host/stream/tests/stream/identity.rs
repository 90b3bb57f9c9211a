//! Workers that start again over a log whose files somebody changed meanwhile.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use trifold_stream::{Fixed, StreamError, Until};

use crate::support::{Outcome, World, config, driver, echo, feeds, joined, run, unruly_events};

/// Segments of 10, 20 and 10 events, applied up to an offset.
async fn stopped(at: u64) -> (World, Fixed) {
    let world = World::new();
    let events = unruly_events(4, 40);
    for (name, part) in [("b.jsonl", 0..10), ("d.jsonl", 10..30), ("f.jsonl", 30..40)] {
        world.write_segment(name, &joined(&events[part]));
    }
    let live = world.live(&[&echo("echo", "", 1)]);
    start(&world, &live, Until::Offset(at)).await.unwrap();
    (world, live)
}

/// A worker in a new process.
async fn start(world: &World, live: &Fixed, until: Until) -> Result<Outcome, StreamError> {
    {
        let store = Arc::new(world.store("run"));
        run(&mut driver(world.log(), store, world.sink("run"), live.clone(), config(8)), until).await?;
    }
    Ok(world.outcome("run", &feeds(live)[0]).await)
}

/// Starts the worker again after a change, which it must refuse without touching anything.
async fn refusal(at: u64, change: impl FnOnce(&Path)) -> StreamError {
    let (world, live) = stopped(at).await;
    let before = world.outcome("run", &feeds(&live)[0]).await;
    change(&world.log_dir());
    let error = start(&world, &live, Until::End).await.unwrap_err();
    assert_eq!(world.outcome("run", &feeds(&live)[0]).await, before);
    error
}

fn add(dir: &Path, name: &str) {
    fs::write(dir.join(name), joined(&unruly_events(9, 3))).unwrap();
}

#[tokio::test]
async fn a_file_that_sorts_before_others_is_refused() {
    for at in [4, 10, 36, 40] {
        let error = refusal(at, |dir| add(dir, "a.jsonl")).await;
        let told = error.to_string();
        assert!(matches!(error, StreamError::ChangedLog { log, .. } if log == "log"), "{told}");
        assert!(told.contains("the log log: file `a.jsonl` (3 rows) is new and sorts before"), "{told}");
        assert!(told.contains("rename it so that it sorts last, or `trifold clear echo`"), "{told}");
    }
}

#[tokio::test]
async fn a_file_that_was_removed_renamed_or_shortened_is_refused() {
    let removed = refusal(12, |dir| fs::remove_file(dir.join("b.jsonl")).unwrap()).await;
    assert!(matches!(&removed, StreamError::ChangedLog { .. }), "{removed}");
    assert!(removed.to_string().contains("file `b.jsonl`, of which 10 rows were read, is gone"), "{removed}");
    let renamed = refusal(36, |dir| fs::rename(dir.join("d.jsonl"), dir.join("a.jsonl")).unwrap()).await;
    assert!(renamed.to_string().contains("file `d.jsonl`, which was already read, is now named `a.jsonl`"));
    let shorten = |dir: &Path| fs::write(dir.join("d.jsonl"), joined(&unruly_events(4, 19))).unwrap();
    let shortened = refusal(36, shorten).await;
    assert!(shortened.to_string().contains("file `d.jsonl` had 20 rows when it was read and has 19 now"));
    // With fewer rows than were applied the refusal is about them, and names the file all the same.
    let ahead = refusal(40, shorten).await;
    assert!(matches!(&ahead, StreamError::AheadOfLog { applied: 40, known: 39, .. }), "{ahead}");
    assert!(ahead.to_string().contains("file `d.jsonl` had 20 rows when it was read and has 19 now"), "{ahead}");
}

#[tokio::test]
async fn what_comes_at_the_end_is_followed() {
    let (world, live) = stopped(36).await;
    let next = |outcome: Outcome| outcome.marker.unwrap().positions.next(0);
    assert_eq!(next(start(&world, &live, Until::Offset(37)).await.unwrap()), 37);
    world.write_segment("f.jsonl", &joined(&unruly_events(4, 44)[30..]));
    assert_eq!(next(start(&world, &live, Until::End).await.unwrap()), 44);
    add(&world.log_dir(), "g.jsonl");
    assert_eq!(next(start(&world, &live, Until::End).await.unwrap()), 47);
    // Put right, a log that was refused goes on.
    add(&world.log_dir(), "c.jsonl");
    start(&world, &live, Until::End).await.unwrap_err();
    fs::rename(world.log_dir().join("c.jsonl"), world.log_dir().join("h.jsonl")).unwrap();
    assert_eq!(next(start(&world, &live, Until::End).await.unwrap()), 50);
}
