//! Window views: logs made from seeds, and what must come out by the rule: of the events that are known, those of each
//! window, cut into tiles, folded from nothing and merged from left to right.

use std::collections::BTreeMap;

use arrow_array::{BinaryArray, UInt32Array};
use arrow_select::take::take_record_batch;
use serde_json::json;
use trifold_eventlog::Events;
use trifold_model::{EventTime, RowStatus, WindowSpec};
use trifold_sandbox::{Budget, Group, Run, Verdict, WindowTiles};
use trifold_tests::live::transform;
use trifold_tests::random::SplitMix64;
use trifold_tests::rows::Row;

use crate::case::{Admitted, Case};
use crate::runner::check;

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
    prepared: &arrow_array::RecordBatch,
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
    trifold_model::CanonicalRows::new(&applied.outputs).unwrap().write_row(status, 0, &mut bytes);
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
