//! A store of which what was read is kept for a while.
//!
//! What is kept is what was read, with the marker that it was read with, and never a value: values are computed from it at the
//! time of the request. So an answer that is made of it is right at the positions that it names, which may be behind those of
//! the store by as long as it is kept. An entity that was not there is kept like one that was. Those who ask at the same time
//! for the same share one read.

mod entry;
mod flight;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use moka::sync::Cache;
use trifold_model::{EntityKey, EventTime, StateId, ViewName};

use self::entry::{Entry, Name, Part, found};
use self::flight::{Flight, Flights, Landed, OfView, Seat, flight, seat};
use crate::api::{Ask, Entities, Found, OnlineStore};
use crate::error::StoreError;
use crate::guarded::Stopwatch;
use crate::record::{EntityQuery, Marker, SlotSnapshot, Snapshot};

/// What is kept, and for how long.
#[derive(Debug, Clone)]
pub struct CacheSettings {
    /// About how many bytes may be kept.
    pub bytes: u64,
    /// How long what was read answers without the store being asked.
    pub ttl: Duration,
    /// How old what is kept may be that answers while the store cannot be asked.
    pub stale: Duration,
    /// The views of which anything is kept; none for all.
    pub views: BTreeSet<ViewName>,
    /// Views of which nothing is kept.
    pub except: BTreeSet<ViewName>,
}

impl CacheSettings {
    fn keep(&self, view: &ViewName) -> bool {
        (self.views.is_empty() || self.views.contains(view)) && !self.except.contains(view)
    }
}

/// What became of the entities that were asked for.
#[derive(Debug, Default)]
pub struct CacheCounts {
    hits: AtomicU64,
    misses: AtomicU64,
    joined: AtomicU64,
    stale: AtomicU64,
}

/// The same at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheFigures {
    /// They were kept.
    pub hits: u64,
    /// The store was asked.
    pub misses: u64,
    /// The store was being asked by others.
    pub joined: u64,
    /// They were kept, and were taken since the store could not be asked.
    pub stale: u64,
}

/// A store whose records and slots are kept in this process.
pub struct CachedStore {
    inner: Arc<dyn OnlineStore>,
    stopwatch: Stopwatch,
    settings: CacheSettings,
    entries: Cache<Name, Arc<Entry>>,
    flights: Flights,
    departed: AtomicU64,
    counts: CacheCounts,
}

/// Where what is asked about one view comes from.
enum Plan {
    /// From the read of this request, as it is.
    Through(usize),
    Kept(Vec<Place>),
}

/// Where one entity comes from, and what is kept of it.
struct Place {
    from: Origin,
    kept: Option<Arc<Entry>>,
}

enum Origin {
    Kept,
    /// The read of this request: which view of it, and which of its entities.
    Own(usize, usize),
    /// A read of another request.
    Other(Flight, (usize, usize)),
}

impl CachedStore {
    /// Keeps what is read of a store that itself keeps nothing. `stopwatch` says how old something is.
    pub fn new(inner: Arc<dyn OnlineStore>, stopwatch: Stopwatch, settings: CacheSettings) -> Self {
        let entries = Cache::builder()
            .max_capacity(settings.bytes)
            .weigher(|name: &Name, entry: &Arc<Entry>| entry.bytes(name))
            // What is too old answers nothing, and need not be kept until there is no room. How old it is decides the stopwatch.
            .time_to_live(settings.ttl.max(settings.stale))
            .build();
        let (departed, counts) = (AtomicU64::new(0), CacheCounts::default());
        CachedStore { inner, stopwatch, settings, entries, flights: Flights::default(), departed, counts }
    }

    /// What became of the entities that were asked for until now.
    pub fn figures(&self) -> CacheFigures {
        let CacheCounts { hits, misses, joined, stale } = &self.counts;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CacheFigures { hits: count(hits), misses: count(misses), joined: count(joined), stale: count(stale) }
    }

    /// About how many bytes are kept.
    pub fn bytes(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.weighted_size()
    }

    async fn read_kept(&self, asks: &[Ask]) -> Vec<Result<Found, StoreError>> {
        let now = (self.stopwatch)();
        let (plans, own) = self.plan(asks, now);
        let others = plans.iter().flat_map(|plan| match plan {
            Plan::Through(_) => &[],
            Plan::Kept(places) => places.as_slice(),
        });
        let others = others.filter_map(|place| match &place.from {
            Origin::Other(flight, _) => Some(flight.clone()),
            Origin::Kept | Origin::Own(..) => None,
        });
        // Reads of others go on only while somebody waits, so all are waited for at once.
        join_all(own.iter().cloned().chain(others)).await;
        let own = match own {
            Some(own) => own.await,
            None => Landed::default(),
        };
        let mut found = Vec::with_capacity(asks.len());
        for (ask, plan) in asks.iter().zip(plans) {
            found.push(match plan {
                Plan::Through(place) => match own.get(place) {
                    Some(OfView::Through(found)) => found.clone(),
                    _ => self.afresh(ask).await,
                },
                Plan::Kept(places) => {
                    let mut read = Vec::with_capacity(places.len());
                    for place in places {
                        read.push(self.part(place, &own).await);
                    }
                    self.joined(ask, read).await
                }
            });
        }
        found
    }

    /// Where everything comes from, and the read of what nobody has, which has begun.
    fn plan(&self, asks: &[Ask], now: Duration) -> (Vec<Plan>, Option<Flight>) {
        let (mut plans, mut own, mut seats) = (Vec::with_capacity(asks.len()), Vec::new(), Vec::new());
        let mut table = self.flights.table();
        for ask in asks {
            if !self.settings.keep(&ask.view) {
                plans.push(Plan::Through(own.len()));
                own.push((ask.clone(), false));
                continue;
            }
            let (mut missing, mut places) = (Vec::new(), Vec::with_capacity(ask.entities.len()));
            for number in 0..ask.entities.len() {
                let (key, events) = entity(&ask.entities, number);
                let name = Name { state: ask.state, key: key.clone() };
                let kept = self.entries.get(&name).filter(|kept| kept.covers(events));
                let is_new = kept.as_ref().is_some_and(|kept| kept.age(now) < self.settings.ttl);
                // Nobody else's read is held on to without need: whoever lets go of it last needs the table.
                let other = if is_new { None } else { seat(&table, &name, events) };
                let from = match other {
                    _ if is_new => Origin::Kept,
                    Some((flight, place)) => Origin::Other(flight, place),
                    None => {
                        let place = (own.len(), missing.len());
                        seats.push((name, place, events.to_vec()));
                        missing.push(number);
                        Origin::Own(place.0, place.1)
                    }
                };
                let count = match &from {
                    Origin::Kept => &self.counts.hits,
                    Origin::Own(..) => &self.counts.misses,
                    Origin::Other(..) => &self.counts.joined,
                };
                count.fetch_add(1, Ordering::Relaxed);
                places.push(Place { from, kept });
            }
            plans.push(Plan::Kept(places));
            if !missing.is_empty() {
                let entities = some(&ask.entities, &missing);
                own.push((Ask { view: ask.view.clone(), state: ask.state, entities }, true));
            }
        }
        if own.is_empty() {
            return (plans, None);
        }
        let number = self.departed.fetch_add(1, Ordering::Relaxed);
        let names = seats.iter().map(|(name, _, _)| name.clone()).collect();
        let departed = self.depart(own, now, self.flights.leave(names, number));
        if let Some(weak) = departed.downgrade() {
            for (name, place, events) in seats {
                table.insert(name, Seat { flight: weak.clone(), place, events, number });
            }
        }
        (plans, Some(departed))
    }

    /// A read of what some asks want; of some of them it is kept.
    fn depart(&self, asks: Vec<(Ask, bool)>, now: Duration, leave: flight::Leave) -> Flight {
        let (inner, entries) = (self.inner.clone(), self.entries.clone());
        flight(async move {
            let leave = leave;
            let (asks, kept): (Vec<_>, Vec<_>) = asks.into_iter().unzip();
            let found = inner.read_all(&asks).await;
            let of_view = asks.iter().zip(kept).zip(found).map(|((ask, kept), found)| match kept {
                false => OfView::Through(found),
                true => OfView::Kept(found.map(|found| keep(&entries, ask, found, now))),
            });
            let landed = Landed::new(of_view.collect());
            drop(leave);
            landed
        })
    }

    /// What is known of one entity, once all reads are over.
    async fn part(&self, place: Place, own: &Landed) -> Result<Part, Missing> {
        let (landed, (view, entity)) = match place.from {
            Origin::Kept => return place.kept.map(|kept| Part::Read(kept, None)).ok_or(Missing::Incomplete),
            Origin::Own(view, entity) => (own.clone(), (view, entity)),
            Origin::Other(flight, at) => (flight.await, at),
        };
        match landed.get(view) {
            Some(OfView::Kept(Ok(Some(entries)))) => {
                entries.get(entity).map(|entry| Part::Read(entry.clone(), None)).ok_or(Missing::Incomplete)
            }
            Some(OfView::Kept(Err(error))) if error.is_unasked() => {
                let now = (self.stopwatch)();
                let kept = place.kept.filter(|kept| kept.age(now) < self.settings.stale);
                let Some(kept) = kept else { return Err(Missing::Failed(error.clone())) };
                self.counts.stale.fetch_add(1, Ordering::Relaxed);
                let age = kept.age(now);
                Ok(Part::Read(kept, Some(age)))
            }
            Some(OfView::Kept(Err(error))) => Err(Missing::Failed(error.clone())),
            _ => Err(Missing::Incomplete),
        }
    }

    /// One answer out of what is known of each entity.
    async fn joined(&self, ask: &Ask, parts: Vec<Result<Part, Missing>>) -> Result<Found, StoreError> {
        let failed = |part: &Result<Part, Missing>| match part {
            Err(Missing::Failed(error)) => Some(error.clone()),
            _ => None,
        };
        if let Some(damaged) = parts.iter().filter_map(failed).find(|error| !error.is_unasked()) {
            return Err(damaged);
        }
        let read = || parts.iter().flatten().filter_map(Part::entry);
        let Some(newest) = read().max_by_key(|entry| entry.read_at).cloned() else {
            return match parts.iter().find_map(failed) {
                Some(error) => Err(error),
                None => Ok(found(&ask.entities, parts.into_iter().map(Missing::or_unread).collect())),
            };
        };
        if read().all(|entry| entry.life() == newest.life()) {
            return Ok(found(&ask.entities, parts.into_iter().map(Missing::or_unread).collect()));
        }
        // A state that was cleared and filled anew has other positions: what is kept of the one before is no part of an answer
        // with what was read since.
        match self.afresh(ask).await {
            Err(error) if error.is_unasked() => {
                let of_newest = |part: Result<Part, Missing>| match Missing::or_unread(part) {
                    Part::Read(entry, _) if entry.life() != newest.life() => Part::Unread(error.to_string()),
                    part => part,
                };
                Ok(found(&ask.entities, parts.into_iter().map(of_newest).collect()))
            }
            found => found,
        }
    }

    /// Asks the store, whatever is kept.
    async fn afresh(&self, ask: &Ask) -> Result<Found, StoreError> {
        let now = (self.stopwatch)();
        let found = self.inner.read_all(std::slice::from_ref(ask)).await;
        let found = found.into_iter().next().unwrap_or(Err(StoreError::Answer))?;
        if self.settings.keep(&ask.view) {
            keep(&self.entries, ask, found.clone(), now);
        }
        Ok(found)
    }
}

/// Why there is nothing of an entity.
enum Missing {
    Failed(StoreError),
    /// The store holds no complete state.
    Incomplete,
}

impl Missing {
    fn or_unread(part: Result<Part, Missing>) -> Part {
        part.unwrap_or_else(|missing| {
            Part::Unread(match missing {
                Missing::Failed(error) => error.to_string(),
                Missing::Incomplete => "the store holds no complete state of the view at the moment".to_owned(),
            })
        })
    }
}

/// Keeps what was found, unless something newer is kept.
fn keep(entries: &Cache<Name, Arc<Entry>>, ask: &Ask, found: Found, now: Duration) -> Option<Vec<Arc<Entry>>> {
    let read = Entry::of_found(found, &ask.entities, now)?;
    for (number, entry) in read.iter().enumerate() {
        let name = Name { state: ask.state, key: entity(&ask.entities, number).0.clone() };
        if entries.get(&name).is_none_or(|kept| kept.read_at <= entry.read_at) {
            entries.insert(name, entry.clone());
        }
    }
    Some(read)
}

/// One of the entities that are asked for, and the times in which its events are.
fn entity(entities: &Entities, number: usize) -> (&EntityKey, &[Range<EventTime>]) {
    match entities {
        Entities::Records(keys) => (&keys[number], &[]),
        Entities::Slots(queries) => (&queries[number].key, &queries[number].events),
    }
}

fn some(entities: &Entities, numbers: &[usize]) -> Entities {
    match entities {
        Entities::Records(keys) => Entities::Records(numbers.iter().map(|&number| keys[number].clone()).collect()),
        Entities::Slots(queries) => {
            Entities::Slots(numbers.iter().map(|&number| queries[number].clone()).collect())
        }
    }
}

impl OnlineStore for CachedStore {
    /// What damages are looked for in is what the store has.
    fn read<'a>(&'a self, state: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        self.inner.read(state, keys)
    }

    fn read_slots<'a>(
        &'a self,
        state: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>> {
        self.inner.read_slots(state, queries)
    }

    /// How far a state is decides what takes over, and is never kept.
    fn marker(&self, state: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        self.inner.marker(state)
    }

    fn read_all<'a>(&'a self, asks: &'a [Ask]) -> BoxFuture<'a, Vec<Result<Found, StoreError>>> {
        self.read_kept(asks).boxed()
    }
}
