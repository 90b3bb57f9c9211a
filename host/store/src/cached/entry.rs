//! What is kept of one entity, and what answers are made of.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use trifold_model::{EntityKey, EventTime, LogId, Positions, StateId};

use crate::api::{Entities, Found};
use crate::record::{EntityQuery, Marker, Record, SlotSnapshot, Slots, Snapshot};

/// An entity of a state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) state: StateId,
    pub(super) key: EntityKey,
}

/// What was read of an entity, whether there was anything or not, and the marker that it was read with: its positions are
/// those of this entity.
#[derive(Debug)]
pub(super) struct Entry {
    contents: Contents,
    marker: Arc<Marker>,
    /// When the read began.
    pub(super) read_at: Duration,
}

#[derive(Debug)]
enum Contents {
    Record(Option<Record>),
    Slots {
        slots: Slots,
        /// The times of the events that are among them.
        events: Vec<Range<EventTime>>,
    },
}

impl Entry {
    /// What was read of each entity at some moment. Nothing, if the store holds no complete state.
    pub(super) fn of_found(found: Found, asked: &Entities, read_at: Duration) -> Option<Vec<Arc<Entry>>> {
        let (marker, ahead, contents): (_, _, Vec<Contents>) = match (found, asked) {
            (Found::Records(Snapshot { marker, records, ahead, .. }), _) => {
                (marker?, ahead, records.into_iter().map(Contents::Record).collect())
            }
            (Found::Slots(SlotSnapshot { marker, entities, ahead, .. }), Entities::Slots(queries)) => {
                let contents = entities.into_iter().zip(queries);
                let contents =
                    contents.map(|(slots, query)| Contents::Slots { slots, events: query.events.clone() });
                (marker?, ahead, contents.collect())
            }
            (Found::Slots(_), Entities::Records(_)) => return None,
        };
        let marker = Arc::new(marker);
        let entry = |(place, contents)| {
            let marker = match ahead.get(&place) {
                None => marker.clone(),
                Some(further) => {
                    let mut own = Marker::clone(&marker);
                    own.positions.0.extend(&further.0);
                    Arc::new(own)
                }
            };
            Arc::new(Entry { contents, marker, read_at })
        };
        Some(contents.into_iter().enumerate().map(entry).collect())
    }

    /// Whether it says all that is asked about its entity.
    pub(super) fn covers(&self, events: &[Range<EventTime>]) -> bool {
        match &self.contents {
            Contents::Record(_) => true,
            Contents::Slots { events: read, .. } => covers(read, events),
        }
    }

    pub(super) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.read_at)
    }

    /// What tells one life of a state from another, whose positions cannot be compared.
    pub(super) fn life(&self) -> (u64, &LogId, &str) {
        (self.marker.incarnation, &self.marker.log, &self.marker.source)
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self, name: &Name) -> u32 {
        // Nodes of the cache and of maps, and headers of what is allocated.
        const OVERHEAD: usize = 512;
        let contents = match &self.contents {
            Contents::Record(None) => 0,
            Contents::Record(Some(record)) => {
                let output = record.output.as_ref().map_or(0, |output| output.fields.len() + 64);
                record.fields.len() + record.event_id.len() + output
            }
            Contents::Slots { slots, events } => {
                slots.iter().map(|(_, bytes)| bytes.len() + 96).sum::<usize>() + events.len() * 16
            }
        };
        let marker = &self.marker;
        let marker = (marker.positions.0.len() + marker.arrivals.len()) * 32
            + marker.consumed.len()
            + marker.source.len()
            + size_of::<Marker>();
        u32::try_from(OVERHEAD + name.key.0.len() + contents + marker).unwrap_or(u32::MAX)
    }

    fn record(&self) -> Option<Record> {
        match &self.contents {
            Contents::Record(record) => record.clone(),
            Contents::Slots { .. } => None,
        }
    }

    fn slots(&self, query: &EntityQuery) -> Slots {
        match &self.contents {
            Contents::Slots { slots, .. } => slots.iter().filter(|(slot, _)| query.wants(slot)).cloned().collect(),
            Contents::Record(_) => Slots::new(),
        }
    }
}

/// Whether each of some times is within one of others.
pub(super) fn covers(read: &[Range<EventTime>], asked: &[Range<EventTime>]) -> bool {
    asked.iter().all(|asked| read.iter().any(|read| read.start <= asked.start && asked.end <= read.end))
}

/// What an answer says of one entity.
pub(super) enum Part {
    /// It was read, so long ago if that is longer than it counts as new.
    Read(Arc<Entry>, Option<Duration>),
    /// It was not, and why.
    Unread(String),
}

impl Part {
    pub(super) fn entry(&self) -> Option<&Arc<Entry>> {
        match self {
            Part::Read(entry, _) => Some(entry),
            Part::Unread(_) => None,
        }
    }
}

/// One answer out of what was read at several moments of one life: its marker names what all of it includes, and beside it
/// stands what includes more.
pub(super) fn found(asked: &Entities, parts: Vec<Part>) -> Found {
    let marker = joint(parts.iter().filter_map(Part::entry).map(|entry| &*entry.marker));
    let (mut ahead, mut stale, mut unread) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut entries = Vec::with_capacity(parts.len());
    for (place, part) in parts.into_iter().enumerate() {
        match part {
            Part::Unread(reason) => {
                unread.insert(place, reason);
                entries.push(None);
            }
            Part::Read(entry, age) => {
                let further = further(&entry.marker, marker.as_ref());
                ahead.extend((!further.0.is_empty()).then_some((place, further)));
                stale.extend(age.map(|age| (place, age)));
                entries.push(Some(entry));
            }
        }
    }
    match asked {
        Entities::Records(_) => {
            let records = entries.iter().map(|entry| entry.as_ref()?.record()).collect();
            Found::Records(Snapshot { marker, records, ahead, stale, unread })
        }
        Entities::Slots(queries) => {
            let entities = entries.iter().zip(queries);
            let slots = |(entry, query): (&Option<Arc<Entry>>, _)| {
                entry.as_ref().map(|entry| entry.slots(query)).unwrap_or_default()
            };
            Found::Slots(SlotSnapshot { marker, entities: entities.map(slots).collect(), ahead, stale, unread })
        }
    }
}

/// The positions of an entity's marker that are beyond those of all.
fn further(own: &Marker, all: Option<&Marker>) -> Positions {
    let next = own.positions.0.iter().map(|(&partition, &next)| (partition, next));
    let is_further =
        |(partition, next): &(u32, u64)| all.is_some_and(|all| all.positions.next(*partition) < *next);
    Positions(next.filter(is_further).collect())
}

/// What all of some markers of one life say.
fn joint<'a>(mut markers: impl Iterator<Item = &'a Marker> + Clone) -> Option<Marker> {
    let all = markers.clone();
    let first = markers.next()?;
    if markers.all(|marker| marker == first) {
        return Some(first.clone());
    }
    let mut positions = BTreeMap::new();
    let known = all.clone().flat_map(|marker| marker.positions.0.keys());
    for &partition in known {
        let next = || all.clone().map(|marker| marker.positions.next(partition)).min().unwrap_or(0);
        positions.entry(partition).or_insert_with(next);
    }
    // Each entity had been forgotten by the clock of its own moment; so nothing is said of times before the latest of them.
    let clocks = all.clone().filter_map(|marker| marker.arrivals.values().min());
    let latest = clocks.max().copied();
    let arrivals = positions.keys().filter_map(|partition| Some((*partition, latest?))).collect();
    Some(Marker {
        positions: Positions(positions),
        arrivals,
        release: all.filter_map(|marker| marker.release).max(),
        ..first.clone()
    })
}
