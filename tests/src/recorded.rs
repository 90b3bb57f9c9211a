//! A log in files, and the runners over it: the worker with the embedded store, and backfills.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use trifold_backfill::{Backfill, Job, Output, Questions, Replay, ReplayAnswer, Resources, Watch};
use trifold_eventlog::{FileLog, LogOptions, RowFormat, SourceConfig};
use trifold_model::Cut;
use trifold_pipeline::{ArrivalPolicy, Ask, LiveVersion};
use trifold_store::EmbeddedStore;
use trifold_stream::{FeedId, FileSink, Sink, Worker, WorkerConfig, feed_dir};

use crate::live::views;
use crate::online::runtime;
use crate::random::SplitMix64;
use crate::rows::{self, Row};
use crate::stores;

/// A directory with a log in it, which whoever makes it writes to [`Recorded::log`].
pub struct Recorded {
    /// Which columns carry what every event has.
    pub source: SourceConfig,
    dir: TempDir,
}

/// The row files of a worker that came to the end of a log.
pub struct Streamed {
    dir: TempDir,
}

impl Recorded {
    /// A log without files. `arrival` names the column of arrivals, if they are recorded.
    pub fn new(arrival: Option<&str>) -> Self {
        let source = SourceConfig { arrival: arrival.map(str::to_owned), ..SourceConfig::default() };
        Recorded { source, dir: tempfile::tempdir().unwrap() }
    }

    /// Where the log's files are.
    pub fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// A new directory.
    pub fn scratch(&self) -> TempDir {
        tempfile::tempdir_in(self.dir.path()).unwrap()
    }

    /// A worker that has restored what the store and the sink hold.
    pub async fn worker<K: Sink>(
        &self,
        versions: &[LiveVersion],
        rows_max: usize,
        store: EmbeddedStore,
        sink: K,
    ) -> Worker<FileLog, K> {
        self.worker_with(versions, WorkerConfig { rows_max, ..WorkerConfig::new(1) }, store, sink).await
    }

    async fn worker_with<K: Sink>(
        &self,
        versions: &[LiveVersion],
        config: WorkerConfig,
        store: EmbeddedStore,
        sink: K,
    ) -> Worker<FileLog, K> {
        let log = FileLog::open(&self.log(), LogOptions::default()).unwrap();
        let config = WorkerConfig { source: self.source.clone(), ..config };
        let mut worker = Worker::new(log, Arc::new(store), sink, config);
        let restored = worker.restore(&views(versions.to_vec())).await.unwrap();
        assert!(restored.problems.is_empty(), "{:?}", restored.problems);
        worker
    }

    /// Streams to the end, some steps written by themselves and some with later ones. About every third step ends the
    /// worker's life: after it was written, or before.
    pub fn stream(&self, versions: &[LiveVersion], rows_max: usize, random: &mut SplitMix64) -> Streamed {
        let streamed = Streamed { dir: self.scratch() };
        let dir = streamed.dir.path();
        let sink = FileSink::new().with_rows(dir.join("rows"), RowFormat::Parquet);
        runtime().block_on(async {
            loop {
                let resident_bytes = random.between(0, 20_000) as usize;
                let config = WorkerConfig { rows_max, resident_bytes, ..WorkerConfig::new(1) };
                let mut worker = self.worker_with(versions, config, stores::open(dir), sink.clone()).await;
                loop {
                    let Some(polled) = worker.poll(None).unwrap() else {
                        return worker.checkpoint().await.unwrap();
                    };
                    let step = worker.process(polled).await.unwrap();
                    let fate = random.between(0, 9);
                    if fate == 0 {
                        break;
                    }
                    worker.apply(step).unwrap();
                    if fate == 1 {
                        break;
                    }
                    if fate < 6 || worker.is_full() {
                        worker.checkpoint().await.unwrap();
                    }
                    if fate == 2 {
                        break;
                    }
                }
            }
        });
        streamed
    }

    /// What a backfill of a version is asked.
    pub fn job(&self, version: &LiveVersion, ask: Ask, before: bool) -> Job {
        let version = version.clone();
        let arrivals = ArrivalPolicy::new(version.view(), self.source.arrival.is_some(), false).unwrap();
        let (log, source) = (self.log(), self.source.clone());
        Job { version, log, log_name: None, checks_keys: true, source, ask, before, arrivals, until: None }
    }

    /// The rows of a backfill over every event.
    pub fn backfill(
        &self,
        version: &LiveVersion,
        ask: Ask,
        before: bool,
        resources: Resources,
    ) -> BTreeMap<u64, Row> {
        let dir = self.scratch();
        let out = dir.path().join("out");
        let backfill = Backfill {
            job: self.job(version, ask, before),
            spine: None,
            output: Output { dir: out.clone(), format: RowFormat::Parquet, digest: true, overwrite: false },
            resources,
            watch: Watch::default(),
        };
        backfill.run().unwrap();
        rows::files(&out, version.view())
    }

    /// The answers to questions, in their order.
    pub fn answers(
        &self,
        version: &LiveVersion,
        cut: Cut,
        before: bool,
        questions: Questions,
        resources: Resources,
    ) -> Vec<Row> {
        let dir = self.scratch();
        let replay = Replay {
            job: self.job(version, Ask::Spine(cut), before),
            questions: Some(questions),
            spill_dir: dir.path().to_owned(),
            resources,
            watch: Watch::default(),
        };
        let mut answers = Vec::new();
        let mut take = |answer: ReplayAnswer<'_>| {
            answers.push(answer.value.map(<[u8]>::to_vec).map_err(str::to_owned));
        };
        replay.answers(&mut take).unwrap();
        answers
    }
}

impl Streamed {
    /// Where the row files of a version are.
    pub fn rows(&self, version: &LiveVersion) -> PathBuf {
        feed_dir(&self.dir.path().join("rows"), &FeedId::of(version))
    }
}
