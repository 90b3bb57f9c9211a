//! Dead letters that are fed back after a fix.

use serde_json::{Value, json};
use trifold_cli::exit::Exit;
use trifold_test_servers::{Kafka, SchemaRegistry};
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::guests::component;

use crate::encodings::{FIELDS, avro, framed, register, schema};
use crate::site::{GROUP, PACKAGES, Site};
use crate::topic::{Cluster, Pair};
use crate::worker::Worker;

/// What a replay told of each view: its letters of a reason that became this.
#[track_caller]
fn told(summary: &Value, reason: &str, what: &str) -> Vec<u64> {
    let letters = summary["letters"].as_array().unwrap().iter().filter(|letters| letters["reason"] == reason);
    letters.map(|letters| letters[what].as_u64().unwrap()).collect()
}

#[test]
fn what_a_schema_makes_readable_is_fed_once_though_the_replay_is_killed() {
    let (kafka, registry) = (Kafka::start().unwrap(), SchemaRegistry::start().unwrap());
    let mut site = Site::new(&kafka, kafka.bootstrap(), 37, 1_200);
    site.release(PACKAGES);
    site.set("encoding", "\"avro\"");
    site.set("schema-registry", &format!("\"{}\"", registry.url()));
    let second: Vec<_> = FIELDS.iter().rev().copied().collect();
    let known = register(&registry, &schema(FIELDS.iter()));
    let unknown = known + 1;
    site.produce_as(0..600, |payment| framed(known, avro(payment, FIELDS.iter())));
    site.produce_as(600..1_200, |payment| framed(unknown, avro(payment, second.iter())));
    site.run_to_end("a");
    let replay =
        |more: &[&str]| Ran::of(&mut site.replay(&[more, &["--format", "json"]].concat())).succeeded().json();
    let events = || site.cluster.read("payments");
    // Each record is fed for the first view that has a letter of it.
    let dry = replay(&["--dry-run"]);
    assert_eq!(
        (told(&dry, "decode", "fed"), told(&dry, "decode", "fed-before")),
        (vec![600, 0, 0], vec![0, 600, 600])
    );
    assert_eq!(events().concat().len(), 1_200);
    assert!(!site.cluster.topics().contains_key("scoring.replayed"), "a dry run wrote something");

    assert_eq!(register(&registry, &schema(second.iter())), unknown);
    for stage in ["replay has its records", "replay committed", "replay has its records"] {
        let mut killed = Worker::start(site.replay(&[]));
        killed.wait_for(stage);
        killed.kill();
    }
    let rest = replay(&[]);
    let of_view =
        |summary: &Value, view| told(summary, "decode", "fed")[view] + told(summary, "decode", "fed-before")[view];
    assert_eq!([0, 1, 2].map(|view| of_view(&rest, view)), [600; 3], "{rest}");
    let again = replay(&[]);
    assert_eq!((told(&again, "decode", "fed"), told(&again, "decode", "fed-before")), (vec![0; 3], vec![600; 3]));
    // They are there once more, byte for byte and in their order.
    let is_unknown = |(_, value): &&Pair| value.as_ref().unwrap().starts_with(&framed(unknown, Vec::new()));
    for records in events() {
        let of_unknown: Vec<_> = records.iter().filter(is_unknown).collect();
        let (first, fed) = of_unknown.split_at(of_unknown.len() / 2);
        assert_eq!(first, fed);
    }
    assert_eq!(events().concat().len(), 1_800);
    site.run_to_end("a");
    site.check_rows_and_states();
}

#[test]
fn what_a_release_mends_is_fed_and_its_row_is_a_value() {
    let kafka = Kafka::start().unwrap();
    let (trifold, cluster) =
        (Trifold::new(env!("CARGO_BIN_EXE_trifold-under-test")), Cluster::new(kafka.bootstrap()));
    let push = |features: &[&str]| {
        let path = component("panicker", features).path.clone();
        trifold.run(["push", path.to_str().unwrap(), "--release"]).succeeded();
    };
    let run = |command: &str, more: &[&str]| {
        let base = [command, "--brokers", kafka.bootstrap(), "--group", GROUP, "--format", "json"];
        Ran::of(&mut trifold.command(base.iter().chain(more))).succeeded().json()
    };
    push(&[]);
    cluster.create("rows", 2, &[]);
    let row = |key: i64, message: Value| json!({"key": key, "event_id": key.to_string(), "event_time": "2026-01-05T12:00:00Z", "message": message});
    let rows = [(1, Value::Null), (2, json!("a bad day")), (3, Value::Null)];
    let rows = rows.map(|(key, message)| (key.to_string(), row(key, message).to_string()));
    cluster.write("rows", rows.iter().map(|(key, value)| (key.as_str(), value.as_bytes())));
    run("stream", &["--topic", "rows"]);
    let statuses = || {
        let records = cluster.read("scoring.panicker.features").concat().into_iter();
        let rows = records.map(|(_, value)| serde_json::from_slice::<Value>(&value.unwrap()).unwrap());
        let of_two = rows.filter(|row| row["_key_key"] == 2);
        of_two
            .map(|row| (row["_status"].as_str().unwrap().to_owned(), row["_version"].as_u64().unwrap()))
            .collect::<Vec<_>>()
    };
    let failed = ("error".to_owned(), 1);
    assert_eq!(statuses(), std::slice::from_ref(&failed));
    push(&["calm"]);
    assert_eq!(run("replay", &["panicker", "--reason", "decode"])["letters"], json!([]));
    assert_eq!(told(&run("replay", &["panicker", "--reason", "row-error"]), "row-error", "fed"), [1]);
    run("stream", &["--topic", "rows"]);
    assert_eq!(statuses(), [failed, ("value".to_owned(), 2)]);
    let again = run("replay", &[]);
    assert_eq!((told(&again, "row-error", "fed"), told(&again, "row-error", "fed-before")), (vec![0], vec![1]));
}

#[test]
fn what_cannot_be_fed_is_named_and_the_others_are() {
    let kafka = Kafka::start().unwrap();
    let site = Site::new(&kafka, kafka.bootstrap(), 41, 60);
    site.release(PACKAGES);
    let run = |more: &[&str]| Ran::of(&mut site.replay(more));
    run(&[]).refused(Exit::NotFound, &["no topic scoring.deployment", "--group"]);
    run(&["--reason", "late"]).refused(Exit::Usage, &["late", "row-error", "decode"]);
    run(&["--from", "yesterday"]).refused(Exit::Usage, &["--from yesterday"]);
    run(&["--from", "7", "--to", "7"]).refused(Exit::Usage, &["--from", "--to"]);
    run(&["No View"]).refused(Exit::Usage, &["No View"]);
    let good = &site.events[0];
    let bad = [(good.key.as_str(), "no json"), ("c-other", good.json.as_str())];
    site.cluster.write("payments", bad.map(|(key, value)| (key, value.as_bytes())));
    site.run_to_end("a");
    run(&["nothing"]).refused(Exit::NotFound, &["no topic scoring.nothing.dead-letters"]);
    let replay = |more: &[&str]| run(&[&["card_spend", "--format", "json"], more].concat()).succeeded();
    assert_eq!(replay(&["--to", "2020-01-01T00:00:00Z"]).json()["letters"], json!([]));
    for fed_before in 0..3 {
        let summary = replay(&["--from", "2020-01-01T00:00:00Z"]).json();
        let decode = ["fed", "fed-before", "gone"].map(|what| told(&summary, "decode", what)[0]);
        assert_eq!(decode, [1, fed_before, 0], "{summary}");
        assert_eq!(told(&summary, "other-key", "hopeless"), [1], "{summary}");
        // It fails again, and has another letter.
        site.run_to_end("a");
    }
    site.cluster.delete_before("payments", u64::MAX >> 1);
    let ran = replay(&[]);
    let summary = ran.json();
    assert_eq!(["fed", "fed-before", "gone"].map(|what| told(&summary, "decode", what)[0]), [0, 3, 1]);
    assert!(ran.stderr.contains("has deleted the record") && ran.stderr.contains("offset="), "{ran:#?}");
    assert!(run(&["card_spend"]).succeeded().stdout.contains("FED BEFORE"));
}
