//! The payments in a topic, and what must come of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use payments_generator::{Config, Shares, write_log};
use serde_json::Value;
use tokio::runtime::Runtime;
use trifold_eventlog::{RowFormat, parse_time};
use trifold_model::EventTime;
use trifold_pipeline::{LiveVersion, LiveViews, lookup};
use trifold_store::{EmbeddedStore, Holder, OnlineStore};
use trifold_test_servers::Kafka;
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::guests::component;
use trifold_tests::live::{transform, version, views};
use trifold_tests::online::runtime;
use trifold_tests::rows::{Row, answered};

use crate::topic::Cluster;
use crate::worker::Worker;

/// The views that the stream keeps: two of windows, one of them folded in the order of event time, and a row view.
pub(crate) const PACKAGES: [&str; 3] = ["card-spend", "card-recent", "card-profile"];
pub(crate) const TOPIC: &str = "payments";
pub(crate) const GROUP: &str = "scoring";
pub(crate) const PARTITIONS: i32 = 6;
const ARRIVAL: &str = "arrived_at";

/// A cluster with a topic of payments, and a data directory whose registry has the views.
pub(crate) struct Site {
    pub(crate) trifold: Trifold,
    pub(crate) cluster: Cluster,
    pub(crate) brokers: String,
    /// The payments, as JSON.
    pub(crate) payments: Vec<Payment>,
    log: PathBuf,
    settings: Vec<(String, String)>,
}

pub(crate) struct Payment {
    pub(crate) card: String,
    pub(crate) json: String,
    arrival: EventTime,
}

impl Site {
    /// Makes so many payments of a seed, which are in no topic yet.
    pub(crate) fn new(kafka: &Kafka, brokers: &str, seed: u64, payments: u64) -> Self {
        let trifold = Trifold::new(env!("CARGO_BIN_EXE_trifold-under-test"));
        let log = trifold.path("payments");
        let shares = Shares::default();
        let config =
            Config { seed, events: payments, cards: 60, per_day: 4 * payments, shares, ..Config::default() };
        write_log(&config, &log, RowFormat::JsonLines, 1).unwrap();
        for package in PACKAGES {
            trifold.run(["push", text(&component(package, &[]).path)]).succeeded();
        }
        let cluster = Cluster::new(kafka.bootstrap());
        cluster.create(TOPIC, PARTITIONS, &[]);
        let payments = read(&log);
        Site { trifold, cluster, brokers: brokers.to_owned(), payments, log, settings: Vec::new() }
    }

    /// Puts views into force.
    pub(crate) fn release(&self, packages: &[&str]) {
        for package in packages {
            let version = format!("{}@1", package.replace('-', "_"));
            self.trifold.run(["release", &version]).succeeded();
        }
    }

    /// Changes a setting of the section `kafka` for all workers to come.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
        self.write_settings();
    }

    /// Takes a setting back.
    pub(crate) fn unset(&mut self, name: &str) {
        self.settings.retain(|(other, _)| other != name);
        self.write_settings();
    }

    fn write_settings(&self) {
        let lines = self.settings.iter().map(|(name, value)| format!("{name} = {value}\n"));
        let text = ["[kafka]\n".to_owned()].into_iter().chain(lines).collect::<String>();
        std::fs::write(self.trifold.path("kafka.toml"), text).unwrap();
    }

    /// Puts some of the payments into the topic, in their order.
    pub(crate) fn produce(&self, which: std::ops::Range<usize>) {
        self.produce_as(which, |payment| payment.json.as_bytes().to_vec());
    }

    /// The same in another encoding.
    pub(crate) fn produce_as(&self, which: std::ops::Range<usize>, encode: impl Fn(&Payment) -> Vec<u8>) {
        let payments = &self.payments[which];
        let values: Vec<_> = payments.iter().map(encode).collect();
        let pairs = payments.iter().zip(&values);
        self.cluster.write(TOPIC, pairs.map(|(payment, value)| (payment.card.as_str(), value.as_slice())));
    }

    /// The command of a worker.
    pub(crate) fn command(&self, worker: &str, more: &[&str]) -> Command {
        self.command_in(&self.trifold, worker, more)
    }

    /// The command of a worker with another data directory.
    pub(crate) fn command_in(&self, trifold: &Trifold, worker: &str, more: &[&str]) -> Command {
        let topic = ["stream", "--topic", TOPIC, "--brokers", &self.brokers, "--group", GROUP];
        let others = ["--worker", worker, "--arrival", ARRIVAL];
        let mut command = trifold.command(topic.iter().chain(&others).chain(more));
        let file = self.trifold.path("kafka.toml");
        if file.exists() {
            command.args(["--config", text(&file)]);
        }
        command
    }

    /// Starts a worker that follows the topic.
    pub(crate) fn follow(&self, worker: &str) -> Worker {
        Worker::start(self.command(worker, &["--follow"]))
    }

    /// Runs a worker to the end of the topic: what it said.
    #[track_caller]
    pub(crate) fn run_to_end(&self, worker: &str) -> Value {
        Ran::of(&mut self.command(worker, &["--format", "json"])).succeeded().json()
    }

    /// Compares all that the group left behind with what the embedded worker makes of the same payments: every row of
    /// the features topics, every set-aside event, and the state that is built anew from the topics of changes.
    #[track_caller]
    pub(crate) fn check(&self) {
        self.run_embedded();
        self.run_to_end("afterwards");
        for version in &versions() {
            self.check_rows(version);
            self.check_aside(version);
            self.check_state(version);
        }
    }

    /// Compares the values of all cards with what the embedded worker makes of the same payments.
    #[track_caller]
    pub(crate) fn check_store(&self, store: &dyn OnlineStore, runtime: &Runtime) {
        self.run_embedded();
        let cards = self.cards();
        for version in &versions() {
            let expected = self.embedded(version);
            let found = runtime.block_on(values(store, version, cards.iter().copied(), self.last_arrival()));
            for (card, found) in cards.iter().zip(found) {
                assert_eq!(expected[card], found, "{}, card {card}", version.view().name);
            }
        }
    }

    /// Brings the embedded store to the end of the payments, with one worker.
    fn run_embedded(&self) {
        let files = ["stream", "--events", text(&self.log), "--arrival", ARRIVAL, "--rows-format", "jsonl"];
        self.trifold.run(files).succeeded();
    }

    pub(crate) fn cards(&self) -> BTreeSet<&str> {
        self.payments.iter().map(|payment| payment.card.as_str()).collect()
    }

    /// Before it, a worker of all partitions may have forgotten what one of a single partition has.
    pub(crate) fn last_arrival(&self) -> EventTime {
        self.payments.iter().map(|payment| payment.arrival).max().unwrap()
    }

    /// What the embedded store has of all cards.
    fn embedded(&self, version: &LiveVersion) -> BTreeMap<&str, Row> {
        let cards = self.cards();
        let store = open(&self.trifold.data("store.redb"));
        let values = runtime().block_on(values(&store, version, cards.iter().copied(), self.last_arrival()));
        cards.into_iter().zip(values).collect()
    }

    /// The command that feeds a Redis.
    pub(crate) fn materialize(&self, more: &[&str]) -> Command {
        let base = ["materialize", "--brokers", &self.brokers, "--group", GROUP];
        self.trifold.command(base.iter().chain(more))
    }

    fn check_rows(&self, version: &LiveVersion) {
        let (view, state) = (&version.view().name, version.state_id());
        let expected = lines(&self.trifold.data(format!("rows/{view}/{state}")));
        let found = self.cluster.read(&format!("{GROUP}.{view}.features")).into_iter().flatten();
        let found = found.map(|(_, value)| String::from_utf8(value.unwrap()).unwrap());
        let (expected, found) = (by_card(expected), by_card(found));
        assert!(expected.values().map(Vec::len).sum::<usize>() > self.payments.len() / 2);
        assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "{view}");
        for (card, rows) in &expected {
            let ids = |rows: &[Value]| rows.iter().map(|row| row["_event_id"].to_string()).collect::<Vec<_>>();
            assert_eq!(ids(rows), ids(&found[card]), "{view}, card {card}: rows lost, doubled or out of order");
            assert_eq!(*rows, found[card], "{view}, card {card}");
        }
    }

    fn check_aside(&self, version: &LiveVersion) {
        let (view, state) = (&version.view().name, version.state_id());
        let expected = sorted(lines(&self.trifold.data(format!("aside/{view}/{state}"))));
        let topics =
            ["dead-letters", "late"].map(|purpose| self.cluster.read(&format!("{GROUP}.{view}.{purpose}")));
        let found = topics.into_iter().flatten().flatten();
        let found = sorted(found.map(|(_, value)| String::from_utf8(value.unwrap()).unwrap()));
        assert!(!expected.is_empty());
        assert_eq!(expected, found, "{view}");
    }

    fn check_state(&self, version: &LiveVersion) {
        let (embedded, runtime) = (self.embedded(version), runtime());
        let mut seen = BTreeSet::new();
        for (partition, records) in (0..).zip(self.cluster.read(TOPIC)) {
            let own: BTreeSet<String> =
                records.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect();
            let path = self.trifold.data(format!("kafka/{GROUP}/afterwards/{partition}.redb"));
            let (store, own_cards) = (open(&path), own.iter().map(String::as_str));
            let found = runtime.block_on(values(&store, version, own_cards, self.last_arrival()));
            for (card, found) in own.into_iter().zip(found) {
                assert_eq!(embedded[card.as_str()], found, "{}, card {card}", version.view().name);
                assert!(seen.insert(card), "a card is in two partitions");
            }
        }
        assert_eq!(seen.len(), embedded.len());
    }
}

fn open(path: &Path) -> EmbeddedStore {
    let holder = Holder { pid: std::process::id(), command: "a test".to_owned(), since: EventTime(0) };
    EmbeddedStore::open(path, &holder).unwrap()
}

/// The versions of the views.
pub(crate) fn versions() -> Vec<LiveVersion> {
    PACKAGES.iter().zip(1..).map(|(name, at)| version(at, transform(name, &[]))).collect()
}

/// The values of cards at a time.
async fn values<'a>(
    store: &dyn OnlineStore,
    version: &LiveVersion,
    cards: impl Iterator<Item = &'a str>,
    time: EventTime,
) -> Vec<Row> {
    let live: std::sync::Arc<LiveViews> = views([version.clone()]);
    let cards: ArrayRef = std::sync::Arc::new(StringArray::from_iter_values(cards));
    let question = lookup::Question {
        live: &live,
        views: vec![version.clone()],
        columns: RecordBatch::try_from_iter([("card", cards)]).unwrap(),
        in_hand: BTreeMap::new(),
        time,
    };
    let budget = &mut trifold_sandbox::Budget::unlimited();
    let answer = trifold_pipeline::lookup(store, question, budget).await.unwrap();
    answered(&answer.views[0].rows)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn read(dir: &Path) -> Vec<Payment> {
    let payment = |json: String| {
        let fields = parsed(&json);
        let text = |name: &str| fields[name].as_str().unwrap().to_owned();
        Payment { card: text("card"), arrival: parse_time(&text(ARRIVAL)).unwrap(), json }
    };
    lines(dir).map(payment).collect()
}

/// The lines of the files of a directory, in the order of their names.
fn lines(dir: &Path) -> impl Iterator<Item = String> + use<> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('_'));
    files.sort();
    let texts = files.into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// A row or a line without its place in the log, which differs between a file and a topic.
fn placeless(json: &str) -> Value {
    let mut value = parsed(json);
    let fields = value.as_object_mut().unwrap();
    for place in ["_partition", "_offset", "partition", "offset"] {
        fields.remove(place);
    }
    value
}

fn by_card(rows: impl Iterator<Item = String>) -> BTreeMap<String, Vec<Value>> {
    let mut cards: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in rows {
        let row = placeless(&row);
        cards.entry(row["_key_card"].to_string()).or_default().push(row);
    }
    cards
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<_> = lines.map(|line| placeless(&line).to_string()).collect();
    lines.sort();
    lines
}
