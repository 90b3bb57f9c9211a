//! Window views: logs made from seeds, and what must come out by the rule: of the events that are known, those of each
//! window, cut into tiles, folded from nothing and merged from left to right.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use serde_json::json;
use trifold_eventlog::Events;
use trifold_model::{CanonicalRows, EventTime, RowStatus, WindowSpec};
use trifold_pipeline::Outcome;
use trifold_sandbox::{Budget, Group, Run, Verdict, WindowTiles};
use trifold_store::OnlineStore;
use trifold_stream::NoSink;
use trifold_tests::live::{transform, views};
use trifold_tests::online::{Online, runtime};
use trifold_tests::random::SplitMix64;
use trifold_tests::rows::Row;
use trifold_tests::stores;

use crate::case::{Admitted, Case};
use crate::runner::{check, worker};

/// The row that each event emits, one value after the other.
pub(crate) fn expected(case: &Case, spec: &WindowSpec, events: &Events) -> BTreeMap<u64, Row> {
    let (prepared, admitted) = (case.prepared(events), case.admitted(events));
    let value = |number: usize| {
        let own = &admitted[number];
        let mut known: Vec<&Admitted> = admitted[..=number].iter().filter(|event| event.key == own.key).collect();
        // A stable sort, so that of equal events the first by position comes first and counts.
        known.sort_by(|left, right| (left.time, &left.id).cmp(&(right.time, &right.id)));
        if spec.deduplicate {
            known.dedup_by(|later, first| (later.time, &later.id) == (first.time, &first.id));
        }
        let at = known.iter().map(|event| event.time).max().unwrap();
        (own.offset, windows(case, spec, events, &prepared.outputs, own, &known, at))
    };
    (0..admitted.len()).map(value).collect()
}

fn windows(
    case: &Case,
    spec: &WindowSpec,
    events: &Events,
    prepared: &RecordBatch,
    own: &Admitted,
    known: &[&Admitted],
    at: EventTime,
) -> Row {
    let transform = &case.version.transform;
    let (mut tiles, mut runs, mut picks) = (Vec::new(), Vec::new(), Vec::new());
    for window in &spec.windows {
        let first = EventTime(at.0 - window.length.micros()).align_down(window.hop);
        let mut of_tile: BTreeMap<EventTime, Vec<u32>> = BTreeMap::new();
        for event in known.iter().filter(|event| first <= event.time && event.time <= at) {
            of_tile.entry(event.time.align_down(window.hop)).or_default().push(event.row as u32);
        }
        let run = Run { first: picks.len() as u32, count: of_tile.len() as u32 };
        for rows in of_tile.into_values() {
            let group = Group { state: 0, first: 0, count: rows.len() as u32 };
            let rows = take_record_batch(prepared, &UInt32Array::from(rows)).unwrap();
            let empty = BinaryArray::from_iter_values([b""]);
            let folded = transform.accumulate(&empty, &[group], &rows, &mut Budget::unlimited());
            assert!(folded.failures.is_empty(), "{:?}", folded.failures);
            picks.push(tiles.len() as u32);
            tiles.push(folded.states.value(0).to_vec());
        }
        runs.push(run);
    }
    let row = events.inputs.slice(own.row, 1);
    let question = WindowTiles {
        tiles: &BinaryArray::from_iter_values(&tiles),
        picks: &picks,
        windows: &runs,
        keys: &row.project(case.view().key_columns()).unwrap(),
        as_of: &[at],
    };
    let applied = transform.finish(&question, &mut Budget::unlimited());
    let status = match applied.failures.first().map(|failure| &failure.verdict) {
        None if picks.is_empty() => RowStatus::Empty,
        None => RowStatus::Value,
        Some(Verdict::Error(code)) => RowStatus::Error(*code),
        Some(Verdict::Unavailable(_)) => return Err(applied.failures[0].message.clone()),
    };
    let mut bytes = Vec::new();
    CanonicalRows::new(&applied.outputs).unwrap().write_row(status, 0, &mut bytes);
    Ok(bytes)
}

#[test]
fn numbers() {
    for seed in 0..6 {
        let mut random = SplitMix64(seed);
        let event = |random: &mut SplitMix64, number: u64| {
            json!({
                "event_time": number as i64 * 20_000_000 - random.between(0, 400) as i64 * 10_000_000,
                "event_id": (["a", "b", ""][random.between(0, 3) as usize]),
                "key": random.between(0, 3),
                "value": match random.between(0, 8) {
                    0 => json!(null),
                    1 => json!(-1),
                    _ => json!(random.between(0, 4)),
                },
            })
        };
        let events: Vec<_> = (0..120).map(|number| event(&mut random, number)).collect();
        check(&Case::new(&format!("numbers, seed {seed}"), transform("window-numbers", &[]), None, &events));
    }
}

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
    let events: Vec<_> = (0..EVENTS).map(event).collect();
    let transform = transform("window-numbers", &["limits"]);
    let case = Case::new("a long stream", transform, Some("arrived"), &events);
    let dir = case.scratch();
    let store = stores::open(dir.path());
    let state = case.version.state_id();
    let server = Online::fixed(Arc::new(store.clone()), views([case.version.clone()]));
    runtime().block_on(async {
        let mut worker = worker(&case, 100, false, store.clone(), NoSink).await;
        while let Some(polled) = worker.poll(None).unwrap() {
            let step = worker.process(polled).await.unwrap();
            worker.commit(step).await.unwrap();
            let kept = store.scan_slots(state, None, usize::MAX).await.unwrap().entities.len();
            // 21 s of the longest window, 7 of its hop and 15 of lateness; a step brings 100 more; and five times that.
            assert!(kept <= 5 * (21 + 7 + 15 + 100), "{kept} entities are kept");
        }
    });
    let ask = |key: i64, at: i64| {
        let keys = Int64Array::from(vec![key]);
        let keys = RecordBatch::try_from_iter([("key", Arc::new(keys) as ArrayRef)]).unwrap();
        let key = CanonicalRows::new(&keys).unwrap().key(0, &mut Vec::new());
        server.look_up(case.view(), &[key], EventTime(at * SECOND)).rows.outcomes()[0].clone()
    };
    assert_eq!(ask(EVENTS - 1, 0), Outcome::Known(RowStatus::Value));
    assert_eq!(ask(EVENTS - 1, EVENTS + 60), Outcome::Known(RowStatus::Empty));
    assert_eq!(ask(5, EVENTS + 60), Outcome::Known(RowStatus::Empty));
    assert_eq!(ask(EVENTS * 2, EVENTS + 60), Outcome::Known(RowStatus::Empty));
    let Outcome::Unavailable(reason) = ask(5, 7) else { panic!("the past is known") };
    assert!(reason.starts_with("unknown at that time"), "{reason}");
}
