//! What is kept of a store, against the log at the positions that each answer names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Semaphore;
use trifold_model::{EventTime, Positions};
use trifold_store::{
    Ask, CacheSettings, CachedStore, Entities, EntityQuery, Found, GuardedStore, Marker, OnlineStore, StoreError,
};

use crate::world::{Buckets, ENTITIES, PARTITIONS, RECORDS, SLOTS, World, entity};

const TTL: Duration = Duration::from_millis(1000);
const STALE: Duration = Duration::from_millis(5000);

fn settings() -> CacheSettings {
    CacheSettings { bytes: 1 << 20, ttl: TTL, stale: STALE, views: BTreeSet::new(), except: BTreeSet::new() }
}

fn cached(buckets: &Buckets, settings: CacheSettings) -> CachedStore {
    CachedStore::new(Arc::new(buckets.clone()), buckets.stopwatch(), settings)
}

fn records(numbers: &[u64]) -> Ask {
    let keys = numbers.iter().map(|number| entity(*number)).collect();
    Ask { view: "rows".parse().unwrap(), state: RECORDS, entities: Entities::Records(keys) }
}

fn slots(queries: Vec<EntityQuery>) -> Ask {
    Ask { view: "windows".parse().unwrap(), state: SLOTS, entities: Entities::Slots(queries) }
}

fn read(store: &dyn OnlineStore, asks: &[Ask]) -> Vec<Result<Found, StoreError>> {
    store.read_all(asks).now_or_never().unwrap()
}

/// A generator of numbers, splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % count
    }
}

/// What the runs have met, so that none of it is passed over.
#[derive(Debug, Default)]
struct Seen {
    rows: u64,
    absent: u64,
    ahead: u64,
    several: u64,
    old_life: u64,
    stale: u64,
    unread: u64,
    behind: u64,
}

type Said<'a> = (
    Option<&'a Marker>,
    &'a BTreeMap<usize, Positions>,
    &'a BTreeMap<usize, Duration>,
    &'a BTreeMap<usize, String>,
);

/// Holds one answer against the log; `fits` compares what was found at a place with the log in a life up to a position.
fn check(world: &World, numbers: &[u64], said: Said<'_>, seen: &mut Seen, fits: impl Fn(usize, u64, u64) -> bool) {
    let (marker, ahead, stale, unread) = said;
    let Some(marker) = marker else {
        assert!(!world.is_complete || unread.len() == numbers.len());
        return;
    };
    seen.ahead += ahead.len() as u64;
    seen.several += ahead.values().filter(|further| further.0.len() > 1).count() as u64;
    assert!(ahead.values().all(|further| further.0.iter().all(|(p, next)| *next > marker.positions.next(*p))));
    seen.old_life += u64::from(marker.incarnation != world.life);
    for (place, number) in numbers.iter().enumerate() {
        if unread.contains_key(&place) {
            seen.unread += 1;
            continue;
        }
        let mut positions = marker.positions.clone();
        positions.0.extend(ahead.get(&place).into_iter().flat_map(|further| &further.0));
        let next = positions.next(World::partition(*number));
        assert!(
            fits(place, marker.incarnation, next),
            "entity {number} is not as it was at {next}: {marker:?} {ahead:?}"
        );
        seen.rows += 1;
        seen.absent += u64::from(fits(place, marker.incarnation, 0));
        seen.behind += u64::from(marker.incarnation == world.life && next < world.own(*number));
        if let Some(age) = stale.get(&place) {
            assert!(world.is_down && *age >= TTL && *age < STALE, "{age:?}");
            seen.stale += 1;
        }
    }
}

#[test]
fn every_answer_is_what_the_log_says_at_the_positions_that_it_names() {
    let mut seen = Seen::default();
    let mut figures = trifold_store::CacheFigures::default();
    for seed in 0..60 {
        let (buckets, mut random) = (Buckets::new(), Random(seed));
        let store = cached(&buckets, settings());
        for _ in 0..400 {
            {
                let mut world = buckets.world.lock().unwrap();
                let life = world.life;
                match random.below(14) {
                    0..=3 => {
                        let number = random.below(ENTITIES);
                        let partition = World::partition(number) as usize;
                        world.logs.get_mut(&life).unwrap()[partition].push(number);
                    }
                    4..=7 => {
                        let (bucket, partition) =
                            (random.below(4) as usize, random.below(PARTITIONS.into()) as usize);
                        world.applied[bucket][partition] = world.logs[&life][partition].len() as u64;
                    }
                    8 | 9 => world.now += Duration::from_millis(random.below(900)),
                    10 => world.is_down = random.below(3) == 0,
                    11 if random.below(4) == 0 => world.is_complete = !world.is_complete,
                    12 if random.below(8) == 0 => world.new_life(),
                    _ => {}
                }
            }
            let numbers: Vec<_> = (0..ENTITIES).filter(|_| random.below(3) == 0).collect();
            let queries = numbers.iter().map(|number| {
                let from = random.below(20) as i64;
                let events = vec![EventTime(from)..EventTime(from + random.below(10) as i64)];
                EntityQuery {
                    key: entity(*number),
                    events: if random.below(2) == 0 { events } else { Vec::new() },
                }
            });
            let queries: Vec<_> = queries.collect();
            let asks = [records(&numbers), slots(queries.clone())];
            let asked = buckets.world.lock().unwrap().asked;
            let found = read(&store, &asks[..1 + random.below(2) as usize]);
            let world = buckets.world.lock().unwrap();
            // A read of both views counts twice; only what met another life is read once more.
            assert!(world.asked - asked <= 4);
            for found in found {
                match found {
                    Ok(Found::Records(found)) => {
                        let said = (found.marker.as_ref(), &found.ahead, &found.stale, &found.unread);
                        check(&world, &numbers, said, &mut seen, |place, life, next| {
                            found.records[place] == world.record(life, numbers[place], next)
                        });
                    }
                    Ok(Found::Slots(found)) => {
                        let said = (found.marker.as_ref(), &found.ahead, &found.stale, &found.unread);
                        check(&world, &numbers, said, &mut seen, |place, life, next| {
                            found.entities[place] == world.slots(life, &queries[place], next)
                        });
                    }
                    Err(error) => assert!(world.is_down && error.is_unasked(), "seed {seed}: {error}"),
                }
            }
        }
        let of_seed = store.figures();
        figures.hits += of_seed.hits;
        figures.misses += of_seed.misses;
        figures.stale += of_seed.stale;
    }
    let Seen { rows, absent, ahead, several, old_life, stale, unread, behind } = seen;
    let least = [rows / 100, absent, ahead, several, old_life, stale, unread, behind, figures.hits, figures.stale];
    assert!(least.iter().all(|count| *count > 50), "{seen:?} {figures:?}");
}

#[test]
fn what_is_kept_is_not_asked_for_until_it_is_too_old() {
    let buckets = Buckets::new();
    let store = cached(&buckets, settings());
    let asked = || buckets.world.lock().unwrap().asked;
    // An entity that is not there is kept, too.
    for (waited, expected) in [(0, 1), (999, 1), (1, 2), (500, 2)] {
        buckets.world.lock().unwrap().now += Duration::from_millis(waited);
        read(&store, &[records(&[1, 2])]);
        assert_eq!(asked(), expected, "{waited}");
    }
    // Events of other times than were read are.
    let query = |from, to| EntityQuery { key: entity(3), events: vec![EventTime(from)..EventTime(to)] };
    for (from, to, expected) in [(0, 10, 3), (2, 8, 3), (5, 11, 4), (6, 10, 4)] {
        read(&store, &[slots(vec![query(from, to)])]);
        assert_eq!(asked(), expected, "{from}..{to}");
    }
}

#[test]
fn a_view_can_be_left_out() {
    let buckets = Buckets::new();
    let rows: BTreeSet<_> = ["rows".parse().unwrap()].into();
    for (settings, kept) in [
        (CacheSettings { except: rows.clone(), ..settings() }, false),
        (CacheSettings { views: rows, ..settings() }, true),
        (CacheSettings { views: ["windows".parse().unwrap()].into(), ..settings() }, false),
    ] {
        let store = cached(&buckets, settings);
        let before = buckets.world.lock().unwrap().asked;
        (0..3).for_each(|_| drop(read(&store, &[records(&[1])])));
        let asked = buckets.world.lock().unwrap().asked - before;
        assert_eq!(asked, if kept { 1 } else { 3 });
        assert_eq!(store.bytes() > 0, kept);
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let buckets = Buckets::new();
    let store = cached(&buckets, CacheSettings { bytes: 40_000, ..settings() });
    for first in 0..200 {
        read(&store, &[records(&(first * 10..first * 10 + 10).collect::<Vec<_>>())]);
    }
    let bytes = store.bytes();
    assert!(bytes > 20_000 && bytes <= 40_000, "{bytes}");
}

/// Those who ask at the same time share one read, and it goes on though the first of them goes away.
#[tokio::test]
async fn a_read_is_shared() {
    let mut buckets = Buckets::new();
    let permits = Arc::new(Semaphore::new(0));
    buckets.permits = Some(permits.clone());
    let store = cached(&buckets, settings());
    let ask = [records(&[1, 2, 3])];
    let mut first = store.read_all(&ask);
    assert!((&mut first).now_or_never().is_none());
    let some = [records(&[3, 1])];
    let mut others: Vec<_> = (0..50).map(|_| store.read_all(&some)).collect();
    for other in &mut others {
        assert!(other.now_or_never().is_none());
    }
    drop(first);
    permits.add_permits(1);
    for other in others {
        assert!(other.await[0].is_ok());
    }
    assert_eq!(buckets.world.lock().unwrap().asked, 1);
    assert_eq!(store.figures().joined, 100);
    // Nobody waits for this one any more, and whoever comes next reads anew.
    let other = [records(&[4])];
    let mut left = store.read_all(&other);
    assert!((&mut left).now_or_never().is_none());
    drop(left);
    permits.add_permits(1);
    assert!(store.read_all(&other).await[0].is_ok());
    assert_eq!(buckets.world.lock().unwrap().asked, 3);
}

#[tokio::test]
async fn a_store_that_is_down_is_spared_and_comes_back_by_itself() {
    let buckets = Buckets::new();
    let guarded = GuardedStore::new(Arc::new(buckets.clone()), buckets.stopwatch(), 10, 7);
    let ask = [records(&[1])];
    buckets.world.lock().unwrap().is_down = true;
    for _ in 0..1000 {
        assert!(guarded.read_all(&ask).await[0].as_ref().is_err_and(StoreError::is_unasked));
    }
    assert_eq!(buckets.world.lock().unwrap().asked, 3);
    assert!(guarded.is_resting());
    {
        let mut world = buckets.world.lock().unwrap();
        world.is_down = false;
        world.now += Duration::from_secs(2);
    }
    assert!(guarded.read_all(&ask).await[0].is_ok());
    assert!(!guarded.is_resting());
}

#[tokio::test]
async fn so_many_read_at_once_and_no_more() {
    let mut buckets = Buckets::new();
    let permits = Arc::new(Semaphore::new(0));
    buckets.permits = Some(permits.clone());
    let guarded = GuardedStore::new(Arc::new(buckets.clone()), buckets.stopwatch(), 10, 7);
    let ask = [records(&[1])];
    let mut reads: Vec<_> = (0..10).map(|_| guarded.read_all(&ask)).collect();
    for read in &mut reads {
        assert!(read.now_or_never().is_none());
    }
    assert_eq!(guarded.read_all(&ask).await, [Err(StoreError::Busy { reads: 10 })]);
    // One that is given up makes room.
    drop(reads.pop());
    permits.add_permits(10);
    for read in reads {
        assert!(read.await[0].is_ok());
    }
    assert!(guarded.read_all(&ask).await[0].is_ok());
}
