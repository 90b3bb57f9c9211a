//! One partition's changes on their way into a Redis.
//!
//! A lane either follows closely or catches up. A topic of changes keeps the last value of each key, and everything for
//! some time: whoever reads what was written lately sees each state that there was, and can say after each transaction
//! that the store is complete up to there. Of older changes only those are left that no later one replaced. What they
//! come to is a state again only at the end of the log, and only if the end is reached before what was there when it was
//! looked for can be taken out. Until then the store says that it is not complete.

use trifold_model::StateId;
use trifold_store::{Entry, Fed, Feeding, Followed, Marker, RedisStore, Step, StoreError};

use crate::kafka::error::ClusterError;
use crate::kafka::settings::{COMPACTION_LAG, LOCAL_AGE_MAX};

/// What is older may be gone in part. Clocks of different machines may differ by as much again.
const CLOSE_MICROS: u64 = COMPACTION_LAG.as_micros() as u64 / 2;
/// A store that was not brought up to date for longer would not learn of all that was removed meanwhile.
const AGE_MICROS_MAX: u64 = LOCAL_AGE_MAX.as_micros() as u64;

/// How often a store in which nothing changes is told that it is still complete.
const REFRESH_MICROS: u64 = 3_600_000_000;
/// How often it is looked whether what was brought is still there, when nothing is brought.
const LOOK_MICROS: u64 = 1_000_000;

/// One partition's changes.
pub struct Lane {
    feeding: Feeding,
    /// What was read and not brought yet.
    entries: Vec<Entry>,
    /// So many of them make up whole transactions, and the offset behind those.
    whole: Option<(usize, u64)>,
    /// The offset behind the last that was read.
    next: u64,
    /// How many changes there were to catch up with when it was opened.
    found: u64,
    /// The last marker that was read or is there.
    marker: Option<Marker>,
    /// The incarnation that what is there belongs to.
    incarnation: Option<u64>,
    /// When each of the entries was written.
    written: Vec<u64>,
    /// Whether nothing came after them.
    at_end: bool,
    /// Whether it follows closely.
    follows: bool,
    /// Whether what is there cannot be gone on with.
    is_over: bool,
    /// When the store last said that it has what was brought.
    seen: u64,
    /// When it was last known to be all that there was, or else when it was begun.
    current: u64,
    /// When the last turn was.
    turned: u64,
    /// Whether it was complete up to the end of the log at some time.
    has_caught_up: bool,
    delays: Delays,
}

/// How long after something the last changes could be looked up, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delays {
    /// After the first of them was written.
    pub written: Option<u64>,
    /// After the latest arrival of an event in them, where arrivals are recorded.
    pub arrival: Option<u64>,
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// So many changes are in.
    Brought(u64),
    /// What is there is not what it was: open the lane again.
    Again,
}

impl Lane {
    /// Finds out what is there. `range` tells the first and the end offset of the log.
    pub async fn open(
        store: &RedisStore,
        (state, partition): (StateId, u32),
        followed: &Followed,
        range: impl Fn() -> Result<(u64, u64), ClusterError>,
        clock: fn() -> u64,
    ) -> Result<Self, ClusterError> {
        loop {
            let mut feeding = store.feeding(state, partition, followed.clone()).await?;
            let now = clock();
            // Asked afterwards: other feeders bring what comes meanwhile.
            let (first, end) = range()?;
            let (furthest, lives) = feeding.reach();
            let is_another = feeding.is_of_another() || furthest > end || lives.len() > 1;
            let all = match feeding.next() {
                Some(next) if is_another || (next < first && next > 0) => true,
                Some(_) => return Ok(Lane::new(feeding, (first, end), now)),
                None => is_another,
            };
            // Whoever else begins at the same time is first or second, and either way there is something afterwards.
            if feeding.begin(all, now, now).await? == Fed::In {
                return Ok(Lane::new(feeding, (first, end), now));
            }
        }
    }

    fn new(feeding: Feeding, (first, end): (u64, u64), now: u64) -> Self {
        let next = feeding.next().unwrap_or_default().max(first);
        let (marker, current) = (feeding.marker().cloned(), feeding.current().unwrap_or(now));
        Lane {
            next,
            found: end.saturating_sub(next),
            incarnation: feeding.reach().1.first().copied(),
            marker,
            follows: feeding.is_complete(),
            feeding,
            entries: Vec::new(),
            whole: None,
            written: Vec::new(),
            at_end: false,
            is_over: false,
            seen: now,
            current,
            turned: now,
            has_caught_up: false,
            delays: Delays::default(),
        }
    }

    /// The offset that the next change is wanted from.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// How many changes there were to catch up with when it was opened. Records that say how transactions ended count as
    /// well.
    pub fn found(&self) -> u64 {
        self.found
    }

    /// Whether the store says that all of the partition is there, as of the last turn.
    pub fn is_complete(&self) -> bool {
        self.follows
    }

    /// Takes a change, and when it was written, in microseconds since 1970.
    pub fn push(&mut self, entry: Entry, offset: u64, written: u64) {
        self.next = offset + 1;
        self.at_end = false;
        self.written.push(written);
        if let Entry::Marker(marker) = &entry {
            self.whole = Some((self.entries.len() + 1, self.next));
            // The log is not the one that what is there came from.
            self.is_over |= *self.incarnation.get_or_insert(marker.incarnation) != marker.incarnation;
            self.marker = Some(marker.clone());
        }
        self.entries.push(entry);
    }

    /// Takes note that there are no more changes at present.
    pub fn end(&mut self) {
        self.at_end = true;
    }

    /// Whether all that there is is in.
    pub fn is_done(&self) -> bool {
        self.at_end && self.entries.is_empty() && self.follows
    }

    /// Whether all that there was when it was opened is in.
    pub fn has_caught_up(&self) -> bool {
        self.has_caught_up || self.is_done()
    }

    /// How long the last changes took; nothing while it catches up.
    pub fn delays(&self) -> Delays {
        self.delays
    }

    /// Brings in what was read, as far as it may.
    pub async fn turn(&mut self, clock: fn() -> u64) -> Result<Turn, StoreError> {
        let now = clock();
        // After a long sleep it must be found out anew where the log ends.
        if now.abs_diff(std::mem::replace(&mut self.turned, now)) > CLOSE_MICROS {
            return Ok(Turn::Again);
        }
        // With nothing new it is as it was, however old.
        let is_old = !self.entries.is_empty() && now.abs_diff(self.current) > AGE_MICROS_MAX;
        if self.is_over || is_old {
            // Whatever comes of it, what is there must be looked at again.
            let _ = self.feeding.begin(true, now, now).await?;
            return Ok(Turn::Again);
        }
        self.follows &= self.written.iter().all(|written| now.saturating_sub(*written) < CLOSE_MICROS);
        let (count, next, complete) = match (self.follows, self.whole) {
            (true, None) => return self.look(now).await,
            (true, Some((count, next))) => (count, next, true),
            (false, whole) => {
                let is_whole = whole.map_or(0, |(count, _)| count) == self.entries.len();
                let complete = self.at_end && is_whole;
                if self.entries.is_empty() && !complete {
                    return self.look(now).await;
                }
                (self.entries.len(), self.next, complete)
            }
        };
        let marker = self.marker.as_ref();
        let step = Step { entries: &self.entries[..count], next, marker, complete, now };
        if self.feeding.apply(&step).await? == Fed::Lost {
            return Ok(Turn::Again);
        }
        self.seen = now;
        self.delays = if complete { self.delays_now(count, clock()) } else { Delays::default() };
        self.entries.drain(..count);
        (self.whole, self.follows) = (None, complete);
        self.written.drain(..count);
        if complete {
            self.current = now;
        }
        self.has_caught_up |= complete && self.at_end;
        Ok(Turn::Brought(count as u64))
    }

    fn delays_now(&self, count: usize, now: u64) -> Delays {
        let written = self.written[..count].iter().min();
        let arrival = self.marker.as_ref().and_then(|marker| marker.arrivals.values().max());
        Delays {
            written: written.map(|written| now.saturating_sub(*written)),
            arrival: arrival.map(|arrival| now.saturating_sub(arrival.unsigned_abs())),
        }
    }

    /// Looks now and then whether what was brought is still there.
    async fn look(&mut self, now: u64) -> Result<Turn, StoreError> {
        if now.abs_diff(self.seen) < LOOK_MICROS {
            return Ok(Turn::Brought(0));
        }
        self.seen = now;
        if !self.feeding.is_there().await? {
            return Ok(Turn::Again);
        }
        if self.at_end && self.follows {
            self.current = now;
            let is_stale = self.feeding.current().is_none_or(|said| now.abs_diff(said) > REFRESH_MICROS);
            if is_stale && self.entries.is_empty() {
                let step =
                    Step { entries: &[], next: self.next, marker: self.marker.as_ref(), complete: true, now };
                if self.feeding.apply(&step).await? == Fed::Lost {
                    return Ok(Turn::Again);
                }
            }
        }
        Ok(Turn::Brought(0))
    }
}
