//! What a worker says of a cluster that is not as it must be, and of events that cannot count.

use std::process::Command;

use serde_json::Value;
use trifold_cli::exit::Exit;
use trifold_test_servers::Kafka;
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::guests::component;

use crate::site::{GROUP, PACKAGES, PARTITIONS, Site};

#[test]
fn what_can_be_known_at_the_start_is_said_at_the_start() {
    let kafka = Kafka::start().unwrap();
    let mut site = Site::new(&kafka, kafka.bootstrap(), 5, 60);
    site.release(PACKAGES);
    let run = |site: &Site, more: &[&str]| Ran::of(&mut site.command("a", more));
    let brokers = site.brokers.clone();
    let base = ["stream", "--brokers", &brokers, "--group", GROUP];
    let stream = |more: &[&str]| Ran::of(&mut site.trifold.command(base.iter().chain(more)));
    stream(&["--topic", "paiments"]).refused(Exit::NotFound, &["no topic paiments", "--topic"]);
    stream(&["--topic", "payments", "--events", "x"]).refused(Exit::Usage, &["--events", "--topic"]);
    stream(&["--topic", "payments", "--rows-format", "jsonl"]).refused(Exit::Usage, &["--rows-format"]);
    stream(&["--topic", "payments", "--stop-at", "7"]).refused(Exit::Usage, &["--stop-at", "--topic"]);
    stream(&["--topic", "payments", "--worker", ""]).refused(Exit::Usage, &["`worker` is empty"]);
    let nobody = ["stream", "--topic", "payments", "--brokers", "127.0.0.1:9"];
    Ran::of(&mut site.trifold.command(nobody)).refused(Exit::Unavailable, &["Kafka could not", "127.0.0.1:9"]);
    let up = ["up", "--topic", "payments"];
    Ran::of(&mut site.trifold.command(up)).refused(Exit::Usage, &["trifold stream --topic"]);

    let append_time = ["--arrival", "_append_time"];
    let base = ["stream", "--topic", "payments", "--brokers", &brokers];
    let parts = ["message.timestamp.type=CreateTime", "--arrival"];
    Ran::of(&mut site.trifold.command(base.iter().chain(&append_time))).refused(Exit::Data, &parts);

    // Topics of the group's own that somebody made in another way.
    site.run_to_end("a");
    let topics = site.cluster.topics();
    let changes =
        topics.keys().find(|topic| topic.starts_with("scoring.card_spend") && topic.ends_with(".changes"));
    let changes = changes.unwrap().clone();
    let compact = ("cleanup.policy", "compact");
    let (size, removals) = (("max.message.bytes", "4194304"), ("delete.retention.ms", "518400000"));
    let lag = ("min.compaction.lag.ms", "600000");
    site.cluster.alter(&changes, &[("cleanup.policy", "delete"), size, removals, lag]);
    let parts = [changes.as_str(), "cleanup.policy=delete", "cleanup.policy=compact"];
    run(&site, &[]).refused(Exit::Data, &parts);
    site.cluster.alter(&changes, &[compact, ("max.message.bytes", "1000"), removals, lag]);
    run(&site, &[]).refused(Exit::Data, &[&changes, "max.message.bytes=1000"]);
    site.cluster.alter(&changes, &[compact, size, removals]);
    run(&site, &[]).refused(Exit::Data, &[&changes, "min.compaction.lag.ms=0", "min.compaction.lag.ms=600000"]);
    site.cluster.alter(&changes, &[compact, size, removals, lag]);
    site.run_to_end("a");
    site.cluster.create("other.card_spend.features", 2, &[]);
    let other = ["--group", "other"];
    let mut command =
        site.trifold.command(["stream", "--topic", "payments", "--brokers", &brokers].iter().chain(&other));
    Ran::of(&mut command).refused(Exit::Data, &["other.card_spend.features", "2 partitions", "6, as many"]);

    site.set("properties", "{ \"sasl.mechansim\" = \"PLAIN\" }");
    run(&site, &[]).refused(Exit::Usage, &["`sasl.mechansim`", "No such configuration property"]);
    site.unset("properties");
    site.set("properties", "{ \"isolation.level\" = \"read_uncommitted\" }");
    run(&site, &[]).refused(Exit::Usage, &["isolation.level", "leave it out"]);
    site.set("replicas", "7");
    site.set("group", "\"seven\"");
    site.unset("properties");
    let seven = ["stream", "--topic", "payments", "--brokers", &brokers, "--config"];
    let file = site.trifold.path("kafka.toml");
    let mut command = site.trifold.command(seven.iter().copied().chain([file.to_str().unwrap()]));
    Ran::of(&mut command).refused(Exit::Unavailable, &["create the topic seven.card_"]);
}

#[test]
fn a_group_takes_no_worker_of_another_deployment() {
    let kafka = Kafka::start().unwrap();
    let mut site = Site::new(&kafka, kafka.bootstrap(), 29, 600);
    site.release(PACKAGES);
    let mut worker = site.follow("a");
    site.produce(0..200);
    worker.wait_for("transaction committed");
    let refused = |command: &mut Command, parts: &[&str]| {
        let known = ["the group scoring belongs to another deployment", "--group", "scoring.deployment"];
        Ran::of(command).refused(Exit::Usage, &[&known, parts].concat());
    };
    let here_and_there = |name: &str, here: &str, there: &str| {
        format!("`{name}` is {here} for this worker and {there} for the group")
    };
    // Another registry with the same view, which is as much as its name says.
    let other = Trifold::new(env!("CARGO_BIN_EXE_trifold-under-test"));
    let spend = component("card-spend", &[]);
    other.run(["push", spend.path.to_str().unwrap(), "--release"]).succeeded();
    let [id_here, id_there] = [&other, &site.trifold]
        .map(|trifold| std::fs::read_to_string(trifold.data("registry/id")).unwrap().trim_end().to_owned());
    let registry = here_and_there("registry", &id_here, &id_there);
    // Under the name of the one that runs, which does not notice.
    refused(&mut site.command_in(&other, "a", &[]), &[&registry]);
    worker.catch_up();
    site.produce(200..300);
    worker.wait_for("transaction committed");
    assert!(!worker.has_said("stands still"), "the refused worker was noticed: {:#?}", worker.last());
    worker.terminate();

    let views = here_and_there("views", "card_spend", "all in force");
    refused(&mut site.command("a", &["--views", "card_spend"]), &[&views]);
    let arrival = here_and_there("arrival", "_append_time", "arrived_at");
    site.cluster.alter("payments", &[("message.timestamp.type", "LogAppendTime")]);
    let base = ["stream", "--topic", "payments", "--brokers", &site.brokers, "--group", GROUP];
    refused(&mut site.trifold.command(base.iter().chain(&["--arrival", "_append_time"])), &[&arrival]);
    for (name, value) in [("check-keys", "false"), ("features", "false"), ("encoding", "\"json\"")] {
        site.set(name, value);
        match name {
            "encoding" => drop(Ran::of(&mut site.command("a", &[])).succeeded()),
            _ => refused(&mut site.command("a", &[]), &[&here_and_there(name, value, "true")]),
        }
        site.unset(name);
    }
    site.cluster.create("refunds", PARTITIONS, &[]);
    let topic = here_and_there("topic", "refunds", "payments");
    let base = ["stream", "--topic", "refunds", "--brokers", &site.brokers, "--group", GROUP];
    refused(&mut site.trifold.command(base.iter().chain(&["--arrival", "arrived_at"])), &[&topic]);

    // A copy of the registry is the same one.
    let copy = Trifold::new(env!("CARGO_BIN_EXE_trifold-under-test"));
    std::fs::create_dir_all(copy.data("")).unwrap();
    let mut cp = Command::new("cp");
    assert!(cp.arg("-r").args([site.trifold.data("registry"), copy.data("")]).status().unwrap().success());
    site.produce(300..600);
    Ran::of(&mut site.command_in(&copy, "b", &[])).succeeded();
    site.check();
}

#[test]
fn of_two_deployments_that_begin_a_group_at_once_one_is_refused() {
    let kafka = Kafka::start().unwrap();
    let site = Site::new(&kafka, kafka.bootstrap(), 31, 60);
    site.release(PACKAGES);
    site.produce(0..60);
    for round in 0..3 {
        let group = format!("race-{round}");
        let base = ["stream", "--topic", "payments", "--brokers", &site.brokers, "--group", &group];
        // A mistake leaves no group behind that can be nothing else.
        Ran::of(&mut site.trifold.command(base)).refused(Exit::Usage, &["--arrival"]);
        let racers = [("a", "card_spend"), ("b", "card_recent")].map(|(worker, view)| {
            let more = ["--arrival", "arrived_at", "--worker", worker, "--views", view];
            let mut command = site.trifold.command(base.iter().chain(&more));
            std::thread::spawn(move || Ran::of(&mut command))
        });
        let ran = racers.map(|racer| racer.join().unwrap());
        let mut codes = ran.each_ref().map(|ran| ran.code);
        codes.sort();
        assert_eq!(codes, [Some(0), Some(Exit::Usage.code().into())], "{ran:#?}");
    }
}

#[test]
fn events_that_cannot_count_are_dead_letters_and_the_others_go_on() {
    let kafka = Kafka::start().unwrap();
    let site = Site::new(&kafka, kafka.bootstrap(), 7, 200);
    site.release(PACKAGES);
    site.produce(0..100);
    let good = &site.events[100];
    let bad = [
        (good.key.as_str(), "no json", "decode"),
        (good.key.as_str(), "", "decode"),
        (good.key.as_str(), "{\"card\": 5}", "null-time"),
        ("c-other", good.json.as_str(), "other-key"),
    ];
    site.cluster.write("payments", bad.iter().map(|(key, value, _)| (*key, value.as_bytes())));
    site.produce(100..200);
    let summary = site.run_to_end("a");
    for told in summary["views"].as_array().unwrap() {
        let view = told["view"].as_str().unwrap();
        assert_eq!(told["events"], 204, "{summary}");
        let letters = site.cluster.read(&format!("{GROUP}.{view}.dead-letters"));
        let letters: Vec<Value> = letters
            .into_iter()
            .flatten()
            .map(|(_, value)| serde_json::from_slice(&value.unwrap()).unwrap())
            .collect();
        for (_, event, reason) in bad {
            let of_event = |letter: &&Value| letter["event"].as_str().is_some_and(|text| is_event(text, event));
            let letter = letters
                .iter()
                .find(of_event)
                .unwrap_or_else(|| panic!("{view}: no letter for {event}: {letters:#?}"));
            assert_eq!(letter["reason"], reason, "{view}: {letter}");
            assert!(
                letter["partition"].as_i64().unwrap() < PARTITIONS.into() && letter["offset"].is_u64(),
                "{letter}"
            );
        }
    }
}

#[test]
fn a_state_begins_with_what_a_topic_has_and_misses_nothing_later() {
    let kafka = Kafka::start().unwrap();
    let site = Site::new(&kafka, kafka.bootstrap(), 19, 240);
    Ran::of(&mut site.command("a", &[])).refused(Exit::NotFound, &["no row view is in force"]);
    site.release(PACKAGES);
    site.produce(0..120);
    site.cluster.delete_before("payments", 2);
    let summary = site.run_to_end("a");
    let left: usize = site.cluster.read("payments").iter().map(Vec::len).sum();
    assert!(left < 120, "nothing was deleted");
    for told in summary["views"].as_array().unwrap() {
        assert_eq!(told["events"], left, "{summary}");
    }
    site.produce(120..240);
    site.cluster.delete_before("payments", u64::MAX >> 1);
    let parts = ["has deleted its records before offset", "another group"];
    Ran::of(&mut site.command("a", &[])).refused(Exit::Data, &parts);
}

/// Whether a letter's text is an event, as JSON or as a JSON string.
fn is_event(text: &str, event: &str) -> bool {
    text == event || serde_json::from_str::<String>(text).is_ok_and(|text| text == event)
}
