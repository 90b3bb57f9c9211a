//! A server that keeps what it reads: its answers are replayed at the positions at which each row was read.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;
use trifold_tests::random::SplitMix64;
use trifold_wat_guest::Guest;

use crate::pushing::{run, with_what_is_read};
use crate::site::{SECOND, event};
use crate::views::context;

const CONFIG: &str = "[stream]\npoll-interval-ms = 20\n[cache]\nmib = 16\nttl-ms = 3600000\n";
const SLICE: u64 = 100;

#[test]
fn answers_of_what_was_kept_and_what_was_read_are_replayed() {
    let trifold = with_what_is_read();
    run(&trifold, &["push", "--release"], &Guest::new(context())).succeeded();
    trifold.run(["release", "latest"]).succeeded();
    let (log, config, spine) = (trifold.path("log"), trifold.path("trifold.toml"), trifold.path("spine.jsonl"));
    fs::create_dir(&log).unwrap();
    fs::write(&config, CONFIG).unwrap();
    let mut random = SplitMix64(21);
    let mut append = |slice: u64| {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(log.join("0.jsonl")).unwrap();
        for number in slice * SLICE..(slice + 1) * SLICE {
            let value = (random.between(0, 5) > 0).then(|| random.between(0, 20) as i64 - 2);
            writeln!(file, "{}", event(number as i64 * 10, random.between(0, 5) as i64, value)).unwrap();
        }
    };
    append(0);
    let log_name = log.to_str().unwrap();
    let up = trifold.start(["--config", config.to_str().unwrap(), "up", "--events", log_name]);
    // Of entities that nobody asked about nothing is kept, so that these are read.
    let mut unasked = 1_000;
    let mut wait_for = |position: u64| {
        let begun = Instant::now();
        loop {
            unasked += 1;
            let key = format!("key={unasked},amount=1");
            let get = ["get", "context", "--key", &key, "--server", &up.url, "--format", "json"];
            // Before anything is there, nothing can be told.
            let answer = trifold.run(get).json();
            let reads = answer["rows"][0]["views"][0]["reads"].as_array().unwrap();
            if reads.len() == 2 && reads.iter().all(|read| read["next-offsets"] == json!({"0": position})) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{answer}");
        }
    };
    let audit = |keys: std::ops::Range<i64>| {
        let row = |key: i64| json!({"key": key, "amount": 1.5, "as_of": 2500 * SECOND}).to_string() + "\n";
        let rows = keys.end - keys.start;
        fs::write(&spine, keys.map(row).collect::<String>()).unwrap();
        let audit = ["audit", "context", "--events", log_name, "--online", "--server", &up.url];
        let rest = ["--spine", spine.to_str().unwrap(), "--format", "json"];
        let report = trifold.run(audit.iter().chain(&rest)).succeeded().json();
        let figures =
            ["compared", "differing", "missing", "extra", "unavailable"].map(|name| report[name].as_i64());
        assert_eq!(figures, [rows, 0, 0, 0, 0].map(Some), "{report}");
        let components = report["components"].as_array().unwrap().iter();
        let reads = components.flat_map(|component| component["reads"].as_array().unwrap());
        reads.map(|read| read["next-offsets"]["0"].as_u64().unwrap()).collect::<BTreeSet<_>>()
    };
    wait_for(SLICE);
    assert_eq!(audit(0..3), [SLICE].into());
    append(1);
    wait_for(2 * SLICE);
    assert_eq!(audit(0..6), [SLICE, 2 * SLICE].into());
}
