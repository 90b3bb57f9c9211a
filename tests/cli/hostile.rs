//! Rows that panic, never end, take memory or recurse, streamed and looked up between good rows.

use serde_json::{Value, json};
use trifold_cli::exit::Exit;
use trifold_model::EventTime;
use trifold_registry::Registry;
use trifold_tests::command::Trifold;
use trifold_tests::guests::component;
use trifold_tests::live::transform;
use trifold_tests::online::runtime;

use crate::site::{empty, lines, log, of_view, push, stream};

/// Streams events of keys 0 to 2 and looks all three up; the middle one is bad.
fn run(trifold: &Trifold, view: &str, bad: &Value, good: &Value) -> (Value, Vec<Value>) {
    let event = |key: i64, fields: &Value| {
        let mut event = json!({"event_time": key, "event_id": "e", "key": key});
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        event
    };
    lines(&log(trifold).join("0.jsonl"), &[event(0, good), event(1, bad), event(2, good)]);
    let summary = of_view(&stream(trifold).succeeded().json(), view).clone();
    let running = trifold.start(["serve"]);
    let keys = ["--key", "key=0", "--key", "key=1", "--key", "key=2"];
    let get = ["get", view, "--as-of", "5", "--format", "json", "--server", &running.url];
    let answer = trifold.run(get.into_iter().chain(keys)).succeeded().json();
    let rows = answer["rows"].as_array().unwrap().iter().map(|row| row["views"][0].clone()).collect();
    (summary, rows)
}

#[track_caller]
fn check(package: &str, bad: Value, good: Value, status: &str, code: Option<u16>, message: &str) -> Trifold {
    let trifold = empty();
    let view = package.replace('-', "_");
    if package == "deep-recursion" {
        // The gate would refuse it.
        let (built, transform) = (component(package, &[]), transform(package, &[]));
        let registry = Registry::local(&trifold.data("registry"), true).unwrap();
        runtime().block_on(async {
            let (view, now) = (transform.view(), EventTime(0));
            registry.push(&built.component, view, transform.description(), now).await.unwrap();
            registry.release(&view.name, 1, now).await.unwrap();
        });
    } else {
        push(&trifold, &component(package, &[]).component);
    }
    let (summary, rows) = run(&trifold, &view, &bad, &good);
    assert_eq!((&summary["rows"], &summary["next-offset"]), (&json!(3), &json!(3)));
    let kind = if status == "error" { "row-error" } else { status };
    assert_eq!(summary["aside"], json!({kind: 1}));
    assert_eq!((&rows[0]["status"], &rows[2]["status"]), (&json!("value"), &json!("value")));
    assert_eq!((&rows[1]["status"], rows[1]["error-code"].as_u64()), (&json!(status), code.map(u64::from)));
    let text = rows[1]["message"].as_str().unwrap();
    assert!(text.contains(&format!("view {view}")) && text.contains(message), "{text}");
    trifold
}

#[test]
fn a_panic_names_its_message() {
    let bad = json!({"message": "the flaps are up"});
    check("panicker", bad, json!({"message": null}), "error", Some(0xFF00), "the guest panicked: ");
    let bad = json!({"message": "the flaps are up"});
    check("panicker", bad, json!({"message": null}), "error", Some(0xFF00), "the flaps are up");
}

#[test]
fn an_endless_loop_names_the_fuel_limit() {
    let bad = json!({"turns": i64::MAX, "bytes": 0});
    check("burner", bad, json!({"turns": 1, "bytes": 1}), "error", Some(0xFF01), "fuel limit of 200000 units");
}

#[test]
fn a_memory_bomb_names_the_memory_limit() {
    let bad = json!({"turns": 0, "bytes": 1_000_000_000});
    check(
        "burner",
        bad,
        json!({"turns": 1, "bytes": 1}),
        "error",
        Some(0xFF02),
        "memory limit of 4194304 bytes reached",
    );
}

#[test]
fn deep_recursion_is_unavailable() {
    let bad = json!({"depth": 1_000_000});
    let trifold = check("deep-recursion", bad, json!({"depth": 10}), "unavailable", None, "native stack");
    // A backfill says so, and computes such files again when it is run again.
    let log = log(&trifold);
    let backfill = ["backfill", "deep_recursion", "--events", log.to_str().unwrap(), "--out", "out"];
    let shards = ["--shards", "8", "--format", "json"];
    let parts = ["1 rows are unavailable", "native stack", "run the same backfill again"];
    let first = trifold.run(backfill.iter().chain(&shards)).refused(Exit::Unavailable, &parts).json();
    assert_eq!((&first["statuses"]["unavailable"], &first["resumed-files"]), (&json!(1), &json!(0)));
    assert!(first["unavailable"].as_str().unwrap().contains("native stack"), "{first}");
    let files = first["files"].as_array().unwrap().len();
    let second = trifold.run(backfill.iter().chain(&shards)).refused(Exit::Unavailable, &parts).json();
    assert_eq!(second["resumed-files"], files - 1, "{second}");
    assert_eq!((&second["rows"], &second["statuses"]), (&first["rows"], &first["statuses"]));
}
