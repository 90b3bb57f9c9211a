//! Changes on their way into a real Redis, from logs in memory: two feeders that die and come back, clocks that jump, logs
//! that are compacted meanwhile, and a Redis that loses all or one key of what it has. Whatever is read at any moment is
//! what the whole log, uncompacted, says of the positions that were read with it, or nothing is.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tokio::runtime::Runtime;
use trifold_model::{EntityKey, EventTime, LogId, Positions, Slot, StateId};
use trifold_store::{
    EntityQuery, Entry, Followed, Marker, OnlineStore, Record, RedisSettings, RedisStore, SlotChange,
};
use trifold_stream::kafka::materialize::lane::{Lane, Turn};
use trifold_test_servers::{Redis, RedisOptions};
use trifold_tests::online::runtime;
use trifold_tests::random::SplitMix64;

use crate::resp::{self, tell};

const SCHEDULES: u64 = 150;
const STEPS: u64 = 120;
const PARTITIONS: u32 = 2;
const ENTITIES: u64 = 24;
/// How long the topic keeps everything, and how long removals from when they were first found old.
const LAG: u64 = 600_000_000;
const REMOVALS: u64 = 6 * 86_400_000_000;

thread_local! {
    /// Now, for the one test of the thread.
    static NOW: Cell<u64> = const { Cell::new(1_000_000_000_000_000) };
}

fn now() -> u64 {
    NOW.get()
}

fn pass(micros: u64) {
    NOW.set(now() + micros);
}

#[test]
fn whatever_is_read_is_what_the_log_says_of_the_positions_read_with_it() {
    let redis = Redis::start_with(&RedisOptions::default()).unwrap();
    let runtime = runtime();
    let store = runtime.block_on(RedisStore::open(&RedisSettings::new(redis.url()))).unwrap();
    let mut seen = Seen::default();
    for seed in 0..SCHEDULES {
        eprintln!("seed {seed}");
        run(&runtime, &store, redis.address(), seed, &mut seen);
    }
    // A schedule in which nothing happens would show nothing.
    assert!(seen.answers > 500 && seen.refusals > 100, "{seen:?}");
    assert!(seen.compacted > 500 && seen.losses > 50 && seen.again > 20, "{seen:?}");
}

/// Buckets are brought up to date one after the other, so that an answer may have rows of different positions.
#[test]
fn whatever_is_read_meanwhile_says_of_each_row_how_far_it_is() {
    let redis = Redis::start_with(&RedisOptions::default()).unwrap();
    let runtime = runtime();
    let store = runtime.block_on(RedisStore::open(&RedisSettings::new(redis.url()))).unwrap();
    let mut world = World::new(1);
    (0..400).for_each(|turn| world.commit(turn % PARTITIONS));
    let (state, lines) = (world.state, world.logs.iter().map(|log| log.whole.clone()).collect::<Vec<_>>());
    let mut feeders: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            let followed = followed();
            let open = Lane::open(&store, (state, partition), &followed, || Ok((0, u64::MAX)), now);
            runtime.block_on(open).unwrap()
        })
        .collect();
    let bring = async {
        for (lane, lines) in feeders.iter_mut().zip(&lines) {
            // They follow from the beginning.
            lane.end();
            let first = lines.iter().position(|line| matches!(line.entry, Entry::Marker(_))).unwrap();
            bring(lane, &lines[..=first]).await;
        }
        for (lane, lines) in feeders.iter_mut().zip(&lines) {
            let first = lines.iter().position(|line| matches!(line.entry, Entry::Marker(_))).unwrap();
            for transaction in lines[first + 1..].split_inclusive(|line| matches!(line.entry, Entry::Marker(_))) {
                bring(lane, transaction).await;
            }
        }
    };
    // Readers have connections of their own, and so come in between.
    let reader = runtime.block_on(RedisStore::open(&RedisSettings::new(redis.url()))).unwrap();
    let whole = EventTime(i64::MIN)..EventTime(i64::MAX);
    let queries: Vec<_> =
        (0..ENTITIES).map(|number| EntityQuery { key: key(number), events: vec![whole.clone()] }).collect();
    let reading = async {
        let mut reads = Vec::new();
        for _ in 0..400 {
            reads.push(reader.read_slots(state, &queries).await.unwrap());
        }
        reads
    };
    let (reads, ()) = runtime.block_on(async { tokio::join!(reading, bring) });
    let mut seen = Seen::default();
    for read in reads {
        let found = read.entities.into_iter().map(|slots| (None, BTreeMap::from_iter(slots))).collect();
        compare(&world, (0..ENTITIES).collect(), (read.marker, read.ahead, found), &mut seen);
    }
    assert!(seen.answers > 100 && seen.ahead > 100, "{seen:?}");
}

async fn bring(lane: &mut Lane, lines: &[Line]) {
    lines.iter().for_each(|line| lane.push(line.entry.clone(), line.offset, line.written));
    lane.end();
    assert_eq!(lane.turn(now).await.unwrap(), Turn::Brought(lines.len() as u64));
}

fn followed() -> Followed {
    Followed { source: "cluster/changes".to_owned(), partitions: PARTITIONS }
}

#[derive(Debug, Default)]
struct Seen {
    answers: u64,
    refusals: u64,
    ahead: u64,
    compacted: u64,
    losses: u64,
    again: u64,
}

/// A change in a log.
#[derive(Clone)]
struct Line {
    offset: u64,
    entry: Entry,
    written: u64,
    /// Until when a removal stays, once it was found old.
    stays: Option<u64>,
}

/// The log of one partition: as it was written, and as it is now.
#[derive(Default)]
struct Log {
    whole: Vec<Line>,
    left: Vec<Line>,
    /// The events that were applied.
    applied: u64,
    next: u64,
}

struct World {
    random: SplitMix64,
    logs: Vec<Log>,
    /// The kind of the state.
    windows: bool,
    state: StateId,
}

impl World {
    fn new(seed: u64) -> Self {
        let logs = (0..PARTITIONS).map(|_| Log::default()).collect();
        World {
            random: SplitMix64(seed),
            logs,
            windows: seed % 2 == 1,
            state: StateId((u128::from(seed) * 0x0101).to_be_bytes()),
        }
    }

    /// A transaction: some entities change, and the marker says up to where.
    fn commit(&mut self, partition: u32) {
        let count = self.random.between(1, 6);
        let mut entries = Vec::new();
        for _ in 0..count {
            // An entity is in one partition.
            let number = self.random.between(0, ENTITIES / 2) * 2 + u64::from(partition);
            let key = key(number);
            if self.windows {
                let bytes = |random: &mut SplitMix64| {
                    (random.between(0, 4) > 0).then(|| Bytes::from(random.bits().to_le_bytes().to_vec()))
                };
                for _ in 0..self.random.between(1, 4) {
                    let start = EventTime(self.random.between(0, 5) as i64 * 60_000_000);
                    let slot = match self.random.between(0, 4) {
                        0 => Slot::Head,
                        1 => Slot::Events { start },
                        _ => Slot::Tile { level: 0, start },
                    };
                    let bytes = bytes(&mut self.random);
                    entries.push(Entry::Slot(SlotChange { key: key.clone(), slot, bytes }));
                }
            } else {
                let record = Record {
                    event_time: EventTime(self.random.between(0, 1_000) as i64),
                    event_id: format!("e-{}", self.random.bits()),
                    partition,
                    offset: self.logs[partition as usize].applied,
                    fields: self.random.bits().to_le_bytes().to_vec(),
                    output: None,
                };
                entries.push(Entry::Record { key, record: Box::new(record) });
            }
        }
        let log = &mut self.logs[partition as usize];
        log.applied += count;
        entries.push(Entry::Marker(Marker {
            incarnation: 7 + u64::from(partition),
            log: LogId("cluster/events".into()),
            source: "event_time".to_owned(),
            positions: Positions(BTreeMap::from([(partition, log.applied)])),
            consumed: Vec::new(),
            release: Some(1),
            arrivals: BTreeMap::new(),
        }));
        for entry in entries {
            let line = Line { offset: log.next, entry, written: now(), stays: None };
            log.whole.push(line.clone());
            log.left.push(line);
            log.next += 1;
        }
        // The record that says that the transaction was committed, which no reader gets.
        log.next += 1;
    }

    /// Takes out what a cluster may have taken out by now.
    fn compact(&mut self, partition: u32) -> u64 {
        let log = &mut self.logs[partition as usize];
        let before = log.left.len();
        let is_old = |line: &Line| now().saturating_sub(line.written) > LAG;
        let mut later = BTreeSet::new();
        let mut left = Vec::new();
        for mut line in log.left.drain(..).rev() {
            let is_gone = line.stays.is_some_and(|until| now() > until);
            if is_old(&line) && (later.contains(&line.entry.key()) || is_gone) {
                continue;
            }
            if is_old(&line) && line.entry.value().is_none() {
                line.stays.get_or_insert(now() + REMOVALS);
            }
            // Only what is old itself takes the place of others.
            if is_old(&line) {
                later.insert(line.entry.key());
            }
            left.push(line);
        }
        left.reverse();
        log.left = left;
        (before - log.left.len()) as u64
    }

    /// What the log says of an entity at a position.
    fn at(&self, partition: u32, next: u64, key: &EntityKey) -> Entity {
        let (mut record, mut slots) = (None, BTreeMap::new());
        let mut pending = Vec::new();
        for line in &self.logs[partition as usize].whole {
            match &line.entry {
                Entry::Marker(marker) if marker.positions.next(partition) <= next => {
                    for entry in pending.drain(..) {
                        match entry {
                            Entry::Record { record: found, .. } => record = Some(*found),
                            Entry::Slot(SlotChange { slot, bytes: Some(bytes), .. }) => {
                                slots.insert(slot, bytes);
                            }
                            Entry::Slot(change) => drop(slots.remove(&change.slot)),
                            Entry::Marker(_) | Entry::Switch(_) => {}
                        }
                    }
                }
                Entry::Marker(_) => break,
                Entry::Record { key: of, .. } if of != key => {}
                Entry::Slot(change) if change.key != *key => {}
                entry => pending.push(entry.clone()),
            }
        }
        (record, slots)
    }
}

fn key(number: u64) -> EntityKey {
    EntityKey(number.to_le_bytes().into())
}

/// A feeder: what it reads of each partition, if it lives.
#[derive(Default)]
struct Feeder(BTreeMap<u32, Lane>);

impl Feeder {
    /// Reads a bit of a partition and brings it.
    fn step(
        &mut self,
        world: &mut World,
        partition: u32,
        (runtime, store): (&Runtime, &RedisStore),
        seen: &mut Seen,
    ) {
        let log = &world.logs[partition as usize];
        let lane = self.0.entry(partition).or_insert_with(|| {
            let followed = followed();
            let open = Lane::open(store, (world.state, partition), &followed, || Ok((0, log.next)), now);
            runtime.block_on(open).unwrap()
        });
        let most = world.random.between(1, 40) as usize;
        let lines: Vec<_> = log.left.iter().filter(|line| line.offset >= lane.next()).take(most).collect();
        let is_end = lines.len() < most;
        for line in lines {
            lane.push(line.entry.clone(), line.offset, line.written);
        }
        if is_end {
            lane.end();
        }
        if runtime.block_on(lane.turn(now)).unwrap() == Turn::Again {
            self.0.remove(&partition);
            seen.again += 1;
        }
    }

    fn is_done(&self) -> bool {
        self.0.len() == PARTITIONS as usize && self.0.values().all(Lane::is_done)
    }
}

fn run(runtime: &Runtime, store: &RedisStore, address: &str, seed: u64, seen: &mut Seen) {
    let mut world = World::new(seed);
    let state = world.state;
    let mut feeders = [Feeder::default(), Feeder::default()];
    for _ in 0..STEPS {
        let partition = world.random.between(0, PARTITIONS.into()) as u32;
        let feeder = world.random.between(0, 2) as usize;
        match world.random.between(0, 100) {
            0..25 => world.commit(partition),
            25..65 => feeders[feeder].step(&mut world, partition, (runtime, store), seen),
            65..70 => feeders[feeder] = Feeder::default(),
            70..74 => {
                let far = [LAG / 3, LAG, 86_400_000_000, 8 * 86_400_000_000];
                let jump = far[world.random.between(0, far.len() as u64) as usize];
                pass(jump);
            }
            74..82 => seen.compacted += world.compact(partition),
            82..85 => {
                lose(address, &mut world.random, state);
                seen.losses += 1;
            }
            85..88 => save(address),
            88..90 => {
                go_back(address);
                seen.losses += 1;
            }
            _ => check(runtime, store, &mut world, seen),
        }
        pass(world.random.between(0, 1_000_000));
    }
    // Left alone, one or both come to the end.
    let survivors = match world.random.between(0, 3) {
        0 => vec![0],
        1 => vec![1],
        _ => vec![0, 1],
    };
    for round in 0.. {
        pass(500_000);
        for &feeder in &survivors {
            for partition in 0..PARTITIONS {
                feeders[feeder].step(&mut world, partition, (runtime, store), seen);
            }
        }
        // What was lost last is found out within a second.
        if round > 4 && survivors.iter().all(|&feeder| feeders[feeder].is_done()) {
            break;
        }
        assert!(round < 400, "seed {seed}: the feeders do not come to the end");
    }
    let marker = runtime.block_on(store.marker(state)).unwrap();
    for (partition, log) in (0..).zip(&world.logs) {
        let reached = marker.as_ref().map_or(0, |marker| marker.positions.next(partition));
        assert_eq!(reached, log.applied, "seed {seed}");
    }
    check(runtime, store, &mut world, seen);
}

/// Takes everything out of the Redis, or all of one bucket, as when a node of a cluster starts anew.
fn lose(address: &str, random: &mut SplitMix64, state: StateId) {
    if random.between(0, 2) == 0 {
        tell(address, "FLUSHALL");
        return;
    }
    let bucket = random.between(0, 32);
    let script = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end";
    resp::run(address, script, &format!("trifold:{{{state}.{bucket}}}:*"));
}

/// Keeps a copy of all that the Redis has, as on a disk.
fn save(address: &str) {
    let script = "for _, key in ipairs(redis.call('KEYS', 'saved:*')) do redis.call('DEL', key) end \
                  for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('COPY', key, 'saved:' .. key) end";
    resp::run(address, script, "trifold:*");
}

/// Lets the Redis go back to the copy, as when it starts again or one that lay behind takes its place.
fn go_back(address: &str) {
    let script = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end \
                  for _, key in ipairs(redis.call('KEYS', 'saved:*')) do redis.call('COPY', key, string.sub(key, 7)) end";
    resp::run(address, script, "trifold:*");
}

/// Compares some entities with the log.
fn check(runtime: &Runtime, store: &RedisStore, world: &mut World, seen: &mut Seen) {
    let numbers: BTreeSet<_> =
        (0..world.random.between(1, 8)).map(|_| world.random.between(0, ENTITIES)).collect();
    let keys: Vec<_> = numbers.iter().map(|number| key(*number)).collect();
    let whole = EventTime(i64::MIN)..EventTime(i64::MAX);
    let read = if world.windows {
        let query = |key: &EntityKey| EntityQuery { key: key.clone(), events: vec![whole.clone()] };
        let queries: Vec<_> = keys.iter().map(query).collect();
        let read = runtime.block_on(store.read_slots(world.state, &queries)).unwrap();
        let slots = read.entities.into_iter().map(|slots| (None, BTreeMap::from_iter(slots)));
        (read.marker, read.ahead, slots.collect())
    } else {
        let read = runtime.block_on(store.read(world.state, &keys)).unwrap();
        (read.marker, read.ahead, read.records.into_iter().map(|record| (record, BTreeMap::new())).collect())
    };
    compare(world, numbers, read, seen);
}

/// What is known of an entity.
type Entity = (Option<Record>, BTreeMap<Slot, Bytes>);

/// Compares what was read of entities with what the log says of them.
fn compare(
    world: &World,
    numbers: BTreeSet<u64>,
    (marker, ahead, found): (Option<Marker>, BTreeMap<usize, Positions>, Vec<Entity>),
    seen: &mut Seen,
) {
    let Some(marker) = marker else {
        seen.refusals += 1;
        return;
    };
    seen.answers += 1;
    seen.ahead += ahead.len() as u64;
    for (place, (number, found)) in numbers.into_iter().zip(found).enumerate() {
        let partition = (number % u64::from(PARTITIONS)) as u32;
        let mut next = marker.positions.next(partition);
        if let Some(ahead) = ahead.get(&place) {
            assert_eq!(ahead.0.keys().copied().collect::<Vec<_>>(), [partition]);
            assert!(ahead.next(partition) > next);
            next = ahead.next(partition);
        }
        let at = |next| world.at(partition, next, &key(number));
        if found == (None, BTreeMap::new()) {
            // Where an entity that is not there belongs is not known, so that its bucket may be further. Whatever removed
            // it meanwhile, no window of the time that is asked for covered it.
            let last = world.logs[partition as usize].applied;
            assert!(
                (next..=last).any(|next| at(next) == found),
                "entity {number} was lost before {partition}/{next}"
            );
        } else {
            assert_eq!(found, at(next), "entity {number} at {partition}/{next}");
        }
    }
}
