//! The events that a topic gets, in files too: payments from a seed, and real departures.

use std::path::Path;

use payments_generator::{Config, Shares, write_log};
use serde_json::Value;
use trifold_eventlog::{RowFormat, parse_time, read_row_files, row_json};
use trifold_model::EventTime;
use trifold_tests::random::SplitMix64;
use trifold_tests::{FLIGHTS, flights};

/// A topic of events, and the views over it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Data {
    pub(crate) topic: &'static str,
    /// The packages of the views that the stream keeps.
    pub(crate) packages: &'static [&'static str],
    /// The field that the topic is partitioned by. It decides the entity's partition for every view.
    pub(crate) key: &'static str,
    pub(crate) arrival: Option<&'static str>,
    /// Whether the records' keys are those of the entities of all views.
    pub(crate) keys_are_entities: bool,
    write: fn(seed: u64, events: u64, log: &Path),
}

/// Two views of windows, one of them folded in the order of event time, and a row view.
pub(crate) const PAYMENTS: Data = Data {
    topic: "payments",
    packages: &["card-spend", "card-recent", "card-profile"],
    key: "card",
    arrival: Some("arrived_at"),
    keys_are_entities: true,
    write: write_payments,
};

/// A view of windows over carriers, and a row view over the flights of carriers.
pub(crate) const FLIGHT_EVENTS: Data = Data {
    topic: "flights",
    packages: &["carrier-load", "flight-profile"],
    key: "carrier",
    arrival: None,
    keys_are_entities: false,
    write: write_flights,
};

/// One event.
pub(crate) struct Event {
    /// The key of its record.
    pub(crate) key: String,
    pub(crate) json: String,
    /// The latest time that it has.
    pub(crate) time: Option<EventTime>,
}

impl Data {
    /// Writes so many events of a seed to a directory, and tells them in their order.
    pub(crate) fn write(&self, seed: u64, events: u64, log: &Path) -> Vec<Event> {
        (self.write)(seed, events, log);
        let event = |json: String| {
            // What is no JSON has the key before it in its first quotes.
            let fields: Value = serde_json::from_str(&json).unwrap_or(Value::Null);
            let text = |name: &str| fields[name].as_str().map(str::to_owned);
            let key = text(self.key).unwrap_or_else(|| json.split('"').nth(1).unwrap().to_owned());
            let times = [Some("event_time"), self.arrival].into_iter().flatten().filter_map(text);
            Event { key, time: times.map(|time| parse_time(&time).unwrap()).max(), json }
        };
        lines(log).map(event).collect()
    }
}

fn write_payments(seed: u64, events: u64, log: &Path) {
    let shares = Shares::default();
    let config = Config { seed, events, cards: 60, per_day: 4 * events, shares, ..Config::default() };
    write_log(&config, log, RowFormat::JsonLines, 1).unwrap();
}

/// Departures of some days, out of order, some of them twice, with lines between them that are no JSON.
fn write_flights(seed: u64, events: u64, log: &Path) {
    let random = &mut SplitMix64(seed);
    let first = random.between(0, FLIGHTS - events) as usize;
    let batches = read_row_files(&flights(), None).unwrap().map(Result::unwrap);
    let all = batches.flat_map(|batch| (0..batch.num_rows()).map(move |row| row_json(&batch, row)));
    let mut texts: Vec<_> = all.skip(first).take(events as usize).collect();
    for row in 1..texts.len() {
        let other = row - random.between(0, row.min(40) as u64) as usize;
        texts.swap(row, other);
    }
    for row in 40..texts.len() {
        match random.between(0, 100) {
            0..2 => texts[row] = texts[row - random.between(1, 40) as usize].clone(),
            2 => texts[row] = "\"UA\" is no event".to_owned(),
            _ => {}
        }
    }
    std::fs::create_dir(log).unwrap();
    std::fs::write(log.join("0.jsonl"), texts.join("\n") + "\n").unwrap();
}

/// The lines of the files of a directory, in the order of their names.
pub(crate) fn lines(dir: &Path) -> impl Iterator<Item = String> + use<> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| !path.file_name().unwrap().to_str().unwrap().starts_with(['_', '.']));
    files.sort();
    let texts = files.into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
}
