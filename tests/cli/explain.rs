//! Explanations of values, and questions that cannot be explained.

use std::fs;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use serde_json::{Value, json};
use trifold_cli::exit::Exit;
use trifold_eventlog::{parse_time, read_row_files};
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::guests::component;
use trifold_tests::{FLIGHTS, flights};

use crate::site::{departures_json, empty, lines, log, push, with_views};

const AS_OF: &str = "2013-01-17T17:57:05Z";
const SECOND: i64 = 1_000_000;

/// A data directory in which `airport_load` is in force.
fn airports() -> Trifold {
    let trifold = empty();
    push(&trifold, &component("airport-load", &[]).component);
    trifold
}

fn explain(trifold: &Trifold, view: &str, arguments: &[&str]) -> Ran {
    trifold.run(["explain", view].iter().chain(arguments))
}

/// The times of an airport's departures from `start` to `end`, both included.
fn departures(origin: &str, start: i64, end: i64) -> Vec<i64> {
    let batches = read_row_files(&flights(), None).unwrap();
    let times = batches.flat_map(|batch| {
        let batch = batch.unwrap();
        let times = batch.column_by_name("event_time").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
        let origins = batch.column_by_name("origin").unwrap().as_string::<i32>().clone();
        let own =
            (0..times.len()).filter(move |&row| origins.value(row) == origin).map(move |row| times.value(row));
        own.collect::<Vec<_>>()
    });
    times.filter(|time| (start..=end).contains(time)).collect()
}

#[test]
fn an_airport_is_explained_by_its_departures() {
    let trifold = airports();
    let events = flights();
    let events = events.to_str().unwrap();
    let arguments = ["JFK", "--events", events, "--as-of", AS_OF, "--events-max", "100000"];
    let json =
        explain(&trifold, "airport_load", &[&arguments[..], &["--format", "json"]].concat()).succeeded().json();
    assert_eq!(
        (&json["view"], &json["version"], &json["cut"]),
        (&json!("airport_load"), &json!(1), &json!("all"))
    );
    assert_eq!((&json["entity"], &json["rows-read"]), (&json!({"origin": "JFK"}), &json!(FLIGHTS)));
    let at = parse_time(AS_OF).unwrap().0;
    let features = json["value"]["features"].as_array().unwrap();
    for (window, seconds, hop) in [("15m", 900, 10), ("1h", 3_600, 60), ("1d", 86_400, 900)] {
        let start = (at - seconds * SECOND).div_euclid(hop * SECOND) * hop * SECOND;
        let times = departures("JFK", start, at);
        let found = json["windows"].as_array().unwrap().iter().find(|found| found["window"] == window).unwrap();
        assert_eq!((&found["events"], &found["start-micros"]), (&json!(times.len()), &json!(start)), "{window}");
        let name = format!("departures_{window}");
        let feature = features.iter().find(|feature| feature["name"] == *name).unwrap();
        assert_eq!(feature["value"], times.len(), "{name}");
        let of_window = json["events"].as_array().unwrap().iter().filter(|event| {
            event["verdict"] == "counts" && event["windows"].as_array().unwrap().contains(&json!(window))
        });
        assert_eq!(of_window.count(), times.len(), "{name}");
        let of_tiles = found["tiles"].as_array().unwrap().iter().map(|tile| tile["events"].as_u64().unwrap());
        assert_eq!(of_tiles.sum::<u64>(), times.len() as u64, "{name}");
    }
    let counts = json["counts"].as_object().unwrap().values().map(|count| count.as_u64().unwrap());
    assert_eq!(json["entity-events"], counts.sum::<u64>());
    assert_eq!(json["value"]["row-digest"], backfilled_digest(&trifold, events));
    let text = explain(&trifold, "airport_load", &arguments[..5]).succeeded().stdout;
    for part in [
        "airport_load@1 (",
        ") of origin=JFK as of 2013-01-17T17:57:05Z\n",
        "  cut: all events of the log\n",
        "51955 rows, ",
        "\nfeatures\n",
        "Departures, cancelled ones included.",
        "window 1h in hops of 1m: 2013-01-17T16:57:00Z to 2013-01-17T17:57:05Z, ",
        " partial: it ends later",
        "counts in 15m, 1h, 1d",
        "50 listed, the nearest; ",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

/// The digest of the row that a backfill of a spine gives.
fn backfilled_digest(trifold: &Trifold, events: &str) -> String {
    let (spine, out) = (trifold.path("spine.jsonl"), trifold.path("out"));
    fs::write(&spine, format!("{}\n", json!({"origin": "JFK", "as_of": AS_OF}))).unwrap();
    let backfill = ["backfill", "airport_load", "--events", events, "--spine", spine.to_str().unwrap()];
    let more = ["--out", out.to_str().unwrap(), "--digest"];
    trifold.run(backfill.iter().chain(&more)).succeeded();
    let row = read_row_files(&out, None).unwrap().next().unwrap().unwrap();
    hex::encode(row.column_by_name("_row_digest").unwrap().as_binary::<i32>().value(0))
}

#[test]
fn every_event_says_why_it_does_not_count() {
    let trifold = airports();
    let departure = |second: i64, id: &str, dest: &str| {
        json!({
            "event_time": second * SECOND, "event_id": id, "origin": "JFK", "dest": dest, "cancelled": false,
            "dep_delay": 3.0,
        })
    };
    let mut lacking = departure(995, "f", "LAX");
    lacking["dest"] = Value::Null;
    let events = [
        departure(1_000, "a", "LAX"),
        departure(1_000, "a", "LAX"),
        departure(1_000, "a", "SFO"),
        lacking,
        departure(1_001, "b", "LAX"),
        departure(-90_000, "c", "LAX"),
    ];
    lines(&log(&trifold).join("0.jsonl"), &events);
    let log = log(&trifold);
    let arguments = ["JFK", "--events", log.to_str().unwrap(), "--as-of", "1000000000"];
    let text = explain(&trifold, "airport_load", &arguments).succeeded().stdout;
    for part in [
        "  log: log, 6 rows, 6 of them events of this entity\n",
        "events: 1 after-as-of, 1 before-windows, 1 conflict, 1 counts, 1 duplicate, 1 null-input\n",
        "duplicate of offset 0",
        "conflict with offset 0",
        "null-input: input dest is null",
        "after the as-of time",
        "before every window",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let with =
        |more: &[&str]| explain(&trifold, "airport_load", &[&arguments[..], more].concat()).succeeded().stdout;
    let before = with(&["--before"]);
    assert!(before.contains("status: empty") && before.contains("4 after-as-of"), "{before}");
    let cut = with(&["--cut", "position", "--position", "1"]);
    assert!(cut.contains("cut: events before offset 1\n") && cut.contains("4 behind-cut, 1 counts"), "{cut}");
    let nobody = ["--key", "origin=XXX", "--events", log.to_str().unwrap(), "--as-of", AS_OF];
    let nobody = explain(&trifold, "airport_load", &nobody).succeeded().stdout;
    assert!(nobody.contains("status: empty") && nobody.contains("no event of this entity"), "{nobody}");
}

#[test]
fn a_flight_is_explained_by_its_latest_departure() {
    let trifold = with_views();
    lines(&log(&trifold).join("0.jsonl"), &departures_json(300));
    let log = log(&trifold);
    let arguments = |as_of| ["UA", "1545", "--events", log.to_str().unwrap(), "--as-of", as_of];
    let text = explain(&trifold, "flight_profile@1", &arguments("2013-01-02T00:00:00Z")).succeeded().stdout;
    for part in
        ["of carrier=UA, flight=1545 as of", "EWR-IAH", "decided by the latest event in the order of time and id"]
    {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let text = explain(&trifold, "flight_profile", &arguments("2033-01-02T00:00:00Z")).succeeded().stdout;
    assert!(text.contains("status: expired") && text.contains("older than the view's time to live"), "{text}");
    let json = ["--format", "json"];
    let json = explain(&trifold, "flight_profile", &[&arguments("2033-01-02T00:00:00Z")[..], &json].concat());
    let json = json.succeeded().json();
    assert!(json["expired-by-micros"].as_i64().unwrap() > 0, "{json}");
    assert_eq!(json["decided-by"]["verdict"], "decides");
}

#[test]
fn what_cannot_be_explained_says_what_is_missing() {
    let trifold = with_views();
    lines(&log(&trifold).join("0.jsonl"), &departures_json(5));
    let log = log(&trifold);
    let log = log.to_str().unwrap();
    let check = |view: &str, arguments: &[&str], exit: Exit, parts: &[&str]| {
        explain(&trifold, view, arguments).refused(exit, parts);
    };
    let asked = ["--events", log, "--as-of", AS_OF];
    let flight = |arguments: &[&str], exit, parts: &[&str]| {
        check("flight_profile", &[arguments, &asked].concat(), exit, parts);
    };
    let parts = ["view flight_profile takes 2 values (carrier, flight), not 1", "--key carrier=...,flight=..."];
    flight(&["UA"], Exit::Usage, &parts);
    flight(&[], Exit::Usage, &["not 0: write `trifold explain flight_profile CARRIER FLIGHT"]);
    flight(&["UA", "1545", "3"], Exit::Usage, &["(carrier, flight), not 3"]);
    flight(&["UA", "one"], Exit::Usage, &["key field flight is of type int64, which `one` is not"]);
    flight(&["--key", "carrier=UA"], Exit::Usage, &["is not a whole key: it takes carrier, flight"]);
    flight(&["UA", "1545", "--key", "carrier=UA,flight=1"], Exit::Usage, &["the entity is named twice"]);
    let ua = ["UA", "1545"];
    let with = |more: &[&'static str]| [&ua[..], more].concat();
    flight(&with(&["--position", "3"]), Exit::Usage, &["`--position` goes with `--cut position`"]);
    flight(&with(&["--cut", "position"]), Exit::Usage, &["add `--position OFFSET`"]);
    flight(&with(&["--cut", "arrival"]), Exit::Usage, &["needs arrival times", "--arrival"]);
    flight(
        &with(&["--event-time", "when"]),
        Exit::Data,
        &["not one of the 5 events could be read", "--event-time"],
    );
    let as_of = |text| [&ua[..], &["--events", log, "--as-of", text]].concat();
    check("flight_profile", &as_of("noon"), Exit::Usage, &["`noon` is no time"]);
    check("flight_profile", &as_of("-9223372036854775808"), Exit::Usage, &["outside the years 1 to 9999"]);
    check("flight_profile", &[&ua[..], &["--events", log]].concat(), Exit::Usage, &["--as-of"]);
    check("flight_profile", &[&ua[..], &["--as-of", AS_OF]].concat(), Exit::Usage, &["--events"]);
    check("nope", &as_of(AS_OF), Exit::NotFound, &["no version of view nope is in force", "flight_profile"]);
    check("flight_profile@9", &as_of(AS_OF), Exit::NotFound, &["flight_profile"]);
    check("flight_profile@x", &as_of(AS_OF), Exit::Usage, &["names no version"]);
    let nowhere = trifold.path("nowhere");
    let nowhere = [&ua[..], &["--events", nowhere.to_str().unwrap(), "--as-of", AS_OF]].concat();
    check("flight_profile", &nowhere, Exit::NotFound, &["nowhere"]);
}
