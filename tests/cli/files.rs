//! Logs that cannot be read, as a whole or from some place on.

use std::fs;
use std::io::Write;
use std::path::Path;

use trifold_cli::exit::Exit;
use trifold_tests::flights;

use crate::site::{departures, departures_json, lines, log, of_view, parquet, stream, with_views};

const ROWS: usize = 300;

#[test]
fn no_log_at_all() {
    let trifold = with_views();
    stream(&trifold).refused(Exit::NotFound, &["there is nothing at", "log"]);
    fs::create_dir(log(&trifold)).unwrap();
    stream(&trifold).refused(Exit::Data, &["has no *.parquet or *.jsonl file"]);
    let text = trifold.path("events.csv");
    fs::write(&text, "a,b\n").unwrap();
    let parts = ["events.csv", "a segment is a regular file named *.parquet or *.jsonl"];
    trifold.run(["stream", "--events", text.to_str().unwrap()]).refused(Exit::Data, &parts);
    let audit = ["audit", "flight_profile", "--events", text.to_str().unwrap()];
    trifold.run(audit).refused(Exit::NotFound, &["holds no rows: run `trifold stream`"]);
}

/// A log of two segments of which the second is bad: nothing is applied that would not be there after a repair.
#[track_caller]
fn check_segment(write: impl FnOnce(&Path), parts: &[&str]) {
    let trifold = with_views();
    parquet(&log(&trifold).join("0.parquet"), &departures(ROWS));
    let bad = log(&trifold).join("1.parquet");
    write(&bad);
    stream(&trifold).refused(Exit::Data, parts);
    let out = trifold.path("out");
    let backfill = ["backfill", "flight_profile", "--out", out.to_str().unwrap(), "--events"];
    let log_path = log(&trifold);
    trifold.run(backfill.into_iter().chain([log_path.to_str().unwrap()])).refused(Exit::Data, parts);
    parquet(&bad, &departures(ROWS));
    let summary = stream(&trifold).succeeded().json();
    assert_eq!(of_view(&summary, "flight_profile")["next-offset"], 2 * ROWS);
}

#[test]
fn parquet_files_that_are_not_complete() {
    let whole = fs::read(flights()).unwrap();
    check_segment(|path| fs::write(path, b"").unwrap(), &["1.parquet has zero bytes", "rename it"]);
    let parts = ["1.parquet is no complete Parquet file"];
    check_segment(|path| fs::write(path, &whole[..whole.len() / 2]).unwrap(), &parts);
    check_segment(|path| fs::write(path, &whole[..3]).unwrap(), &parts);
}

#[test]
fn a_parquet_file_that_is_damaged_inside() {
    let trifold = with_views();
    fs::create_dir(log(&trifold)).unwrap();
    let (path, mut bytes) = (log(&trifold).join("0.parquet"), fs::read(flights()).unwrap());
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0xFF);
    fs::write(&path, bytes).unwrap();
    let parts = ["0.parquet is damaged at row", "restore the file from its source"];
    stream(&trifold).refused(Exit::Data, &parts);
    fs::copy(flights(), &path).unwrap();
    let summary = stream(&trifold).succeeded().json();
    for view in ["flight_profile", "aircraft_status"] {
        assert_eq!(of_view(&summary, view)["next-offset"], trifold_tests::FLIGHTS);
    }
    // Rows of steps that had been taken before the damage are there once, and so are those after it.
    let audit = ["audit", "flight_profile", "--format", "json", "--events", log(&trifold).to_str().unwrap()]
        .map(str::to_owned);
    let report = trifold.run(audit).succeeded().json();
    assert_eq!(report["compared"], trifold_tests::FLIGHTS);
}

#[test]
fn a_line_without_its_end_is_not_there_yet() {
    let trifold = with_views();
    let path = log(&trifold).join("0.jsonl");
    let events = departures_json(3);
    lines(&path, &events[..2]);
    let third = events[2].to_string();
    let (begin, end) = third.split_at(40);
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(begin.as_bytes()).unwrap();
    let summary = stream(&trifold).succeeded().json();
    assert_eq!(of_view(&summary, "flight_profile")["next-offset"], 2);
    writeln!(file, "{end}").unwrap();
    let summary = stream(&trifold).succeeded().json();
    let view = of_view(&summary, "flight_profile");
    assert_eq!(
        (&view["next-offset"], &view["rows"], &view["aside"]),
        (&3.into(), &1.into(), &serde_json::json!({}))
    );
}

#[test]
fn a_log_that_lost_events_or_is_another_one() {
    let trifold = with_views();
    let path = log(&trifold).join("0.jsonl");
    lines(&path, &departures_json(5));
    stream(&trifold).succeeded();
    lines(&path, &departures_json(4));
    let holds = "view aircraft_status: its state ";
    let parts = [
        holds,
        "has applied 5 events of the log log, which holds 4",
        "put the old file back, or replay the log: for files after `trifold clear aircraft_status`",
    ];
    stream(&trifold).refused(Exit::Data, &parts);
    let other = ["stream", "--log-id", "other", "--events", log(&trifold).to_str().unwrap()].map(str::to_owned);
    trifold.run(other).refused(Exit::Data, &["follows the log log, and this is the log other"]);
    lines(&path, &departures_json(6));
    assert_eq!(of_view(&stream(&trifold).succeeded().json(), "flight_profile")["next-offset"], 6);
}
