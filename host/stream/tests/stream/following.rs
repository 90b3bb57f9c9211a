//! A log that grows is followed, and a worker stops where it is told to.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use trifold_stream::{Notice, Until};

use crate::support::{World, config, driver, echo, event, feeds, joined, run, unruly_events};

fn append(world: &World, segment: &str, text: &str) {
    let path = world.log_dir().join(segment);
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Waits until every feed has applied so many rows.
async fn reached(done: &mut mpsc::UnboundedReceiver<u64>, rows: u64) {
    while done.recv().await.unwrap() < rows {}
}

#[tokio::test]
async fn a_growing_log_is_followed_until_the_worker_is_stopped() {
    let world = World::new();
    let line = |number: u64| format!("{}\n", event(&number.to_string(), number, number, "k", number));
    append(&world, "0.jsonl", &line(0));
    let live = world.live(&[&echo("echo", "", 1)]);
    let mut driver =
        driver(world.log(), Arc::new(world.store("run")), world.sink("run"), live.clone(), config(100));
    let (stop, stopped) = watch::channel(false);
    let (told, mut done) = mpsc::unbounded_channel();
    let worker = tokio::spawn(async move {
        let mut notify = move |notice: Notice<'_>| {
            if let Notice::Progress(progress) = notice {
                told.send(progress.rows_done()).unwrap();
            }
        };
        driver.run(Until::Follow, &mut notify, stopped).await.unwrap()
    });
    reached(&mut done, 1).await;
    let (second, third) = (line(1), line(2));
    append(&world, "0.jsonl", &second);
    reached(&mut done, 2).await;
    // Half a line is no event yet.
    append(&world, "0.jsonl", &third[..third.len() / 2]);
    append(&world, "0.jsonl", &third[third.len() / 2..]);
    append(&world, "1.jsonl", &line(3));
    reached(&mut done, 4).await;
    stop.send(true).unwrap();
    let report = worker.await.unwrap();
    assert!(report.interrupted);
    assert_eq!((report.progress.rows_done(), report.progress.rows_known), (4, 4));
    let outcome = world.outcome("run", &feeds(&live)[0]).await;
    assert_eq!(outcome.rows.lines().count(), 4);
}

/// A file that is half written, or that would shift the offsets of what was read, stops nobody for good.
#[tokio::test]
async fn a_log_that_is_put_right_is_followed_again() {
    let world = World::new();
    let line = |number: u64| format!("{}\n", event(&number.to_string(), number, number, "k", number));
    append(&world, "5.jsonl", &line(0));
    let live = world.live(&[&echo("echo", "", 1)]);
    let mut driver =
        driver(world.log(), Arc::new(world.store("run")), world.sink("run"), live.clone(), config(100));
    let (stop, stopped) = watch::channel(false);
    let (told, mut done) = mpsc::unbounded_channel();
    let (complain, mut problems) = mpsc::unbounded_channel();
    let worker = tokio::spawn(async move {
        let mut notify = move |notice: Notice<'_>| match notice {
            Notice::Progress(progress) => told.send(progress.rows_done()).unwrap(),
            Notice::Problem(problem) => complain.send(problem.to_string()).unwrap(),
            _ => {}
        };
        driver.run(Until::Follow, &mut notify, stopped).await.unwrap()
    });
    reached(&mut done, 1).await;
    for (rows, (wrong, part)) in (2..).zip([("7.parquet", "7.parquet"), ("1.jsonl", "1.jsonl")]) {
        world.write_segment(wrong, &line(9));
        loop {
            let problem = problems.recv().await.unwrap();
            assert!(problem.starts_with("the stream stands still: "), "{problem}");
            if problem.contains(part) {
                break;
            }
        }
        fs::remove_file(world.log_dir().join(wrong)).unwrap();
        append(&world, "5.jsonl", &line(rows));
        reached(&mut done, rows).await;
    }
    stop.send(true).unwrap();
    let report = worker.await.unwrap();
    assert!(report.interrupted && !report.problems.is_empty());
    assert_eq!(world.outcome("run", &feeds(&live)[0]).await.rows.lines().count(), 3);
}

#[tokio::test]
async fn a_worker_that_is_told_beforehand_does_nothing() {
    let world = World::new();
    world.write_segment("0.jsonl", &joined(&unruly_events(1, 10)));
    let live = world.live(&[&echo("echo", "", 1)]);
    let mut driver = driver(world.log(), Arc::new(world.store("run")), world.sink("run"), live, config(3));
    let report = driver.run(Until::Follow, &mut |_| {}, watch::channel(true).1).await.unwrap();
    assert!(report.interrupted);
    assert_eq!(report.progress.rows_done(), 0);
}

#[tokio::test]
async fn a_worker_stops_exactly_where_it_is_told_to() {
    let world = World::new();
    let lines = unruly_events(2, 120);
    world.write_segment("0.jsonl", &joined(&lines[..50]));
    world.write_segment("1.jsonl", &joined(&lines[50..]));
    let live = world.live(&[&echo("echo", "", 1)]);
    let feed = &feeds(&live)[0];
    for stop in [1, 49, 50, 51, 99, 120, 500] {
        let reached = stop.min(120);
        {
            let store = Arc::new(world.store("steps"));
            let mut driver = driver(world.log(), store, world.sink("steps"), live.clone(), config(16));
            let report = run(&mut driver, Until::Offset(stop)).await.unwrap();
            assert_eq!((report.progress.rows_done(), report.progress.rows_known), (reached, reached));
        }
        let name = format!("at-once-{stop}");
        {
            let store = Arc::new(world.store(&name));
            let mut driver = driver(world.log(), store, world.sink(&name), live.clone(), config(8192));
            run(&mut driver, Until::Offset(stop)).await.unwrap();
        }
        let steps = world.outcome("steps", feed).await;
        assert_eq!(steps.marker.as_ref().unwrap().positions.next(0), reached);
        assert_eq!(steps, world.outcome(&name, feed).await, "stop at {stop}");
    }
}
