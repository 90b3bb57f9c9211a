//! What is kept of one entity.

use std::collections::BTreeSet;
use std::sync::Arc;

use trifold_model::{ArrivalTime, EventTime, Slot};

use crate::codec::{self, Damage};
use crate::fold::Failure;
use crate::layout::Layout;
use crate::series::Series;

/// The tiles of an entity, and the events that may come again or be folded again.
#[derive(Debug, Clone)]
pub struct Entity {
    /// The latest event time, admitted events of any age included.
    pub(crate) latest: Option<EventTime>,
    /// By level, then by start.
    pub(crate) tiles: Vec<Series<Tile>>,
    pub(crate) granules: Series<Granule>,
    /// What must be written or removed.
    pub(crate) changed: BTreeSet<Slot>,
    /// Whether all that is kept lies in one slot. An entity whose slots once lay apart is never packed again: those
    /// that were not read could not be removed.
    is_packed: bool,
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
        let tiles = vec![Series::new(); layout.levels.len()];
        Entity { latest: None, tiles, granules: Series::new(), changed: BTreeSet::new(), is_packed: true }
    }

    /// An entity from what was kept of it. Granules may be left out that [`Layout::needed_events`] does not name; those that
    /// [`Layout::spent_events`] names are then kept for longer than they need be.
    pub fn decode<'a>(layout: &Layout, slots: impl IntoIterator<Item = (Slot, &'a [u8])>) -> Result<Self, Damage> {
        let mut entity = Entity::new(layout);
        for (slot, bytes) in slots {
            match slot {
                Slot::Head => {
                    let head = codec::decode_head(bytes)?;
                    entity.latest = Some(head.latest);
                    entity.is_packed = head.packed.is_some();
                    for part in head.packed.into_iter().flatten() {
                        let (slot, bytes) = part?;
                        entity.put(slot, bytes)?;
                    }
                }
                slot => entity.put(slot, bytes)?,
            }
        }
        Ok(entity)
    }

    fn put(&mut self, slot: Slot, bytes: &[u8]) -> Result<(), Damage> {
        match slot {
            Slot::Head => return Err(Damage::Form { what: "a packed slot", found: 0 }),
            Slot::Tile { level, start } => {
                let state = codec::decode_tile(bytes)?;
                let tiles = self.tiles.get_mut(usize::from(level)).ok_or(Damage::Level(level))?;
                tiles.insert(start, Tile { state, pick: None });
            }
            Slot::Events { start } => self.granules.insert(start, codec::decode_granule(bytes)?),
        }
        Ok(())
    }

    /// The latest event time.
    pub fn latest(&self) -> Option<EventTime> {
        self.latest
    }

    /// Takes what must be written, `None` being what must be removed. `clock` is the earliest arrival that an event
    /// to come can have, if that is known: events that can no longer come are forgotten.
    pub fn take_changes(&mut self, layout: &Layout, clock: Option<ArrivalTime>) -> Vec<(Slot, Option<Vec<u8>>)> {
        self.forget(layout, clock);
        let mut changed = std::mem::take(&mut self.changed);
        if changed.is_empty() {
            return Vec::new();
        }
        if self.is_packed {
            let Some(latest) = self.latest else { return vec![(Slot::Head, None)] };
            let slots = self.slots();
            match codec::encode_packed(latest, slots.iter().filter_map(|slot| Some((*slot, self.encode(*slot)?)))) {
                Some(packed) => return vec![(Slot::Head, Some(packed))],
                None => {
                    self.is_packed = false;
                    changed = slots.into_iter().chain([Slot::Head]).collect();
                }
            }
        }
        changed.into_iter().map(|slot| (slot, self.encode(slot))).collect()
    }

    /// The slots of all tiles and events.
    fn slots(&self) -> Vec<Slot> {
        let tiles = (0..).zip(&self.tiles);
        let tiles = tiles.flat_map(|(level, tiles)| tiles.iter().map(move |(start, _)| Slot::Tile { level, start }));
        tiles.chain(self.granules.iter().map(|(start, _)| Slot::Events { start })).collect()
    }

    fn encode(&self, slot: Slot) -> Option<Vec<u8>> {
        match slot {
            Slot::Head => self.latest.map(codec::encode_head),
            Slot::Tile { level, start } => self.tiles[usize::from(level)].get(start).map(codec::encode_tile),
            Slot::Events { start } => self.granules.get(start).map(codec::encode_granule),
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
            while let Some(start) = tiles.pop_first_if(|start| start < first) {
                self.changed.insert(Slot::Tile { level: level as u8, start });
            }
        }
        while let Some(start) = self.granules.pop_first_if(|start| layout.is_spent(start, latest, clock)) {
            self.changed.insert(Slot::Events { start });
        }
        if own < floor && self.granules.is_empty() && self.tiles.iter().all(Series::is_empty) {
            self.latest = None;
            self.changed.insert(Slot::Head);
        }
    }
}
