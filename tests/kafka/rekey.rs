//! A topic that is not partitioned by the entity of the views.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::message::{Headers, Message};
use serde_json::Value;
use trifold_test_servers::Kafka;

use crate::site::{GROUP, PACKAGES, Site, TOPIC};
use crate::worker::Worker;

/// An event that was partitioned anew: where it stood first, its key and its value.
struct Moved {
    source: String,
    key: String,
    value: String,
}

impl Moved {
    /// Where it stood first.
    fn first(&self) -> [u64; 2] {
        let (partition, offset) = self.source.split_once(':').unwrap();
        [partition, offset].map(|number| number.parse().unwrap())
    }
}

/// The topic into which events are partitioned anew.
fn topic(site: &Site) -> String {
    let topics = site.cluster.topics();
    let mut own = topics.into_keys().filter(|topic| topic.ends_with(".repartition"));
    let topic = own.next().expect("there is a topic of payments by card");
    assert!(topic.starts_with(&format!("{GROUP}.by_card.")) && own.next().is_none(), "{topic}");
    topic
}

#[test]
fn events_are_partitioned_anew_and_each_counts_once() {
    let kafka = Kafka::start().unwrap();
    let mut site = Site::new(&kafka, kafka.bootstrap(), 29, 2_400);
    site.set("keyed-by", "[\"event_id\"]");
    site.set("properties", "{ \"session.timeout.ms\" = \"6000\", \"heartbeat.interval.ms\" = \"500\" }");
    site.cluster.alter(TOPIC, &[("retention.ms", "-1")]);
    let (first, later) = PACKAGES.split_at(1);
    site.release(first);
    site.produce_by_id(0..800);
    // One alone, to the end of both topics.
    let summary = site.run_to_end("a");
    assert_eq!(summary["views"][0]["events"], 800, "{summary}");

    // Workers that die in the midst of something, while others have views that begin with the first payment.
    let mut workers = ["a", "b"].map(|name| Some(site.follow(name)));
    workers.iter_mut().flatten().for_each(|worker| worker.wait_for("partitions taken up"));
    site.release(later);
    let mut next = 800;
    let stages = ["transaction begun", "transaction has its records", "transaction has its positions"];
    for (round, stage) in stages.iter().chain(&["transaction committed"]).enumerate() {
        let at = round % workers.len();
        let mut worker = workers[at].take().unwrap();
        worker.catch_up();
        site.produce_by_id(next..next + 200);
        next += 200;
        worker.wait_for(stage);
        worker.kill();
        workers[at] = Some(site.follow(["a", "b"][at]));
    }
    workers.into_iter().flatten().for_each(Worker::terminate);
    site.produce_by_id(next..2_400);
    let topic = topic(&site);
    // Events stay as long as in the topic that had them first.
    assert_eq!(site.cluster.setting(&topic, "retention.ms").as_deref(), Some("-1"));
    site.check_rekeyed(&topic);
    check_moved(&site, &topic);
    check_rows(&site, &topic);
}

#[test]
fn an_event_without_an_entity_is_set_aside_in_the_partition_that_it_stood_in() {
    let kafka = Kafka::start().unwrap();
    let mut site = Site::new(&kafka, kafka.bootstrap(), 5, 50);
    site.set("keyed-by", "[\"event_id\"]");
    site.release(&PACKAGES[..1]);
    let no_card = r#"{"event_id":"x","event_time":"2026-01-01T00:00:00Z","arrived_at":"2026-01-01T00:00:00Z"}"#;
    let long = format!("\"{}\"", "x".repeat(3 << 20));
    site.cluster.alter(TOPIC, &[("max.message.bytes", "8388608")]);
    site.produce_by_id(0..25);
    let poison: [(&str, &[u8]); 3] = [("x", no_card.as_bytes()), ("y", b"{\"card\":"), ("z", long.as_bytes())];
    site.cluster.write(TOPIC, poison);
    site.produce_by_id(25..50);
    let summary = site.run_to_end("a");
    assert_eq!(summary["views"][0]["events"], 53, "{summary}");
    let stood = site.cluster.read_as(TOPIC, |message| {
        let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
        ([message.partition() as u64, message.offset() as u64], key)
    });
    let stood: BTreeMap<_, _> = stood.into_iter().flatten().collect();
    let letters = site.cluster.read(&format!("{GROUP}.card_spend.dead-letters")).into_iter().flatten();
    let letters = letters.map(|(_, value)| serde_json::from_slice::<Value>(&value.unwrap()).unwrap());
    let mut told: Vec<_> = letters
        .filter(|letter| letter["reason"] != "conflict")
        .map(|letter| {
            let place = ["partition", "offset"].map(|name| letter[name].as_u64().unwrap());
            assert!(["x", "y", "z"].contains(&stood[&place].as_str()), "{letter}");
            format!("{}: {}", letter["reason"].as_str().unwrap(), letter["detail"].as_str().unwrap())
        })
        .collect();
    told.sort();
    let expected = [
        "decode: the event takes 3145730 bytes",
        "decode: the line is no JSON",
        "null-key: input card is missing",
    ];
    assert!(told.len() == 3 && told.iter().zip(expected).all(|(told, start)| told.starts_with(start)), "{told:?}");
}

/// Every event came over once, with its place, under its card.
fn check_moved(site: &Site, topic: &str) {
    let produced = site.cluster.read_as(TOPIC, |message| {
        let value = String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
        (format!("{}:{}", message.partition(), message.offset()), value)
    });
    let produced: BTreeMap<_, _> = produced.into_iter().flatten().collect();
    assert_eq!(produced.len(), site.events.len());
    let mut found = BTreeMap::new();
    for moved in moved(site, topic).into_iter().flatten() {
        let event: Value = serde_json::from_str(&moved.value).unwrap();
        assert_eq!(event["card"], moved.key);
        let again = found.insert(moved.source.clone(), moved.value);
        assert!(again.is_none(), "the event at {} came over twice", moved.source);
    }
    assert!(found == produced, "events were lost or changed");
}

/// The embedded worker makes the same rows of what the partitions of the new topic have, in their order. It is given no
/// arrivals, since those of a partition come from several: what came too late or too early is left out of its log.
fn check_rows(site: &Site, topic: &str) {
    let moved = moved(site, topic);
    for (version, package) in site.versions().iter().zip(PACKAGES) {
        let view = &version.view().name;
        let records = |purpose: &str| {
            let records = site.cluster.read(&format!("{GROUP}.{view}.{purpose}")).into_iter().flatten();
            records.map(|(_, value)| serde_json::from_slice::<Value>(&value.unwrap()).unwrap()).collect::<Vec<_>>()
        };
        let place = |line: &Value, names: [&str; 2]| names.map(|name| line[name].as_u64().unwrap());
        let late: BTreeSet<_> = records("late").iter().map(|line| place(line, ["partition", "offset"])).collect();
        let on_time = moved.iter().flatten().filter(|event| !late.contains(&event.first()));
        let lines: String = on_time.map(|event| format!("{}\n", event.value)).collect();
        let expected = rows_by_card(site.embedded_rows(version, package, &lines));
        let mut found = records("features");
        found.sort_by_key(|row| place(row, ["_partition", "_offset"]));
        let found = rows_by_card(found);
        assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "{view}");
        for (card, rows) in &expected {
            assert_eq!(*rows, found[card], "{view}, card {card}");
        }
        let count = found.values().map(Vec::len).sum::<usize>();
        assert!(count > site.events.len() / 2, "{view}: {count} rows");
    }
}

/// Rows without their places and arrivals.
fn rows_by_card(rows: Vec<Value>) -> BTreeMap<String, Vec<Value>> {
    let mut cards: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for mut row in rows {
        let fields = row.as_object_mut().unwrap();
        for place in ["_partition", "_offset", "_arrival_time"] {
            fields.remove(place);
        }
        cards.entry(row["_key_card"].to_string()).or_default().push(row);
    }
    cards
}

/// The events of the new topic, by partition.
fn moved(site: &Site, topic: &str) -> Vec<Vec<Moved>> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let records = site.cluster.read_as(topic, |message| {
        let headers = message.headers().expect("a worker wrote it");
        let source = headers.iter().find(|header| header.key == "trifold.source")?;
        Some(Moved {
            source: text(source.value.unwrap()),
            key: text(message.key().unwrap_or_default()),
            value: text(message.payload().unwrap()),
        })
    });
    records.into_iter().map(|records| records.into_iter().flatten().collect()).collect()
}
