//! An on-demand view of the SDK by the command: pushed, looked up with and without an event in hand, backfilled.

use std::fs;

use serde_json::{Value, json};
use trifold_cli::exit::Exit;
use trifold_tests::command::Trifold;
use trifold_tests::guests::component;

use crate::pushing::PROGRAM;
use crate::site::SECOND;

fn departure(second: i64, delay: f64) -> Value {
    json!({
        "event_time": second * SECOND, "event_id": format!("f{second}"), "origin": "JFK", "dest": "LAX",
        "cancelled": false, "dep_delay": delay,
    })
}

#[test]
fn a_flight_is_measured_by_the_last_hour_of_its_airport() {
    let trifold = Trifold::new(PROGRAM);
    for package in ["airport-load", "departure-context"] {
        let wasm = component(package, &[]);
        trifold.run(["push", wasm.path.to_str().unwrap(), "--release"]).succeeded();
    }
    let log = trifold.path("events");
    fs::create_dir(&log).unwrap();
    let departures = [departure(100, 10.0), departure(160, 20.0)];
    fs::write(log.join("0.jsonl"), departures.map(|event| format!("{event}\n")).concat()).unwrap();
    let log = log.to_str().unwrap();
    trifold.run(["stream", "--events", log]).succeeded();
    let up = trifold.start(["serve"]);
    let get = |more: &[&str]| {
        let get = ["get", "departure_context", "--server", &up.url, "--as-of", "200000000", "--format", "json"];
        trifold.run(get.iter().chain(more))
    };
    let key = ["--key", "origin=JFK,dep_delay=30"];
    let answer = get(&key).succeeded().json();
    let view = &answer["rows"][0]["views"][0];
    assert_eq!(view["features"], json!({"excess": 15.0, "deviations": 3.0, "is_alone": false}));
    assert_eq!(view["reads"][0]["view"], "airport_load");
    assert_eq!(view["reads"][0]["next-offsets"], json!({"0": 2}));
    // With a third departure of 30 minutes, the mean is 20.
    let event = departure(180, 30.0).to_string();
    let with = get(&[&key[..], &["--event", &event]].concat()).succeeded().json();
    assert_eq!(with["rows"][0]["views"][0]["features"]["excess"], json!(10.0));
    let late = get(&["--key", "origin=SFO"]).succeeded().json();
    let features = json!({"excess": null, "deviations": null, "is_alone": true});
    assert_eq!(late["rows"][0]["views"][0]["features"], features);
    let refused = |more: &[&str], part: &str| {
        get(&[&key[..], more].concat()).refused(Exit::Usage, &[part]);
    };
    refused(&["--event", &event, "--event", &event], "there are 2 events and 1 keys");
    let other = event.replace("JFK", "LGA");
    refused(&["--event", &other], "`--event` is about origin \"LGA\", and `--key` asks for \"JFK\"");
    refused(&["--event", "{}"], "it needs `event_time`");
    refused(&["--event", "[]"], "`--event` is no event of view airport_load");
    drop(up);
    check_explained(&trifold, log);

    let spine = trifold.path("spine.jsonl");
    let rows = [("JFK", 200, json!(30.0)), ("JFK", 120, json!(30.0)), ("SFO", 200, Value::Null)];
    let row = |(origin, second, delay): &(&str, i64, Value)| {
        json!({"origin": origin, "dep_delay": delay, "as_of": second * SECOND}).to_string()
    };
    fs::write(&spine, rows.iter().map(|it| row(it) + "\n").collect::<String>()).unwrap();
    let out = trifold.path("out");
    let backfill = ["backfill", "departure_context", "--events", log, "--out", out.to_str().unwrap()];
    let part = "name a file of them with `--spine`, with the columns origin, dep_delay and as_of";
    trifold.run(backfill).refused(Exit::Usage, &[part]);
    let more = ["--spine", spine.to_str().unwrap(), "--rows-format", "jsonl", "--format", "json"];
    let report = trifold.run(backfill.iter().chain(&more)).succeeded().json();
    assert_eq!((&report["plan"], &report["reads"]), (&json!("joined"), &json!(["airport_load@1"])));
    let lines = fs::read_to_string(out.join("part-00000.jsonl")).unwrap();
    let excess: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["excess"].clone()).collect();
    assert_eq!(excess, [json!(15.0), json!(20.0), Value::Null]);
    for command in [&["audit", "departure_context", "--events", log][..], &["clear", "departure_context"]] {
        trifold.run(command).refused(Exit::Usage, &["view departure_context is an on-demand view"]);
    }
}

/// The value is that of the server, and what it reads is explained with it.
#[track_caller]
fn check_explained(trifold: &Trifold, log: &str) {
    let explain = |arguments: &[&str]| {
        let explain = ["explain", "departure_context", "--events", log, "--as-of", "200000000"];
        trifold.run(explain.iter().chain(arguments))
    };
    let json = explain(&["JFK", "30", "--format", "json"]).succeeded().json();
    let features = json["value"]["features"].as_array().unwrap().iter();
    let values: Vec<_> = features.map(|feature| (feature["name"].as_str().unwrap(), &feature["value"])).collect();
    assert_eq!(values, [("excess", &json!(15.0)), ("deviations", &json!(3.0)), ("is_alone", &json!(false))]);
    assert_eq!(json["request"], json!({"origin": "JFK", "dep_delay": 30.0}));
    let read = &json["reads"][0];
    assert_eq!((&read["view"], &read["entity"]), (&json!("airport_load"), &json!({"origin": "JFK"})));
    assert_eq!(read["counts"], json!({"counts": 2}));
    let departures = json!({"input": "departures", "feature": "departures_1h", "value": 2});
    assert_eq!(read["inputs"][0], departures);
    let text = explain(&["--key", "origin=JFK"]).succeeded().stdout;
    for part in ["of origin=JFK, dep_delay=null as of", "airport_load@1.departures_1h", "counts in 15m, 1h, 1d"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let part = "view departure_context takes 2 values (origin, dep_delay), not 1";
    explain(&["JFK"]).refused(Exit::Usage, &[part]);
}
