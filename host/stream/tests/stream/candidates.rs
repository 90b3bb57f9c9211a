//! Versions that are tried out beside the one in force: each event has one row, of the version whose entity it is.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use trifold_model::{CanonicalRows, EntityKey, FieldType, ViewName};
use trifold_pipeline::{Canary, CatalogProblem, LiveCandidate, LiveVersion, LiveViews, Role};
use trifold_registry::RegistryError;
use trifold_stream::{FeedId, Fixed, ReleaseFeed, RunReport, StreamError, Until, WorkerConfig};
use trifold_wat_guest::{Guest, field, row_view, unruly};

use crate::crashes::{Fault, FaultySink, FaultyStore, STAGES, Stage, println_seed};
use crate::releases::write_parquet;
use crate::support::{SplitMix64, World, config, driver, echo, joined, run, unruly_events};

const EVENTS: u64 = 400;
const SHARES: [&str; 6] = ["0.01%", "10%", "35%", "50%", "80%", "100%"];

/// Releases that a test changes.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Arc<LiveViews>>>);

impl Scripted {
    fn put(&self, live: LiveViews) {
        *self.0.lock().unwrap() = Arc::new(live);
    }
}

impl ReleaseFeed for Scripted {
    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<CatalogProblem>, RegistryError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn live(&self) -> Arc<LiveViews> {
        self.0.lock().unwrap().clone()
    }
}

/// The echo view with one more input and output, and so with a state of its own.
fn wider() -> Guest {
    let inputs = [field("key", "utf8"), field("n", "int64"), field("number", "int64")];
    let outputs = [field("who", "utf8"), field("what", "int64"), field("more", "int64")];
    let mut description = row_view("echo", &inputs, &outputs);
    description["lateness-seconds"] = 3600.into();
    description["max-early-seconds"] = 60.into();
    Guest::new(description)
}

/// A version in force, and one that is tried out beside it.
struct Rivals {
    world: World,
    one: LiveVersion,
    two: LiveVersion,
}

impl Rivals {
    fn new(seed: u64, [one, two]: [Guest; 2]) -> Self {
        let world = World::new();
        let lines = unruly_events(seed, EVENTS);
        world.write_segment("0.jsonl", &joined(&lines[..150]));
        world.write_segment("1.jsonl", &joined(&lines[150..]));
        let version = |version, guest: Guest| {
            let transform = world.sandbox.admit(&guest.build().unwrap()).unwrap();
            LiveVersion { version, release: None, transform }
        };
        let (one, two) = (version(1, one), version(2, two));
        Rivals { world, one, two }
    }

    fn name(&self) -> ViewName {
        self.one.view().name.clone()
    }

    fn is_apart(&self) -> bool {
        self.one.state_id() != self.two.state_id()
    }

    fn feeds(&self) -> [FeedId; 2] {
        [&self.one, &self.two].map(FeedId::of)
    }

    /// The first version alone, or with the second one in some role.
    fn live(&self, role: Option<Role>) -> LiveViews {
        let mut live = LiveViews::new([(self.name(), self.one.clone())].into());
        live.candidates.extend(role.map(|role| (self.name(), LiveCandidate { version: self.two.clone(), role })));
        live
    }

    fn canary(&self, share: &str) -> Canary {
        Canary::new(&self.name(), 2, share.parse().unwrap())
    }

    async fn run(
        &self,
        name: &str,
        releases: &Scripted,
        (config, fault): (WorkerConfig, Fault),
        until: Until,
    ) -> Result<RunReport, StreamError> {
        let (rows_dir, inner) = (self.world.rows_dir(name), self.world.sink(name));
        let sink = FaultySink { inner, rows_dir, fault: fault.clone() };
        let store = Arc::new(FaultyStore { inner: self.world.store(name), fault });
        let mut driver = driver(self.world.log(), store, sink, releases.clone(), config);
        run(&mut driver, until).await
    }

    /// What each version makes of all events by itself: its rows, by offset.
    async fn alone(&self, version: &LiveVersion) -> BTreeMap<u64, String> {
        let name = format!("alone-{}", version.version);
        let live = Fixed(Arc::new(LiveViews::new([(self.name(), version.clone())].into())));
        let store = Arc::new(self.world.store(&name));
        let mut driver = driver(self.world.log(), store, self.world.sink(&name), live, lean(64));
        run(&mut driver, Until::End).await.unwrap();
        drop(driver);
        let outcome = self.world.outcome(&name, &FeedId::of(version)).await;
        let rows: BTreeMap<_, _> =
            outcome.rows.lines().map(|line| (number(line, "_offset"), line.to_owned())).collect();
        assert_eq!(rows.len(), outcome.rows.lines().count());
        rows
    }

    /// Whether a row's entity is a canary's.
    fn is_taken(&self, canary: &Canary, line: &str) -> bool {
        let row: Value = serde_json::from_str(line).unwrap();
        canary.takes(&self.entity(&row))
    }

    fn entity(&self, row: &Value) -> EntityKey {
        let [field] = self.one.view().key_fields() else { panic!("one key field") };
        let value = &row[format!("_key_{}", field.name)];
        let column: ArrayRef = match field.ty {
            FieldType::Utf8 => Arc::new(StringArray::from(vec![value.as_str().unwrap()])),
            _ => Arc::new(Int64Array::from(vec![as_u64(value) as i64])),
        };
        let batch = RecordBatch::try_from_iter([("key", column)]).unwrap();
        let keys = CanonicalRows::of_columns(&batch, [0]).unwrap();
        keys.key(0, &mut Vec::new())
    }
}

fn number(line: &str, column: &str) -> u64 {
    as_u64(&serde_json::from_str::<Value>(line).unwrap()[column])
}

/// A number, written as one or as text.
fn as_u64(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

/// A configuration under which records do not say which version computed something from them.
fn lean(rows_max: usize) -> WorkerConfig {
    WorkerConfig { keep_outputs: false, ..config(rows_max) }
}

fn never() -> Fault {
    Fault { stage: Stage::BeforeCommit, left: Arc::new(AtomicI64::new(i64::MAX)) }
}

/// A part of the log that was gone through under one release.
struct Leg {
    until: u64,
    role: Option<Role>,
    /// Whether the second version's state had caught up when it began.
    is_level: bool,
}

/// Goes through the log under releases that come and go, in a worker that is killed now and then.
async fn walk(rivals: &Rivals, seed: u64) -> Vec<Leg> {
    let mut random = SplitMix64(seed);
    let (releases, mut legs, mut from) = (Scripted::default(), Vec::new(), 0);
    let mut is_level = false;
    while from < EVENTS {
        let until = (from + 1 + random.below(90)).min(EVENTS);
        let role = match random.below(8) {
            0 => None,
            1 => Some(Role::Shadow),
            2 if rivals.is_apart() => Some(Role::Bootstrap),
            _ => Some(Role::Canary(rivals.canary(SHARES[random.below(SHARES.len() as u64) as usize]))),
        };
        releases.put(rivals.live(role));
        loop {
            let stage = STAGES[random.below(STAGES.len() as u64) as usize];
            let left = match random.below(3) {
                0 => i64::MAX,
                _ => random.below(5) as i64,
            };
            let mut config = lean(1 + random.below(60) as usize);
            config.resident_bytes = random.below(3_000) as usize;
            let fault = Fault { stage, left: Arc::new(AtomicI64::new(left)) };
            if rivals.run("run", &releases, (config, fault), Until::Offset(until)).await.is_ok() {
                break;
            }
        }
        legs.push(Leg { until, role, is_level: !rivals.is_apart() || is_level });
        // A run ends when all that is maintained is where it was to end; what is left behind stands still.
        is_level = role.is_some();
        from = until;
    }
    legs
}

/// Checks what a walk left behind: how many rows the canary computed.
async fn check(seed: u64, guests: [Guest; 2]) -> usize {
    println_seed(seed);
    let rivals = Rivals::new(seed, guests);
    let expected = [rivals.alone(&rivals.one).await, rivals.alone(&rivals.two).await];
    let legs = walk(&rivals, seed).await;
    let [one, two] = rivals.feeds();
    let (alone, outcome) = (rivals.world.outcome("alone-1", &one).await, rivals.world.outcome("run", &one).await);
    assert_eq!((&outcome.marker, &outcome.records), (&alone.marker, &alone.records), "seed {seed:#x}");
    assert_eq!(aside_lines(&outcome.aside), aside_lines(&alone.aside), "seed {seed:#x}");
    let mut rows = BTreeMap::new();
    for line in outcome.rows.lines() {
        assert_eq!(rows.insert(number(line, "_offset"), line), None, "seed {seed:#x}: two rows of an event");
    }
    assert!(rows.keys().eq(expected[0].keys()), "seed {seed:#x}: events without a row");
    let (mut legs, mut has_caught_up, mut canarys) = (legs.iter().peekable(), None, 0);
    for (offset, line) in rows {
        while legs.next_if(|leg| leg.until <= offset).is_some() {
            has_caught_up = None;
        }
        let leg = legs.peek().unwrap();
        let version = number(line, "_version");
        assert_eq!(line, expected[version as usize - 1][&offset], "seed {seed:#x}");
        let is_canarys = matches!(leg.role, Some(Role::Canary(canary)) if rivals.is_taken(&canary, line));
        // Until its state has caught up, which it does once in a leg, a canary has no rows.
        let caught_up = has_caught_up.get_or_insert(leg.is_level);
        *caught_up |= version == 2;
        canarys += usize::from(version == 2);
        assert_eq!(version == 2, is_canarys && *caught_up, "seed {seed:#x}, offset {offset}");
    }
    if rivals.is_apart() {
        let state = rivals.world.outcome("run", &two).await;
        assert_eq!((state.rows.as_str(), state.aside.as_str()), ("", ""), "seed {seed:#x}");
        let releases = Scripted::default();
        releases.put(rivals.live(Some(Role::Bootstrap)));
        rivals.run("run", &releases, (lean(64), never()), Until::End).await.unwrap();
        let (alone, state) =
            (rivals.world.outcome("alone-2", &two).await, rivals.world.outcome("run", &two).await);
        assert_eq!((state.marker, state.records), (alone.marker, alone.records), "seed {seed:#x}");
    }
    canarys
}

/// Lines of a step are in the order of offsets; which steps there were does not matter.
fn aside_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn each_event_has_one_row_of_its_side_whose_states_are_shared() {
    let mut canarys = 0;
    for seed in 0..12 {
        canarys += check(0xCA00 + seed, [echo("echo", "one", 1), echo("echo", "two", 1)]).await;
    }
    for seed in 0..8 {
        let strict = |doc: &str| {
            unruly("strict", |description| {
                description["inputs"][0]["name"] = "number".into();
                description["entity"][0] = "number".into();
                description["doc"] = doc.into();
            })
        };
        canarys += check(0xCB00 + seed, [strict("one"), strict("two")]).await;
    }
    assert!(canarys > 500, "{canarys} rows of canaries");
}

#[tokio::test]
async fn each_event_has_one_row_of_its_side_whose_states_are_apart() {
    let mut canarys = 0;
    for seed in 0..20 {
        canarys += check(0xCC00 + seed, [echo("echo", "one", 1), wider()]).await;
    }
    assert!(canarys > 500, "{canarys} rows of canaries");
}

#[tokio::test]
async fn a_canary_that_is_put_into_force_goes_on_where_it_stands() {
    let rivals = Rivals::new(7, [echo("echo", "one", 1), wider()]);
    let releases = Scripted::default();
    let store = Arc::new(rivals.world.store("run"));
    let mut driver = driver(rivals.world.log(), store, rivals.world.sink("run"), releases.clone(), lean(32));
    releases.put(rivals.live(None));
    run(&mut driver, Until::Offset(100)).await.unwrap();
    releases.put(rivals.live(Some(Role::Canary(rivals.canary("35%")))));
    let report = run(&mut driver, Until::Offset(150)).await.unwrap();
    let mut at: Vec<_> = report.progress.feeds.iter().map(|feed| (feed.version, feed.role, feed.next)).collect();
    at.sort_by_key(|(version, ..)| *version);
    assert_eq!(at, [(1, None, 150), (2, Some(Role::Canary(rivals.canary("35%"))), 150)]);
    // A larger share is no reason to begin anew.
    let counted =
        |report: &RunReport| report.progress.feeds.iter().map(|feed| feed.counts.event_count).sum::<u64>();
    assert_eq!(counted(&report), 300);
    releases.put(rivals.live(Some(Role::Canary(rivals.canary("80%")))));
    assert_eq!(counted(&run(&mut driver, Until::Offset(200)).await.unwrap()), 400);
    releases.put(LiveViews::new([(rivals.name(), rivals.two.clone())].into()));
    let report = run(&mut driver, Until::End).await.unwrap();
    assert_eq!(report.progress.feeds.len(), 1);
    drop(driver);
    let [one, two] = rivals.feeds();
    let (before, after) = (rivals.world.outcome("run", &one).await, rivals.world.outcome("run", &two).await);
    let offsets = |rows: &str| rows.lines().map(|line| number(line, "_offset")).collect::<Vec<_>>();
    let mut of_old = offsets(&before.rows);
    of_old.sort_unstable();
    let all: Vec<_> = rivals.alone(&rivals.two).await.into_keys().collect();
    assert_eq!([of_old, offsets(&after.rows)].concat(), all);
    assert!(offsets(&after.rows).iter().all(|offset| *offset >= 200));
}

#[tokio::test]
async fn a_candidate_does_not_get_ahead_of_a_view_that_stands_still() {
    let rivals = Rivals::new(11, [wider(), echo("echo", "", 1)]);
    // The second half lacks a column, which the version in force reads and the other one does not.
    fs::remove_file(rivals.world.log_dir().join("1.jsonl")).unwrap();
    write_parquet(&rivals.world.log_dir().join("1.parquet"), 10);
    let releases = Scripted::default();
    releases.put(rivals.live(Some(Role::Shadow)));
    let report = rivals.run("run", &releases, (lean(40), never()), Until::End).await.unwrap();
    let mut at: Vec<_> = report.progress.feeds.iter().map(|feed| (feed.next, feed.blocked)).collect();
    at.sort_unstable();
    assert_eq!(at, [(150, false), (150, true)]);
    // Once it is in force itself, it goes on there, and no event is without a row.
    releases.put(LiveViews::new([(rivals.name(), rivals.two.clone())].into()));
    rivals.run("run", &releases, (lean(40), never()), Until::End).await.unwrap();
    let rows = rivals.world.outcome("run", &rivals.feeds()[1]).await.rows;
    let offsets: Vec<_> = rows.lines().map(|line| number(line, "_offset")).collect();
    assert_eq!(offsets, (150..160).collect::<Vec<_>>());
}
