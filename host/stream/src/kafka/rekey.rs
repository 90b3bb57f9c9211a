//! Takes the events of a partition to those of another topic, in which they are partitioned by another entity.
//!
//! It judges nothing: an event whose entity cannot be read goes along, for its view to set aside. What it wrote, and how
//! far it came, is part of the worker's transactions, so that each event comes over once. An event keeps its arrival, since
//! whether it is late is decided by the log that received it first. How far arrivals are at least is told in every
//! partition of the new topic, though it got no event for long: a state forgets nothing that an event may still need, so
//! it looks at the partition of the first log whose arrivals are the least far.

use std::collections::BTreeMap;

use trifold_eventlog::{ArrivalClock, LogError, RawBatch, RawRows, SourceConfig, route};
use trifold_model::{LogId, Positions};
use trifold_pipeline::ArrivalPolicy;
use trifold_store::{Entry, Marker};

use crate::error::StreamError;
use crate::fingerprint::fingerprint;
use crate::kafka::fetch::Origin;
use crate::kafka::keying::Keying;
use crate::kafka::outbox::{Outgoing, Parcel, Routed};
use crate::worker::WorkerConfig;

/// A partition of the new topic is told of arrivals that are so much further than those that it heard of, in microseconds.
const TOLD_AFTER: i64 = 60_000_000;

/// The largest event that comes over; its record must leave room for the headers.
const EVENT_BYTES_MAX: usize = 3 << 20;
/// So much of a larger one does, to be set aside.
const EVENT_BYTES_CUT: usize = 1 << 20;
/// The longest key that a record gets. No state takes one that is as long, so that the event is set aside wherever it goes.
const KEY_BYTES_MAX: usize = 1 << 18;

/// Events of one partition on their way to another topic.
pub(crate) struct Rekey {
    keying: Keying,
    partition: u32,
    source: SourceConfig,
    marker: Marker,
    /// How far the arrivals are that each partition of the new topic heard of since this began.
    told: Vec<Option<i64>>,
    parcel: Parcel,
}

impl Rekey {
    /// Goes on where a marker says, or at the beginning of the log, of which so many offsets are known.
    pub(crate) fn begin(
        keying: Keying,
        (log, partition, partition_count): (&LogId, u32, u32),
        marker: Option<Marker>,
        known: u64,
        config: &WorkerConfig,
    ) -> Result<Self, StreamError> {
        let arrivals = match config.source.arrival {
            Some(_) => ArrivalPolicy::Recorded,
            None => ArrivalPolicy::NotNeeded,
        };
        let reading = fingerprint(&config.source, arrivals);
        if let Some(marker) = &marker {
            let (view, state) = (keying.feed.view.clone(), keying.feed.state);
            if marker.log != *log {
                let (stored, given) = (marker.log.0.to_string(), log.0.to_string());
                return Err(StreamError::OtherLog { view, state, stored, given });
            }
            let applied = marker.positions.next(partition);
            if applied > known {
                let log = log.0.to_string();
                return Err(StreamError::AheadOfLog { view, state, log, applied, known, change: None });
            }
            if marker.source != reading {
                return Err(StreamError::OtherSource {
                    view,
                    state,
                    stored: marker.source.clone(),
                    given: reading,
                });
            }
        }
        let first = || Marker {
            incarnation: config.incarnation,
            log: log.clone(),
            source: reading,
            positions: Positions::default(),
            consumed: Vec::new(),
            release: None,
            arrivals: BTreeMap::new(),
        };
        Ok(Rekey {
            keying,
            partition,
            source: config.source.clone(),
            marker: marker.unwrap_or_else(first),
            told: vec![None; partition_count as usize],
            parcel: Parcel::default(),
        })
    }

    /// The next offset.
    pub(crate) fn next(&self) -> u64 {
        self.marker.positions.next(self.partition)
    }

    /// Takes in the events from there on.
    pub(crate) fn take(&mut self, raw: &RawBatch) -> Result<(), LogError> {
        let mut clock = ArrivalClock::restore(self.marker.arrivals.get(&self.partition).copied());
        let routes = route(raw, &self.source, &self.keying.entity, &mut clock)?;
        let mut problems = raw.places.iter().flat_map(|places| &places.bad).peekable();
        let RawRows::Lines(lines) = &raw.rows else {
            let (log, detail) = (self.marker.log.0.to_string(), "its events are no lines of JSON".to_owned());
            return Err(LogError::Unreachable { log, detail });
        };
        for (row, ((line, key), arrival)) in lines.iter().zip(routes.entities).zip(routes.arrivals).enumerate() {
            let arrival = arrival.map(|at| at.0);
            let key = key.filter(|key| key.text.len() <= KEY_BYTES_MAX);
            let origin = Origin { partition: self.partition, offset: Some(raw.offset(row)), arrival };
            let problem = problems.next_if(|(bad, _)| *bad == row).map(|(_, problem)| problem.clone());
            let (value, problem) = match line.len() > EVENT_BYTES_MAX {
                false => (line, problem),
                true => (&line[..EVENT_BYTES_CUT], Some(too_large(line.len()))),
            };
            let target = key.as_ref().map_or(self.partition, |key| self.target(key.key.hash()));
            let record = Outgoing { key: key.map(|key| key.text), value: Some(value.to_vec().into()) };
            self.parcel.routed.push(Routed { partition: target, record, origin, problem });
            if let Some(told) = self.told.get_mut(target as usize) {
                *told = arrival.or(*told);
            }
        }
        self.tell(clock);
        self.advance(raw.next_offset(), clock);
        Ok(())
    }

    /// What has come since this was asked for last.
    pub(crate) fn parcel(&mut self) -> Option<Parcel> {
        self.parcel.marker.is_some().then(|| std::mem::take(&mut self.parcel))
    }

    /// The partition of an entity.
    fn target(&self, hash: [u8; 32]) -> u32 {
        let first = u64::from_le_bytes(*hash.first_chunk().unwrap_or(&[0; 8]));
        (first % self.told.len().max(1) as u64) as u32
    }

    /// Tells how far arrivals are where that was not heard of for long.
    fn tell(&mut self, clock: ArrivalClock) {
        let Some(latest) = clock.state() else { return };
        for (partition, told) in (0..).zip(&mut self.told) {
            if told.is_none_or(|told| told < latest - TOLD_AFTER) {
                let origin = Origin { partition: self.partition, offset: None, arrival: Some(latest) };
                let record = Outgoing { key: None, value: None };
                self.parcel.routed.push(Routed { partition, record, origin, problem: None });
                *told = Some(latest);
            }
        }
    }

    fn advance(&mut self, next: u64, clock: ArrivalClock) {
        self.marker.positions.0.insert(self.partition, next);
        if let Some(latest) = clock.state() {
            self.marker.arrivals.insert(self.partition, latest);
        }
        let entry = Entry::Marker(self.marker.clone());
        self.parcel.marker = Some(Outgoing { key: Some(entry.key()), value: entry.value() });
    }
}

fn too_large(bytes: usize) -> String {
    format!("the event takes {bytes} bytes, and one that is partitioned anew {EVENT_BYTES_MAX} at most")
}
