//! A registry in an object store.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use serde_json::Value;
use trifold_cli::exit::Exit;
use trifold_test_servers::{Control, S3};
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::guests::component;

use crate::site::{departures, empty, log, of_view, parquet, push, stream};

const ROWS: usize = 50;
const BUCKET: &str = "models";

/// A data directory whose registry is in a bucket.
fn over(s3: &S3) -> Trifold {
    s3.bucket(BUCKET).unwrap();
    let trifold = empty()
        .with_variable("AWS_ACCESS_KEY_ID", S3::ACCESS_KEY_ID)
        .with_variable("AWS_SECRET_ACCESS_KEY", S3::SECRET_ACCESS_KEY);
    let config = format!(
        "registry = \"s3://{BUCKET}/prod\"\n[s3]\nendpoint = \"{}\"\nallow-http = true\n\
         [server]\npoll-interval-ms = 20\n",
        s3.endpoint()
    );
    fs::write(trifold.path("trifold.toml"), config).unwrap();
    trifold
}

/// The names below a directory.
fn names(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => names.extend(self::names(&entry.path()).into_iter().map(|below| format!("{name}/{below}"))),
            false => drop(names.insert(name)),
        }
    }
    names
}

#[test]
fn a_registry_in_a_bucket_is_pushed_to_and_served_from_and_may_be_away_for_a_while() {
    let mut s3 = S3::start().unwrap();
    let trifold = over(&s3);
    push(&trifold, &component("flight-profile", &[]).component);
    let digest = component("flight-profile", &[]).digest;
    let there = [
        format!("components/sha256/{digest}.wasm"),
        "id".to_owned(),
        "views/flight_profile/releases/0000000001.json".to_owned(),
        "views/flight_profile/versions/0000000001.json".to_owned(),
    ];
    assert_eq!(names(&s3.bucket(BUCKET).unwrap().join("prod")), there.into());
    assert!(trifold.data("cache").is_dir() && !trifold.data("registry").exists());
    parquet(&log(&trifold).join("0.parquet"), &departures(ROWS));
    assert_eq!(of_view(&stream(&trifold).succeeded().json(), "flight_profile")["next-offset"], ROWS);

    let running = trifold.start(["serve"]);
    let version = || {
        let key = ["get", "flight_profile", "--key", "carrier=UA,flight=1545", "--as-of", "0"];
        let answer = trifold.run(key.iter().chain(&["--server", &running.url, "--format", "json"]));
        answer.succeeded().json()["rows"][0]["views"][0]["version"].clone()
    };
    assert_eq!(version(), 1);
    s3.kill().unwrap();
    let away = TcpListener::bind(s3.address()).unwrap();
    // A look takes at most four connections, which nobody answers.
    away.incoming().take(20).for_each(drop);
    drop(away);
    assert_eq!(version(), 1);
    s3.start_again().unwrap();
    push(&trifold, &component("flight-profile", &["v2"]).component);
    while version() != 2 {}
    running.terminate();
    let stderr = running.wait().succeeded().stderr;
    let told: Vec<_> = stderr.lines().filter(|line| line.contains("the releases cannot be read")).collect();
    // Connections may have been refused before they were closed.
    assert!((1..=3).contains(&told.len()) && told[0].contains("s3://models/prod/views"), "{stderr}");
}

#[test]
fn what_is_wrong_with_an_object_store_is_named() {
    let mut s3 = S3::start().unwrap();
    let trifold = over(&s3);
    let wasm = component("flight-profile", &[]);
    let push = ["push", wasm.path.to_str().unwrap()];
    let config = trifold.run(["config", "--format", "json"]).succeeded();
    assert_eq!(config.json()["registry"], "s3://models/prod");
    assert_eq!(config.json()["s3"]["endpoint"], s3.endpoint());
    assert!(!config.stdout.contains(S3::SECRET_ACCESS_KEY), "{}", config.stdout);
    trifold
        .run(["views"])
        .refused(Exit::NotFound, &["there is no registry at s3://models/prod; push a component"]);
    trifold.run(push).succeeded();
    let with =
        |line: &[&str], variables: &[(&str, &str)]| Ran::of(trifold.command(line).envs(variables.iter().copied()));
    for line in [&["views"][..], &push, &["release", "flight_profile@1"], &["serve"]] {
        let wrong = [line, &["--registry", "s3://nobodys/prod"]].concat();
        let parts = ["cannot find the registry s3://nobodys/prod", s3.endpoint(), "no such bucket"];
        trifold.run(wrong).refused(Exit::NotFound, &parts);
        let wrong = with(line, &[("AWS_SECRET_ACCESS_KEY", "guessed")]);
        wrong.refused(Exit::Io, &["s3://models/prod/", "SignatureDoesNotMatch", "look at the credentials"]);
    }
    with(&["views"], &[("TRIFOLD_REGISTRY", "gs://models")])
        .refused(Exit::Usage, &["`gs` is not supported", "s3://BUCKET/PREFIX", "TRIFOLD_REGISTRY"]);
    trifold.run(["views", "--registry", "s3://"]).refused(Exit::Usage, &["it names no bucket", "--registry"]);
    s3.stop().unwrap();
    let parts = ["cannot list s3://models/prod/views", s3.endpoint(), "not available", "Connection refused"];
    trifold.run(["views"]).refused(Exit::Unavailable, &parts);
    // A directory that is named goes before the file's bucket, as ever.
    let directory = trifold.path("registry");
    trifold.run([&push[..], &["--registry", directory.to_str().unwrap()]].concat()).succeeded();
    assert!(directory.join("id").is_file());
    fs::write(trifold.path("trifold.toml"), "registry = \"s3://a//b\"\n[s3]\nkey = \"x\"\n").unwrap();
    trifold.run(["views"]).refused(Exit::Usage, &["registry: `s3://a//b`", "s3.key: unknown key"]);
}

/// Processes that push and release at once make one timeline.
#[test]
fn many_processes_make_one_timeline() {
    const PROCESSES: usize = 6;
    let s3 = S3::start().unwrap();
    for trifold in [empty(), over(&s3)] {
        let wasm = [component("flight-profile", &[]), component("flight-profile", &["v2"])];
        let push = |number: usize| {
            let (path, by) = (wasm[number % 2].path.to_str().unwrap(), number.to_string());
            trifold.run(["push", path, "--release", "--by", &by, "--format", "json"]).succeeded().json()
        };
        let reports: Vec<Value> = thread::scope(|scope| {
            let push = &push;
            let all: Vec<_> = (0..PROCESSES).map(|number| scope.spawn(move || push(number))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let new = reports.iter().filter(|report| report["new"] == true).count();
        let releases: BTreeSet<_> = reports.iter().map(|report| report["release"].as_u64().unwrap()).collect();
        assert_eq!((new, releases), (2, (1..=PROCESSES as u64).collect()));
        let listed = |what: &str| trifold.run([what, "flight_profile", "--format", "json"]).succeeded().json();
        assert_eq!(listed("versions").as_array().unwrap().len(), 2);
        let history = listed("releases");
        let history = history.as_array().unwrap();
        let by: BTreeSet<_> = history.iter().map(|release| release["released-by"].as_str().unwrap()).collect();
        assert_eq!((history.len(), by.len()), (PROCESSES, PROCESSES));
        for (release, number) in history.iter().zip(1..) {
            assert_eq!(release["release"], number);
        }
    }
}
