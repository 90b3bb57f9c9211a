//! Versions come and go while a worker runs.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use serde_json::Value;
use tokio::sync::watch;
use trifold_eventlog::{FileLog, LogError, RawBatch, RowFileWriter, RowFormat};
use trifold_model::{EventTime, LogId};
use trifold_pipeline::Catalog;
use trifold_registry::{Registry, Release};
use trifold_store::{RowSwitch, RowsUnder, StateStore};
use trifold_stream::{Driver, FeedId, FileSink, Notice, Problem, Source, Until};
use trifold_wat_guest::{Guest, field, row_view};

use crate::support::{World, config, driver, echo, event, joined, run, strict};

/// A log that counts the rows read from it.
struct Counted {
    log: FileLog,
    rows: Arc<AtomicU64>,
}

impl Source for Counted {
    fn log(&self) -> &LogId {
        self.log.id()
    }

    fn partition(&self) -> u32 {
        0
    }

    fn read(&mut self, from: u64, rows_max: usize) -> Result<Option<RawBatch>, LogError> {
        let batch = self.log.read(from, rows_max)?;
        self.rows.fetch_add(batch.as_ref().map_or(0, |batch| batch.rows() as u64), Ordering::Relaxed);
        Ok(batch)
    }

    fn rows_known(&mut self) -> Result<u64, LogError> {
        self.log.rows_known()
    }
}

struct Stage {
    world: World,
    registry: Registry,
    rows_read: Arc<AtomicU64>,
}

impl Stage {
    fn new(count: u64) -> Self {
        let world = World::new();
        let lines: Vec<_> =
            (0..count).map(|n| event(&n.to_string(), n, n, &(n % 7).to_string(), n).to_string()).collect();
        world.write_segment("0.jsonl", &joined(&lines));
        let registry = Registry::local(&world.path("registry"), true).unwrap();
        Stage { world, registry, rows_read: Arc::default() }
    }

    /// Pushes a guest and releases it.
    async fn release(&self, guest: &Guest) -> (Release, FeedId) {
        let wasm = guest.build().unwrap();
        let transform = self.world.sandbox.admit(&wasm).unwrap();
        let (view, description) = (transform.view().clone(), transform.description().to_owned());
        let pushed = self.registry.push(&wasm, &view, &description, EventTime(0)).await.unwrap();
        let release = self.registry.release(&view.name, pushed.version.version, EventTime(0)).await.unwrap();
        (release, FeedId { view: view.name.clone(), state: view.state_id() })
    }

    fn driver(&self, rows_max: usize) -> Driver<Counted, FileSink, Catalog> {
        let source = Counted { log: self.world.log(), rows: self.rows_read.clone() };
        let catalog = Catalog::new(self.registry.clone(), self.world.sandbox.clone());
        driver(source, Arc::new(self.world.store("run")), self.world.sink("run"), catalog, config(rows_max))
    }

    /// Offset, version and component of each row that a feed emitted.
    async fn rows(&self, feed: &FeedId) -> Vec<(u64, u64, String)> {
        let rows = self.world.outcome("run", feed).await.rows;
        let row = |line: &str| {
            let row: Value = serde_json::from_str(line).unwrap();
            let component = row["_component"].as_str().unwrap().to_owned();
            (number(&row["_offset"]), number(&row["_version"]), component)
        };
        rows.lines().map(row).collect()
    }
}

/// A number, written as one or as text.
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_version_of_the_same_state_takes_over_at_the_next_step() {
    let stage = Stage::new(100);
    let (first, feed) = stage.release(&echo("echo", "one", 1)).await;
    let mut driver = stage.driver(16);
    run(&mut driver, Until::Offset(40)).await.unwrap();
    let (second, same) = stage.release(&echo("echo", "two", 1)).await;
    assert_eq!(feed, same);
    let mut switches = Vec::new();
    let mut notify = |notice: Notice<'_>| {
        if let Notice::Switched(switch) = notice {
            switches.push((switch.version, switch.release, switch.offset));
        }
    };
    driver.run(Until::End, &mut notify, watch::channel(false).1).await.unwrap();
    assert_eq!(switches, [(2, Some(2), 40)]);
    drop(driver);
    let marker = stage.world.outcome("run", &feed).await.marker.unwrap();
    assert_eq!((marker.release, marker.positions.next(0)), (Some(2), 100));
    let under =
        |release, offset| RowSwitch { partition: 0, offset, to: Some(RowsUnder { release, canary: false }) };
    assert_eq!(stage.world.store("run").switches(feed.state).await, Ok(vec![under(1, 0), under(2, 40)]));
    let expected = (0..100).map(|offset| match offset < 40 {
        true => (offset, 1, first.digest.to_string()),
        false => (offset, 2, second.digest.to_string()),
    });
    assert_eq!(stage.rows(&feed).await, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_view_released_later_starts_at_the_beginning_and_catches_up() {
    let stage = Stage::new(100);
    let (_, early) = stage.release(&echo("echo", "", 1)).await;
    let mut driver = stage.driver(16);
    run(&mut driver, Until::Offset(70)).await.unwrap();
    let (_, late) = stage.release(&strict("strict")).await;
    let report = run(&mut driver, Until::End).await.unwrap();
    assert_eq!(report.progress.rows_done(), 100);
    // In turn 70..86, 0..16, 86..100 and then the rest for the view that lags behind.
    assert_eq!(stage.rows_read.load(Ordering::Relaxed), 70 + 30 + 100);
    drop(driver);
    for feed in [early, late] {
        let offsets: Vec<_> = stage.rows(&feed).await.into_iter().map(|(offset, ..)| offset).collect();
        assert_eq!(offsets, (0..100).collect::<Vec<_>>(), "{feed}");
    }
}

#[tokio::test]
async fn feeds_that_meet_share_what_is_read() {
    let stage = Stage::new(60);
    stage.release(&echo("echo", "", 1)).await;
    let mut driver = stage.driver(16);
    run(&mut driver, Until::End).await.unwrap();
    stage.release(&strict("strict")).await;
    run(&mut driver, Until::End).await.unwrap();
    let more: Vec<_> = (60..100).map(|n| event(&n.to_string(), n, n, "k", n).to_string()).collect();
    stage.world.write_segment("1.jsonl", &joined(&more));
    let report = run(&mut driver, Until::End).await.unwrap();
    assert_eq!(stage.rows_read.load(Ordering::Relaxed), 60 + 60 + 40);
    assert!(report.progress.feeds.iter().all(|feed| feed.next == 100));
}

#[tokio::test]
async fn another_state_is_another_feed_and_the_old_one_can_come_back() {
    let stage = Stage::new(50);
    let (_, old) = stage.release(&echo("echo", "", 1)).await;
    let mut driver = stage.driver(8);
    run(&mut driver, Until::Offset(20)).await.unwrap();
    let (_, new) = stage.release(&echo("echo", "", 2)).await;
    let report = run(&mut driver, Until::Offset(30)).await.unwrap();
    assert_eq!(report.progress.feeds.len(), 1);
    stage.registry.release(&old.view, 1, EventTime(0)).await.unwrap();
    run(&mut driver, Until::End).await.unwrap();
    drop(driver);
    assert_ne!(old, new);
    assert_eq!(stage.rows(&old).await.len(), 50);
    assert_eq!(stage.rows(&new).await.len(), 30);
    assert_eq!(stage.world.outcome("run", &old).await.marker.unwrap().release, Some(3));
}

#[tokio::test]
async fn a_release_that_cannot_be_loaded_is_reported_and_the_old_one_stays() {
    let stage = Stage::new(50);
    let (_, feed) = stage.release(&echo("echo", "one", 1)).await;
    let mut driver = stage.driver(8);
    run(&mut driver, Until::Offset(20)).await.unwrap();
    let (broken, _) = stage.release(&echo("echo", "two", 1)).await;
    let blob = stage.world.path("registry").join(format!("components/sha256/{}.wasm", broken.digest));
    fs::write(&blob, "no component").unwrap();
    let report = run(&mut driver, Until::End).await.unwrap();
    assert!(matches!(report.problems[..], [Problem::Release(_)]), "{:?}", report.problems);
    assert!(report.problems[0].to_string().contains("echo"), "{}", report.problems[0]);
    drop(driver);
    assert!(stage.rows(&feed).await.iter().all(|(_, version, _)| *version == 1));
    assert_eq!(stage.rows(&feed).await.len(), 50);
}

/// A segment whose columns say at once what is not there.
pub(crate) fn write_parquet(path: &Path, count: i64) {
    const JANUARY_31_2013: i64 = 1_359_590_400_000_000;
    let text = || StringArray::from_iter_values((0..count).map(|number| number.to_string()));
    let times = (0..count).map(|number| JANUARY_31_2013 + number);
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    let columns = [
        ("event_id", Arc::new(text()) as ArrayRef),
        ("event_time", Arc::new(times.clone())),
        ("arrived", Arc::new(times)),
        ("key", Arc::new(text())),
        ("n", Arc::new(Int64Array::from_iter_values(0..count))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = RowFileWriter::create(path, batch.schema(), RowFormat::Parquet).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
}

#[tokio::test]
async fn a_view_that_cannot_read_the_log_keeps_no_other_back() {
    let stage = Stage::new(10);
    write_parquet(&stage.world.log_dir().join("1.parquet"), 10);
    let (_, good) = stage.release(&echo("echo", "", 1)).await;
    let inputs = [field("key", "utf8"), field("n", "int64")];
    let late = row_view("unlimited", &inputs, &inputs);
    stage.release(&Guest::new(late)).await;
    let absent = [field("key", "utf8"), field("colour", "utf8")];
    stage.release(&Guest::new(row_view("painted", &absent, &absent))).await;
    // Without arrivals only the view that does not mind lateness can be fed.
    let mut config = config(4);
    config.source.arrival = None;
    let catalog = Catalog::new(stage.registry.clone(), stage.world.sandbox.clone());
    let store = Arc::new(stage.world.store("run"));
    let mut driver = driver(stage.world.log(), store, stage.world.sink("run"), catalog, config);
    let report = run(&mut driver, Until::End).await.unwrap();
    assert!(
        matches!(&report.problems[..], [Problem::Arrival(_), Problem::Decode { view, offset: 10, .. }] if *view == *"painted"),
        "{:?}",
        report.problems
    );
    assert!(report.problems.iter().all(Problem::blocks));
    let at: Vec<_> = report.progress.feeds.iter().map(|feed| (feed.next, feed.blocked)).collect();
    assert_eq!(at, [(0, true), (10, true), (20, false)]);
    assert_eq!(report.progress.feeds[0].feed, good);
}
