//! A world to run workers in: a log, a store, components and row files in one temporary directory.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use trifold_eventlog::{FileLog, LogOptions, RowFormat};
use trifold_model::{EntityKey, EventTime};
use trifold_pipeline::{LiveVersion, LiveViews};
use trifold_sandbox::{Sandbox, SandboxConfig};
use trifold_store::{EmbeddedStore, Holder, Marker, Record, StateStore};
use trifold_stream::{
    Driver, FeedId, FileSink, Fixed, Notice, ReleaseFeed, RunReport, Sink, Source, StreamError, Until, Worker,
    WorkerConfig, feed_dir,
};
use trifold_wat_guest::{Act, Guest, field, row_view, unruly};

/// How often the drivers of these tests look for news.
pub(crate) const INTERVAL: Duration = Duration::from_millis(2);

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) sandbox: Sandbox,
}

/// Everything that a run left behind for one feed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) marker: Option<Marker>,
    pub(crate) records: Vec<(EntityKey, Record)>,
    /// The row files, one after the other.
    pub(crate) rows: String,
    /// The aside files, one after the other.
    pub(crate) aside: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = World {
            dir: tempfile::tempdir().unwrap(),
            sandbox: Sandbox::new(SandboxConfig { instances_max: 4, ..SandboxConfig::default() }).unwrap(),
        };
        fs::create_dir(world.log_dir()).unwrap();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        self.path("log")
    }

    pub(crate) fn log(&self) -> FileLog {
        FileLog::open(&self.log_dir(), LogOptions::default()).unwrap()
    }

    pub(crate) fn write_segment(&self, name: &str, lines: &str) {
        fs::write(self.log_dir().join(name), lines).unwrap();
    }

    /// The store of a run.
    pub(crate) fn store(&self, run: &str) -> EmbeddedStore {
        let holder = Holder { pid: 1, command: "test".to_owned(), since: EventTime(0) };
        EmbeddedStore::open(&self.path(&format!("{run}.redb")), &holder).unwrap()
    }

    /// The sink of a run, with rows as JSON lines.
    pub(crate) fn sink(&self, run: &str) -> FileSink {
        FileSink::new().with_rows(self.rows_dir(run), RowFormat::JsonLines).with_aside(self.aside_dir(run))
    }

    pub(crate) fn rows_dir(&self, run: &str) -> PathBuf {
        self.path(&format!("{run}-rows"))
    }

    pub(crate) fn aside_dir(&self, run: &str) -> PathBuf {
        self.path(&format!("{run}-aside"))
    }

    pub(crate) fn live(&self, guests: &[&Guest]) -> Fixed {
        let views = guests.iter().map(|guest| {
            let transform = self.sandbox.admit(&guest.build().unwrap()).unwrap();
            let version = LiveVersion { version: 1, release: None, transform };
            (version.view().name.clone(), version)
        });
        Fixed(Arc::new(LiveViews::new(views.collect())))
    }

    pub(crate) async fn outcome(&self, run: &str, feed: &FeedId) -> Outcome {
        let store = self.store(run);
        let page = store.scan(feed.state, None, 1 << 20).await.unwrap();
        Outcome {
            marker: page.marker,
            records: page.entries,
            rows: contents(&feed_dir(&self.rows_dir(run), feed)),
            aside: contents(&feed_dir(&self.aside_dir(run), feed)),
        }
    }
}

/// The files of a directory, one after the other; hidden ones must not be there.
fn contents(dir: &Path) -> String {
    let Ok(entries) = fs::read_dir(dir) else { return String::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let hidden = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with('.');
    assert_eq!(paths.iter().find(hidden), None, "an unfinished file is left");
    paths.retain(|path| !path.ends_with("_rows.json"));
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

pub(crate) fn feeds(live: &Fixed) -> Vec<FeedId> {
    live.0.views.values().map(FeedId::of).collect()
}

/// Configuration of the tests' runs: steps of `rows_max`, and arrivals in the column `arrived`.
pub(crate) fn config(rows_max: usize) -> WorkerConfig {
    let mut config = WorkerConfig { rows_max, ..WorkerConfig::new(7) };
    config.source.arrival = Some("arrived".to_owned());
    config
}

pub(crate) fn driver<S: Source, K: Sink, R: ReleaseFeed>(
    source: S,
    store: Arc<dyn StateStore>,
    sink: K,
    releases: R,
    config: WorkerConfig,
) -> Driver<S, K, R> {
    Driver::new(Worker::new(source, store, sink, config), releases, INTERVAL)
}

/// Runs to an end without anybody who could interrupt it.
pub(crate) async fn run<S: Source, K: Sink, R: ReleaseFeed>(
    driver: &mut Driver<S, K, R>,
    until: Until,
) -> Result<RunReport, StreamError> {
    let mut ignore = |_: Notice<'_>| {};
    driver.run(until, &mut ignore, watch::channel(false).1).await
}

/// A view that answers its inputs, and that minds lateness.
pub(crate) fn echo(name: &str, doc: &str, state_version: u32) -> Guest {
    let inputs = [field("key", "utf8"), field("n", "int64")];
    let mut description = row_view(name, &inputs, &[field("who", "utf8"), field("what", "int64")]);
    description["doc"] = doc.into();
    description["state-version"] = state_version.into();
    description["lateness-seconds"] = 3600.into();
    description["max-early-seconds"] = 60.into();
    Guest::new(description)
}

/// A view keyed by `number` whose rows are errors wherever `act` says so.
pub(crate) fn strict(name: &str) -> Guest {
    unruly(name, |description| {
        description["inputs"][0]["name"] = "number".into();
        description["entity"][0] = "number".into();
    })
}

pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A time of day on the first of January 2013, some seconds after midnight; at most a month later.
pub(crate) fn at(second: u64) -> String {
    let (day, second) = (second / 86_400 + 1, second % 86_400);
    format!("2013-01-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

pub(crate) fn event(id: &str, second: u64, arrived: u64, key: &str, n: u64) -> Value {
    let (second, arrived) = (at(second), at(arrived));
    json!({"event_id": id, "event_time": second, "arrived": arrived, "key": key, "number": n % 4, "n": n, "act": 0})
}

/// Events of few entities, out of order, among them late, early, repeated, contradictory and broken ones.
pub(crate) fn unruly_events(seed: u64, count: u64) -> Vec<String> {
    let mut random = SplitMix64(seed);
    let mut past: Vec<(String, u64)> = Vec::new();
    let mut lines = Vec::new();
    for number in 0..count {
        let mut arrived = 10_000 + number * 20 - random.below(15);
        if random.below(50) == 0 {
            // A clock ahead of the others: all that follow arrive no earlier, whatever they say.
            arrived += 3_000;
        }
        let (mut id, mut second) =
            (format!("e{}", number % 97), (arrived + 30) - random.below(5_000).min(arrived));
        if random.below(10) == 0 && !past.is_empty() {
            (id, second) = past[random.below(past.len() as u64) as usize].clone();
        }
        past.push((id.clone(), second));
        let mut event = event(&id, second, arrived, &random.below(9).to_string(), random.below(5));
        match random.below(40) {
            0 => event["key"] = Value::Null,
            1 => event["n"] = "many".into(),
            2 => event["event_time"] = Value::Null,
            3 => event["event_time"] = at(arrived + 100).into(),
            4..8 => event["act"] = (Act::Reject as i64).into(),
            _ => {}
        }
        let mut line = event.to_string();
        if random.below(60) == 0 {
            line.truncate(line.len() / 2);
        }
        lines.push(line);
    }
    lines
}

pub(crate) fn joined(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    })
}
