//! Two versions of a view against each other.

use std::fs;
use std::path::PathBuf;

use payments_generator::{Config, Share, Shares, write_log};
use serde_json::{Value, json};
use trifold_cli::exit::Exit;
use trifold_eventlog::RowFormat;
use trifold_tests::command::Trifold;
use trifold_tests::flights;
use trifold_tests::guests::component;
use trifold_wat_guest::{Guest, field, row_view};

use crate::site::{empty, with_views};

/// The file of a package's component, with features of it.
fn file(package: &str, features: &[&str]) -> String {
    component(package, features).path.to_str().unwrap().to_owned()
}

fn diff(trifold: &Trifold, arguments: &[&str]) -> Value {
    trifold.run(["diff"].iter().chain(arguments).chain(&["--format", "json"])).succeeded().json()
}

/// How often each feature that differs does.
fn differing(diff: &Value) -> Value {
    let features = diff["values"]["features"].as_array().unwrap().iter();
    let differ = features.filter(|feature| feature["differing"] != 0);
    differ.map(|feature| json!([feature["name"], feature["differing"]])).collect()
}

fn names(fields: &Value) -> Vec<&str> {
    fields.as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect()
}

#[test]
fn versions_of_the_registry_are_compared() {
    let trifold = with_views();
    trifold.run(["push", &file("flight-profile", &["v2"])]).succeeded();
    let flights = flights();
    let sample = ["--sample", flights.to_str().unwrap(), "--sample-rows", "300"];
    let versions = ["flight_profile@1", "flight_profile@2"];
    let arguments = [&versions[..], &sample].concat();
    let found = diff(&trifold, &arguments);
    assert_eq!((&found["view"], &found["kind"]), (&json!("flight_profile"), &json!("row")));
    for (side, version) in [("left", 1), ("right", 2)] {
        let side = &found[side];
        assert_eq!((&side["name"], &side["version"]), (&json!(versions[version - 1]), &json!(version)));
        let tools = names(&side["toolchain"]);
        assert!(tools.contains(&"rustc") && tools.contains(&"trifold-sdk"), "{tools:?}");
    }
    let changes = &found["changes"];
    assert_eq!(names(&changes["outputs"]), ["is_evening"]);
    assert_eq!((&changes["state"], &changes["breaks"]), (&json!("shared"), &json!([])));
    let values = &found["values"];
    let counts = ["rows", "compared", "differing"].map(|name| values[name].as_u64().unwrap());
    assert_eq!(counts, [300; 3]);
    assert_eq!(differing(&found), json!([["lateness_risk", 300]]));
    assert_eq!(values["not-compared"], json!(["is_evening"]));
    let first = &values["first-differing"][0];
    assert_eq!(
        (&first["inputs"]["carrier"], &first["differences"][0]["field"]),
        (&json!("UA"), &json!("lateness_risk"))
    );
    assert!(values["fuel"]["left"]["median"].as_u64().unwrap() > 100, "{values}");

    let command = |extra: &[&'static str]| trifold.run(["diff"].iter().chain(&arguments).chain(extra));
    let text = command(&[]).succeeded().stdout;
    for part in [
        "+ is_evening  bool",
        "stored state is shared",
        "lateness_risk  differs in 300 of 300",
        "right / left",
        "rustc 1.",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    command(&["--exit-code"]).refused(Exit::Refused, &["flight_profile@1 and flight_profile@2 differ"]);
    let same = trifold.run(["diff", "flight_profile", "flight_profile@1", "--exit-code"]).succeeded().stdout;
    assert!(same.ends_with("the same component: nothing differs\n"), "{same}");
}

/// Payments as they arrive, some of them late, early, twice or refused.
fn payments(trifold: &Trifold) -> PathBuf {
    let percent = Share::percent;
    let (out_of_order, late) = (percent(15), percent(3));
    let shares = Shares { out_of_order, late, early: percent(3), duplicate: percent(4), conflicting: percent(2) };
    let config = Config { seed: 7, events: 400, cards: 20, merchants: 40, per_day: 200, shares };
    let dir = trifold.path("payments");
    write_log(&config, &dir, RowFormat::JsonLines, 1).unwrap();
    dir
}

#[test]
fn a_window_view_is_compared_before_it_is_pushed() {
    let trifold = empty();
    trifold.run(["push", &file("card-spend", &[]), "--release"]).succeeded();
    let (payments, right) = (payments(&trifold), file("card-spend", &["v2"]));
    let sample = ["--sample", payments.to_str().unwrap(), "--arrival", "arrived_at"];
    let found = diff(&trifold, &[&["card_spend", right.as_str()][..], &sample].concat());
    assert_eq!((&found["left"]["name"], &found["right"]["version"]), (&json!("card_spend@1"), &Value::Null));
    let changes = &found["changes"];
    assert_eq!(changes["state"], "rebuilt");
    assert_eq!(changes["settings"][0]["setting"], "windows");
    let breaks = changes["breaks"].as_array().unwrap();
    assert!(breaks.contains(&json!("feature payments_1d is gone")), "{breaks:?}");
    let values = &found["values"];
    let out = &values["left-out"]["left"]["by-reason"];
    assert!(out["late"].as_u64().unwrap() > 0 && out["early"].as_u64().unwrap() > 0, "{values}");
    let left_out: u64 = out.as_object().unwrap().values().map(|rows| rows.as_u64().unwrap()).sum();
    assert_eq!((&values["rows"], &values["compared"]), (&json!(400), &json!(400 - left_out)));
    // The shorter windows are what they were.
    assert_eq!((&values["differing"], differing(&found)), (&json!(0), json!([])));
    assert!(names(&values["features"]).contains(&"payments_1h"), "{values}");
    assert!(!names(&values["features"]).contains(&"payments_7d"), "{values}");
    assert_eq!(values["states"], Value::Null);
    assert!(values["fuel"]["right"]["max"].as_u64() > values["fuel"]["right"]["median"].as_u64(), "{values}");
}

#[test]
fn an_on_demand_view_is_compared_at_its_requests() {
    let trifold = empty();
    let files = [file("payment-risk", &[]), file("payment-risk", &["v2"])];
    let generated = diff(&trifold, &[&files[0], &files[1]]);
    assert_eq!((&generated["values"]["sample"], &generated["differ"]), (&Value::Null, &json!(true)));
    assert_eq!((&generated["values"]["rows"], &generated["changes"]["state"]), (&json!(256), &json!("nothing")));
    let scores = generated["values"]["features"].as_array().unwrap().last().unwrap();
    assert!(scores["name"] == "score" && scores["differing"].as_u64().unwrap() > 0, "{generated}");

    let request = |country: &str| {
        format!("{}\n", json!({"card": "c", "amount": 5, "country": country, "last_country": "DE"}))
    };
    fs::write(trifold.path("requests.jsonl"), request("DE") + &request("PL")).unwrap();
    let found = diff(&trifold, &[&files[0], &files[1], "--sample", "requests.jsonl"]);
    assert_eq!((&found["values"]["rows"], differing(&found)), (&json!(2), json!([["score", 1]])));
    assert_eq!(found["values"]["first-differing"][0]["inputs"]["country"], "PL");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let trifold = with_views();
    let run = |arguments: &[&str]| trifold.run(["diff"].iter().chain(arguments));
    let aircraft = file("aircraft", &[]);
    run(&["flight_profile@1", "flight_profile@9"])
        .refused(Exit::NotFound, &["view flight_profile has no version 9; it has 1"]);
    run(&["flight_profile@1", "nope@1"]).refused(Exit::NotFound, &["there is no view nope"]);
    run(&["flight_profile@1", "flight_profile@two"])
        .refused(Exit::Usage, &["`flight_profile@two` names no version"]);
    run(&["flight_profile@1", "gone.wasm"]).refused(Exit::NotFound, &["cannot read gone.wasm"]);
    run(&["flight_profile@1"]).refused(Exit::Usage, &["<RIGHT>"]);
    let parts = ["flight_profile@1 is of view flight_profile", "of view aircraft_status", "versions of one view"];
    run(&["flight_profile@1", &aircraft]).refused(Exit::Usage, &parts);
    empty().run(["diff", "a@1", "a@2"]).refused(Exit::NotFound, &["there is no registry at"]);
}

#[test]
fn values_of_different_kinds_are_not_compared() {
    let trifold = empty();
    let mut request = field("key", "int64");
    request["source"] = json!("request");
    let on_demand = json!({
        "contract": 1, "view": "growing", "kind": "on-demand", "inputs": [request], "outputs": [field("y", "int64")]
    });
    fs::write(trifold.path("on-demand.wasm"), Guest::new(on_demand).build().unwrap()).unwrap();
    let found = diff(&trifold, &[&growing(&trifold, &["key"]), "on-demand.wasm"]);
    assert_eq!((&found["values"], &found["differ"]), (&Value::Null, &json!(true)));
    assert_eq!(found["changes"]["breaks"], json!(["it is a view of another kind"]));
    assert_eq!(found["changes"]["state"], "rebuilt");
}

/// The file of a view that answers its inputs as its outputs, whether or not that is what they are.
fn growing(trifold: &Trifold, inputs: &[&str]) -> String {
    let inputs: Vec<_> = inputs.iter().map(|name| field(name, "int64")).collect();
    let path = trifold.path(format!("growing-{}.wasm", inputs.len()));
    fs::write(&path, Guest::new(row_view("growing", &inputs, &[field("y", "int64")])).build().unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn samples_that_fit_one_version_only_are_refused_or_counted() {
    let trifold = empty();
    let line =
        |key: u32, rest: &str| format!("{{\"event_time\": 0, \"event_id\": \"a\", \"key\": {key}{rest}}}\n");
    fs::write(trifold.path("old.jsonl"), line(1, "") + &line(2, "")).unwrap();
    fs::write(trifold.path("mixed.jsonl"), line(1, "") + &line(2, ", \"more\": 3")).unwrap();
    let [left, right] = [growing(&trifold, &["key"]), growing(&trifold, &["key", "more"])];
    let run = |sample: &str| trifold.run(["diff", &left, &right, "--sample", sample, "--format", "json"]);
    let parts = ["no row of", "old.jsonl fits", "growing-2.wasm; row 0: input more is missing"];
    run("old.jsonl").refused(Exit::Data, &parts);
    let values = &run("mixed.jsonl").succeeded().json()["values"];
    assert_eq!((&values["compared"], &values["taken-by-one"]["left"]), (&json!(1), &json!(1)));
    assert_eq!(values["left-out"]["right"]["by-reason"], json!({"null-input": 1}));
    let first = &values["first-differing"][0]["differences"][0];
    assert!(
        first["left"] == "value" && first["right"].as_str().unwrap().starts_with("left out, null-input"),
        "{first}"
    );
    // The second version breaks the contract, which is an error of each row.
    assert_eq!((&values["errors-in-one"]["right"], &values["differing-statuses"]), (&json!(1), &json!(1)));
}
