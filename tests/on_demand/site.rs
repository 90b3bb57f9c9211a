//! A log, what a worker made of it, and a server over that.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use serde_json::{Value, json};
use tempfile::TempDir;
use trifold_eventlog::{FileLog, LogOptions, SourceConfig};
use trifold_pipeline::LiveVersion;
use trifold_store::EmbeddedStore;
use trifold_stream::{NoSink, Worker, WorkerConfig};
use trifold_tests::live::{admit, transform, version, views};
use trifold_tests::online::{Online, runtime};
use trifold_tests::stores;
use trifold_wat_guest::Guest;

use crate::views::{context, latest};

/// One second, in microseconds.
pub(crate) const SECOND: i64 = 1_000_000;

pub(crate) fn numbers_version() -> LiveVersion {
    version(1, transform("window-numbers", &[]))
}

pub(crate) fn latest_version() -> LiveVersion {
    version(2, admit(&latest().build().unwrap()))
}

pub(crate) fn context_version() -> LiveVersion {
    version(3, admit(&Guest::new(context()).build().unwrap()))
}

/// An event for both views.
pub(crate) fn event(second: i64, key: i64, value: Option<i64>) -> Value {
    let (id, flag) = (format!("e{second}"), value.map(|value| value % 2 == 0));
    json!({"event_time": second * SECOND, "event_id": id, "key": key, "value": value, "flag": flag})
}

/// A directory with a log in it.
pub(crate) struct Site {
    dir: TempDir,
}

impl Site {
    pub(crate) fn new(events: &[Value]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("log")).unwrap();
        let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
        fs::write(dir.path().join("log/0.jsonl"), lines).unwrap();
        Site { dir }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path("log")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A store to which a worker has applied the log for some versions.
    pub(crate) fn streamed(&self, versions: &[LiveVersion]) -> EmbeddedStore {
        let store = stores::open(self.dir.path());
        runtime().block_on(async {
            let log = FileLog::open(&self.log(), LogOptions::default()).unwrap();
            let config = WorkerConfig { source: SourceConfig::default(), ..WorkerConfig::new(1) };
            let mut worker = Worker::new(log, Arc::new(store.clone()), NoSink, config);
            let restored = worker.restore(&views(versions.to_vec())).await.unwrap();
            assert!(restored.problems.is_empty(), "{:?}", restored.problems);
            while let Some(polled) = worker.poll(None).unwrap() {
                let step = worker.process(polled).await.unwrap();
                worker.commit(step).await.unwrap();
            }
        });
        store
    }

    /// A server of some versions, all of which a worker has followed.
    pub(crate) fn server(&self, versions: &[LiveVersion]) -> Online {
        Online::fixed(Arc::new(self.streamed(versions)), views(versions.to_vec()))
    }
}

/// The request columns of `context`.
pub(crate) fn requests(keys: &[i64], amounts: &[Option<f64>]) -> RecordBatch {
    let key: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
    let amount: ArrayRef = Arc::new(Float64Array::from(amounts.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("key", key, false), ("amount", amount, true)]).unwrap()
}
