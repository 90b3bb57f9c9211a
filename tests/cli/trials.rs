//! Versions that are tried out: canaries that a controller takes further or takes back, and shadows.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use serde_json::{Value, json};
use trifold_cli::exit::Exit;
use trifold_model::EventTime;
use trifold_server::client::Client;
use trifold_test_servers::free_address;
use trifold_tests::command::{Ran, Running, Trifold};
use trifold_tests::online::runtime;
use trifold_wat_guest::{Guest, field, row_view};

use crate::site::{empty, lines, log, push, stream};

const ENTITIES: i64 = 400;

/// Each lookup computes, and a machine under test says nothing of latency.
const SETTINGS: &str = "[server]\npoll-interval-ms = 3600000\n[stream]\nkeep-outputs = false\n\
                        [controller]\ninterval-ms = 50\nrows-min = 400\nlatency = 1000.0\n";

/// What versions of the view do beside answering their inputs.
const HEALTHY: &str = "";
/// Rejects the rows whose number is divisible by twenty.
const ERRORS: &str = r"
    (local.set $rejections (call $alloc (i32.shl (local.get $rows) (i32.const 4))))
    (loop $next
      (if (i64.eqz (i64.rem_u (i64.load (i32.add (local.get $words) (i32.shl (local.get $row) (i32.const 3))))
          (i64.const 20)))
        (then
          (local.set $at (i32.add (local.get $rejections) (i32.shl (local.get $rejected) (i32.const 4))))
          (i64.store (local.get $at) (i64.const 0))
          (i64.store offset=8 (local.get $at) (i64.const 0))
          (i32.store (local.get $at) (local.get $row))
          (i32.store16 offset=4 (local.get $at) (i32.const 7))
          (local.set $rejected (i32.add (local.get $rejected) (i32.const 1)))))
      (local.set $row (i32.add (local.get $row) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $row) (local.get $rows))))";
/// Goes round a loop ten thousand times for each row.
const FUEL: &str = r"
    (local.set $at (i32.mul (local.get $rows) (i32.const 10000)))
    (loop $next
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (br_if $next (local.get $at)))";
/// Sets the validity bits of the second column to nothing.
const NULLS: &str = r"
    (memory.fill (i32.add (local.get $words) (i32.shl (local.get $rows) (i32.const 3))) (i32.const 0)
      (i32.shr_u (i32.add (local.get $rows) (i32.const 7)) (i32.const 3)))";

/// The view `cards`: `id` and what is `left` on it.
fn guest(doc: &str, does: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut left = field("left", "int64");
    left["nullable"] = json!(true);
    let outputs = [field("card", "int64"), json!({"name": "left", "type": "int64", "nullable": true})];
    let mut view = row_view("cards", &[field("id", "int64"), left], &outputs);
    view["doc"] = json!(doc);
    change(&mut view);
    let locals = "(local $row i32) (local $at i32) (local $rejections i32) (local $rejected i32)";
    let answer = "(call $answer (local.get $rows) (local.get $words) (local.get $count) \
                  (local.get $rejections) (local.get $rejected))";
    Guest::new(view).apply(format!("{locals}{does}{answer}")).build().unwrap()
}

fn push_only(trifold: &Trifold, wasm: &[u8]) {
    std::fs::write(trifold.path("pushed.wasm"), wasm).unwrap();
    trifold.run(["push", "pushed.wasm"]).succeeded();
}

/// Version 1 in force, and the events of all cards in the store.
fn site() -> Trifold {
    let trifold = empty();
    std::fs::write(trifold.path("trifold.toml"), SETTINGS).unwrap();
    push(&trifold, &guest("As it was.", HEALTHY, |_| {}));
    let event = |id: i64| json!({"event_id": "e", "event_time": 1_000_000, "id": id, "left": 3 * id});
    lines(&log(&trifold).join("0.jsonl"), &(0..ENTITIES).map(event).collect::<Vec<_>>());
    stream(&trifold).succeeded();
    trifold
}

fn serve(trifold: &Trifold) -> (Running, String) {
    let address = free_address().unwrap();
    (trifold.start(["serve", "--admin", &address]), format!("http://{address}"))
}

fn cards(ids: impl Iterator<Item = i64>) -> RecordBatch {
    let ids: ArrayRef = Arc::new(ids.collect::<Int64Array>());
    RecordBatch::try_from_iter([("id", ids)]).unwrap()
}

/// Asks a view for all cards, a few with each request, until `done`: no request fails.
async fn ask(url: &str, view: &str, done: &AtomicBool) {
    let mut client = Client::connect(url).await.unwrap();
    while !done.load(Ordering::Relaxed) {
        for first in (0..ENTITIES).step_by(16) {
            let (features, cards) = ([view.to_owned()], cards(first..first + 16));
            client.get(&features, &cards, Some(EventTime(2_000_000))).await.expect("no request fails");
        }
    }
}

/// Runs something while requests for a view run.
fn under_requests<T>(server: &Running, view: &str, run: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| runtime().block_on(ask(&server.url, view, &done)));
        let ran = run();
        done.store(true, Ordering::Relaxed);
        asking.join().unwrap();
        ran
    })
}

fn releases(trifold: &Trifold) -> Vec<Value> {
    let told = trifold.run(["releases", "cards", "--format", "json"]).succeeded().json();
    told.as_array().unwrap().clone()
}

fn control(trifold: &Trifold, url: &str) -> Ran {
    trifold.run(["controller", "--process", url, "--until-done"])
}

#[test]
fn canaries_that_do_worse_are_taken_back_and_the_others_go_on() {
    let trifold = site();
    let worse = [("errors", ERRORS, "are errors"), ("fuel", FUEL, "times the fuel"), ("nulls", NULLS, "are null")];
    for (doc, does, _) in worse {
        push_only(&trifold, &guest(doc, does, |_| {}));
    }
    push_only(&trifold, &guest("As well.", HEALTHY, |_| {}));
    let (server, url) = serve(&trifold);
    for (version, (.., reason)) in (2..).zip(worse) {
        let version = format!("cards@{version}");
        let release = ["release", &version, "--steps", "25%:1s,100%", "--process", &url, "--wait", "30"];
        let told = trifold.run(release).succeeded().stdout;
        assert!(told.contains(&format!("{version} is tried out beside it: a canary for 25%")), "{told}");
        // Two controllers decide the same, and one of them does it.
        let both = under_requests(&server, "cards", || {
            std::thread::scope(|scope| {
                let other = scope.spawn(|| control(&trifold, &url));
                [control(&trifold, &url), other.join().unwrap()]
            })
        });
        let codes = both.each_ref().map(|ran| ran.code);
        let status = trifold.run(["status", &url]).succeeded().stdout;
        assert!(codes.contains(&Some(Exit::Refused.code().into())), "{status}{both:?}");
        let history = releases(&trifold);
        let [.., canary, back] = &history[..] else { panic!("{history:?}") };
        assert_eq!(
            (&canary["candidate"]["kind"], &canary["candidate"]["share"]),
            (&json!("canary"), &json!("25%"))
        );
        assert_eq!((&back["takes-back"], &back["version"]), (&canary["release"], &json!(1)), "{history:?}");
        let note = back["note"].as_str().unwrap();
        assert!(note.contains(&version) && note.contains(reason), "{note}");
        assert_eq!(back["released-by"], "trifold controller");
        let status = trifold.run(["status", &url, "--format", "json"]).succeeded().json();
        assert_eq!(status[0]["views"][0]["trial"], Value::Null, "the server was told: {status}");
    }
    assert_eq!(releases(&trifold).len(), 7);
    let release = ["release", "cards@5", "--steps", "25%:1s,50%:1s,100%", "--process", &url, "--wait", "30"];
    trifold.run(release).succeeded();
    let ran = under_requests(&server, "cards", || control(&trifold, &url)).succeeded();
    assert!(ran.stdout.contains("cards@5 is in force"), "{ran:?}");
    let last = releases(&trifold).pop().unwrap();
    assert_eq!((&last["release"], &last["version"], &last["candidate"]), (&json!(10), &json!(5), &Value::Null));
    assert!(last["note"].as_str().unwrap().contains("did well over"), "{last}");
    // The whole rollout is one thing to take back.
    trifold.run(["rollback", "cards"]).succeeded();
    assert_eq!(releases(&trifold).pop().unwrap()["version"], 1);
}

#[test]
fn a_shadow_is_compared_and_never_served() {
    let trifold = site();
    push_only(&trifold, &guest("nulls", NULLS, |_| {}));
    let (server, url) = serve(&trifold);
    trifold.run(["release", "cards@2", "--shadow", "--process", &url, "--wait", "30"]).succeeded();
    let trial = || {
        let status = trifold.run(["status", &url, "--format", "json"]).succeeded().json();
        status[0]["views"][0]["trial"].clone()
    };
    assert_eq!(trial()["kind"], "shadow");
    let seen = under_requests(&server, "cards", || {
        loop {
            let seen = trial();
            if seen["comparison"]["rows"].as_u64().is_some_and(|rows| rows >= 200) {
                return seen;
            }
        }
    });
    let compared = &seen["comparison"];
    assert_eq!((&compared["differing"], &compared["statuses"]), (&compared["rows"], &json!(0)), "{seen}");
    assert_eq!(compared["features"], json!({"left": compared["rows"]}));
    let get = ["get", "cards", "--key", "id=7", "--as-of", "2000000", "--server", &server.url, "--format", "json"];
    let answer = trifold.run(get).succeeded().json();
    let view = &answer["rows"][0]["views"][0];
    assert_eq!((&view["version"], &view["features"]["left"]), (&json!(1), &json!(21)), "{answer}");
    let text = trifold.run(["status", &url]).succeeded().stdout;
    assert!(text.contains("cards@2 is a shadow: ") && text.contains("differ (left "), "{text}");
    // It may serve some next, and the answer says whom it serves.
    trifold.run(["release", "cards@2", "--canary", "50%", "--process", &url, "--wait", "30"]).succeeded();
    let answers = (0..40).map(|id| {
        let key = format!("id={id}");
        let get =
            ["get", "cards", "--key", &key, "--as-of", "2000000", "--server", &server.url, "--format", "json"];
        trifold.run(get).succeeded().json()["rows"][0]["views"][0].clone()
    });
    let (taken, left): (Vec<_>, Vec<_>) = answers.partition(|view| view["canary"] == json!(true));
    assert!(taken.len() > 5 && left.len() > 5, "{} of 40", taken.len());
    assert!(taken.iter().all(|view| view["version"] == 2 && view["features"]["left"] == Value::Null), "{taken:?}");
    assert!(left.iter().all(|view| view["version"] == 1 && view["features"]["left"] != Value::Null), "{left:?}");
    // The audit replays each answer with the version that gave it.
    let events = log(&trifold);
    let audit = ["audit", "cards", "--events", events.to_str().unwrap(), "--online", "--server", &server.url];
    let audit = trifold.run(audit.iter().chain(&["--format", "json"])).succeeded().json();
    assert_eq!(audit["components"].as_array().map(Vec::len), Some(2), "{audit}");
}

/// Whoever asks for an on-demand view alone shows how the canaries and shadows do of the views that it reads.
#[test]
fn what_an_on_demand_view_reads_is_seen_too() {
    let trifold = site();
    let feature = json!({"view": "cards", "feature": "left"});
    let view = json!({
        "contract": 1, "view": "limits", "kind": "on-demand", "doc": "What is left.",
        "inputs": [
            {"name": "id", "type": "int64", "nullable": false, "source": "request"},
            {"name": "rest", "type": "int64", "nullable": true, "source": feature},
        ],
        "outputs": [{"name": "card", "type": "int64", "nullable": false}, {"name": "rest_now", "type": "int64", "nullable": true}],
    });
    push(&trifold, &Guest::new(view).build().unwrap());
    push_only(&trifold, &guest("nulls", NULLS, |_| {}));
    let (server, url) = serve(&trifold);
    trifold.run(["release", "cards@2", "--shadow", "--process", &url, "--wait", "30"]).succeeded();
    let status = || trifold.run(["status", &url, "--format", "json"]).succeeded().json()[0]["views"][0].clone();
    under_requests(&server, "limits", || {
        while status()["trial"]["comparison"]["differing"].as_u64().is_none_or(|rows| rows < 100) {}
    });
    trifold.run(["release", "cards@2", "--canary", "50%", "--process", &url, "--wait", "30"]).succeeded();
    under_requests(&server, "limits", || control(&trifold, &url)).refused(Exit::Refused, &["cards@2", "are null"]);
    assert_eq!(
        (&status()["view"], &status()["version"], &status()["trial"]),
        (&json!("cards"), &json!(1), &Value::Null)
    );
}

/// A worker that follows a log. Killed when it is dropped.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_a_worker_sees_of_a_canary_decides_too() {
    let trifold = site();
    push_only(&trifold, &guest("errors", ERRORS, |_| {}));
    let (address, events) = (free_address().unwrap(), log(&trifold));
    let url = format!("http://{address}");
    let stream = ["stream", "--follow", "--admin", &address, "--events", events.to_str().unwrap()];
    let mut command = trifold.command(stream);
    let _worker = Worker(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    trifold.run(["release", "cards@2", "--canary", "50%", "--process", &url, "--wait", "30"]).succeeded();
    let event = |id: i64| json!({"event_id": "f", "event_time": 1_500_000, "id": id, "left": id});
    lines(&log(&trifold).join("1.jsonl"), &(0..4 * ENTITIES).map(event).collect::<Vec<_>>());
    let refused = control(&trifold, &url).refused(Exit::Refused, &["cards@2", "are errors"]);
    assert!(refused.stdout.contains("is taken back"), "{refused:?}");
    let trial =
        trifold.run(["status", &url, "--format", "json"]).succeeded().json()[0]["views"][0]["trial"].clone();
    assert_eq!(trial, Value::Null);
}

#[test]
fn what_cannot_be_tried_out_is_refused_with_the_reason() {
    let trifold = site();
    let renamed = guest("Renamed.", HEALTHY, |view| view["outputs"][1]["name"] = json!("rest"));
    push_only(&trifold, &renamed);
    let run = |more: &[&str]| trifold.run(["release"].iter().chain(more));
    run(&["cards@2", "--canary", "10%"]).refused(Exit::Refused, &["cards@2", "feature left is gone", "version 1"]);
    run(&["cards@1", "--canary", "10%"]).refused(Exit::Refused, &["version 1 is in force already"]);
    run(&["cards@2", "--canary", "100%"]).refused(Exit::Usage, &["100% is a release for everybody"]);
    run(&["cards@2", "--canary", "ten"]).refused(Exit::Usage, &["`ten` is no share", "10%"]);
    run(&["cards@2", "--steps", "10%,50%"]).refused(Exit::Usage, &["for how long is 10% held?"]);
    run(&["cards@2", "--shadow", "--canary", "10%"]).refused(Exit::Usage, &["cannot be used with"]);
    run(&["cards@2", "--bootstrap"]).refused(Exit::Usage, &["name all of them with `--process`"]);
    let nobody = "http://127.0.0.1:1";
    run(&["cards@2", "--bootstrap", "--process", nobody])
        .refused(Exit::Refused, &["cards@2", "no state of its own to build", "the state of version 1"]);
    trifold.run(["controller"]).refused(Exit::Usage, &["no process is named", "--process"]);
    trifold
        .run(["controller", "--process", nobody, "--view", "crads"])
        .refused(Exit::NotFound, &["no view crads"]);
    assert_eq!(releases(&trifold).len(), 1);
    // A shadow need not have all features.
    run(&["cards@2", "--shadow"]).succeeded();
    // Nothing is a canary, so that there is nothing to control.
    trifold.run(["controller", "--process", nobody, "--until-done"]).succeeded();
}

#[test]
fn a_version_is_retired_with_its_state() {
    let trifold = site();
    push_only(&trifold, &guest("As well.", HEALTHY, |_| {}));
    push_only(&trifold, &guest("Anew.", HEALTHY, |view| view["state-version"] = json!(2)));
    let retire = |more: &[&str]| trifold.run(["retire"].iter().chain(more));
    retire(&["cards"]).refused(Exit::Usage, &["name the version to retire"]);
    retire(&["cards@1"]).refused(Exit::Refused, &["version 1 cannot be retired", "release 1 has it in force"]);
    trifold.run(["release", "cards@3"]).succeeded();
    retire(&["cards@1"]).refused(Exit::Refused, &["trifold rollback cards", "--give-up-rollback"]);
    let told = retire(&["cards@1", "--give-up-rollback", "--note", "old"]).succeeded().stdout;
    assert!(told.contains("cards@1 is retired") && told.contains("cards@2 goes on with it"), "{told}");
    let told = retire(&["cards@2", "--format", "json"]).succeeded().json();
    assert_eq!((&told["shared-with"], told["removed"].as_array().map(Vec::len)), (&json!([]), Some(1)), "{told}");
    let told = retire(&["cards@2", "--format", "json"]).succeeded().json();
    assert_eq!(told["removed"], json!([]), "once is enough: {told}");
    trifold.run(["release", "cards@2"]).refused(Exit::Refused, &["version 2 was retired"]);
    trifold.run(["rollback", "cards"]).refused(Exit::NotFound, &["nothing was in force before"]);
    // What was pushed stays for backfills.
    let events = log(&trifold);
    trifold.run(["backfill", "cards@1", "--events", events.to_str().unwrap(), "--out", "rows"]).succeeded();
}
