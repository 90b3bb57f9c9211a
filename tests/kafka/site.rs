//! Events in a topic, and workers that read it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use trifold_model::EventTime;
use trifold_pipeline::LiveVersion;
use trifold_test_servers::Kafka;
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::guests::component;
use trifold_tests::live::{transform, version};

use crate::data::{Data, Event, PAYMENTS};
use crate::expected::text;
use crate::topic::Cluster;
use crate::worker::Worker;

/// The views over the payments.
pub(crate) const PACKAGES: &[&str] = PAYMENTS.packages;
pub(crate) const TOPIC: &str = PAYMENTS.topic;
pub(crate) const GROUP: &str = "scoring";
pub(crate) const PARTITIONS: i32 = 6;

/// A cluster with a topic of events, and a data directory whose registry has the views.
pub(crate) struct Site {
    pub(crate) data: Data,
    pub(crate) trifold: Trifold,
    pub(crate) cluster: Cluster,
    pub(crate) brokers: String,
    pub(crate) events: Vec<Event>,
    /// The same in a file.
    pub(crate) log: PathBuf,
    settings: Vec<(String, String)>,
}

impl Site {
    /// Makes so many payments of a seed, which are in no topic yet.
    pub(crate) fn new(kafka: &Kafka, brokers: &str, seed: u64, payments: u64) -> Self {
        Site::of(PAYMENTS, kafka, brokers, seed, payments)
    }

    /// Makes so many events of a seed, which are in no topic yet.
    pub(crate) fn of(data: Data, kafka: &Kafka, brokers: &str, seed: u64, events: u64) -> Self {
        let trifold = Trifold::new(env!("CARGO_BIN_EXE_trifold-under-test"));
        let log = trifold.path(data.topic);
        let events = data.write(seed, events, &log);
        for package in data.packages {
            trifold.run(["push", text(&component(package, &[]).path)]).succeeded();
        }
        let cluster = Cluster::new(kafka.bootstrap());
        cluster.create(data.topic, PARTITIONS, &[]);
        let brokers = brokers.to_owned();
        let mut site = Site { data, trifold, cluster, brokers, events, log, settings: Vec::new() };
        if !data.keys_are_entities {
            site.set("check-keys", "false");
        }
        site
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

    /// Puts some of the events into the topic, in their order.
    pub(crate) fn produce(&self, which: std::ops::Range<usize>) {
        self.produce_as(which, |event| event.json.as_bytes().to_vec());
    }

    /// The same under the events' ids.
    pub(crate) fn produce_by_id(&self, which: std::ops::Range<usize>) {
        let id = |event: &Event| serde_json::from_str::<Value>(&event.json).unwrap()["event_id"].to_string();
        let keys: Vec<_> = self.events[which.clone()].iter().map(id).collect();
        let pairs = keys.iter().map(String::as_str).zip(&self.events[which]);
        self.cluster.write(self.data.topic, pairs.map(|(key, event)| (key, event.json.as_bytes())));
    }

    /// The same in another encoding.
    pub(crate) fn produce_as(&self, which: std::ops::Range<usize>, encode: impl Fn(&Event) -> Vec<u8>) {
        let events = &self.events[which];
        let values: Vec<_> = events.iter().map(encode).collect();
        let pairs = events.iter().zip(&values);
        self.cluster.write(self.data.topic, pairs.map(|(event, value)| (event.key.as_str(), value.as_slice())));
    }

    /// The command of a worker.
    pub(crate) fn command(&self, worker: &str, more: &[&str]) -> Command {
        self.command_in(&self.trifold, worker, more)
    }

    /// The command of a worker with another data directory.
    pub(crate) fn command_in(&self, trifold: &Trifold, worker: &str, more: &[&str]) -> Command {
        let topic = ["stream", "--topic", self.data.topic, "--brokers", &self.brokers, "--group", GROUP];
        let worker = ["--worker", worker];
        let mut command = trifold.command(topic.iter().chain(&worker).chain(&self.arrival()).chain(more));
        self.add_settings(&mut command);
        command
    }

    /// Adds the settings of all workers to a command.
    pub(crate) fn add_settings<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let file = self.trifold.path("kafka.toml");
        if file.exists() {
            command.args(["--config", text(&file)]);
        }
        command
    }

    /// Where arrivals are.
    pub(crate) fn arrival(&self) -> Vec<&'static str> {
        self.data.arrival.map_or_else(Vec::new, |field| vec!["--arrival", field])
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

    /// The command that feeds a Redis.
    pub(crate) fn materialize(&self, more: &[&str]) -> Command {
        let base = ["materialize", "--brokers", &self.brokers, "--group", GROUP];
        self.trifold.command(base.iter().chain(more))
    }

    /// The command that feeds dead letters back.
    pub(crate) fn replay(&self, more: &[&str]) -> Command {
        let base = ["replay", "--brokers", &self.brokers, "--group", GROUP];
        self.trifold.command(base.iter().chain(more))
    }

    /// The versions of the views.
    pub(crate) fn versions(&self) -> Vec<LiveVersion> {
        self.data.packages.iter().zip(1..).map(|(name, at)| version(at, transform(name, &[]))).collect()
    }

    /// A time at which all has happened and arrived. Before the latest arrival a worker of all partitions may have
    /// forgotten what one of a single partition has.
    pub(crate) fn end(&self) -> EventTime {
        self.events.iter().filter_map(|event| event.time).max().unwrap()
    }
}
