//! Backfills along the releases: while versions come and go, are tried out and taken back, and the worker dies, each event
//! has the row in the backfill that the stream emitted first, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use trifold_backfill::{Backfill, Output, Resources, Watch};
use trifold_eventlog::{FileLog, LogOptions, RowFormat};
use trifold_model::{EventTime, StateId, ViewName};
use trifold_pipeline::{Ask, Catalog, EmittedBy, LiveVersion, StateRows, follow};
use trifold_registry::{Registry, Steps, Trial};
use trifold_sandbox::SandboxConfig;
use trifold_store::{EmbeddedStore, OnlineStore, StateStore};
use trifold_stream::{FeedId, FileSink, Worker, WorkerConfig, feed_dir};
use trifold_tests::live::{admit, sandbox};
use trifold_tests::online::runtime;
use trifold_tests::random::SplitMix64;
use trifold_tests::recorded::Recorded;
use trifold_tests::stores;
use trifold_wat_guest::{Guest, field, row_view};

const EVENTS: u64 = 400;
const LEGS: u64 = 12;
const SHARES: [&str; 4] = ["0.01%", "35%", "80%", "99%"];

/// Versions of a view, the first two of which share their state. Beside the third, which has one more feature, the others
/// cannot be canaries.
fn versions() -> [Guest; 4] {
    let echo = |doc: &str, state_version: u32, more: bool| {
        let (mut inputs, mut outputs) = (vec![field("key", "utf8"), field("n", "int64")], vec![]);
        outputs.extend([field("who", "utf8"), field("what", "int64")]);
        if more {
            inputs.push(field("number", "int64"));
            outputs.push(field("more", "int64"));
        }
        let mut view = row_view("echo", &inputs, &outputs);
        view["doc"] = doc.into();
        view["state-version"] = state_version.into();
        view["lateness-seconds"] = 3600.into();
        view["max-early-seconds"] = 60.into();
        Guest::new(view)
    };
    [echo("one", 1, false), echo("two", 1, false), echo("three", 1, true), echo("four", 2, false)]
}

/// Events of few entities, out of order, among them late, repeated and broken ones.
fn events(random: &mut SplitMix64) -> String {
    let time =
        |second: u64| format!("2013-01-01T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
    let mut text = String::new();
    for number in 0..EVENTS {
        let arrived = 10_000 + number * 20;
        let second = arrived - random.between(0, 5_000);
        let mut event = json!({
            "event_id": format!("e{}", random.between(0, EVENTS)), "event_time": time(second), "arrived": time(arrived),
            "key": random.between(0, 12).to_string(), "n": random.between(0, 5), "number": number,
        });
        match random.between(0, 30) {
            0 => event["key"] = Value::Null,
            1 => event["n"] = "many".into(),
            _ => {}
        }
        writeln!(text, "{event}").unwrap();
    }
    text
}

/// A log, a registry, and a worker over them that may die.
struct Site {
    seed: u64,
    random: SplitMix64,
    recorded: Recorded,
    dir: TempDir,
    registry: Registry,
    catalog: Catalog,
    store: EmbeddedStore,
    worker: Option<Worker<FileLog, FileSink>>,
    view: ViewName,
    states: BTreeSet<StateId>,
    /// The state of the version in force.
    in_force: StateId,
    /// The row of each event that was emitted first.
    emitted: BTreeMap<u64, String>,
}

impl Site {
    async fn new(seed: u64) -> Self {
        let mut random = SplitMix64(seed);
        let recorded = Recorded::new(Some("arrived"));
        fs::create_dir(recorded.log()).unwrap();
        fs::write(recorded.log().join("0.jsonl"), events(&mut random)).unwrap();
        let dir = recorded.scratch();
        let registry = Registry::local(&dir.path().join("registry"), true).unwrap();
        let mut states = Vec::new();
        for guest in versions() {
            let wasm = guest.build().unwrap();
            let transform = admit(&wasm);
            registry.push(&wasm, transform.view(), transform.description(), EventTime(0)).await.unwrap();
            states.push(transform.view().state_id());
        }
        let (store, view) = (stores::open(dir.path()), "echo".parse().unwrap());
        registry.release(&view, 1, EventTime(0)).await.unwrap();
        let catalog = Catalog::new(registry.clone(), sandbox(SandboxConfig::default().batch_rows_max));
        let (worker, in_force, emitted) = (None, states[0], BTreeMap::new());
        let states = states.into_iter().collect();
        Site { seed, random, recorded, dir, registry, catalog, store, worker, view, states, in_force, emitted }
    }

    /// Somebody releases something, or takes it back.
    async fn release(&mut self) {
        let (version, at) = (self.random.between(1, 5), EventTime(0));
        let share = SHARES[self.random.between(0, 4) as usize].parse().unwrap();
        // What is refused, such as a version beside itself, leaves everything as it is.
        let _ = match self.random.between(0, 6) {
            0 | 1 => self.registry.release(&self.view, version, at).await,
            2 => self.registry.roll_back(&self.view, at).await,
            3 => self.registry.try_out(&self.view, version, Trial::Shadow, at).await,
            _ => {
                let trial = Trial::Canary { share, steps: Steps::default() };
                self.registry.try_out(&self.view, version, trial, at).await
            }
        };
    }

    /// Takes over what is released, and takes events until `stop`, dying on the way.
    async fn leg(&mut self, stop: u64) {
        self.catalog.poll().await.unwrap();
        let live = self.catalog.live();
        let in_force = live.views[&self.view].state_id();
        if in_force != self.in_force {
            if let Some(worker) = &mut self.worker {
                worker.checkpoint().await.unwrap();
            }
            self.collect().await;
            self.in_force = in_force;
        }
        loop {
            let mut worker = match self.worker.take() {
                Some(worker) => worker,
                None => self.worker(),
            };
            let restored = worker.restore(&live).await.unwrap();
            assert!(restored.problems.is_empty(), "seed {:#x}: {:?}", self.seed, restored.problems);
            if self.life(&mut worker, stop).await {
                self.worker = Some(worker);
                return;
            }
        }
    }

    fn worker(&mut self) -> Worker<FileLog, FileSink> {
        let log = FileLog::open(&self.recorded.log(), LogOptions::default()).unwrap();
        let sink = FileSink::new().with_rows(self.dir.path().join("rows"), RowFormat::JsonLines);
        let rows_max = self.random.between(5, 60) as usize;
        let config = WorkerConfig { rows_max, source: self.recorded.source.clone(), ..WorkerConfig::new(1) };
        Worker::new(log, Arc::new(self.store.clone()), sink, config)
    }

    /// Takes steps, some of them written by themselves; `false` if it died of one.
    async fn life(&mut self, worker: &mut Worker<FileLog, FileSink>, stop: u64) -> bool {
        while let Some(polled) = worker.poll(Some(stop)).unwrap() {
            let step = worker.process(polled).await.unwrap();
            let fate = self.random.between(0, 12);
            if fate == 0 {
                return false;
            }
            worker.apply(step).unwrap();
            if fate == 1 {
                return false;
            }
            if fate < 6 {
                worker.checkpoint().await.unwrap();
            }
        }
        true
    }

    /// Looks at the rows that the state in force has, as far as they are committed.
    async fn collect(&mut self) {
        let Some(marker) = self.store.marker(self.in_force).await.unwrap() else { return };
        let feed = FeedId { view: self.view.clone(), state: self.in_force };
        let rows = lines(&feed_dir(&self.dir.path().join("rows"), &feed));
        for (offset, line) in rows.into_iter().filter(|(offset, _)| *offset < marker.positions.next(0)) {
            self.emitted.entry(offset).or_insert(line);
        }
    }

    /// Who computed which rows, as the store and the registry say.
    async fn followed(&self) -> Vec<EmittedBy> {
        let mut states = Vec::new();
        for state in &self.states {
            let Some(marker) = self.store.marker(*state).await.unwrap() else { continue };
            states.push(StateRows { end: marker.positions, switches: self.store.switches(*state).await.unwrap() });
        }
        follow(&states, &self.registry.history(&self.view).await.unwrap()).unwrap()
    }

    /// The rows of a version's backfill.
    async fn backfill(&self, by: EmittedBy) -> BTreeMap<u64, String> {
        let transform = admit(&self.registry.component(&by.digest).await.unwrap());
        let version = LiveVersion { version: by.version, release: None, transform };
        let mut job = self.recorded.job(&version, Ask::Emitted(Arc::new(by.rows.clone())), false);
        job.until = Some(by.rows.end());
        let dir = self.recorded.scratch().path().join("out");
        let output = Output { dir: dir.clone(), format: RowFormat::JsonLines, digest: true, overwrite: false };
        let (resources, watch) = (Resources::default(), Watch::default());
        Backfill { job, spine: None, output, resources, watch }.run().unwrap();
        lines(&dir)
    }
}

/// The rows of a directory by offset, each of them there once.
fn lines(dir: &Path) -> BTreeMap<u64, String> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    let is_of_rows = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with(".jsonl") && !name.starts_with(['_', '.'])
    };
    let mut rows = BTreeMap::new();
    for path in entries.filter(is_of_rows) {
        for line in fs::read_to_string(&path).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let offset = &row["_offset"];
            let offset = offset.as_u64().unwrap_or_else(|| offset.as_str().unwrap().parse().unwrap());
            assert_eq!(rows.insert(offset, line.to_owned()), None, "{}: {offset}", path.display());
        }
    }
    rows
}

#[test]
#[expect(clippy::print_stdout, reason = "a failing test shows its seed")]
fn a_backfill_along_the_releases_has_the_rows_that_were_emitted_first() {
    let (mut of_versions, mut of_canaries, mut switches) = (BTreeMap::new(), 0, 0);
    for seed in 0xF0110..0xF0110 + 24 {
        println!("seed {seed:#x}");
        runtime().block_on(async {
            let mut site = Site::new(seed).await;
            let mut stop = 0;
            for leg in 1..=LEGS {
                stop = if leg == LEGS { EVENTS } else { (stop + site.random.between(0, 70)).min(EVENTS) };
                site.leg(stop).await;
                site.release().await;
            }
            site.worker.as_mut().unwrap().checkpoint().await.unwrap();
            site.collect().await;
            let mut rows = BTreeMap::new();
            for by in site.followed().await {
                for span in by.rows.spans().values().flatten() {
                    switches += 1;
                    of_canaries += usize::from(matches!(span.entities, trifold_pipeline::Entities::Taken(_)));
                }
                let version = by.version;
                let computed = site.backfill(by).await;
                *of_versions.entry(version).or_insert(0) += computed.len();
                for (offset, line) in computed {
                    assert_eq!(rows.insert(offset, line), None, "offset {offset} has two rows");
                }
            }
            assert!(rows.len() as u64 > EVENTS / 2, "{} rows", rows.len());
            assert_eq!(rows, site.emitted);
        });
    }
    assert!(of_versions.len() == 4 && of_versions.values().all(|rows| *rows > 500), "{of_versions:?}");
    assert!(of_canaries > 30 && switches > 150, "{of_canaries} of {switches}");
}
