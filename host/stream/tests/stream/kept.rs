//! Values that the worker keeps beside the records that they were computed from.

use std::sync::Arc;

use serde_json::json;
use trifold_store::{RECORD_BYTES_MAX, Record};
use trifold_stream::{Until, WorkerConfig};
use trifold_wat_guest::{Act, Guest, field, row_view};

use crate::support::{World, config, driver, echo, event, feeds, joined, run, strict};

/// The records that a view keeps of a log, in the order of their keys, and the rows that it emits.
async fn streamed(guest: &Guest, lines: &[String], keep_outputs: bool) -> (Vec<Record>, String) {
    let world = World::new();
    world.write_segment("0.jsonl", &joined(lines));
    let live = world.live(&[guest]);
    let (store, config) = (Arc::new(world.store("run")), WorkerConfig { keep_outputs, ..config(2) });
    run(&mut driver(world.log(), store, world.sink("run"), live.clone(), config), Until::End).await.unwrap();
    let outcome = world.outcome("run", &feeds(&live)[0]).await;
    (outcome.records.into_iter().map(|(_, record)| record).collect(), outcome.rows)
}

#[tokio::test]
async fn a_value_stands_beside_its_inputs_unless_it_is_not_wanted() {
    // Each key has an event that comes after a later one, in the same step and in another.
    let lines = [("a", 5), ("a", 3), ("b", 7), ("b", 9), ("a", 4), ("b", 8)];
    let lines = lines.map(|(key, second)| event(&format!("e{second}"), second, 9, key, second).to_string());
    let (kept, _) = streamed(&echo("echo", "", 1), &lines, true).await;
    assert_eq!(kept.iter().map(|record| record.event_time.0 / 1_000_000 % 60).collect::<Vec<_>>(), [5, 9]);
    for record in kept {
        // The view answers its inputs.
        assert_eq!(record.output.unwrap().fields, record.fields);
    }
    let (bare, _) = streamed(&echo("echo", "", 1), &lines, false).await;
    assert!(bare.len() == 2 && bare.iter().all(|record| record.output.is_none()));
}

#[tokio::test]
async fn what_is_no_value_is_not_kept() {
    let lines = [(0, Act::Value), (1, Act::Reject), (2, Act::Trap)].map(|(key, act)| {
        let mut event = event("e", 1, 1, "", key);
        event["act"] = json!(act as i64);
        event.to_string()
    });
    let (kept, _) = streamed(&strict("strict"), &lines, true).await;
    assert_eq!(kept.iter().map(|record| record.output.is_some()).collect::<Vec<_>>(), [true, false, false]);
}

#[tokio::test]
async fn a_value_that_makes_the_record_too_large_is_left_out() {
    let lines = [RECORD_BYTES_MAX / 4, RECORD_BYTES_MAX * 3 / 4].map(|bytes| {
        let mut event = event("e", 1, 1, "", bytes as u64);
        event["text"] = "x".repeat(bytes).into();
        event.to_string()
    });
    let description = row_view(
        "texts",
        &[field("n", "int64"), field("text", "utf8")],
        &[field("n_out", "int64"), field("text_out", "utf8")],
    );
    let (kept, rows) = streamed(&Guest::new(description), &lines, true).await;
    assert_eq!(rows.matches(r#""_status":"value""#).count(), 2);
    assert_eq!(kept.iter().map(|record| record.output.is_some()).collect::<Vec<_>>(), [true, false]);
}
