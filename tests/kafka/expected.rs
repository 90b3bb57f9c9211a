//! What a backfill of the same events says that must have come of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use trifold_model::{CanonicalRows, EntityKey, EventNumber, FeatureView, FieldType};
use trifold_pipeline::{LiveVersion, StateRows, follow, lookup};
use trifold_registry::Registry;
use trifold_store::{EmbeddedStore, Holder, OnlineStore, StateStore};
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::guests::component;
use trifold_tests::live::{transform, version, views};
use trifold_tests::online::runtime;
use trifold_tests::rows::{self, Row, answered};

use crate::data::lines;
use crate::site::{GROUP, PARTITIONS, Site};

/// What becomes of one view.
struct Expected<'a> {
    site: &'a Site,
    version: LiveVersion,
    /// The version's number in the registry.
    number: u64,
    /// The entities, as objects of their key fields, and the keys of their records.
    entities: BTreeMap<String, String>,
    /// Their values when all is in.
    values: BTreeMap<String, Row>,
}

impl Site {
    /// Compares all that the group left behind with a backfill of the same events: every row of the features topics, at
    /// its own time and cut, and the state that is built anew from the topics of changes; and every set-aside event with
    /// what the embedded worker sets aside, since a backfill does not tell of all.
    #[track_caller]
    pub(crate) fn check(&self) {
        self.run_embedded();
        self.check_rows_and_states();
        for version in self.versions() {
            Expected::new(self, version).check_aside(|_| true);
        }
    }

    /// The same without the events that were set aside.
    #[track_caller]
    pub(crate) fn check_rows_and_states(&self) {
        self.run_to_end("afterwards");
        for version in self.versions() {
            let expected = Expected::new(self, version);
            expected.check_rows();
            expected.check_state(self.data.topic, |partition| format!("{partition}.redb"));
        }
    }

    /// The same where the events were partitioned anew in a topic: the rows apart, which depend on the order there.
    #[track_caller]
    pub(crate) fn check_rekeyed(&self, topic: &str) {
        self.run_embedded();
        self.run_to_end("afterwards");
        for version in self.versions() {
            let expected = Expected::new(self, version);
            // A row view remembers the latest event alone: whether it finds a copy that differs depends on the order, too.
            expected.check_aside(|line| !line.contains("\"conflict\""));
            expected.check_state(topic, |partition| format!("{topic}.{partition}.redb"));
        }
    }

    /// Compares the state of the second version of a view, which is in force, with a backfill of it.
    #[track_caller]
    pub(crate) fn check_state_of_second(&self, package: &str) {
        let expected = Expected::of(self, version(2, transform(package, &["v2"])), 2);
        expected.check_state(self.data.topic, |partition| format!("{partition}.redb"));
    }

    /// The rows that the embedded worker makes of some lines, all of which are on time.
    pub(crate) fn embedded_rows(&self, version: &LiveVersion, package: &str, events: &str) -> Vec<Value> {
        let trifold = Trifold::new(env!("CARGO_BIN_EXE_trifold-under-test"));
        let log = trifold.path("events.jsonl");
        std::fs::write(&log, events).unwrap();
        let (view, state) = (&version.view().name, version.state_id());
        trifold.run(["push", text(&component(package, &[]).path)]).succeeded();
        trifold.run(["release", &format!("{view}@1")]).succeeded();
        let files = ["stream", "--events", text(&log), "--assume-on-time", "--rows-format", "jsonl"];
        trifold.run(files).succeeded();
        lines(&trifold.data(format!("rows/{view}/{state}"))).map(|row| parsed(&row)).collect()
    }

    /// Compares the values of all entities with those of a backfill.
    #[track_caller]
    pub(crate) fn check_store(&self, store: &dyn OnlineStore, runtime: &Runtime) {
        for version in self.versions() {
            let expected = Expected::new(self, version);
            let entities = expected.entities.keys().map(String::as_str).collect();
            expected.check_values(store, runtime, entities);
        }
    }

    /// Compares each row of a view's features topic with that of the version that it names: how many there are of each.
    #[track_caller]
    pub(crate) fn check_rows_by_version(&self, view: &str, versions: &[u64]) -> BTreeMap<u64, usize> {
        let of = |number: &u64| (*number, self.backfilled_rows(&format!("{view}@{number}")));
        let expected: BTreeMap<u64, _> = versions.iter().map(of).collect();
        let found = self.emitted_rows(view);
        let mut counts = BTreeMap::new();
        for (number, expected) in &expected {
            check_ids(view, expected, &found);
            for (entity, rows) in expected {
                let named = |row: &(&Value, &Value)| row.1["_version"] == *number;
                for (expected, found) in rows.iter().zip(&found[entity]).filter(named) {
                    assert_eq!(expected, found, "{view}@{number}, {entity}");
                    *counts.entry(*number).or_default() += 1;
                }
            }
        }
        let rows: usize = found.values().map(Vec::len).sum();
        assert_eq!(counts.values().sum::<usize>(), rows, "{view}: rows of other versions");
        counts
    }

    /// What a version makes of each event, by entity.
    #[track_caller]
    fn backfilled_rows(&self, version: &str) -> BTreeMap<String, Vec<Value>> {
        let out = self.backfill(version, &["--cut", "position", "--rows-format", "jsonl"]);
        let mut rows: Vec<_> = lines(&out).map(|row| parsed(&row)).collect();
        rows.sort_by_key(|row| row["_offset"].as_u64().unwrap());
        by_entity(rows.into_iter())
    }

    /// The entity, the event's id and the version of each row that workers emitted.
    pub(crate) fn emitted_versions(&self, package: &str) -> Vec<(EntityKey, String, u64)> {
        let version = version(1, transform(package, &[]));
        let view = version.view();
        let named = |row: Value| {
            let id = row["_event_id"].as_str().unwrap().to_owned();
            (entity_key(view, &row), id, row["_version"].as_u64().unwrap())
        };
        self.emitted_rows(view.name.as_str()).into_values().flatten().map(named).collect()
    }

    /// Compares the version of each row that workers emitted with what the local stores of the worker `afterwards` say, which
    /// came from the topics of changes: how many releases computed some.
    #[track_caller]
    pub(crate) fn check_followed(&self, package: &str) -> usize {
        let version = version(1, transform(package, &[]));
        let (view, runtime) = (version.view(), runtime());
        let states = (0..PARTITIONS).map(|partition| {
            let store = open(&self.trifold.data(format!("kafka/{GROUP}/afterwards/{partition}.redb")));
            let marker = runtime.block_on(store.marker(view.state_id())).unwrap().unwrap();
            let switches = runtime.block_on(store.switches(view.state_id())).unwrap();
            StateRows { end: marker.positions, switches }
        });
        let registry = Registry::local(&self.trifold.data("registry"), false).unwrap();
        let history = runtime.block_on(registry.history(&view.name)).unwrap();
        let followed = follow(&states.collect::<Vec<_>>(), &history).unwrap();
        let rows = self.cluster.read(&format!("{GROUP}.{}.features", view.name)).into_iter().flatten();
        for (_, row) in rows {
            let row: Value = serde_json::from_slice(&row.unwrap()).unwrap();
            let [partition, offset] = ["_partition", "_offset"].map(|column| row[column].as_u64().unwrap());
            let number = EventNumber::new(partition as u32, offset);
            let computed = followed.iter().filter(|by| by.rows.has(number, &entity_key(view, &row)));
            let computed: Vec<_> = computed.map(|by| json!(by.version)).collect();
            assert_eq!(computed, [row["_version"].clone()], "{row}");
        }
        followed.iter().flat_map(|by| &by.releases).collect::<BTreeSet<_>>().len()
    }

    /// Compares the rows that workers emitted with a backfill of an archive that follows the releases: how many versions
    /// computed some.
    #[track_caller]
    pub(crate) fn check_follows_in_archive(&self, view: &str) -> usize {
        let (archive, out) = (self.trifold.path("archive"), self.trifold.path("followed"));
        let group = ["--brokers", &self.brokers, "--group", GROUP];
        let keep = ["archive", "--topic", self.data.topic, "--archive", text(&archive)];
        self.trifold.run(keep.iter().chain(&self.arrival()).chain(&group[..2])).succeeded();
        let base = ["backfill", view, "--follow-releases", "--events", text(&archive), "--out", text(&out)];
        let rows = ["--digest", "--rows-format", "jsonl"];
        let mut backfill = self.trifold.command(base.iter().chain(&rows).chain(&self.arrival()).chain(&group));
        Ran::of(self.add_settings(&mut backfill)).succeeded();
        let versions: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
        let by_event = |rows: Vec<Value>| -> BTreeMap<(u64, u64), Value> {
            let at = |row: &Value, column| row[column].as_u64().unwrap();
            let count = rows.len();
            let rows = rows.into_iter().map(|row| ((at(&row, "_partition"), at(&row, "_offset")), row));
            let rows: BTreeMap<_, _> = rows.collect();
            assert_eq!(rows.len(), count, "{view}: several rows of one event");
            rows
        };
        let followed = by_event(versions.iter().flat_map(|dir| lines(dir)).map(|row| parsed(&row)).collect());
        let rows = self.cluster.read(&format!("{GROUP}.{view}.features")).into_iter().flatten();
        let emitted = by_event(rows.map(|(_, row)| serde_json::from_slice(&row.unwrap()).unwrap()).collect());
        for (event, row) in &emitted {
            assert_eq!(followed.get(event), Some(row), "{view}, {event:?}");
        }
        assert_eq!(followed.len(), emitted.len(), "{view}");
        versions.len()
    }

    /// What workers made of them.
    fn emitted_rows(&self, view: &str) -> BTreeMap<String, Vec<Value>> {
        let rows = self.cluster.read(&format!("{GROUP}.{view}.features")).into_iter().flatten();
        by_entity(rows.map(|(_, value)| serde_json::from_slice(&value.unwrap()).unwrap()))
    }

    #[track_caller]
    fn backfill(&self, version: &str, more: &[&str]) -> std::path::PathBuf {
        let out = self.trifold.path("backfilled");
        let base = ["backfill", version, "--events", text(&self.log), "--digest", "--overwrite"];
        let to = ["--out", text(&out)];
        self.trifold.run(base.iter().chain(&self.arrival()).chain(&to).chain(more)).succeeded();
        out
    }

    /// Brings the embedded store to the end of the events, with one worker.
    fn run_embedded(&self) {
        let files = ["stream", "--events", text(&self.log), "--rows-format", "jsonl"];
        self.trifold.run(files.iter().chain(&self.arrival())).succeeded();
    }
}

impl<'a> Expected<'a> {
    #[track_caller]
    fn new(site: &'a Site, version: LiveVersion) -> Self {
        Expected::of(site, version, 1)
    }

    #[track_caller]
    fn of(site: &'a Site, version: LiveVersion, number: u64) -> Self {
        let view = version.view();
        let entity = |event: &Value| {
            let fields = view.key_fields().iter().map(|field| {
                let name = field.name.as_str();
                (name.to_owned(), event[name].clone())
            });
            Value::Object(fields.collect()).to_string()
        };
        let parsed = site.events.iter().filter_map(|event| {
            let fields: Value = serde_json::from_str(&event.json).ok()?;
            Some((entity(&fields), event.key.clone()))
        });
        let entities: BTreeMap<_, _> = parsed.collect();
        let mut expected = Expected { site, version, number, entities, values: BTreeMap::new() };
        expected.values = expected.backfilled_values();
        expected
    }

    fn view(&self) -> &FeatureView {
        self.version.view()
    }

    /// The value of each entity when all is in.
    #[track_caller]
    fn backfilled_values(&self) -> BTreeMap<String, Row> {
        let (spine, as_of) = (self.site.trifold.path("spine.jsonl"), self.site.end().0);
        let questions = self.entities.keys().map(|entity| {
            let mut question = parsed(entity);
            question["as_of"] = json!(as_of);
            format!("{question}\n")
        });
        std::fs::write(&spine, questions.collect::<String>()).unwrap();
        let named = format!("{}@{}", self.view().name, self.number);
        let out = self.site.backfill(&named, &["--spine", text(&spine), "--cut", "all"]);
        let rows = rows::files(&out, self.view());
        assert_eq!(rows.len(), self.entities.len());
        self.entities.keys().cloned().zip(rows.into_values()).collect()
    }

    #[track_caller]
    fn check_rows(&self) {
        let view = self.view().name.as_str();
        let (expected, found) = (self.site.backfilled_rows(&format!("{view}@1")), self.site.emitted_rows(view));
        assert!(expected.values().map(Vec::len).sum::<usize>() > self.site.events.len() / 2);
        check_ids(view, &expected, &found);
        for (entity, rows) in &expected {
            assert_eq!(*rows, found[entity], "{view}, {entity}");
        }
    }

    #[track_caller]
    fn check_aside(&self, counts: impl Fn(&String) -> bool) {
        let (view, state) = (&self.view().name, self.version.state_id());
        let expected = lines(&self.site.trifold.data(format!("aside/{view}/{state}")));
        let expected = sorted(expected.filter(&counts));
        let topics =
            ["dead-letters", "late"].map(|purpose| self.site.cluster.read(&format!("{GROUP}.{view}.{purpose}")));
        let found = topics.into_iter().flatten().flatten();
        let found = found.map(|(_, value)| String::from_utf8(value.unwrap()).unwrap());
        let found = sorted(found.filter(&counts));
        assert!(!expected.is_empty());
        assert_eq!(expected, found, "{view}");
    }

    #[track_caller]
    fn check_state(&self, topic: &str, file: impl Fn(u32) -> String) {
        let runtime = runtime();
        let mut seen = 0;
        for (partition, records) in (0..).zip(self.site.cluster.read(topic)) {
            let keys: Vec<_> = records.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect();
            let own = self.entities.iter().filter(|(_, key)| keys.contains(key));
            let own: Vec<_> = own.map(|(entity, _)| entity.as_str()).collect();
            let file = format!("kafka/{GROUP}/afterwards/{}", file(partition));
            let store = open(&self.site.trifold.data(file));
            seen += own.len();
            self.check_values(&store, &runtime, own);
        }
        assert_eq!(seen, self.entities.len(), "an entity is in two partitions, or in none");
    }

    #[track_caller]
    fn check_values(&self, store: &dyn OnlineStore, runtime: &Runtime, entities: Vec<&str>) {
        let live = views([self.version.clone()]);
        let question = lookup::Question {
            live: &live,
            views: vec![self.version.clone()],
            columns: columns(self.view(), &entities),
            in_hand: BTreeMap::new(),
            time: self.site.end(),
            stopwatch: trifold_pipeline::lookup::stopped,
        };
        let budget = &mut trifold_sandbox::Budget::unlimited();
        let answer = runtime.block_on(trifold_pipeline::lookup(store, question, budget)).unwrap();
        for (entity, found) in entities.iter().zip(answered(&answer.views[0].rows)) {
            assert_eq!(self.values[*entity], found, "{}, {entity}", self.view().name);
        }
    }
}

/// Rows by entity must be of the same events, in the same order.
#[track_caller]
fn check_ids(view: &str, expected: &BTreeMap<String, Vec<Value>>, found: &BTreeMap<String, Vec<Value>>) {
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "{view}");
    for (entity, rows) in expected {
        let ids = |rows: &[Value]| rows.iter().map(|row| row["_event_id"].to_string()).collect::<Vec<_>>();
        assert_eq!(ids(rows), ids(&found[entity]), "{view}, {entity}: rows lost, doubled or out of order");
    }
}

/// The entity of a row.
fn entity_key(view: &FeatureView, row: &Value) -> EntityKey {
    let fields = view.key_fields().iter().map(|field| {
        let name = field.name.as_str();
        (name.to_owned(), row[format!("_key_{name}")].clone())
    });
    let entity = Value::Object(fields.collect()).to_string();
    let columns = columns(view, &[&entity]);
    let keys = CanonicalRows::of_columns(&columns, 0..columns.num_columns()).unwrap();
    keys.key(0, &mut Vec::new())
}

/// Entities as the columns of a question.
fn columns(view: &FeatureView, entities: &[&str]) -> RecordBatch {
    let entities: Vec<_> = entities.iter().map(|entity| parsed(entity)).collect();
    let columns = view.key_fields().iter().map(|field| {
        let name = field.name.as_str();
        let values = entities.iter().map(|entity| &entity[name]);
        let column: ArrayRef = match field.ty {
            FieldType::Utf8 => Arc::new(StringArray::from_iter(values.map(Value::as_str))),
            FieldType::Int64 => Arc::new(Int64Array::from_iter(values.map(Value::as_i64))),
            other => panic!("no key of the examples is {other:?}"),
        };
        (name, column)
    });
    RecordBatch::try_from_iter(columns).unwrap()
}

fn open(path: &Path) -> EmbeddedStore {
    let holder =
        Holder { pid: std::process::id(), command: "a test".to_owned(), since: trifold_model::EventTime(0) };
    EmbeddedStore::open(path, &holder).unwrap()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// A row or a line without its place in the log, which differs between a file and a topic.
fn placeless(mut value: Value) -> Value {
    let fields = value.as_object_mut().unwrap();
    for place in ["_partition", "_offset", "partition", "offset"] {
        fields.remove(place);
    }
    value
}

fn by_entity(rows: impl Iterator<Item = Value>) -> BTreeMap<String, Vec<Value>> {
    let mut entities: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in rows.map(placeless) {
        let keys = row.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("_key_"));
        let entity = keys.map(|(_, value)| value.to_string()).collect::<Vec<_>>().join(" ");
        entities.entry(entity).or_default().push(row);
    }
    entities
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<_> = lines.map(|line| placeless(parsed(&line)).to_string()).collect();
    lines.sort();
    lines
}
