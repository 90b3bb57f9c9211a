//! Explanations of row views: the value is that of a backfill, and every event says why it decides or does not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trifold_backfill::{Explain, Questions, Replay, Resources, Watch};
use trifold_model::{Cut, EntityKey, EventTime};
use trifold_pipeline::explain::{Behind, Verdict};
use trifold_pipeline::{Ask, ExplainBounds, Explanation};
use trifold_tests::live::admit;
use trifold_tests::random::SplitMix64;
use trifold_tests::rows::{self, Row};
use trifold_wat_guest::unruly;

use crate::case::{Admitted, Case};
use crate::runner::job;

const SECOND: i64 = 1_000_000;
const TTL_SECONDS: i64 = 10;
const EVENTS: u64 = 60;
const KEYS: u64 = 4;

/// Few times, ids and values, so that copies and conflicts are common; lines without a value too.
fn case(seed: u64) -> Case {
    let mut random = SplitMix64(seed);
    let events: Vec<Value> = (0..EVENTS)
        .map(|_| {
            let mut event = json!({
                "event_time": random.between(0, 12) as i64 * SECOND, "event_id": format!("e{}", random.between(0, 3)),
                "key": random.between(0, KEYS), "act": 0, "n": random.between(0, 2)
            });
            if random.between(0, 8) == 0 {
                event["n"] = Value::Null;
            }
            event
        })
        .collect();
    let guest = unruly("explained", |view| view["ttl-seconds"] = json!(TTL_SECONDS));
    Case::new(&format!("explained, seed {seed}"), admit(&guest.build().unwrap()), None, &events)
}

fn explain(case: &Case, key: u64, at: EventTime, bounds: ExplainBounds) -> Explanation {
    let (job, key) = (job(case, Ask::Spine(Cut::All)), key_of(key));
    Explain { job, key, as_of: at, bounds, watch: Watch::default() }.run().unwrap().explanation
}

fn key_of(number: u64) -> EntityKey {
    EntityKey([&[1][..], &(number as i64).to_le_bytes()].concat().into())
}

fn replayed(case: &Case, key: u64, at: EventTime) -> Row {
    let dir = case.scratch();
    let replay = Replay {
        job: job(case, Ask::Spine(Cut::All)),
        questions: Some(Questions { keys: vec![key_of(key)], as_of: vec![at] }),
        spill_dir: dir.path().to_owned(),
        resources: Resources::default(),
        watch: Watch::default(),
    };
    let mut row = Err("no answer".to_owned());
    replay.answers(&mut |answer| row = answer.value.map(<[u8]>::to_vec).map_err(str::to_owned)).unwrap();
    row
}

/// The verdicts of an entity's events, decided by the rule.
fn verdicts(case: &Case, admitted: &[Admitted], key: u64, at: EventTime) -> BTreeMap<u64, Verdict> {
    let events = case.decoded();
    let own = || admitted.iter().filter(|event| event.key == key_of(key));
    let latest = own().filter(|event| event.time <= at);
    let latest =
        latest.reduce(|best, event| if (event.time, &event.id) > (best.time, &best.id) { event } else { best });
    let verdict = |event: &Admitted| match latest {
        _ if event.time > at => Verdict::AfterAsOf,
        Some(latest) if latest.offset == event.offset => Verdict::Decides,
        Some(latest) if (latest.time, &latest.id) == (event.time, &event.id) => {
            match events.inputs.slice(event.row, 1) == events.inputs.slice(latest.row, 1) {
                true => Verdict::Duplicate { of: latest.offset },
                false => Verdict::Conflict { with: latest.offset },
            }
        }
        _ => Verdict::Superseded,
    };
    own().map(|event| (event.offset, verdict(event))).collect()
}

#[track_caller]
fn check(seed: u64, seen: &mut BTreeSet<&'static str>) {
    let case = case(seed);
    let decoded = case.decoded();
    let admitted = case.admitted(&decoded);
    let all = ExplainBounds { listed_max: usize::MAX, ..ExplainBounds::default() };
    for (key, second) in (0..=KEYS).flat_map(|key| [-1, 0, 3, 6, 11, 21, 500].map(|second| (key, second))) {
        let (at, what) = (EventTime(second * SECOND), format!("{}: key {key} at {second} s", case.name));
        let explanation = explain(&case, key, at, all);
        let value = rows::answered(&explanation.rows).remove(0);
        assert_eq!(value, replayed(&case, key, at), "{what}");
        let expected = verdicts(&case, &admitted, key, at);
        let (aside, counted): (Vec<_>, Vec<_>) =
            explanation.events.iter().partition(|event| matches!(event.verdict, Verdict::Aside(..)));
        let found: BTreeMap<_, _> = counted.iter().map(|event| (event.offset, event.verdict.clone())).collect();
        assert_eq!(found, expected, "{what}");
        let lacking = decoded.aside.iter().filter(|aside| aside.event.contains(&format!("\"key\":{key},")));
        let lacking: BTreeSet<u64> = lacking.map(|aside| aside.offset).collect();
        assert_eq!(aside.iter().map(|event| event.offset).collect::<BTreeSet<_>>(), lacking, "{what}");
        for event in aside {
            assert!(event.time.is_some() && event.id.is_some(), "{what}: {event:?}");
            assert_eq!(event.verdict.name(), "null-input", "{what}: {event:?}");
        }
        let Behind::Latest(latest) = &explanation.behind else { panic!("{what}: it has windows") };
        let decides =
            expected.iter().find(|(_, verdict)| **verdict == Verdict::Decides).map(|(offset, _)| *offset);
        assert_eq!(latest.as_ref().map(|event| event.offset), decides, "{what}");
        // Whatever little may be held, the same is said.
        let few = ExplainBounds { held_max: 6, ..all };
        let few = explain(&case, key, at, few);
        assert_eq!(few.events, explanation.events, "{what}");
        assert_eq!((few.counts, rows::answered(&few.rows)), (explanation.counts.clone(), vec![value]), "{what}");
        seen.extend(explanation.counts.into_keys());
    }
}

#[test]
fn the_latest_event_decides_and_the_others_say_why_not() {
    let mut seen = BTreeSet::new();
    (900..906).for_each(|seed| check(seed, &mut seen));
    let all = ["after-as-of", "conflict", "decides", "duplicate", "null-input", "superseded"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}
