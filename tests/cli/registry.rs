//! A registry that is missing, cannot be written, or is damaged; views and versions that are not in it.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;
use trifold_cli::exit::Exit;
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::flights;
use trifold_tests::guests::component;

use crate::site::{departures, empty, log, of_view, parquet, stream, with_views};

const ROWS: usize = 50;

#[test]
fn a_registry_that_is_not_there() {
    let trifold = empty();
    parquet(&log(&trifold).join("0.parquet"), &departures(ROWS));
    let (log, parts) = (log(&trifold), ["there is no registry at", "data/registry", "push a component first"]);
    let log = log.to_str().unwrap();
    let commands: [&[&str]; 9] = [
        &["views"],
        &["versions", "flight_profile"],
        &["releases", "flight_profile"],
        &["release", "flight_profile"],
        &["rollback", "flight_profile"],
        &["stream", "--events", log],
        &["up", "--events", log, "--listen", "127.0.0.1:0"],
        &["backfill", "flight_profile", "--events", log, "--out", "out"],
        &["audit", "flight_profile", "--events", log],
    ];
    for command in commands {
        trifold.run(command).refused(Exit::NotFound, &parts);
    }
    assert!(!trifold.data("registry").exists());
}

/// Permissions do not stop a superuser, so the directory is one that takes no files from anybody.
#[test]
fn a_registry_that_takes_no_files() {
    let trifold = empty();
    let wasm = component("flight-profile", &[]);
    let push = ["push", wasm.path.to_str().unwrap()];
    fs::create_dir(trifold.data("")).unwrap();
    symlink("/sys/kernel", trifold.data("registry")).unwrap();
    trifold.run(push).refused(Exit::Io, &["the registry is read-only", "data/registry/components"]);
    fs::remove_file(trifold.data("registry")).unwrap();
    fs::write(trifold.data("registry"), "a file").unwrap();
    trifold.run(push).refused(Exit::Io, &["data/registry"]);
    trifold.run(["views"]).refused(Exit::Io, &["data/registry"]);
    fs::remove_file(trifold.data("registry")).unwrap();
    trifold.run(push).succeeded();
}

#[test]
fn views_and_versions_that_are_not_there() {
    let trifold = with_views();
    let parts = ["there is no view nope", "aircraft_status, flight_profile"];
    for command in [["release", "nope"], ["release", "nope@1"], ["rollback", "nope"], ["versions", "nope"]] {
        trifold.run(command).refused(Exit::NotFound, &parts);
    }
    trifold.run(["releases", "nope"]).refused(Exit::NotFound, &parts);
    trifold
        .run(["rollback", "flight_profile@1"])
        .refused(Exit::Usage, &["`flight_profile@1` is not a valid view name"]);
    let parts = ["view flight_profile has no version 9; it has 1"];
    trifold.run(["release", "flight_profile@9"]).refused(Exit::NotFound, &parts);
    trifold
        .run(["release", "flight_profile@one"])
        .refused(Exit::Usage, &["names no version", "`flight_profile@2`"]);
    trifold.run(["release", "Flight"]).refused(Exit::Usage, &["`Flight` is not a valid view name"]);
    parquet(&log(&trifold).join("0.parquet"), &departures(ROWS));
    let log = log(&trifold);
    let events = ["--events", log.to_str().unwrap()];
    let run = |command: &[&str]| trifold.run(command.iter().chain(&events));
    run(&["backfill", "nope", "--out", "out"]).refused(Exit::NotFound, &["no version of view nope is in force"]);
    run(&["backfill", "flight_profile@9", "--out", "out"]).refused(Exit::NotFound, &parts);
    run(&["audit", "nope"]).refused(Exit::NotFound, &["no version of view nope is in force"]);
    run(&["stream", "--views", "nope"]).refused(Exit::NotFound, &["there is no view nope"]);
    run(&["stream", "--views", "flight_profile,nope"]).refused(Exit::NotFound, &["there is no view nope"]);
    run(&["stream", "--views", "flight_profile"]).succeeded();
}

#[test]
fn what_happened_to_a_view_is_told() {
    let trifold = empty();
    let wasm = ["", "v2"].map(|feature| {
        let features: Vec<_> = [feature].into_iter().filter(|feature| !feature.is_empty()).collect();
        component("flight-profile", &features)
    });
    let json = |command: &[&str]| trifold.run(command.iter().chain(&["--format", "json"])).succeeded().json();
    let path = |of: usize| wasm[of].path.to_str().unwrap();
    json(&["push", path(0), "--by", "ada", "--note", "the first"]);
    trifold.run(["rollback", "flight_profile"]).refused(Exit::NotFound, &["flight_profile was never released"]);
    assert_eq!(json(&["releases", "flight_profile"]), serde_json::json!([]));
    json(&["release", "flight_profile", "--by", "ada"]);
    json(&["push", path(1), "--by", "bob", "--release", "--note", "three more fields"]);

    let back = json(&["rollback", "flight_profile", "--by", "eve", "--note", "nulls since noon"]);
    assert_eq!((&back["release"], &back["version"], &back["takes-back"]), (&3.into(), &1.into(), &2.into()));
    trifold
        .run(["rollback", "flight_profile"])
        .refused(Exit::NotFound, &["nothing was in force before version 1", "trifold release flight_profile@N"]);

    let picked = |of: &Value, keys: &[&str]| {
        let pick = |line: &Value| keys.iter().map(|key| line[key].clone()).collect::<Value>();
        of.as_array().unwrap().iter().map(pick).collect::<Value>()
    };
    let versions = json(&["versions", "flight_profile"]);
    assert_eq!(
        picked(&versions, &["version", "pushed-by", "note", "release", "digest"]),
        serde_json::json!([
            [1, "ada", "the first", 3, wasm[0].digest.to_string()],
            [2, "bob", "three more fields", null, wasm[1].digest.to_string()]
        ])
    );
    let releases = json(&["releases", "flight_profile"]);
    assert_eq!(
        picked(&releases, &["release", "version", "released-by", "note", "takes-back", "in-force"]),
        serde_json::json!([
            [1, 1, "ada", null, null, false],
            [2, 2, "bob", "three more fields", null, false],
            [3, 1, "eve", "nulls since noon", 2, true]
        ])
    );
    let times: Vec<_> = releases.as_array().unwrap().iter().map(|line| line["released-at"].to_string()).collect();
    assert!(times.is_sorted() && times.iter().all(|time| time.ends_with("Z\"")), "{times:?}");

    let text = trifold.run(["releases", "flight_profile"]).succeeded().stdout;
    let last = text.lines().last().unwrap();
    assert!(last.ends_with("takes release 2 back, in force  nulls since noon") && last.contains("eve"), "{text}");
    let text = trifold.run(["versions", "flight_profile"]).succeeded().stdout;
    assert!(text.lines().nth(1).unwrap().ends_with("release 3  the first"), "{text}");
}

#[test]
fn how_a_version_was_made_and_tried_is_told() {
    let trifold = empty();
    let (wasm, sample) = (component("flight-profile", &[]), flights());
    let sample = ["--sample", sample.to_str().unwrap(), "--sample-rows", "300"];
    trifold.run(["push", wasm.path.to_str().unwrap(), "--by", "ada"].iter().chain(&sample)).succeeded();
    let json = |command: &[&str]| trifold.run(command.iter().chain(&["--format", "json"])).succeeded().json();
    let version = &json(&["versions", "flight_profile"])[0];
    let tools: Vec<_> = version["toolchain"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    for tool in ["Rust", "rustc", "wit-component", "trifold-sdk"] {
        assert!(tools.iter().any(|name| *name == tool), "{tool} is not among {tools:?}");
    }
    let gate = &version["gate"];
    assert!(gate["fuel-counted-by"].as_str().unwrap().starts_with("wasmtime "), "{gate}");
    let [generated, departures] = &gate["samples"].as_array().unwrap()[..] else { panic!("{gate}") };
    assert_eq!((&generated["file"], &generated["rows"]), (&Value::Null, &256.into()));
    assert_eq!((&departures["file"], &departures["rows"]), (&"flights-2013-01-02.parquet".into(), &300.into()));
    for sample in [generated, departures] {
        let checks = sample["checks"].as_array().unwrap();
        assert!(checks.len() >= 6 && checks.iter().all(|check| check["rows"] == sample["rows"]), "{sample}");
        let fuel = ["median", "max", "total"].map(|of| sample["fuel"][of].as_u64().unwrap());
        assert!(fuel.is_sorted() && fuel[0] > 0, "{fuel:?}");
    }
    // The same rows burn the same fuel.
    let checked = json(&[&["check", wasm.path.to_str().unwrap()][..], &sample].concat());
    assert_eq!(checked["samples"][1]["fuel"], departures["fuel"]);

    let inspected = json(&["inspect", "flight_profile@1"]);
    assert_eq!((&inspected["file"], &inspected["recorded"]["gate"]), (&Value::Null, gate));
    assert_eq!((&inspected["digest"], &inspected["bytes"]), (&version["digest"], &version["bytes"]));
    let text = trifold.run(["inspect", "flight_profile@1"]).succeeded().stdout;
    for part in ["made by ", "rustc 1.", "trifold-sdk ", "by ada", "checks passed over 300 rows of flights-2013"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let text = trifold.run(["versions", "flight_profile"]).succeeded().stdout;
    assert!(text.contains("rustc 1.") && text.contains("556 rows"), "{text}");
    trifold.run(["inspect", "flight_profile@2"]).refused(Exit::NotFound, &["has no version 2; it has 1"]);
}

#[test]
fn whoever_says_nothing_is_the_user() {
    let trifold = empty();
    let push = |by: &[(&str, &str)]| {
        let mut command = trifold.command(["push", component("flight-profile", &[]).path.to_str().unwrap()]);
        command.env_remove("USER").envs(by.iter().copied());
        Ran::of(&mut command).succeeded();
        let listed = trifold.run(["versions", "flight_profile", "--format", "json"]).succeeded().json();
        fs::remove_dir_all(trifold.data("registry")).unwrap();
        listed[0]["pushed-by"].clone()
    };
    assert_eq!(push(&[]), Value::Null);
    assert_eq!(push(&[("USER", "ada")]), "ada");
    assert_eq!(push(&[("USER", "ada"), ("TRIFOLD_BY", "ci")]), "ci");
}

/// The only component file of a digest.
fn blob(trifold: &Trifold, package: &str) -> std::path::PathBuf {
    let digest = component(package, &[]).digest;
    trifold.data(format!("registry/components/sha256/{digest}.wasm"))
}

#[test]
fn a_damaged_component_stops_its_view_alone() {
    let trifold = with_views();
    parquet(&log(&trifold).join("0.parquet"), &departures(ROWS));
    let path = blob(&trifold, "flight-profile");
    let mut bytes = fs::read(&path).unwrap();
    bytes[2_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let parts = [name, "is damaged", "push it again to restore it"];
    let log = log(&trifold);
    let backfill =
        |view: &'static str| trifold.run(["backfill", view, "--out", view, "--events", log.to_str().unwrap()]);
    backfill("flight_profile").refused(Exit::Data, &parts);
    backfill("aircraft_status").succeeded();
    let summary = stream(&trifold).json();
    assert_eq!(of_view(&summary, "aircraft_status")["next-offset"], ROWS);
    let problem = summary["problems"][0].as_str().unwrap();
    assert!(problem.contains("view flight_profile") && problem.contains("is damaged"), "{problem}");
    // As the message says.
    let wasm = component("flight-profile", &[]);
    trifold.run(["push", wasm.path.to_str().unwrap()]).succeeded();
    let summary = stream(&trifold).succeeded().json();
    assert_eq!(of_view(&summary, "flight_profile")["next-offset"], ROWS);
}

#[test]
fn a_damaged_record_is_named() {
    let trifold = with_views();
    let second = component("flight-profile", &["v2"]);
    trifold.run(["push", second.path.to_str().unwrap()]).succeeded();
    let record = trifold.data("registry/views/flight_profile/versions/0000000002.json");
    fs::write(&record, "{\"version\": 2").unwrap();
    let parts = ["flight_profile/versions/0000000002.json", "cannot be used"];
    trifold.run(["views"]).refused(Exit::Data, &parts);
    trifold.run(["versions", "flight_profile"]).refused(Exit::Data, &parts);
    trifold.run(["release", "flight_profile@2"]).refused(Exit::Data, &parts);
    trifold.run(["release", "flight_profile@1"]).succeeded();
    trifold.run(["release", "aircraft_status@1"]).succeeded();
}

/// A release that cannot be read must not look like none.
#[test]
fn a_damaged_release_is_named() {
    let trifold = with_views();
    parquet(&log(&trifold).join("0.parquet"), &departures(ROWS));
    fs::write(trifold.data("registry/views/flight_profile/releases/0000000001.json"), "{").unwrap();
    let parts = ["flight_profile/releases/0000000001.json", "cannot be used"];
    let views = trifold.run(["views"]).refused(Exit::Data, &parts);
    assert!(views.stdout.contains("aircraft_status"), "{}", views.stdout);
    trifold.run(["releases", "flight_profile"]).refused(Exit::Data, &parts);
    trifold.run(["rollback", "flight_profile"]).refused(Exit::Data, &parts);
    let versions = trifold.run(["versions", "flight_profile"]).refused(Exit::Data, &parts);
    assert!(versions.stdout.lines().count() == 2, "{}", versions.stdout);
    let log = log(&trifold);
    let events = ["--events", log.to_str().unwrap()];
    trifold
        .run(["backfill", "flight_profile", "--out", "out"].into_iter().chain(events))
        .refused(Exit::Data, &parts);
    fs::remove_dir_all(trifold.data("registry/views/aircraft_status")).unwrap();
    trifold.run(["stream"].into_iter().chain(events)).refused(Exit::Data, &parts);
}
