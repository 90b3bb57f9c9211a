//! The runners, each from a case to the rows that its events emit.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use tokio::sync::watch;
use trifold_backfill::{Backfill, Job, Output, Resources, Watch};
use trifold_eventlog::{Events, FileLog, LogOptions, RowFormat};
use trifold_model::types::UTC;
use trifold_model::view::{EVENT_ID, EVENT_TIME};
use trifold_model::{EntityKey, EventTime, FeatureView, first_difference};
use trifold_pipeline::Ask;
use trifold_server::client::InHand;
use trifold_store::EmbeddedStore;
use trifold_stream::{FeedId, FileSink, NoSink, Sink, Worker, WorkerConfig, feed_dir};
use trifold_tests::live::views;
use trifold_tests::online::{Online, runtime, server_config};
use trifold_tests::random::SplitMix64;
use trifold_tests::rows::{self, Row};
use trifold_tests::stores;

use crate::case::Case;
use crate::protocols;

/// A way from events to rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Runner {
    /// The worker, step by step, into row files.
    Stream,
    /// The same, dropped and begun again between and within steps.
    StreamWithRestart,
    /// Every event at its own position, from row files.
    Backfill,
    /// A lookup over gRPC after each event, at the event's time, which computes the value.
    OnlineComputed,
    /// The same with the values that the worker kept.
    OnlineKept,
    /// A lookup over gRPC before each event, with the event in hand.
    OnlineInHand,
    /// A lookup over HTTP after each event, at the event's time.
    OnlineHttp,
    /// A lookup by the entity's id after each event.
    OnlineById,
}

pub(crate) const RUNNERS: [Runner; 8] = [
    Runner::Stream,
    Runner::StreamWithRestart,
    Runner::Backfill,
    Runner::OnlineComputed,
    Runner::OnlineKept,
    Runner::OnlineInHand,
    Runner::OnlineHttp,
    Runner::OnlineById,
];

/// Runs a case through every runner.
#[track_caller]
pub(crate) fn check(case: &Case) {
    let expected = case.expected();
    for runner in RUNNERS.into_iter().filter(|runner| runner.suits(case)) {
        check_rows(case, &format!("{runner:?}"), &expected, &runner.run(case));
    }
}

/// Compares rows and names the first that differs.
#[track_caller]
pub(crate) fn check_rows(case: &Case, what: &str, expected: &BTreeMap<u64, Row>, found: &BTreeMap<u64, Row>) {
    let name = &case.name;
    let offsets = |rows: &BTreeMap<u64, Row>| rows.keys().copied().collect::<Vec<_>>();
    assert_eq!(offsets(found), offsets(expected), "{name}: {what} has rows for other events");
    for (offset, row) in expected {
        let difference = match (row, &found[offset]) {
            (Ok(expected), Ok(found)) => {
                first_difference(&case.view().outputs, expected, found).map(|difference| difference.to_string())
            }
            (expected, found) => {
                (expected.is_ok() || found.is_ok()).then(|| format!("{expected:?} against {found:?}"))
            }
        };
        if let Some(difference) = difference {
            panic!("{name}: {what} differs at offset {offset}: {difference} (expected against found)");
        }
    }
}

impl Runner {
    /// An event in hand arrives at the time that is asked for, which the stream knows nothing of. An id is one field.
    fn suits(self, case: &Case) -> bool {
        match self {
            Runner::OnlineInHand => case.source.arrival.is_none(),
            Runner::OnlineById => case.view().key_fields().len() == 1,
            _ => true,
        }
    }

    pub(crate) fn run(self, case: &Case) -> BTreeMap<u64, Row> {
        match self {
            Runner::Stream => stream(case, None),
            Runner::StreamWithRestart => stream(case, Some(SplitMix64(0x5eed))),
            Runner::Backfill => backfill(case),
            Runner::OnlineComputed => online(case, false, over_grpc),
            Runner::OnlineKept => online(case, true, over_grpc),
            Runner::OnlineHttp => online(case, true, protocols::over_http),
            Runner::OnlineById => online(case, true, protocols::by_id),
            Runner::OnlineInHand => online_in_hand(case),
        }
    }
}

/// A worker over the case's log. It has restored what a store and a sink hold.
pub(crate) async fn worker<K: Sink>(
    case: &Case,
    rows_max: usize,
    keep_outputs: bool,
    store: EmbeddedStore,
    sink: K,
) -> Worker<FileLog, K> {
    let log = FileLog::open(&case.log(), LogOptions::default()).unwrap();
    let config = WorkerConfig { source: case.source.clone(), rows_max, keep_outputs, ..WorkerConfig::new(1) };
    let mut worker = Worker::new(log, Arc::new(store), sink, config);
    let restored = worker.restore(&views([case.version.clone()])).await.unwrap();
    assert!(restored.problems.is_empty(), "{:?}", restored.problems);
    worker
}

/// Streams to the end. With numbers, about half of the steps end with the worker's life: after a commit, or with
/// a step that was computed and never committed.
fn stream(case: &Case, mut deaths: Option<SplitMix64>) -> BTreeMap<u64, Row> {
    let dir = case.scratch();
    let sink = FileSink::new().with_rows(dir.path().join("rows"), RowFormat::Parquet);
    runtime().block_on(async {
        loop {
            let mut worker = worker(case, case.step_rows, true, stores::open(dir.path()), sink.clone()).await;
            loop {
                let Some(polled) = worker.poll(None).unwrap() else { return };
                let step = worker.process(polled).await.unwrap();
                let fate = deaths.as_mut().map_or(0, |deaths| deaths.between(0, 4));
                if fate == 1 {
                    break;
                }
                worker.commit(step).await.unwrap();
                if fate == 2 {
                    break;
                }
            }
        }
    });
    rows::files(&feed_dir(&dir.path().join("rows"), &FeedId::of(&case.version)), case.view())
}

pub(crate) fn job(case: &Case, ask: Ask) -> Job {
    Job {
        version: case.version.clone(),
        log: case.log(),
        log_name: None,
        checks_keys: true,
        source: case.source.clone(),
        ask,
        before: false,
        arrivals: case.arrivals(),
        until: None,
    }
}

fn backfill(case: &Case) -> BTreeMap<u64, Row> {
    let dir = case.scratch();
    let out = dir.path().join("out");
    let backfill = Backfill {
        job: job(case, Ask::OwnPosition),
        spine: None,
        output: Output { dir: out.clone(), format: RowFormat::Parquet, digest: true, overwrite: false },
        resources: Resources { shards: 3, ..Resources::default() },
        watch: Watch::default(),
    };
    backfill.run().unwrap();
    rows::files(&out, case.view())
}

/// Asks for the row of an event that the state, which is at some offset, has.
type LookUp = fn(&Online, &FeatureView, EntityKey, EventTime, u64) -> Row;

fn over_grpc(server: &Online, view: &FeatureView, key: EntityKey, time: EventTime, next: u64) -> Row {
    let answer = server.look_up(view, &[key], time, &[]);
    assert_eq!(answer.position.as_ref().unwrap().positions.next(0), next);
    rows::answered(&answer.rows).remove(0)
}

fn online(case: &Case, keep_outputs: bool, ask: LookUp) -> BTreeMap<u64, Row> {
    let events = case.decoded();
    let mut admitted = case.admitted(&events).into_iter().peekable();
    let dir = case.scratch();
    let store = stores::open(dir.path());
    let by_id: Vec<_> = Runner::OnlineById.suits(case).then_some(case.view().name.as_str()).into_iter().collect();
    let live = watch::channel(views([case.version.clone()])).1;
    let server = Online::offering(Arc::new(store.clone()), live, server_config(), &by_id);
    let runtime = runtime();
    let mut worker = runtime.block_on(worker(case, 1, keep_outputs, store, NoSink));
    let mut found = BTreeMap::new();
    while let Some(polled) = worker.poll(None).unwrap() {
        let step = runtime.block_on(worker.process(polled)).unwrap();
        let report = runtime.block_on(worker.commit(step)).unwrap();
        if let Some(event) = admitted.next_if(|event| event.offset == report.first_offset) {
            found.insert(event.offset, ask(&server, case.view(), event.key, event.time, report.next_offset));
        }
    }
    assert!(admitted.next().is_none(), "an event was never streamed");
    found
}

fn online_in_hand(case: &Case) -> BTreeMap<u64, Row> {
    let (view, events) = (case.view(), case.decoded());
    let mut admitted = case.admitted(&events).into_iter().peekable();
    let dir = case.scratch();
    let store = stores::open(dir.path());
    let server = Online::fixed(Arc::new(store.clone()), views([case.version.clone()]));
    let runtime = runtime();
    let mut worker = runtime.block_on(worker(case, 1, true, store, NoSink));
    let (mut found, mut next) = (BTreeMap::new(), 0);
    while let Some(polled) = worker.poll(None).unwrap() {
        let event = admitted.next_if(|event| event.offset == next);
        let look_up = |in_hand: &[InHand]| {
            let event = event.as_ref()?;
            Some((event.offset, server.look_up(view, std::slice::from_ref(&event.key), event.time, in_hand)))
        };
        let mut answer = look_up(&event.iter().map(|event| in_hand(view, &events, event.row)).collect::<Vec<_>>());
        let step = runtime.block_on(worker.process(polled)).unwrap();
        next = runtime.block_on(worker.commit(step)).unwrap().next_offset;
        // Before its first event nothing is known of a state.
        if next == 1 {
            assert!(answer.as_ref().is_none_or(|(_, answer)| answer.position.is_none()));
            answer = look_up(&[]);
        }
        found.extend(answer.map(|(offset, answer)| (offset, rows::answered(&answer.rows).remove(0))));
    }
    assert!(admitted.next().is_none(), "an event was never looked up");
    found
}

/// One event as it is sent in hand.
fn in_hand(view: &FeatureView, events: &Events, row: usize) -> InHand {
    let id = StringArray::from(vec![events.ids.value(row)]);
    let time = TimestampMicrosecondArray::from(vec![events.times[row].0]).with_timezone(UTC);
    let mut columns: Vec<(String, ArrayRef)> =
        vec![(EVENT_TIME.to_owned(), Arc::new(time)), (EVENT_ID.to_owned(), Arc::new(id))];
    let inputs = view.inputs.iter().zip(events.inputs.columns()).enumerate();
    for (_, (input, column)) in inputs.filter(|(place, _)| !view.key_columns().contains(place)) {
        if ![EVENT_TIME, EVENT_ID].contains(&input.name.as_str()) {
            columns.push((input.name.to_string(), column.slice(row, 1)));
        }
    }
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    InHand { view: view.name.to_string(), events: RecordBatch::try_from_iter_with_nullable(columns).unwrap() }
}
