//! Views that answer their inputs, of each type, and a server over what a worker made of a log.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use trifold_eventlog::{FileLog, LogOptions};
use trifold_pipeline::{LiveVersion, LiveViews};
use trifold_store::EmbeddedStore;
use trifold_stream::{NoSink, Worker, WorkerConfig};
use trifold_tests::live::{admit, version, views};
use trifold_tests::online::{Online, runtime, server_config};
use trifold_tests::stores;
use trifold_wat_guest::Guest;

/// The types of `types`, and what a field of each is called.
pub(crate) const TYPES: [(&str, &str); 11] = [
    ("flag", "bool"),
    ("whole", "int64"),
    ("double", "float64"),
    ("single", "float32"),
    ("text", "utf8"),
    ("bytes", "binary"),
    ("moment", "timestamp"),
    ("singles", "list<float32>"),
    ("doubles", "list<float64>"),
    ("wholes", "list<int64>"),
    ("texts", "list<utf8>"),
];

/// A view that answers its inputs, which are called as in `change`. The first fields are the key.
fn echo(kind: &str, name: &str, key: &[(&str, &str)], others: &[(&str, &str)], output: &str) -> LiveVersion {
    let source = if kind == "on-demand" { "request" } else { "event" };
    let field = |(name, ty): &(&str, &str), nullable: bool| json!({"name": name, "type": ty, "nullable": nullable, "source": source});
    let mut inputs: Vec<Value> = key.iter().map(|it| field(it, false)).collect();
    inputs.extend(others.iter().map(|it| field(it, true)));
    let outputs: Vec<_> = inputs
        .iter()
        .map(|input| {
            let name = format!("{}{output}", input["name"].as_str().unwrap());
            json!({"name": name, "type": input["type"], "nullable": input["nullable"]})
        })
        .collect();
    let mut view = json!({"contract": 1, "view": name, "kind": kind, "inputs": inputs, "outputs": outputs});
    if kind == "row" {
        view["entity"] = key.iter().map(|(name, _)| *name).collect();
    }
    version(1, admit(&Guest::new(view).build().unwrap()))
}

/// The row view `types`, keyed by the int64 `id`.
pub(crate) fn types() -> LiveVersion {
    echo("row", "types", &[("id", "int64")], &TYPES, "_out")
}

/// The on-demand view `echoed`, of a request field `id` and one of each type.
pub(crate) fn echoed() -> LiveVersion {
    echo("on-demand", "echoed", &[("id", "int64")], &TYPES, "_back")
}

/// The on-demand view `twice`, whose only request field is `id`.
pub(crate) fn twice() -> LiveVersion {
    echo("on-demand", "twice", &[("id", "int64")], &[], "_twice")
}

/// The row view `places`, keyed by the text `place`. Its `text_out` is the name of one of `types`.
pub(crate) fn places() -> LiveVersion {
    echo("row", "places", &[("place", "utf8")], &[("text", "utf8"), ("rank", "int64")], "_out")
}

/// The row view `pairs`, keyed by two fields.
pub(crate) fn pairs() -> LiveVersion {
    echo("row", "pairs", &[("id", "int64"), ("place", "utf8")], &[("rank", "int64")], "_pair")
}

/// A server, and the directory of what it reads.
pub(crate) struct Site {
    pub(crate) server: Online,
    /// Whoever follows the releases publishes here.
    pub(crate) live: watch::Sender<Arc<LiveViews>>,
    _dir: TempDir,
}

/// The versions that are served.
pub(crate) fn all() -> Vec<LiveVersion> {
    vec![types(), echoed(), twice(), places(), pairs()]
}

impl Site {
    /// A server of all views over the events of a log. Some views are served by ids.
    pub(crate) fn new(events: &[Value], by_id: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("log")).unwrap();
        let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
        fs::write(dir.path().join("log/0.jsonl"), lines).unwrap();
        let store = stores::open(dir.path());
        runtime().block_on(stream(&dir, store.clone()));
        let live = watch::channel(views(all())).0;
        let server = Online::offering(Arc::new(store), live.subscribe(), server_config(), by_id);
        Site { server, live, _dir: dir }
    }
}

async fn stream(dir: &TempDir, store: EmbeddedStore) {
    let log = FileLog::open(&dir.path().join("log"), LogOptions::default()).unwrap();
    let mut worker = Worker::new(log, Arc::new(store), NoSink, WorkerConfig::new(1));
    let restored = worker.restore(&views([types(), places(), pairs()])).await.unwrap();
    assert!(restored.problems.is_empty(), "{:?}", restored.problems);
    while let Some(polled) = worker.poll(None).unwrap() {
        let step = worker.process(polled).await.unwrap();
        worker.commit(step).await.unwrap();
    }
}

/// An event of `types`, whose other fields are null but those given.
pub(crate) fn event(second: i64, id: i64, fields: Value) -> Value {
    let mut event = json!({"event_time": second * 1_000_000, "event_id": format!("e{second}"), "id": id});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event
}

/// Rows of each type with values that a careless way would change. Row 2 is all null.
pub(crate) fn extremes() -> Vec<Value> {
    vec![
        json!({"flag": true, "whole": 9_007_199_254_740_993_i64, "double": 0.1, "single": 0.1, "text": "ä\"\\\n\u{0}",
            "bytes": "AP+AfwA=", "moment": 253_402_300_799_999_999_i64, "singles": [1.5, "NaN", 16_777_216.0],
            "doubles": ["-Infinity", 5e-324, -0.0], "wholes": [i64::MIN, -1, i64::MAX], "texts": ["", "null", "\u{10ffff}"]}),
        json!({"flag": false, "whole": i64::MAX, "double": "NaN", "single": "Infinity", "text": "", "bytes": "",
            "moment": -62_135_596_800_000_000_i64, "singles": [], "doubles": [], "wholes": [], "texts": []}),
        json!({}),
        json!({"flag": null, "whole": i64::MIN, "double": 1.797_693_134_862_315_7e308, "single": 1e-45, "text": "x",
            "bytes": "aGk=", "moment": 0, "singles": [3.402_823_5e38], "doubles": [1e300], "wholes": [0], "texts": ["y"]}),
    ]
}
