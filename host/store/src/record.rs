//! What a store keeps and what it hands out.

use std::collections::BTreeMap;

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use trifold_model::{ComputationId, EntityKey, EventTime, LogId, Positions, Slot, StateId};

/// What a store keeps of one entity of a row view: the entity's latest event in canonical order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When the event happened.
    pub event_time: EventTime,
    /// The event's id, the tie-break of canonical order.
    pub event_id: String,
    /// The partition that the event was read from.
    pub partition: u32,
    /// The event's offset in that partition.
    pub offset: u64,
    /// The view's inputs in the coding of canonical rows, without a status byte.
    pub fields: Vec<u8>,
    /// The value that was computed from the fields, if it was kept: lookups under the same version need not compute
    /// it again.
    pub output: Option<Output>,
}

/// A value beside the inputs that it was computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What computed it. Another computation may come to another value.
    pub computation: ComputationId,
    /// The view's outputs in the coding of canonical rows, without a status byte.
    pub fields: Vec<u8>,
}

/// The completeness marker of one state: everything before `positions` is in the records, and nothing after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Tells one life of a state from the next: chosen by whoever commits it first, kept until it is cleared.
    pub incarnation: u64,
    /// The log that the positions belong to.
    pub log: LogId,
    /// How the log's events are read, in the words of whoever commits: which columns carry their times and ids, and
    /// where their arrivals come from. Events read in another way would make another state.
    pub source: String,
    /// The next offset of each partition.
    pub positions: Positions,
    /// What the log was before the positions, in the words of whoever commits: a log whose files changed since would
    /// have other events there. Empty where that cannot happen.
    pub consumed: Vec<u8>,
    /// The sequence number of the release under which the last commit was made, if there was one.
    pub release: Option<u64>,
    /// The latest arrival, in microseconds, before each partition's position; no entry where no event had one.
    pub arrivals: BTreeMap<u32, i64>,
}

/// Records and the marker they belong to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The state's marker, or `None` when nothing was ever committed for it or not all of that is there.
    pub marker: Option<Marker>,
    /// One entry for each key asked for, in the order of the keys.
    pub records: Vec<Option<Record>>,
    /// The records, by place, that include more than the marker says, with the positions that are further. A store whose reads
    /// are transactions has none.
    pub ahead: BTreeMap<usize, Positions>,
    /// The records, by place, that were kept from before since the store could not be asked, and how old they are.
    pub stale: BTreeMap<usize, Duration>,
    /// The places that could not be read, and why.
    pub unread: BTreeMap<usize, String>,
}

/// What is kept of one entity of a window view, in ascending order.
pub type Slots = Vec<(Slot, Bytes)>;

/// What is read of one entity of a window view: all of its tiles, and the events of some times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityQuery {
    /// The entity.
    pub key: EntityKey,
    /// The times in which the slots of its events must begin.
    pub events: Vec<Range<EventTime>>,
}

impl EntityQuery {
    /// Whether a slot is asked for.
    pub fn wants(&self, slot: &Slot) -> bool {
        match slot {
            Slot::Events { start } => self.events.iter().any(|range| range.contains(start)),
            Slot::Head | Slot::Tile { .. } => true,
        }
    }
}

/// Slots and the marker they belong to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotSnapshot {
    /// The state's marker, or `None` when nothing was ever committed for it or not all of that is there.
    pub marker: Option<Marker>,
    /// One entry for each query, in the order of the queries: the entity's slots in ascending order. Without any,
    /// the entity has none.
    pub entities: Vec<Slots>,
    /// The entities, by place, whose slots include more than the marker says, with the positions that are further. A store
    /// whose reads are transactions has none.
    pub ahead: BTreeMap<usize, Positions>,
    /// The entities, by place, whose slots were kept from before since the store could not be asked, and how old they are.
    pub stale: BTreeMap<usize, Duration>,
    /// The places that could not be read, and why.
    pub unread: BTreeMap<usize, String>,
}

/// Some of the entities of a window view in ascending order of their keys, and the marker read in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotPage {
    /// The state's marker, or `None` when nothing was ever committed for it.
    pub marker: Option<Marker>,
    /// The entities, each with all of its slots in ascending order.
    pub entities: Vec<(EntityKey, Slots)>,
    /// Where the next page starts (`after`), or `None` when this is the last one.
    pub next: Option<EntityKey>,
}

/// A change of one slot of a window view's entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotChange {
    /// The entity.
    pub key: EntityKey,
    /// The slot.
    pub slot: Slot,
    /// What it holds from now on; `None` removes it.
    pub bytes: Option<Bytes>,
}

/// Some of a state's entities in ascending order of their keys, and the marker read in the same transaction.
/// A walk over several pages sees one state of affairs only if the marker stays the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The state's marker, or `None` when nothing was ever committed for it.
    pub marker: Option<Marker>,
    /// The entities.
    pub entries: Vec<(EntityKey, Record)>,
    /// Where the next page starts (`after`), or `None` when this is the last one.
    pub next: Option<EntityKey>,
}

/// Who computes the rows of a state's events, from one of them on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowSwitch {
    /// The partition.
    pub partition: u32,
    /// The first offset for which it holds.
    pub offset: u64,
    /// Under what they are computed; `None` where no release says that there are any.
    pub to: Option<RowsUnder>,
}

/// The release under which rows are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowsUnder {
    /// Its number.
    pub release: u64,
    /// Whether its canary computes those of the entities that it takes.
    pub canary: bool,
}

/// What is written for one state: records or slots, later ones replacing earlier ones of the same place, and the
/// marker that holds once they are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The state.
    pub state: StateId,
    /// Its marker from now on.
    pub marker: Marker,
    /// The records to put, if it is the state of a row view.
    pub puts: Vec<(EntityKey, Record)>,
    /// The slots to change, if it is the state of a window view.
    pub slots: Vec<SlotChange>,
    /// Where others compute the rows of its events than before, ascending.
    pub switches: Vec<RowSwitch>,
}
