//! Questions at other times than the events': what the server answers is the backfill of a spine, and both are
//! what the rule says, for entities that live, have expired or never were.

use std::sync::Arc;

use serde_json::{Value, json};
use trifold_backfill::{Questions, Replay, Resources, Watch};
use trifold_model::{Cut, EntityKey, EventTime, Positions};
use trifold_pipeline::Ask;
use trifold_stream::NoSink;
use trifold_tests::live::{admit, views};
use trifold_tests::online::{Online, runtime};
use trifold_tests::random::SplitMix64;
use trifold_tests::rows::{self, Row};
use trifold_tests::stores;
use trifold_wat_guest::unruly;

use crate::case::{Admitted, Case};
use crate::runner::{job, worker};

const SECOND: i64 = 1_000_000;
const TTL_SECONDS: i64 = 10;
const EVENTS: u64 = 40;
const SEEDS: std::ops::Range<u64> = 40..44;

fn case(seed: u64) -> Case {
    let mut random = SplitMix64(seed);
    let events: Vec<Value> = (0..EVENTS)
        .map(|event| {
            json!({
                "event_time": random.between(0, 30) as i64 * SECOND, "event_id": format!("e{}", event % 7),
                "key": random.between(0, 5), "act": if random.between(0, 6) == 0 { 8 } else { 0 }, "n": event + 1
            })
        })
        .collect();
    let guest = unruly("points", |view| view["ttl-seconds"] = json!(TTL_SECONDS));
    Case::new(&format!("points, seed {seed}"), admit(&guest.build().unwrap()), None, &events)
}

/// Key 9 never was.
fn keys(case: &Case, admitted: &[Admitted]) -> Vec<EntityKey> {
    let mut keys: Vec<_> = admitted.iter().map(|event| event.key.clone()).collect();
    keys.push(EntityKey([&[1][..], &9_i64.to_le_bytes()].concat().into()));
    keys.sort();
    keys.dedup();
    assert!(keys.len() > 3, "{}", case.name);
    keys
}

/// The rule: the latest event at or before T, unless it is older than the time to live.
fn by_the_rule(case: &Case, admitted: &[Admitted], key: &EntityKey, at: EventTime) -> Row {
    let counts = admitted.iter().filter(|event| event.key == *key && event.time <= at);
    // Of equals the first by position.
    let latest =
        counts.reduce(|best, event| if (event.time, &event.id) > (best.time, &best.id) { event } else { best });
    match latest {
        None => Ok(vec![1, 0]),
        Some(event) if at.0 - event.time.0 > TTL_SECONDS * SECOND => Ok(vec![2]),
        Some(event) => case.alone(&case.decoded(), event.row),
    }
}

/// How many answers have each status.
#[track_caller]
fn check(seed: u64) -> [u64; 4] {
    // A value that was kept expires like one that is computed.
    let keep_outputs = seed.is_multiple_of(2);
    let case = case(seed);
    let admitted = case.admitted(&case.decoded());
    let keys = keys(&case, &admitted);
    let dir = case.scratch();
    let store = stores::open(dir.path());
    let runtime = runtime();
    let mut worker = runtime.block_on(worker(&case, case.step_rows, keep_outputs, store.clone(), NoSink));
    while let Some(polled) = worker.poll(None).unwrap() {
        let step = runtime.block_on(worker.process(polled)).unwrap();
        runtime.block_on(worker.commit(step)).unwrap();
    }
    let server = Online::fixed(Arc::new(store), views([case.version.clone()]));
    let mut statuses = [0; 4];
    let mut questions = Questions::default();
    let mut answers = Vec::new();
    for second in [-1, 0, 5, 10, 15, 20, 25, 29, 30, 35, 39, 40, 41, 1_000] {
        let features = [case.view().name.as_str()];
        let columns = trifold_tests::online::key_columns(case.view(), &keys);
        let answer = server.get(&features, &columns, Some(EventTime(second * SECOND))).unwrap();
        // The server never answers for a time before the latest event that it has read.
        for ((key, at), row) in keys.iter().zip(&answer.as_of).zip(rows::answered(&answer.views[0].rows)) {
            let latest = admitted.iter().filter(|event| event.key == *key).map(|event| event.time).max();
            assert_eq!(Some(*at), latest.max(Some(EventTime(second * SECOND))), "{}", case.name);
            assert_eq!(row, by_the_rule(&case, &admitted, key, *at), "{}: {key} at {second} s", case.name);
            statuses[usize::from(row.as_ref().unwrap()[0])] += 1;
            questions.keys.push(key.clone());
            questions.as_of.push(*at);
            answers.push(row);
        }
    }
    for cut in [Cut::All, Cut::Position(Positions([(0, EVENTS)].into()))] {
        check_replay(&case, &dir, cut, &questions, &answers);
    }
    statuses
}

#[track_caller]
fn check_replay(case: &Case, dir: &tempfile::TempDir, cut: Cut, questions: &Questions, answers: &[Row]) {
    let replay = Replay {
        job: job(case, Ask::Spine(cut.clone())),
        questions: Some(questions.clone()),
        spill_dir: dir.path().to_owned(),
        resources: Resources::default(),
        watch: Watch::default(),
    };
    let mut next = 0;
    let mut compare = |answer: trifold_backfill::ReplayAnswer<'_>| {
        assert_eq!(answer.number, next as u64, "{}: {cut:?}", case.name);
        let value = answer.value.map(<[u8]>::to_vec).map_err(str::to_owned);
        assert_eq!(value, answers[next], "{}: {cut:?}, question {next}", case.name);
        next += 1;
    };
    assert_eq!(replay.answers(&mut compare).unwrap(), answers.len() as u64);
    assert_eq!(next, answers.len());
}

#[test]
fn answers_at_any_time_are_those_of_a_spine() {
    let statuses = SEEDS.map(check).reduce(|sum, of| std::array::from_fn(|status| sum[status] + of[status]));
    // Values, empty ones, expired ones and errors.
    assert!(statuses.unwrap().iter().all(|&count| count > 0), "{statuses:?}");
}
