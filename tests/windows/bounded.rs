//! What a state keeps in the long run.

use std::fs;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use serde_json::json;
use trifold_eventlog::{FileLog, LogOptions, SourceConfig};
use trifold_model::{CanonicalRows, EventTime, RowStatus};
use trifold_pipeline::Outcome;
use trifold_store::StateStore;
use trifold_stream::{NoSink, Worker, WorkerConfig};
use trifold_tests::live::{transform, version, views};
use trifold_tests::online::{Online, runtime};
use trifold_tests::stores;

/// Every event has an entity of its own. What the entities of the last minute need is kept, and what a sweep has not come
/// to yet; the rest is gone, and nothing is said of the times when it was there.
#[test]
fn a_long_stream_keeps_only_what_events_to_come_may_need() {
    const EVENTS: i64 = 3_000;
    const SECOND: i64 = 1_000_000;
    let event = |number: i64| {
        json!({
            "event_time": number * SECOND, "arrived": (number + number % 15) * SECOND, "event_id": "",
            "key": number, "value": 1, "real": 0.5, "word": "a", "flag": true
        })
    };
    let events: String = (0..EVENTS).map(|number| format!("{}\n", event(number))).collect();
    let version = version(1, transform("window-numbers", &["limits"]));
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("log")).unwrap();
    fs::write(dir.path().join("log/0.jsonl"), events).unwrap();
    let store = stores::open(dir.path());
    let live = views([version.clone()]);
    let server = Online::fixed(Arc::new(store.clone()), live.clone());
    runtime().block_on(async {
        let log = FileLog::open(&dir.path().join("log"), LogOptions::default()).unwrap();
        let source = SourceConfig { arrival: Some("arrived".to_owned()), ..SourceConfig::default() };
        let config = WorkerConfig { source, rows_max: 20, ..WorkerConfig::new(1) };
        let mut worker = Worker::new(log, Arc::new(store.clone()), NoSink, config);
        worker.restore(&live).await.unwrap();
        while let Some(polled) = worker.poll(None).unwrap() {
            let step = worker.process(polled).await.unwrap();
            worker.commit(step).await.unwrap();
            let kept = store.scan_slots(version.state_id(), None, usize::MAX).await.unwrap().entities.len();
            // 21 s of the longest window, 7 of its hop and 15 of lateness, the 20 of a step; and twice that.
            assert!(kept <= 2 * (21 + 7 + 15 + 20), "{kept} entities are kept");
        }
    });
    let ask = |key: i64, at: i64| {
        let keys = Int64Array::from(vec![key]);
        let keys = RecordBatch::try_from_iter([("key", Arc::new(keys) as ArrayRef)]).unwrap();
        let key = CanonicalRows::new(&keys).unwrap().key(0, &mut Vec::new());
        server.look_up(version.view(), &[key], EventTime(at * SECOND), &[]).rows.outcomes()[0].clone()
    };
    assert_eq!(ask(EVENTS - 1, 0), Outcome::Known(RowStatus::Value));
    assert_eq!(ask(EVENTS - 1, EVENTS + 60), Outcome::Known(RowStatus::Empty));
    assert_eq!(ask(5, EVENTS + 60), Outcome::Known(RowStatus::Empty));
    assert_eq!(ask(EVENTS * 2, EVENTS + 60), Outcome::Known(RowStatus::Empty));
    let Outcome::Unavailable(reason) = ask(5, 7) else { panic!("the past is known") };
    assert!(reason.starts_with("unknown at that time"), "{reason}");
}
