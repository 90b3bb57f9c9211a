//! The gate as the command runs it: `check` and `push`.

use std::fs;

use serde_json::Value;
use trifold_cli::exit::Exit;
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::flights;
use trifold_tests::guests::{component, refused_component};
use trifold_wat_guest::{Guest, field, row_view};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_trifold-under-test");

fn run(trifold: &Trifold, command: &str, wasm: &[u8], arguments: &[&str]) -> Ran {
    let path = trifold.path("component.wasm");
    fs::write(&path, wasm).unwrap();
    let arguments = [command, path.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
    trifold.run(arguments)
}

#[test]
fn a_good_component_passes_over_generated_and_real_rows() {
    let trifold = Trifold::new(PROGRAM);
    let flights = flights();
    let sample = ["--sample", flights.to_str().unwrap(), "--sample-rows", "300", "--format", "json"];
    let checked = run(&trifold, "check", &component("flight-profile", &[]).component, &sample).succeeded().json();
    assert_eq!(checked["view"], "flight_profile");
    assert_eq!(checked["passed"], Value::Bool(true));
    let rows: Vec<_> = checked["samples"].as_array().unwrap().iter().map(|sample| &sample["rows"]).collect();
    assert_eq!(rows, [256, 300]);
    let checks = |sample: &Value| sample["checks"].as_array().unwrap().len();
    assert_eq!(checked["samples"].as_array().unwrap().iter().map(checks).collect::<Vec<_>>(), [6, 7]);
}

#[test]
fn components_that_the_gate_refuses_end_with_1_and_the_check_that_failed() {
    let trifold = Trifold::new(PROGRAM);
    let cases = [
        ("static_counter", component("static-counter", &[]).component.clone(), "sample row 1: seen: 1 against 2"),
        ("random_order", refused_component("random-order"), "numbers: "),
    ];
    for (view, wasm, difference) in cases {
        let view = format!("view {view}: the publish gate refuses component");
        let parts = [view.as_str(), "all rows in one batch: ", difference];
        run(&trifold, "check", &wasm, &[]).refused(Exit::Refused, &parts);
        run(&trifold, "push", &wasm, &["--release"]).refused(Exit::Refused, &parts);
    }
    assert!(!trifold.data("registry").exists(), "nothing was pushed");
}

#[test]
fn a_refused_sample_is_not_the_components_fault() {
    let trifold = Trifold::new(PROGRAM);
    let sample = trifold.path("sample.jsonl");
    fs::write(&sample, "{\"event_time\": 0, \"event_id\": \"a\", \"key\": null}\n").unwrap();
    let wasm = component("static-counter", &[]);
    let arguments = ["--sample", sample.to_str().unwrap()];
    let parts = ["no row of", "sample.jsonl", "row 0: input key is null"];
    run(&trifold, "check", &wasm.component, &arguments).refused(Exit::Data, &parts);
}

#[test]
fn rows_of_a_sample_that_are_not_tried_are_counted() {
    let trifold = Trifold::new(PROGRAM);
    let sample = trifold.path("sample.jsonl");
    let rows =
        [r#"{"event_time": 0, "event_id": "a", "key": 1, "value": 1}"#, r#"{"event_time": 1, "key": 1}"#, "{}"];
    fs::write(&sample, rows.join("\n") + "\n").unwrap();
    let view = row_view("lenient", &[field("key", "int64")], &[field("y", "int64")]);
    let wasm = Guest::new(view).build().unwrap();
    let sample = ["--sample", sample.to_str().unwrap()];
    let text = run(&trifold, "check", &wasm, &sample).succeeded().stdout;
    let first = "row 1: event id is missing: the line has no `event_id`, `--event-id` names another column";
    for part in ["set aside and not tried: 1 null-input, 1 null-time; ", first] {
        assert!(text.contains(part), "{text}");
    }
    let json = run(&trifold, "check", &wasm, &[&sample[..], &["--format", "json"]].concat()).succeeded().json();
    assert_eq!(json["samples"][1]["aside"], serde_json::json!({"null-input": 1, "null-time": 1}));
}

#[test]
fn a_component_that_traps_on_every_row_of_the_authors_sample_is_refused() {
    let trifold = Trifold::new(PROGRAM);
    let (wasm, sample) = (component("panicker", &[]), trifold.path("sample.jsonl"));
    let line = |key: u32, message: &str| {
        format!("{{\"event_time\": 0, \"event_id\": \"a\", \"key\": {key}, \"message\": {message}}}\n")
    };
    fs::write(&sample, [line(1, "\"no clock here\""), line(2, "\"nor there\"")].concat()).unwrap();
    let arguments = ["--sample", sample.to_str().unwrap()];
    let parts = ["a row is computed: error 65280 and the like, sample row 0: ", "no clock here"];
    run(&trifold, "push", &wasm.component, &arguments).refused(Exit::Refused, &parts);
    // One good row shows that the component can do its work; the errors are told all the same.
    fs::write(&sample, [line(1, "\"no clock here\""), line(2, "null")].concat()).unwrap();
    let checked = run(&trifold, "check", &wasm.component, &[&arguments[..], &["--format", "json"]].concat());
    let errors = &checked.succeeded().json()["samples"][1]["errors"];
    assert_eq!((&errors[0]["code"], &errors[0]["rows"]), (&Value::from(65280), &Value::from(1)));
    assert!(errors[0]["first"].as_str().unwrap().contains("no clock here"), "{errors}");
}
