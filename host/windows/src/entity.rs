//! What is kept of one entity.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trifold_model::{ArrivalTime, EventTime, Slot};

use crate::codec::{self, Damage};
use crate::fold::Failure;
use crate::layout::Layout;

/// The tiles of an entity, and the events that may come again or be folded again.
#[derive(Debug, Clone, Default)]
pub struct Entity {
    /// The latest event time, admitted events of any age included.
    pub(crate) latest: Option<EventTime>,
    /// By level, then by start.
    pub(crate) tiles: Vec<BTreeMap<EventTime, Tile>>,
    pub(crate) granules: BTreeMap<EventTime, Granule>,
    /// What must be written or removed.
    pub(crate) changed: BTreeSet<Slot>,
}

#[derive(Debug, Clone)]
pub(crate) struct Tile {
    pub(crate) state: State,
    /// Where the plan at hand has the state among the tiles of its questions.
    pub(crate) pick: Option<u32>,
}

#[derive(Debug, Clone)]
pub(crate) enum State {
    Known(Arc<[u8]>),
    /// What a group of the plan at hand will come to.
    Planned(u32),
    Failed(Failure),
}

/// The events of a short time, in canonical order.
#[derive(Debug, Clone)]
pub(crate) enum Granule {
    Events {
        events: Vec<KeptEvent>,
        /// What they take where they are kept.
        bytes: usize,
    },
    /// There were too many.
    Failed(Failure),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptEvent {
    pub(crate) time: EventTime,
    pub(crate) id: Box<str>,
    /// A digest of the event, by which a differing copy is known.
    pub(crate) content: [u8; 16],
    /// The prepared event, where tiles may have to be folded again.
    pub(crate) row: Option<KeptRow>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeptRow {
    /// Of the plan at hand.
    Batch(u32),
    Bytes(Arc<[u8]>),
}

/// Whether an event has been seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It counts.
    New,
    /// The same event came before.
    Duplicate,
    /// Another event with the same time and id came before, and counts instead.
    Conflict,
}

impl Entity {
    /// An entity without events.
    pub fn new(layout: &Layout) -> Self {
        let tiles = vec![BTreeMap::new(); layout.levels.len()];
        Entity { latest: None, tiles, granules: BTreeMap::new(), changed: BTreeSet::new() }
    }

    /// An entity from what was kept of it. Granules may be left out that [`Layout::needed_events`] does not name; those that
    /// [`Layout::spent_events`] names are then kept for longer than they need be.
    pub fn decode<'a>(layout: &Layout, slots: impl IntoIterator<Item = (Slot, &'a [u8])>) -> Result<Self, Damage> {
        let mut entity = Entity::new(layout);
        for (slot, bytes) in slots {
            match slot {
                Slot::Head => entity.latest = Some(codec::decode_head(bytes)?),
                Slot::Tile { level, start } => {
                    let state = codec::decode_tile(bytes)?;
                    let tiles = entity.tiles.get_mut(usize::from(level)).ok_or(Damage::Level(level))?;
                    tiles.insert(start, Tile { state, pick: None });
                }
                Slot::Events { start } => {
                    entity.granules.insert(start, codec::decode_granule(bytes)?);
                }
            }
        }
        Ok(entity)
    }

    /// The latest event time.
    pub fn latest(&self) -> Option<EventTime> {
        self.latest
    }

    /// Takes what must be written, `None` being what must be removed. `clock` is the earliest arrival that an event
    /// to come can have, if that is known: events that can no longer come are forgotten.
    pub fn take_changes(&mut self, layout: &Layout, clock: Option<ArrivalTime>) -> Vec<(Slot, Option<Vec<u8>>)> {
        self.forget(layout, clock);
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|slot| (slot, self.encode(slot))).collect()
    }

    fn encode(&self, slot: Slot) -> Option<Vec<u8>> {
        match slot {
            Slot::Head => self.latest.map(codec::encode_head),
            Slot::Tile { level, start } => self.tiles[usize::from(level)].get(&start).map(codec::encode_tile),
            Slot::Events { start } => self.granules.get(&start).map(codec::encode_granule),
        }
    }

    /// Drops what no window of a value to come covers, and events that can neither come again nor be joined by one
    /// that must be folded before them.
    pub(crate) fn forget(&mut self, layout: &Layout, clock: Option<ArrivalTime>) {
        let Some(own) = self.latest else { return };
        // Neither an event nor a value to come lies before either of them.
        let floor = layout.floor(clock).unwrap_or(own);
        let latest = own.max(floor);
        for (level, tiles) in self.tiles.iter_mut().enumerate() {
            let first = layout.first_tile(level, latest);
            while let Some(tile) = tiles.first_entry().filter(|tile| *tile.key() < first) {
                self.changed.insert(Slot::Tile { level: level as u8, start: *tile.key() });
                tile.remove();
            }
        }
        let is_spent = |granule: EventTime| layout.is_spent(granule, latest, clock);
        while let Some(granule) = self.granules.first_entry().filter(|granule| is_spent(*granule.key())) {
            self.changed.insert(Slot::Events { start: *granule.key() });
            granule.remove();
        }
        if own < floor && self.granules.is_empty() && self.tiles.iter().all(BTreeMap::is_empty) {
            self.latest = None;
            self.changed.insert(Slot::Head);
        }
    }
}
