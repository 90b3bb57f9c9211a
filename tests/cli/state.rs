//! States that are cleared, and entities whose keys are no text.

use serde_json::json;
use trifold_cli::exit::Exit;
use trifold_wat_guest::{Guest, field, row_view};

use crate::site::{departures, empty, lines, log, of_view, parquet, push, stream, with_views};

const ROWS: usize = 50;

#[test]
fn a_cleared_state_is_filled_again_and_its_neighbour_is_not() {
    let trifold = with_views();
    parquet(&log(&trifold).join("0.parquet"), &departures(ROWS));
    let first = stream(&trifold).succeeded().json();
    let log = log(&trifold);
    let renamed = ["stream", "--events", log.to_str().unwrap(), "--log-id", "renamed"];
    let clear = |view: &str| trifold.run(["clear", view, "--format", "json"]);
    let other_log = ["follows the log log", "this is the log renamed", "`--log-id log`"];
    trifold.run(renamed).refused(Exit::Data, &other_log);
    let cleared = clear("flight_profile@1").succeeded().json();
    let state = &of_view(&first, "flight_profile")["state-id"];
    let removed = json!([format!("the store {}", trifold.data("store.redb").display())]);
    let expected = json!({"view": "flight_profile", "state-id": state, "known": true, "removed": removed});
    assert_eq!(cleared, expected);
    let again = stream(&trifold).succeeded().json();
    let (replayed, neighbour) = (of_view(&again, "flight_profile"), of_view(&again, "aircraft_status"));
    assert_eq!((&replayed["events"], &replayed["next-offset"]), (&json!(ROWS), &json!(ROWS)));
    assert_eq!((&neighbour["events"], &neighbour["next-offset"]), (&json!(0), &json!(ROWS)));
    trifold.run(["audit", "flight_profile", "--events", log.to_str().unwrap()]).succeeded();
    // A state that is not there is clear already; a cleared one may follow another log.
    for view in ["flight_profile", "aircraft_status", "flight_profile"] {
        clear(view).succeeded();
    }
    trifold.run(renamed).succeeded();
}

#[test]
fn what_cannot_be_cleared_is_named() {
    let trifold = with_views();
    trifold.run(["clear", "nope"]).refused(Exit::NotFound, &["no version of view nope is in force"]);
    trifold.run(["clear", "flight_profile@9"]).refused(Exit::NotFound, &["has no version 9; it has 1"]);
    let running = trifold.start(["serve"]);
    let parts = ["store.redb is in use by", &format!("process {} (trifold serve)", running.pid())];
    trifold.run(["clear", "flight_profile"]).refused(Exit::Unavailable, &parts);
}

#[test]
fn keys_of_bools_bytes_and_times_are_looked_up() {
    let trifold = empty();
    let fields = [field("member", "bool"), field("token", "binary"), field("since", "timestamp")];
    let mut view = row_view("typed", &fields, &fields);
    view["entity"] = json!(["member", "token", "since"]);
    push(&trifold, &Guest::new(view).build().unwrap());
    let since = "2013-01-01T05:00:00Z";
    let event = json!({"event_time": 0, "event_id": "a", "member": true, "token": "AP8=", "since": since});
    lines(&log(&trifold).join("0.jsonl"), &[event]);
    stream(&trifold).succeeded();
    let running = trifold.start(["serve"]);
    let status = |key: String| {
        let get = ["get", "typed", "--key", &key, "--as-of", "5", "--server", &running.url, "--format", "json"];
        let answer = trifold.run(get).succeeded().json();
        answer["rows"][0]["views"][0]["status"].clone()
    };
    assert_eq!(status(format!("member=true,token=00ff,since={since}")), "value");
    assert_eq!(status("member=true,token=00FF,since=1357016400000000".to_owned()), "value");
    assert_eq!(status(format!("member=false,token=00ff,since={since}")), "empty");
    assert_eq!(status(format!("member=true,token=00fe,since={since}")), "empty");
    assert_eq!(status("member=true,token=00ff,since=2013-01-01T05:00:01Z".to_owned()), "empty");
}
