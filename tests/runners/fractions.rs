//! Rows that use 0.45, 0.55, 0.9 and 1.1 of their limits of fuel and memory, in batches of 1, 7 and 4,096, through
//! all three runners: the same verdict per row. No row lives on its neighbours' budget, and none dies of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use serde_json::{Value, json};
use trifold_model::{EntityKey, ErrorCode, EventTime};
use trifold_sandbox::{Budget, Transform, Verdict};
use trifold_server::ServerConfig;
use trifold_stream::NoSink;
use trifold_tests::guests::component;
use trifold_tests::live::{sandbox, views};
use trifold_tests::online::{Online, runtime, server_config};
use trifold_tests::rows::{self, Row};
use trifold_tests::stores;

use crate::case::Case;
use crate::runner::{Runner, check_rows, worker};

const FRACTIONS: [f64; 4] = [0.45, 0.55, 0.9, 1.1];
const BATCHES: [usize; 3] = [1, 7, 4096];
/// One full batch and a bit of the next.
const ROWS: usize = 4_100;
/// The rows before this one are all dear; after it, one in 31 is.
const CROWD: usize = 1_000;

fn transform(batch_rows_max: usize) -> Transform {
    sandbox(batch_rows_max).admit(&component("burner", &[]).component).unwrap()
}

/// The verdict on one row alone, and the fuel that it took.
fn burn(transform: &Transform, turns: i64, bytes: i64) -> (Option<ErrorCode>, u64) {
    let column = |value: i64| Arc::new(Int64Array::from(vec![value])) as _;
    let columns = vec![column(0), column(turns), column(bytes)];
    let row = RecordBatch::try_new(transform.view().input_schema().clone(), columns).unwrap();
    let mut budget = Budget::unlimited();
    let applied = transform.apply(&row, &mut budget);
    let code = applied.failures.first().map(|failure| match failure.verdict {
        Verdict::Error(code) => code,
        Verdict::Unavailable(cause) => panic!("{cause:?}"),
    });
    (code, budget.spent())
}

/// The turns of the loop that burn each fraction of the fuel.
fn turns(transform: &Transform) -> [i64; 4] {
    let spent = |turns| burn(transform, turns, 0).1;
    let (base, per_thousand) = (spent(0), spent(2_000) - spent(1_000));
    let limit = transform.view().limits.fuel as f64;
    FRACTIONS.map(|fraction| ((limit * fraction - base as f64) * 1000.0 / per_thousand as f64) as i64)
}

/// The bytes that, with what an instance holds anyway, take each fraction of the memory.
fn bytes(transform: &Transform) -> [i64; 4] {
    let limit = transform.view().limits.memory_bytes as i64;
    let (mut fits, mut exceeds) = (0, limit);
    while exceeds - fits > 1 {
        let middle = (fits + exceeds) / 2;
        match burn(transform, 0, middle).0 {
            None => fits = middle,
            Some(_) => exceeds = middle,
        }
    }
    FRACTIONS.map(|fraction| (limit as f64 * fraction) as i64 - (limit - fits))
}

/// Each row's turns and bytes, and the error that it must come to.
fn orders(transform: &Transform) -> Vec<(i64, i64, Option<ErrorCode>)> {
    let (turns, bytes) = (turns(transform), bytes(transform));
    assert!(turns.iter().chain(&bytes).all(|&amount| amount > 0), "{turns:?} turns, {bytes:?} bytes");
    let dear = |part: usize| match part {
        0..4 => (turns[part], 0, (part == 3).then_some(ErrorCode::FUEL)),
        _ => (0, bytes[part - 4], (part == 7).then_some(ErrorCode::MEMORY)),
    };
    let order = |row: usize| match row {
        _ if row < CROWD => dear(row % 8),
        _ if row.is_multiple_of(31) => dear(row / 31 % 8),
        _ => (1, 1, None),
    };
    (0..ROWS).map(order).collect()
}

/// One event per entity, so that each is looked up by its key.
fn events(orders: &[(i64, i64, Option<ErrorCode>)]) -> Vec<Value> {
    let event = |(row, (turns, bytes, _)): (usize, &(i64, i64, Option<ErrorCode>))| json!({"event_time": row, "event_id": "e", "key": row, "turns": turns, "bytes": bytes});
    orders.iter().enumerate().map(event).collect()
}

/// Streams everything in and looks every entity up, so many in one request.
fn online(case: &Case, batch: usize) -> BTreeMap<u64, Row> {
    let dir = case.scratch();
    let store = stores::open(dir.path());
    let runtime = runtime();
    let mut worker = runtime.block_on(worker(case, ROWS, false, store.clone(), NoSink));
    while let Some(polled) = worker.poll(None).unwrap() {
        let step = runtime.block_on(worker.process(polled)).unwrap();
        runtime.block_on(worker.commit(step)).unwrap();
    }
    let config = ServerConfig { request_fuel: u64::MAX, ..server_config() };
    let live = tokio::sync::watch::channel(views([case.version.clone()])).1;
    let server = Online::start(Arc::new(store), live, config);
    let key = |row: usize| EntityKey([&[1][..], &(row as i64).to_le_bytes()].concat().into());
    let keys: Vec<_> = (0..ROWS).map(key).collect();
    let answers = keys
        .chunks(batch)
        .flat_map(|keys| rows::answered(&server.look_up(case.view(), keys, EventTime(0), &[]).rows));
    (0..).zip(answers).collect()
}

#[test]
fn rows_near_their_limits_have_one_verdict() {
    let orders = orders(&transform(1));
    let events = events(&orders);
    let mut verdicts: Option<BTreeMap<u64, Row>> = None;
    for batch in BATCHES {
        let mut case = Case::new(&format!("batches of {batch}"), transform(batch), None, &events);
        case.step_rows = batch.max(64);
        let expected = verdicts.get_or_insert_with(|| case.expected());
        for (row, (.., error)) in orders.iter().enumerate() {
            let bytes = expected[&(row as u64)].as_ref().unwrap();
            let code = (bytes[0] == 3).then(|| ErrorCode(u16::from_le_bytes([bytes[1], bytes[2]])));
            assert_eq!(code, *error, "row {row} alone");
        }
        check_rows(&case, "the stream", expected, &Runner::Stream.run(&case));
        check_rows(&case, "the backfill", expected, &Runner::Backfill.run(&case));
        check_rows(&case, "lookups", expected, &online(&case, batch));
    }
}
