//! Backfills that follow the releases: the rows of the stream, wherever they were computed by whichever version.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use trifold_cli::exit::Exit;
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::flights;
use trifold_tests::guests::component;

use crate::site::empty;

/// Both versions of a view pushed, and none released.
fn pushed(package: &str) -> Trifold {
    let trifold = empty();
    for features in [&[][..], &["v2"]] {
        trifold.run(["push", component(package, features).path.to_str().unwrap()]).succeeded();
    }
    trifold
}

fn stream(trifold: &Trifold, stop: &str) {
    let (flights, steps) = (flights(), ["--step-rows", "100", "--rows-format", "jsonl", "--assume-on-time"]);
    let stream = ["stream", "--events", flights.to_str().unwrap(), "--stop-at", stop];
    trifold.run(stream.iter().chain(&steps)).succeeded();
}

fn follow(trifold: &Trifold, name: &str, more: &[&str]) -> Ran {
    let (flights, out) = (flights(), trifold.path("followed"));
    let backfill = ["backfill", name, "--events", flights.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let rows = ["--follow-releases", "--rows-format", "jsonl", "--digest", "--assume-on-time"];
    trifold.run(backfill.iter().chain(&rows).chain(more))
}

/// The lines of the row files below a directory, by offset, each of them there once.
fn lines(dir: &Path) -> BTreeMap<u64, String> {
    let mut rows = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let found = match path.is_dir() {
            _ if path.file_name().unwrap().to_str().unwrap().starts_with('_') => continue,
            true => lines(&path),
            false => {
                let offset =
                    |line: &str| serde_json::from_str::<Value>(line).unwrap()["_offset"].as_u64().unwrap();
                let text = fs::read_to_string(&path).unwrap();
                text.lines().map(|line| (offset(line), line.to_owned())).collect()
            }
        };
        for (offset, line) in found {
            assert_eq!(rows.insert(offset, line), None, "{}: {offset}", path.display());
        }
    }
    rows
}

#[test]
fn each_row_is_that_of_the_version_that_the_stream_used() {
    for (package, view) in [("flight-profile", "flight_profile"), ("airport-load", "airport_load")] {
        let trifold = pushed(package);
        let second = format!("{view}@2");
        let release = |more: &[&str]| trifold.run(["release"].iter().chain(more)).succeeded();
        release(&[&format!("{view}@1")]);
        stream(&trifold, "400");
        release(&[&second, "--canary", "40%"]);
        stream(&trifold, "900");
        release(&[&second]);
        stream(&trifold, "1200");
        trifold.run(["rollback", view]).succeeded();
        stream(&trifold, "1500");
        let told = follow(&trifold, view, &["--format", "json"]).succeeded().json();
        let versions = told["versions"].as_array().unwrap();
        let releases = versions.iter().map(|version| version["releases"].to_string()).collect::<Vec<_>>();
        assert_eq!(releases, ["[1,2,4]", "[2,3]"], "{told}");
        let (emitted, followed) = (lines(&trifold.data("rows").join(view)), lines(&trifold.path("followed")));
        assert!(emitted.len() > 1_000, "{} rows", emitted.len());
        assert_eq!(followed, emitted);
        // Once more there is nothing to do, and what was streamed meanwhile makes other rows.
        let again = follow(&trifold, view, &["--format", "json"]).succeeded().json();
        assert_eq!(again["versions"][0]["resumed-files"], 1, "{again}");
        stream(&trifold, "1600");
        follow(&trifold, view, &[]).refused(Exit::Usage, &["its until 0 was 1500 and is now 1600", "--overwrite"]);
        follow(&trifold, view, &["--overwrite"]).succeeded();
        assert_eq!(lines(&trifold.path("followed")), lines(&trifold.data("rows").join(view)));
    }
}

#[test]
fn what_cannot_be_followed_is_said_with_what_helps() {
    let trifold = pushed("flight-profile");
    let view = "flight_profile";
    trifold.run(["release", "flight_profile@1"]).succeeded();
    follow(&trifold, view, &[]).refused(Exit::NotFound, &["store.redb is not there", "--data-dir"]);
    follow(&trifold, "flight_profile@1", &[]).refused(Exit::Usage, &["write `flight_profile` alone"]);
    let spine = ["--spine", "spine.jsonl"];
    follow(&trifold, view, &spine).refused(Exit::Usage, &["--follow-releases", "--spine", "cannot be used with"]);
    let (flights, stop) = (flights(), ["--stop-at", "200"]);
    let flights = flights.to_str().unwrap();
    // A load of a version by its number is under no release.
    let load = ["backfill", "flight_profile@1", "--events", flights, "--materialize"];
    trifold.run(load).succeeded();
    let parts = ["offsets 0 to 51954", "is not recorded", "VIEW@N --cut position", "trifold clear"];
    follow(&trifold, view, &[]).refused(Exit::Data, &parts);
    trifold.run(["clear", view]).succeeded();
    follow(&trifold, view, &[]).refused(Exit::NotFound, &["no state of view flight_profile", "trifold stream"]);
    stream(&trifold, stop[1]);
    fs::create_dir_all(trifold.path("followed/version-7")).unwrap();
    follow(&trifold, view, &[]).refused(Exit::Usage, &["version-7", "no part of these rows"]);
    fs::remove_dir(trifold.path("followed/version-7")).unwrap();
    follow(&trifold, view, &["--log-id", "other"])
        .refused(Exit::Data, &["follows the log ", "this is the log other"]);
    {
        let _running = trifold.start(["up", "--events", flights, "--stop-at", stop[1]]);
        follow(&trifold, view, &[]).refused(Exit::Unavailable, &["is in use by", "stop it"]);
    }
    follow(&trifold, view, &[]).succeeded();
}
