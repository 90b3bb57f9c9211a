//! Workers of a group under schedules from a seed: crashes at any point, rebalances, fencing, commits that are decided
//! and not yet visible, connections that break. One thread, no clock; the same seed gives the same trace.

mod disk;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use futures::FutureExt;
use payments_generator::{Config, Generator, payment_batch, payment_schema};
use serde_json::Value;
use trifold_eventlog::row_json;
use trifold_formats::Encoding;
use trifold_model::EventTime;
use trifold_pipeline::{LiveVersion, LiveViews, Parts, lookup};
use trifold_stream::kafka::{ClusterError, ClusterSettings, Fetched, KafkaSettings, Purpose, Session};
use trifold_stream::{FeedId, WorkerConfig};
use trifold_tests::live::{transform, version, views};
use trifold_tests::random::SplitMix64;
use trifold_tests::rows::{Row, answered};

use disk::Disk;
use world::{Bug, GROUP, Meanwhile, Seen, TOPIC, World};

const SCHEDULES: u64 = 2_000;
/// The logs of payments that they take.
const LOGS: u64 = 10;
const PARTITIONS: u64 = 3;
const CARDS: u64 = 7;
const PAYMENTS: u64 = 60;
/// The workers that come and go.
const NAMES: [&str; 3] = ["a", "b", "c"];
/// So often a worker has a turn, or something happens without one, before all is calm.
const TURNS: usize = 70;

/// What a trace tells of trouble.
const TROUBLE: [&str; 9] = [
    "release",
    "dies",
    "freezes",
    "loses its connection",
    "taken for dead",
    "another generation",
    "Aborted",
    "a local store fails to read",
    "a local store fails to commit",
];

/// The views that are followed: one is folded in any order, one in that of event time.
const PACKAGES: [&str; 2] = ["card-spend", "card-recent"];

fn versions() -> Vec<LiveVersion> {
    PACKAGES.iter().zip(1..).map(|(name, number)| version(number, transform(name, &[]))).collect()
}

/// How the topic of events is partitioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyed {
    /// By the entity of the views.
    ByCard,
    /// By the payment, so that the events are partitioned anew.
    ByPayment,
}

/// The payments of a seed, by partition, at offsets that skip some.
fn events(seed: u64, keyed: Keyed) -> Vec<Vec<Fetched>> {
    let config = Config { seed, events: PAYMENTS, cards: CARDS, per_day: 4_000, ..Config::default() };
    let random = &mut SplitMix64(seed);
    let mut partitions = vec![Vec::new(); PARTITIONS as usize];
    let schema = payment_schema();
    for payment in Generator::new(config).unwrap() {
        let row = payment_batch(&schema, &[payment]).unwrap();
        let number = match keyed {
            Keyed::ByCard => payment.card,
            Keyed::ByPayment => payment.number,
        };
        let partition: &mut Vec<Fetched> = &mut partitions[(number % PARTITIONS) as usize];
        let first = partition.last().map_or(0, |last| last.offset + 1);
        partition.push(Fetched {
            offset: first + random.between(0, 10) / 8,
            key: Some(payment.card_text().into_bytes()),
            value: row_json(&row, 0).into_bytes(),
            ..Fetched::default()
        });
    }
    partitions
}

fn settings(keyed: Keyed) -> Arc<KafkaSettings> {
    Arc::new(KafkaSettings {
        cluster: ClusterSettings {
            brokers: "world".to_owned(),
            group: GROUP.to_owned(),
            worker: "worker".to_owned(),
            properties: BTreeMap::new(),
        },
        registry: "registry".to_owned(),
        views: Vec::new(),
        topic: TOPIC.to_owned(),
        encoding: Encoding::Json,
        archive: None,
        state_dir: "none".into(),
        transaction_interval: Duration::ZERO,
        transaction_rows_max: 12,
        local_interval: Duration::MAX,
        replicas: 0,
        features: true,
        keyed_by: match keyed {
            Keyed::ByCard => Vec::new(),
            Keyed::ByPayment => vec!["event_id".to_owned()],
        },
        check_keys: true,
    })
}

/// A worker's process.
struct Running {
    session: Session<Seen>,
    /// The views that it found in force when it last looked.
    live: Arc<LiveViews>,
}

/// Where a worker runs, if its process is there.
struct Place {
    disk: Arc<Disk>,
    running: Option<Running>,
    /// It is in the midst of something.
    is_busy: bool,
}

struct Group {
    world: Arc<Mutex<World>>,
    /// The views that are in force one after the other: all of them, one, none, and all again.
    lives: [Arc<LiveViews>; 3],
    keyed: Keyed,
    places: BTreeMap<&'static str, Mutex<Place>>,
}

impl Group {
    fn new(seed: u64, versions: &[LiveVersion], bug: Option<Bug>, keyed: Keyed) -> Arc<Self> {
        let world = Arc::new(Mutex::new(World::new(seed, events(seed % LOGS, keyed), bug)));
        let place = || Mutex::new(Place { disk: Arc::new(Disk::new(&world)), running: None, is_busy: false });
        let names = NAMES.into_iter().chain(["last"]);
        Arc::new(Group {
            lives: [views(versions.to_vec()), views([versions[0].clone()]), views([])],
            keyed,
            places: names.map(|name| (name, place())).collect(),
            world,
        })
    }

    /// The views in force.
    fn live(&self) -> Arc<LiveViews> {
        self.lives[self.world.lock().unwrap().release % self.lives.len()].clone()
    }

    fn start(self: &Arc<Self>, name: &'static str, disk: Arc<Disk>) -> Running {
        let others = Arc::downgrade(self);
        let meanwhile: Meanwhile = Arc::new(move || {
            let Some(group) = others.upgrade() else { return };
            let turns = group.world.lock().unwrap().random.between(1, 7);
            (0..turns).for_each(|_| group.turn());
        });
        let resident_bytes = self.world.lock().unwrap().random.between(0, 60_000) as usize;
        let mut config = WorkerConfig { parts: Parts::Told, resident_bytes, rows_max: 7, ..WorkerConfig::new(1) };
        config.source.arrival = Some("arrived_at".to_owned());
        let seen = Seen::new(&self.world, name, meanwhile);
        Running { session: Session::new(settings(self.keyed), config, seen, disk), live: self.live() }
    }

    /// Anything happens.
    fn turn(self: &Arc<Self>) {
        let chosen = {
            let mut world = self.world.lock().unwrap();
            world.tick();
            let chosen = world.random.between(0, NAMES.len() as u64 + 1) as usize;
            NAMES.get(chosen).copied()
        };
        if let Some(name) = chosen {
            self.go_on(name);
        }
    }

    /// A worker goes on, or begins: whether it came to the end of what there is.
    fn go_on(self: &Arc<Self>, name: &'static str) -> bool {
        let (running, disk) = {
            let mut place = self.places[name].lock().unwrap();
            if place.is_busy {
                return false;
            }
            place.is_busy = true;
            (place.running.take(), place.disk.clone())
        };
        let mut running = running.unwrap_or_else(|| self.start(name, disk));
        let outcome = self.round(&mut running);
        let mut world = self.world.lock().unwrap();
        let is_dead = world.doomed.take_if(|doomed| doomed == name).is_some();
        let is_done = matches!(outcome, Ok(true));
        if let Err(error) = &outcome {
            // A worker ends over a store that fails, and is started again.
            let is_of_store = error.to_string().contains("the store local failed");
            assert!(error.may_pass() || is_of_store, "{error}");
            world.tell(format!("{name} begins anew: {error}"));
        }
        drop(world);
        let mut place = self.places[name].lock().unwrap();
        place.is_busy = false;
        place.running = (outcome.is_ok() && !is_dead).then_some(running);
        is_done
    }

    fn round(&self, running: &mut Running) -> Result<bool, ClusterError> {
        let mut ignore = |_: trifold_stream::Notice<'_>| {};
        let Running { session, live } = running;
        let looks = !self.world.lock().unwrap().one_in(2);
        if looks && !Arc::ptr_eq(live, &self.live()) {
            *live = self.live();
            let followed = session.follow(live, &mut ignore).now_or_never().expect("nothing waits")?;
            assert!(followed.problems.is_empty(), "{:?}", followed.problems);
        }
        let (restored, report) =
            session.round(live, Duration::ZERO, &mut ignore).now_or_never().expect("nothing waits")?;
        assert!(restored.problems.is_empty(), "{:?}", restored.problems);
        if self.world.lock().unwrap().one_in(5) {
            session.settle().now_or_never().expect("nothing waits")?;
        }
        Ok(report.is_none() && Arc::ptr_eq(live, &self.lives[0]) && session.is_done()?)
    }
}

/// What a schedule leaves behind.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    /// What was committed, by view, partition and purpose.
    committed: BTreeMap<FeedId, BTreeMap<(u32, Purpose), Vec<String>>>,
    /// The events that were partitioned anew, by where they stood first.
    moved: Vec<(u32, u64)>,
    /// The values of all cards, from states that are built anew.
    values: Vec<Row>,
}

/// Runs a schedule to its end: what it left behind, and its trace.
fn run(seed: u64, versions: &[LiveVersion], bug: Option<Bug>, is_rough: bool) -> (Left, Vec<String>) {
    let keyed = if seed.is_multiple_of(2) { Keyed::ByCard } else { Keyed::ByPayment };
    let group = Group::new(seed, versions, bug, keyed);
    if is_rough {
        (0..TURNS).for_each(|_| group.turn());
    }
    group.world.lock().unwrap().calm();
    // Whoever comes last has nothing but what was committed.
    let is_done = (0..1_000).any(|_| group.go_on("last"));
    assert!(is_done, "seed {seed}: it never came to an end");
    let mut place = group.places["last"].lock().unwrap();
    place.running.take().unwrap().session.settle().now_or_never().unwrap().unwrap();
    let world = group.world.lock().unwrap();
    let committed = |feed: &FeedId| match keyed {
        Keyed::ByCard => world.committed(feed),
        Keyed::ByPayment => whatever_order(world.committed(feed)),
    };
    let committed = versions.iter().map(FeedId::of).map(|feed| (feed.clone(), committed(&feed))).collect();
    let values = versions.iter().flat_map(|version| values(version, &place.disk, &world)).collect();
    (Left { committed, moved: world.moved(), values }, world.trace.clone())
}

/// The events that messages are of. In which order a partition gets those of several others is nobody's to say, and so
/// is what came of them before the last.
fn whatever_order(committed: BTreeMap<(u32, Purpose), Vec<String>>) -> BTreeMap<(u32, Purpose), Vec<String>> {
    let event = |message: &String| {
        let message: Value = serde_json::from_str(message).unwrap();
        let event = message["event"].as_str().map(|event| serde_json::from_str::<Value>(event).unwrap());
        event.map_or(message["_event_id"].to_string(), |event| event["event_id"].to_string())
    };
    let sorted = |messages: Vec<String>| {
        let mut events: Vec<_> = messages.iter().map(event).collect();
        events.sort();
        events
    };
    committed.into_iter().map(|(place, messages)| (place, sorted(messages))).collect()
}

/// The values of all cards long after the last payment.
fn values(version: &LiveVersion, disk: &Disk, world: &World) -> Vec<Row> {
    let live = views([version.clone()]);
    let mut rows = Vec::new();
    let disk = disk.stores();
    let of_views = disk.keys().next_back().unwrap().topic.clone();
    for (place, store) in disk.iter().filter(|(place, _)| place.topic == of_views) {
        let keys = world.events(place).into_iter().filter_map(|event| event.key.clone());
        let own: BTreeSet<_> = keys.map(|key| String::from_utf8(key).unwrap()).collect();
        let cards: ArrayRef = Arc::new(StringArray::from_iter_values(own));
        let question = lookup::Question {
            live: &live,
            views: vec![version.clone()],
            columns: RecordBatch::try_from_iter([("card", cards)]).unwrap(),
            in_hand: BTreeMap::new(),
            // All payments are of one day.
            time: EventTime(1_767_312_000_000_000),
            stopwatch: trifold_pipeline::lookup::stopped,
        };
        let budget = &mut trifold_sandbox::Budget::unlimited();
        let answer = trifold_pipeline::lookup(&**store, question, budget).now_or_never().unwrap().unwrap();
        rows.extend(answered(&answer.views[0].rows));
    }
    rows
}

/// Runs all schedules on two threads.
fn each_seed(check: impl Fn(u64) + Send + Sync) {
    thread::scope(|scope| {
        for part in 0..2 {
            let check = &check;
            scope.spawn(move || (part..SCHEDULES).step_by(2).for_each(check));
        }
    });
}

#[test]
fn every_schedule_leaves_what_a_calm_one_does() {
    let versions = versions();
    let calm: Vec<_> = (0..LOGS).map(|log| run(log, &versions, None, false).0).collect();
    let seen: Mutex<BTreeMap<&str, usize>> = Mutex::default();
    each_seed(|seed| {
        let (left, trace) = run(seed, &versions, None, true);
        assert_eq!(left, calm[(seed % LOGS) as usize], "seed {seed}: {trace:#?}");
        let mut seen = seen.lock().unwrap();
        for kind in TROUBLE {
            *seen.entry(kind).or_default() += trace.iter().filter(|line| line.contains(kind)).count();
        }
    });
    // Each kind of trouble was there often.
    let seen = seen.into_inner().unwrap();
    assert!(seen.values().all(|count| *count > SCHEDULES as usize / 10), "{seen:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let versions = versions();
    for seed in 0..50 {
        assert_eq!(run(seed, &versions, None, true), run(seed, &versions, None, true), "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_found() {
    let versions = versions();
    for bug in [Bug::CommitBeforeFlush, Bug::OffByOne, Bug::MissedFencing] {
        let is_found = |seed: &u64| {
            let (calm, _) = run(*seed % LOGS, &versions, None, false);
            // A store, or a check of the worker's own, may notice it first.
            let run = || run(*seed, &versions, Some(bug), true).0;
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).map_or(true, |left| left != calm)
        };
        let found = (0..SCHEDULES).find(is_found);
        assert!(found.is_some(), "{bug:?} was not found");
    }
}
