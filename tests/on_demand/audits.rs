//! Audits of a server's answers to requests: they are replayed with the versions and at the positions that they name,
//! and an answer that was made of anything else is found.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use trifold_cli::exit::Exit;
use trifold_model::ComponentDigest;
use trifold_server::api::column::Values;
use trifold_server::api::{GetFeaturesResponse, ViewAnswer};
use trifold_tests::command::{Ran, Running, Trifold};
use trifold_tests::random::SplitMix64;
use trifold_wat_guest::Guest;

use crate::forger::{Change, Forger};
use crate::pushing::{run, with_what_is_read};
use crate::site::{SECOND, event};
use crate::views::{context, latest_for};

/// Offsets at which the two views that are read stand still.
const LATEST_UNTIL: u64 = 120;
const NUMBERS_UNTIL: u64 = 170;

/// A data directory with the views, the log and its state, and a file of requests.
struct Audited {
    trifold: Trifold,
    log: PathBuf,
    spine: PathBuf,
    rows: usize,
}

impl Audited {
    /// Two views that stand at different positions of a log of random events.
    fn new(seed: u64) -> Self {
        let mut random = SplitMix64(seed);
        let trifold = with_what_is_read();
        run(&trifold, &["push", "--release"], &Guest::new(context())).succeeded();
        trifold.run(["release", "latest"]).succeeded();
        let log = trifold.path("log");
        fs::create_dir(&log).unwrap();
        let events = (0..200).map(|second| {
            let value = (random.between(0, 5) > 0).then(|| random.between(0, 20) as i64 - 2);
            event(second * 10 + random.between(0, 9) as i64, random.between(0, 5) as i64, value)
        });
        fs::write(log.join("0.jsonl"), events.map(|event| format!("{event}\n")).collect::<String>()).unwrap();
        for (view, until) in [("latest", LATEST_UNTIL), ("window_numbers", NUMBERS_UNTIL)] {
            let until = until.to_string();
            let stream = ["stream", "--events", log.to_str().unwrap(), "--views", view, "--stop-at", &until];
            trifold.run(stream).succeeded();
        }
        let (spine, rows) = (trifold.path("spine.jsonl"), 60);
        // Some rows have a time of their own, before and after the events; the others are asked at the server's clock.
        let row = |_| {
            let amount = (random.between(0, 3) > 0).then(|| random.between(0, 100) as f64 / 4.0);
            let as_of = (random.between(0, 4) > 0).then(|| random.between(0, 3000) as i64 * SECOND);
            json!({"key": random.between(0, 6), "amount": amount, "as_of": as_of, "label": "carried by backfills"})
        };
        fs::write(&spine, (0..rows).map(row).map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        Audited { trifold, log, spine, rows }
    }

    fn serve(&self) -> Running {
        self.trifold.start(["serve"])
    }

    fn audit(&self, view: &str, more: &[&str]) -> Ran {
        let audit = ["audit", view, "--events", self.log.to_str().unwrap(), "--format", "json"];
        self.trifold.run(audit.iter().chain(more))
    }

    fn audit_online(&self, view: &str, url: &str, more: &[&str]) -> Ran {
        let online = ["--online", "--server", url, "--spine", self.spine.to_str().unwrap()];
        self.audit(view, &[&online[..], more].concat())
    }

    /// Audits answers that were changed on their way.
    fn forged(&self, change: Change) -> Ran {
        let server = self.serve();
        let forger = Forger::start(&server.url, change);
        // All in one request, so that one change is made.
        self.audit_online("context", &forger.url, &["--as-of", "0"])
    }
}

#[test]
fn answers_are_replayed_with_each_view_at_its_own_position() {
    for seed in 0..3 {
        let audited = Audited::new(seed);
        let server = audited.serve();
        let report = audited.audit_online("context", &server.url, &[]).succeeded().json();
        let figures =
            ["compared", "differing", "missing", "extra", "unavailable"].map(|name| report[name].as_u64());
        assert_eq!(figures, [audited.rows as u64, 0, 0, 0, 0].map(Some), "seed {seed}: {report}");
        assert_eq!(report["statuses"]["value"], audited.rows, "seed {seed}");
        let reads = report["components"][0]["reads"].as_array().unwrap();
        let reads = reads.iter().map(|read| (&read["view"], &read["next-offsets"]["0"]));
        let (latest, numbers) = (json!("latest"), json!("window_numbers"));
        let (until, numbers_until) = (json!(LATEST_UNTIL), json!(NUMBERS_UNTIL));
        assert_eq!(reads.collect::<Vec<_>>(), [(&latest, &until), (&numbers, &numbers_until)], "seed {seed}");
        // What it reads can be asked at the same rows, by the columns that are its key.
        let report = audited.audit_online("latest", &server.url, &[]).succeeded().json();
        assert_eq!((&report["compared"], &report["differing"]), (&json!(audited.rows), &json!(0)), "seed {seed}");
    }
}

/// The answer about `context`.
fn answer(answer: &mut GetFeaturesResponse) -> &mut ViewAnswer {
    &mut answer.views[0]
}

/// Adds to a number of the answer about `context`.
fn add(column: &'static str, row: usize) -> Change {
    Box::new(move |it| {
        let column = answer(it).columns.iter_mut().find(|found| found.name == column).unwrap();
        let Some(Values::Int64s(numbers)) = &mut column.values else { panic!("{column:?}") };
        numbers.values[row] += 1;
    })
}

#[test]
fn a_forged_answer_is_found() {
    let audited = Audited::new(10);
    assert_eq!(audited.forged(Box::new(|_| ())).succeeded().json()["differing"], 0);
    for (column, row) in [("key_out", 0), ("count_out", 7)] {
        let (first, field) = (format!("first {row} (key="), format!("field {column}: "));
        let ran =
            audited.forged(add(column, row)).refused(Exit::Refused, &["1 of 60 rows differ", &first, &field]);
        let mismatches = ran.json()["mismatches"].clone();
        assert_eq!(mismatches.as_array().map(Vec::len), Some(1), "{mismatches}");
    }
    let parts = ["1 of 60 rows differ", "first 9 (key=", "field row digest: "];
    audited.forged(Box::new(|it| answer(it).row_digests[9][0] ^= 1)).refused(Exit::Refused, &parts);
}

#[test]
fn an_answer_that_was_made_of_another_state_or_version_is_found() {
    let audited = Audited::new(11);
    for (place, field) in [(0, "field last_out: "), (1, "field count_out: ")] {
        let change = move |it: &mut GetFeaturesResponse| {
            let position = answer(it).reads[place].position.as_mut().unwrap();
            position.next_offsets.insert(0, 30);
        };
        audited.forged(Box::new(change)).refused(Exit::Refused, &["of 60 rows differ", field]);
    }
    let other = latest_for(60);
    run(&audited.trifold, &["push"], &other).succeeded();
    let digest = ComponentDigest::of(&other.build().unwrap()).0.to_vec();
    let change = move |it: &mut GetFeaturesResponse| answer(it).reads[0].component_digest = digest.clone();
    audited.forged(Box::new(change)).refused(Exit::Refused, &["of 60 rows differ", "field last_out: "]);
}

#[test]
fn what_a_server_cannot_have_read_is_refused() {
    let audited = Audited::new(12);
    let refused = |exit, part: &str, change: fn(&mut ViewAnswer)| {
        audited.forged(Box::new(move |it| change(answer(it)))).refused(exit, &[part]);
    };
    refused(Exit::Data, "there is no component ", |it| it.reads[0].component_digest = vec![0; 32]);
    refused(Exit::Data, "of view window_numbers as one of view latest", |it| {
        it.reads[0].component_digest = it.reads[1].component_digest.clone();
    });
    let part =
        "view context reads latest, window_numbers, and the server did not: the server names as read: latest";
    refused(Exit::Data, part, |it| it.reads.truncate(1));
    refused(Exit::Data, "view window_numbers: its state follows the log other, and this is the log log", |it| {
        it.reads[1].position.as_mut().unwrap().log = "other".to_owned();
    });
    refused(Exit::Unavailable, "the server has no state of view latest", |it| it.reads[0].position = None);
}

#[test]
fn what_is_not_in_force_is_told() {
    let trifold = with_what_is_read();
    run(&trifold, &["push", "--release"], &Guest::new(context())).succeeded();
    let (log, spine) = (trifold.path("0.jsonl"), trifold.path("spine.jsonl"));
    fs::write(&log, format!("{}\n", event(1, 1, None))).unwrap();
    fs::write(&spine, "{\"key\": 1}\n").unwrap();
    let server = trifold.start(["serve"]);
    let audit = ["audit", "context", "--events", log.to_str().unwrap(), "--online", "--server", &server.url];
    let part = "the server did not: view context cannot read what it asks for: input last is the feature";
    trifold.run(audit.iter().chain(&["--spine", spine.to_str().unwrap()])).refused(Exit::Unavailable, &[part]);
}

#[test]
fn requests_that_ask_nothing_are_refused() {
    let audited = Audited::new(13);
    let server = audited.serve();
    let refused = |rows: &str, exit, part: &str| {
        fs::write(&audited.spine, rows).unwrap();
        audited.audit_online("context", &server.url, &[]).refused(exit, &[part]);
    };
    refused("{\"amount\": 1.5}\n", Exit::Data, "row 0: column key is missing or null");
    refused("{\"key\": 1, \"amount\": \"much\"}\n", Exit::Data, "row 0: column amount");
    refused("{\"key\": 1, \"as_of\": \"soon\"}\n", Exit::Data, "row 0: column as_of");
    refused("", Exit::Data, "it has no rows");
    fs::write(&audited.spine, "{\"key\": 1, \"amount\": null}\n").unwrap();
    let audit = |more: &[&str]| audited.audit_online("context", &server.url, more);
    audit(&["--as-of", "0"]).succeeded();
    audit(&["--as-of", "soon"]).refused(Exit::Usage, &["`soon` is no time"]);
    fs::remove_file(&audited.spine).unwrap();
    audit(&[]).refused(Exit::NotFound, &["there is no spine at"]);
    let parts = ["its values belong to requests", "`--online` and `--spine FILE`, with the columns key, amount"];
    audited.audit("context", &[]).refused(Exit::Usage, &parts);
    audited.audit("context", &["--online", "--server", &server.url]).refused(Exit::Usage, &parts);
    audited.audit("context", &["--spine", "requests.jsonl"]).refused(Exit::Usage, &["--online"]);
}

#[test]
fn a_backfill_reads_the_versions_that_it_is_told_to() {
    let audited = Audited::new(14);
    run(&audited.trifold, &["push"], &latest_for(60)).succeeded();
    let backfill = |out: &str, more: &[&str]| {
        let spine = audited.spine.to_str().unwrap();
        let words = ["backfill", "context", "--events", audited.log.to_str().unwrap(), "--spine", spine];
        let out = audited.trifold.path(out);
        let output = ["--rows-format", "jsonl", "--format", "json", "--out", out.to_str().unwrap()];
        audited.trifold.run(words.iter().chain(&output).chain(more))
    };
    let timed = |key: i64| json!({"key": key, "amount": null, "as_of": 2100 * SECOND}).to_string() + "\n";
    fs::write(&audited.spine, (0..5).map(timed).collect::<String>()).unwrap();
    let known = |out: &str| {
        let rows = fs::read_to_string(audited.trifold.path(out).join("part-00000.jsonl")).unwrap();
        rows.lines().filter(|row| !serde_json::from_str::<Value>(row).unwrap()["last_out"].is_null()).count()
    };
    let report = backfill("in-force", &[]).succeeded().json();
    assert_eq!(report["reads"], json!(["latest@1", "window_numbers@1"]));
    let report = backfill("pinned", &["--reads", "latest@2"]).succeeded().json();
    assert_eq!(report["reads"], json!(["latest@2", "window_numbers@1"]));
    // What was ten minutes old was alive for the version in force, and is not for the other.
    assert!(known("in-force") > 0 && known("pinned") == 0, "{} and {}", known("in-force"), known("pinned"));
    let manifest = fs::read_to_string(audited.trifold.path("pinned/_backfill.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let component = ComponentDigest::of(&latest_for(60).build().unwrap()).to_string();
    assert_eq!(manifest["reads"]["latest"]["version"], 2, "{manifest}");
    assert_eq!(manifest["reads"]["latest"]["component"], component, "{manifest}");
    // Rows of other versions are another backfill's.
    backfill("pinned", &[]).refused(Exit::Usage, &["its reads latest"]);
    let refused = |reads: &[&str], exit, part: &str| {
        let words: Vec<_> = reads.iter().flat_map(|read| ["--reads", read]).collect();
        backfill("refused", &words).refused(exit, &[part]);
        assert!(!audited.trifold.path("refused").exists());
    };
    refused(&["gone@1"], Exit::Usage, "`--reads gone@1`: view context reads latest, window_numbers");
    refused(&["latest"], Exit::Usage, "`--reads latest`: write VIEW@N, as in `latest@2`");
    refused(&["latest@x"], Exit::Usage, "`latest@x` names no version");
    refused(&["latest@1", "latest@2"], Exit::Usage, "`--reads latest@2`: the view is named twice");
    refused(&["latest@9"], Exit::NotFound, "view latest has no version 9");
    let log = audited.log.to_str().unwrap();
    let row = ["backfill", "latest", "--events", log, "--out", "rows", "--reads", "latest@1"];
    audited.trifold.run(row).refused(Exit::Usage, &["`--reads latest@1`: view latest reads no view"]);
}
