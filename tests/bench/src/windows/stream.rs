//! A log through the embedded worker, with the component of its view and with native functions.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tokio::sync::watch;
use trifold_eventlog::{ArrivalClock, Events, FileLog, LogOptions, SourceConfig, decode};
use trifold_pipeline::{Ingested, LiveVersion, LiveViews, WindowFunctions, WindowIngest};
use trifold_sandbox::Budget;
use trifold_store::{EmbeddedStore, StateStore};
use trifold_stream::{Driver, Fixed, MakeFunctions, NoSink, Until, Worker, WorkerConfig};

use crate::measure::{Effort, median, processor_seconds};
use crate::windows::events::{ARRIVAL, Disorder, generate};
use crate::windows::native::Native;
use crate::windows::{runtime, store};

const TURNS: usize = 3;
/// The events on which the native functions are checked.
const CHECKED: usize = 4096;

/// A log, and the version that is streamed over it.
pub(crate) struct Rig {
    version: LiveVersion,
    dir: TempDir,
    count: u64,
    stores: AtomicUsize,
}

impl Rig {
    /// Writes the log, and checks that the native functions come to the rows of the component on its first events, or
    /// they would be no baseline.
    pub(crate) fn new(version: LiveVersion, effort: Effort, disorder: Disorder) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let count = effort.choose(1_000_000, 50_000);
        generate(&dir.path().join("log"), count, disorder)?;
        let rig = Rig { version, dir, count, stores: AtomicUsize::new(0) };
        rig.check()?;
        Ok(rig)
    }

    /// Events that the worker takes in a second of one processor, all of its threads together.
    pub(crate) fn stream(&self) -> anyhow::Result<f64> {
        self.timed(|version| Box::new(version.transform.clone()))
    }

    /// The same where the functions of the view are native.
    pub(crate) fn stream_natively(&self) -> anyhow::Result<f64> {
        self.timed(|version| Box::new(Native(version.clone())))
    }

    /// What the state takes in the store by event, and what the log takes.
    pub(crate) fn bytes_per_event(&self) -> anyhow::Result<(f64, f64)> {
        let store = self.store()?;
        self.work(store.clone(), |version| Box::new(version.transform.clone()))?;
        let (mut bytes, mut after) = (0, None);
        loop {
            let page = runtime()?.block_on(store.scan_slots(self.version.state_id(), after, 10_000))?;
            for (key, slots) in &page.entities {
                bytes += slots.iter().map(|(_, slot)| key.0.len() + slot.len()).sum::<usize>();
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let log = std::fs::read_dir(self.log())?.map(|file| Ok(file?.metadata()?.len()));
        let log: u64 = log.sum::<anyhow::Result<u64>>()?;
        Ok((bytes as f64 / self.count as f64, log as f64 / self.count as f64))
    }

    fn timed(&self, functions: MakeFunctions) -> anyhow::Result<f64> {
        let store = self.store()?;
        let begun = processor_seconds()?;
        self.work(store, functions)?;
        Ok(self.count as f64 / (processor_seconds()? - begun))
    }

    fn work(&self, store: EmbeddedStore, functions: MakeFunctions) -> anyhow::Result<()> {
        let config = WorkerConfig { source: source(), functions, ..WorkerConfig::new(1) };
        let live = LiveViews::new([(self.version.view().name.clone(), self.version.clone())].into());
        let log = FileLog::open(&self.log(), LogOptions::default())?;
        let worker = Worker::new(log, Arc::new(store), NoSink, config);
        let mut driver = Driver::new(worker, Fixed(Arc::new(live)), Duration::from_secs(1));
        let (_running, stop) = watch::channel(false);
        let report = runtime()?.block_on(driver.run(Until::End, &mut |_| {}, stop))?;
        let row_count: u64 = report.progress.feeds.iter().map(|feed| feed.counts.row_count).sum();
        ensure!(row_count == self.count, "{row_count} of {} events emitted a row", self.count);
        Ok(())
    }

    fn check(&self) -> anyhow::Result<()> {
        let raw =
            FileLog::open(&self.log(), LogOptions::default())?.read(0, CHECKED)?.context("the log is empty")?;
        let events = decode(&raw, &source(), self.version.view(), &mut ArrivalClock::default())?;
        let rows = |ingested: Ingested| ingested.rows.canonical();
        let native = self.fold(&Native(self.version.clone()), events.clone())?;
        let own = self.fold(&self.version.transform, events)?;
        ensure!(rows(native)? == rows(own)?, "the native functions come to other rows than the component");
        Ok(())
    }

    fn fold(&self, functions: &dyn WindowFunctions, events: Events) -> anyhow::Result<Ingested> {
        let ingest = WindowIngest::new(&self.version, functions, events, &mut Budget::unlimited())?;
        let nothing = vec![Vec::new(); ingest.queries().len()];
        Ok(ingest.fold(nothing, None, &mut Budget::unlimited())?)
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn store(&self) -> anyhow::Result<EmbeddedStore> {
        let number = self.stores.fetch_add(1, Ordering::Relaxed);
        store(&self.dir.path().join(format!("{number}.redb")))
    }
}

/// Two streams in turns: the medians of what they come to.
pub(crate) fn in_turns(
    effort: Effort,
    value: &dyn Fn() -> anyhow::Result<f64>,
    baseline: &dyn Fn() -> anyhow::Result<f64>,
) -> anyhow::Result<(f64, f64)> {
    let (mut values, mut baselines) = (Vec::new(), Vec::new());
    for _ in 0..effort.choose(TURNS, 1) {
        values.push(value()?);
        baselines.push(baseline()?);
    }
    Ok((median(values), median(baselines)))
}

fn source() -> SourceConfig {
    SourceConfig { arrival: Some(ARRIVAL.to_owned()), ..SourceConfig::default() }
}
