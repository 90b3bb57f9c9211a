//! A log, a version, and the rows that must come out, computed here by the rule and not by the pipeline.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use trifold_eventlog::{ArrivalClock, Events, FileLog, LogOptions, SourceConfig, decode};
use trifold_model::{CanonicalRows, EntityKey, EventTime, FeatureView};
use trifold_pipeline::{ArrivalPolicy, LiveVersion};
use trifold_sandbox::Budget;
use trifold_tests::live::version;
use trifold_tests::rows::{Row, applied};

/// What every runner is given.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) version: LiveVersion,
    pub(crate) source: SourceConfig,
    /// The events of one step of the stream.
    pub(crate) step_rows: usize,
    dir: TempDir,
}

/// An event that counts.
pub(crate) struct Admitted {
    pub(crate) offset: u64,
    pub(crate) key: EntityKey,
    pub(crate) time: EventTime,
    pub(crate) id: String,
    /// Its row among the decoded inputs.
    pub(crate) row: usize,
}

impl Case {
    /// Events as JSON lines. A string stands for a line that is taken as it is.
    pub(crate) fn new(
        name: &str,
        transform: trifold_sandbox::Transform,
        arrival: Option<&str>,
        events: &[Value],
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lines = events.iter().map(|event| match event {
            Value::String(line) => format!("{line}\n"),
            event => format!("{event}\n"),
        });
        fs::create_dir(dir.path().join("log")).unwrap();
        fs::write(dir.path().join("log/0.jsonl"), lines.collect::<String>()).unwrap();
        let source = SourceConfig { arrival: arrival.map(str::to_owned), ..SourceConfig::default() };
        Case { name: name.to_owned(), version: version(1, transform), source, step_rows: 5, dir }
    }

    pub(crate) fn view(&self) -> &FeatureView {
        self.version.view()
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// A new directory for what a runner writes.
    pub(crate) fn scratch(&self) -> TempDir {
        tempfile::tempdir_in(self.dir.path()).unwrap()
    }

    pub(crate) fn arrivals(&self) -> ArrivalPolicy {
        ArrivalPolicy::new(self.view(), self.source.arrival.is_some(), false).unwrap()
    }

    /// The log, decoded for the view in one piece.
    pub(crate) fn decoded(&self) -> Events {
        let mut log = FileLog::open(&self.log(), LogOptions::default()).unwrap();
        let raw = log.read(0, usize::MAX >> 1).unwrap().unwrap();
        decode(&raw, &self.source, self.view(), &mut ArrivalClock::default()).unwrap()
    }

    /// The events that count, in the order of the log: neither late nor early. A copy of an event counts once,
    /// but emits a row of its own.
    pub(crate) fn admitted(&self, events: &Events) -> Vec<Admitted> {
        let view = self.view();
        let keys = CanonicalRows::of_columns(&events.inputs, view.key_columns().iter().copied()).unwrap();
        let counts = |row: &usize| {
            let Some(arrivals) = &events.arrivals else { return true };
            let delay = arrivals[*row].0 - events.times[*row].0;
            view.lateness.is_none_or(|most| delay <= most.micros())
                && view.max_early.is_none_or(|most| -delay <= most.micros())
        };
        let admitted = (0..events.offsets.len()).filter(counts).map(|row| Admitted {
            offset: events.offsets[row],
            key: keys.key(row, &mut Vec::new()),
            time: events.times[row],
            id: events.ids.value(row).to_owned(),
            row,
        });
        admitted.collect()
    }

    /// The row that each event emits: the value of its entity's latest event so far in canonical order, computed
    /// alone. Of two events of the same time and id the first by position counts.
    pub(crate) fn expected(&self) -> BTreeMap<u64, Row> {
        let events = self.decoded();
        let mut latest: BTreeMap<EntityKey, (EventTime, String, usize)> = BTreeMap::new();
        let mut rows = BTreeMap::new();
        for event in self.admitted(&events) {
            let this = (event.time, event.id, event.row);
            let entry = latest.entry(event.key).or_insert_with(|| this.clone());
            if (this.0, &this.1) > (entry.0, &entry.1) {
                *entry = this;
            }
            rows.insert(event.offset, self.alone(&events, entry.2));
        }
        rows
    }

    /// One input row's value, computed alone in a fresh instance.
    pub(crate) fn alone(&self, events: &Events, row: usize) -> Row {
        let one = self.version.transform.apply(&events.inputs.slice(row, 1), &mut Budget::unlimited());
        applied(&one).remove(0)
    }
}
