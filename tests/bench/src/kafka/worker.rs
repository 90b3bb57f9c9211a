//! The worker, with the settings that the command has by default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;
use tokio::sync::watch;
use trifold_eventlog::SourceConfig;
use trifold_formats::Encoding;
use trifold_model::EventTime;
use trifold_pipeline::{LiveVersion, LiveViews};
use trifold_sandbox::{Sandbox, SandboxConfig};
use trifold_store::Holder;
use trifold_stream::kafka::{ClusterSettings, KafkaDriver, KafkaSettings};
use trifold_stream::{Fixed, Notice, Until, WorkerConfig};

use crate::kafka::TOPIC;
use crate::measure::processor_seconds;

/// A worker of a group.
#[derive(Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) brokers: String,
    pub(crate) group: String,
    pub(crate) worker: String,
    pub(crate) state_dir: PathBuf,
    pub(crate) component: PathBuf,
    /// Whether it goes on when it has done what is there.
    pub(crate) follows: bool,
}

/// What a worker came to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Worked {
    /// Processor time from its first connection on, until it has left the group.
    pub(crate) processor_seconds: f64,
    pub(crate) events: u64,
    pub(crate) rows: u64,
    /// What was set aside, by reason.
    pub(crate) aside: BTreeMap<String, u64>,
    /// The changes that states were brought up to date from, and how long that took.
    pub(crate) restored: u64,
    pub(crate) restore_seconds: f64,
}

/// The views that are followed.
pub(crate) fn live(component: &Path) -> anyhow::Result<Fixed> {
    let transform = Sandbox::new(SandboxConfig::default())?.admit(&std::fs::read(component)?)?;
    let version = LiveVersion { version: 1, release: None, transform };
    Ok(Fixed(Arc::new(LiveViews::new([(version.view().name.clone(), version)].into()))))
}

pub(crate) fn cluster(brokers: String, group: String, worker: String) -> ClusterSettings {
    ClusterSettings { brokers, group, worker, properties: BTreeMap::new() }
}

pub(crate) fn run(work: Work) -> anyhow::Result<Worked> {
    let releases = live(&work.component)?;
    let settings = KafkaSettings {
        cluster: cluster(work.brokers, work.group, work.worker),
        registry: "bench".to_owned(),
        views: Vec::new(),
        topic: TOPIC.to_owned(),
        encoding: Encoding::Json,
        archive: None,
        state_dir: work.state_dir,
        transaction_interval: Duration::from_millis(100),
        transaction_rows_max: 65_536,
        local_interval: Duration::from_secs(30),
        replicas: 0,
        features: true,
        keyed_by: Vec::new(),
        check_keys: true,
    };
    let source = SourceConfig { arrival: Some("arrived_at".to_owned()), ..SourceConfig::default() };
    let config = WorkerConfig { source, ..WorkerConfig::new(1) };
    let holder = Holder { pid: std::process::id(), command: "bench".to_owned(), since: EventTime(0) };
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (mut restored, mut restoring) = (0, Duration::ZERO);
    let mut notify = |notice: Notice<'_>| {
        if let Notice::Restored { entries, took, .. } = notice {
            restored += entries;
            restoring += took;
        }
    };
    let until = if work.follows { Until::Follow } else { Until::End };
    let (_running, stop) = watch::channel(false);
    let begun = processor_seconds()?;
    let mut driver = KafkaDriver::new(settings, config, holder, releases, Duration::from_secs(1))?;
    let report = runtime.block_on(driver.run(until, &mut notify, stop))?;
    drop(driver);
    let spent = processor_seconds()? - begun;
    ensure!(report.problems.is_empty(), "{:?}", report.problems);
    let feeds = || report.progress.feeds.iter().map(|feed| &feed.counts);
    let mut aside = BTreeMap::new();
    for (kind, count) in feeds().flat_map(|counts| &counts.aside) {
        *aside.entry(kind.name().to_owned()).or_default() += count;
    }
    Ok(Worked {
        processor_seconds: spent,
        events: feeds().map(|counts| counts.event_count).sum(),
        rows: feeds().map(|counts| counts.row_count).sum(),
        aside,
        restored,
        restore_seconds: restoring.as_secs_f64(),
    })
}
