//! What a state keeps in the long run.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use serde_json::{Value, json};
use trifold_eventlog::{
    Carried, FileLog, JsonLines, LogError, LogOptions, Places, RawBatch, RawRows, SourceConfig,
};
use trifold_model::{CanonicalRows, EventTime, LogId, RowStatus};
use trifold_pipeline::Outcome;
use trifold_store::StateStore;
use trifold_stream::{NoSink, Source, Worker, WorkerConfig};
use trifold_tests::live::{transform, version, views};
use trifold_tests::online::{Online, runtime};
use trifold_tests::stores;

const SECOND: i64 = 1_000_000;

/// An event of an entity of its own.
fn event(number: i64, arrived: i64) -> Value {
    json!({
        "event_time": number * SECOND, "arrived": arrived * SECOND, "event_id": "",
        "key": number, "value": 1, "real": 0.5, "word": "a", "flag": true
    })
}

fn config() -> WorkerConfig {
    let source = SourceConfig { arrival: Some("arrived".to_owned()), ..SourceConfig::default() };
    WorkerConfig { source, rows_max: 20, ..WorkerConfig::new(1) }
}

/// Every event has an entity of its own. What the entities of the last minute need is kept, and what a sweep has not come
/// to yet; the rest is gone, and nothing is said of the times when it was there.
#[test]
fn a_long_stream_keeps_only_what_events_to_come_may_need() {
    const EVENTS: i64 = 3_000;
    let events: String = (0..EVENTS).map(|number| format!("{}\n", event(number, number + number % 15))).collect();
    let version = version(1, transform("window-numbers", &["limits"]));
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("log")).unwrap();
    fs::write(dir.path().join("log/0.jsonl"), events).unwrap();
    let store = stores::open(dir.path());
    let live = views([version.clone()]);
    let server = Online::fixed(Arc::new(store.clone()), live.clone());
    runtime().block_on(async {
        let log = FileLog::open(&dir.path().join("log"), LogOptions::default()).unwrap();
        let mut worker = Worker::new(log, Arc::new(store.clone()), NoSink, config());
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

/// A log whose events came from the two partitions of another. It gives what is put into it.
#[derive(Clone)]
struct Rekeyed {
    log: LogId,
    batch: Arc<Mutex<Option<RawBatch>>>,
}

impl Rekeyed {
    /// The events of one partition of the first log, and how far the arrivals of some are.
    fn put(&self, numbers: std::ops::Range<i64>, first_offset: u64, clocks: &[(u32, i64)]) {
        let lines: Vec<_> = numbers.clone().map(|number| event(number, number).to_string().into_bytes()).collect();
        let next_offset = first_offset + lines.len() as u64;
        let carried = Carried {
            arrivals: numbers.map(|number| Some(number * SECOND)).collect(),
            places: vec![None; lines.len()],
            clocks: clocks.iter().map(|(partition, at)| (next_offset - 1, *partition, at * SECOND)).collect(),
            partition_count: 2,
        };
        let places = Places {
            offsets: (first_offset..next_offset).collect(),
            append_times: vec![None; lines.len()],
            keys: None,
            bad: Vec::new(),
            carried: Some(carried),
            next_offset,
        };
        *self.batch.lock().unwrap() = Some(RawBatch {
            partition: 0,
            first_offset,
            places: Some(places),
            file: Path::new("events").into(),
            rows: RawRows::Lines(lines.iter().map(Vec::as_slice).collect::<JsonLines>()),
        });
    }
}

impl Source for Rekeyed {
    fn log(&self) -> &LogId {
        &self.log
    }

    fn partition(&self) -> u32 {
        0
    }

    fn read(&mut self, _from: u64, _rows_max: usize) -> Result<Option<RawBatch>, LogError> {
        Ok(self.batch.lock().unwrap().take())
    }

    fn rows_known(&mut self) -> Result<u64, LogError> {
        Ok(0)
    }
}

/// Nothing is forgotten that an event of the partition whose arrivals are the least far may still need.
#[test]
fn a_state_waits_for_the_slowest_partition_that_its_events_come_from() {
    const STEP: i64 = 20;
    let version = version(1, transform("window-numbers", &["limits"]));
    let dir = tempfile::tempdir().unwrap();
    let (store, live) = (stores::open(dir.path()), views([version.clone()]));
    let log = Rekeyed { log: LogId("events".into()), batch: Arc::default() };
    let mut worker = Worker::new(log.clone(), Arc::new(store.clone()), NoSink, config());
    runtime().block_on(worker.restore(&live)).unwrap();
    let mut kept_after = |step: i64, clocks: &[(u32, i64)]| {
        log.put(step * STEP..(step + 1) * STEP, (step * STEP) as u64, clocks);
        runtime().block_on(async {
            let polled = worker.poll(None).unwrap().unwrap();
            let step = worker.process(polled).await.unwrap();
            worker.commit(step).await.unwrap();
            store.scan_slots(version.state_id(), None, usize::MAX).await.unwrap().entities.len() as i64
        })
    };
    let of_fast = |step: i64| (0, (step + 1) * STEP - 1);
    // Of the other partition nothing is known, then that it is at the beginning.
    for step in 0..50 {
        let slow = if step < 25 { None } else { Some((1, 0)) };
        let clocks: Vec<_> = [of_fast(step)].into_iter().chain(slow).collect();
        assert_eq!(kept_after(step, &clocks), (step + 1) * STEP, "something was forgotten");
    }
    // It catches up, and no longer holds anything back.
    let kept = (50..300).map(|step| kept_after(step, &[of_fast(step), (1, step * STEP)])).last().unwrap();
    assert!(kept <= 2 * (21 + 7 + 15 + 2 * STEP), "{kept} entities are kept");
}
