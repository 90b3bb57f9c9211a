//! What is kept of one entity.

use std::ops::Range;

use bytes::Bytes;
use trifold_model::{ArrivalTime, EventTime, Slot};

use crate::codec::{self, Damage, Packing};
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
    /// The packed head that it was read from, in which much of it still lies.
    pub(crate) packed: Bytes,
    stored: Stored,
    /// What changed since it was read, in the order in which it did.
    changed: Vec<Slot>,
}

/// How an entity is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// All of it in one slot.
    Packed,
    /// In slots of their own. They are never packed again: those that were not read could not be removed.
    Apart,
}

/// What must be written of an entity, `None` being what must be removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntityChanges {
    /// In the form in which it is stored.
    pub slots: Vec<(Slot, Option<Bytes>)>,
    /// With every slot by itself, if that was asked for.
    pub parts: Vec<(Slot, Option<Bytes>)>,
}

/// Whether changes are told with every slot by itself too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// They are.
    Told,
    /// They are not.
    Untold,
}

#[derive(Debug, Clone)]
pub(crate) struct Tile {
    pub(crate) state: State,
    /// Where the plan at hand has the state among the tiles of its questions.
    pub(crate) pick: Option<u32>,
}

/// Bytes that are kept of an entity.
#[derive(Debug, Clone)]
pub(crate) enum Held {
    /// By themselves.
    Own(Bytes),
    /// In the packed head, at this place.
    Packed(Range<u32>),
}

impl Held {
    pub(crate) fn len(&self) -> usize {
        match self {
            Held::Own(bytes) => bytes.len(),
            Held::Packed(place) => place.len(),
        }
    }

    pub(crate) fn get<'a>(&'a self, packed: &'a [u8]) -> &'a [u8] {
        match self {
            Held::Own(bytes) => bytes,
            Held::Packed(place) => &packed[place.start as usize..place.end as usize],
        }
    }

    /// The same, by themselves.
    pub(crate) fn bytes(&self, packed: &Bytes) -> Bytes {
        match self {
            Held::Own(bytes) => bytes.clone(),
            Held::Packed(place) => packed.slice(place.start as usize..place.end as usize),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum State {
    Known(Held),
    /// What a group of the plan at hand will come to.
    Planned(u32),
    Failed(Failure),
}

/// The events of a short time, in canonical order.
#[derive(Debug, Clone)]
pub(crate) enum Granule {
    /// In the bytes that are kept, which decode: most are looked at no more before they are forgotten.
    Stored(Held),
    Events {
        events: Vec<KeptEvent>,
        /// What they take where they are kept.
        bytes: usize,
    },
    /// There were too many.
    Failed(Failure),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptEvent<T = Bytes> {
    pub(crate) time: EventTime,
    /// UTF-8, as it was given.
    pub(crate) id: T,
    /// A digest of the event, by which a differing copy is known.
    pub(crate) content: [u8; 16],
    /// The prepared event, where tiles may have to be folded again.
    pub(crate) row: Option<T>,
}

impl Granule {
    pub(crate) fn new() -> Self {
        Granule::Events { events: Vec::new(), bytes: 0 }
    }

    /// The events, and what they take where they are kept.
    pub(crate) fn open(&mut self, packed: &Bytes) -> Result<(&mut Vec<KeptEvent>, &mut usize), Failure> {
        if let Granule::Stored(stored) = self {
            let events: Vec<_> = codec::events(&stored.bytes(packed)).collect();
            *self = Granule::Events { bytes: events.iter().map(codec::event_bytes).sum(), events };
        }
        match self {
            Granule::Events { events, bytes } => Ok((events, bytes)),
            Granule::Failed(failure) => Err(failure.clone()),
            Granule::Stored(_) => Err("its events were not opened".into()),
        }
    }

    /// The prepared events.
    pub(crate) fn rows(&self, packed: &Bytes) -> Result<Vec<Bytes>, Failure> {
        match self {
            Granule::Stored(stored) => {
                Ok(codec::events(&stored.bytes(packed)).filter_map(|event| event.row).collect())
            }
            Granule::Events { events, .. } => Ok(events.iter().filter_map(|event| event.row.clone()).collect()),
            Granule::Failed(failure) => Err(failure.clone()),
        }
    }
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
        Entity {
            latest: None,
            tiles: vec![Series::new(); layout.levels.len()],
            granules: Series::new(),
            packed: Bytes::new(),
            stored: Stored::Packed,
            changed: Vec::new(),
        }
    }

    /// An entity from what was kept of it. Granules may be left out that [`Layout::needed_events`] does not name; those that
    /// [`Layout::spent_events`] names are then kept for longer than they need be.
    pub fn decode(layout: &Layout, slots: impl IntoIterator<Item = (Slot, Bytes)>) -> Result<Self, Damage> {
        let mut entity = Entity::new(layout);
        for (slot, bytes) in slots {
            match slot {
                Slot::Head => entity.read_head(bytes)?,
                slot => entity.read(slot, &bytes.clone(), |from| Held::Own(bytes.slice(from..)))?,
            }
        }
        Ok(entity)
    }

    fn read_head(&mut self, bytes: Bytes) -> Result<(), Damage> {
        let head = codec::decode_head(&bytes)?;
        self.latest = Some(head.latest);
        let Some(from) = head.packed_from else {
            self.stored = Stored::Apart;
            return Ok(());
        };
        self.make_room(&bytes, from);
        for part in codec::parts(&bytes, from) {
            let codec::Part { slot, place } = part?;
            let body = &bytes[place.start as usize..place.end as usize];
            self.read(slot, body, |from| Held::Packed(place.start + from as u32..place.end))?;
        }
        self.packed = bytes;
        Ok(())
    }

    /// Makes room for all parts at once.
    fn make_room(&mut self, head: &[u8], from: usize) {
        let mut counts = [0_u32; u8::MAX as usize + 1];
        for part in codec::parts(head, from).map_while(Result::ok) {
            match part.slot {
                Slot::Tile { level, .. } => counts[usize::from(level)] += 1,
                Slot::Head | Slot::Events { .. } => counts[usize::from(u8::MAX)] += 1,
            }
        }
        self.tiles.iter_mut().zip(counts).for_each(|(tiles, count)| tiles.reserve(count as usize));
        self.granules.reserve(counts[usize::from(u8::MAX)] as usize);
    }

    /// Reads a slot from its bytes; `held` tells how they are kept from a place on.
    fn read(&mut self, slot: Slot, bytes: &[u8], held: impl FnOnce(usize) -> Held) -> Result<(), Damage> {
        match slot {
            Slot::Head => return Err(Damage::Form { what: "a packed slot", found: 0 }),
            Slot::Tile { level, start } => {
                let state = match codec::decode_tile(bytes)? {
                    Ok(()) => State::Known(held(1)),
                    Err(failure) => State::Failed(failure),
                };
                let tiles = self.tiles.get_mut(usize::from(level)).ok_or(Damage::Level(level))?;
                tiles.insert(start, Tile { state, pick: None });
            }
            Slot::Events { start } => {
                let granule = match codec::decode_granule(bytes)? {
                    Ok(()) => Granule::Stored(held(0)),
                    Err(failure) => Granule::Failed(failure),
                };
                self.granules.insert(start, granule);
            }
        }
        Ok(())
    }

    /// The latest event time.
    pub fn latest(&self) -> Option<EventTime> {
        self.latest
    }

    /// Takes what must be written. `clock` is the earliest arrival that an event to come can have, if that is known:
    /// events that can no longer come are forgotten.
    pub fn take_changes(&mut self, layout: &Layout, clock: Option<ArrivalTime>, parts: Parts) -> EntityChanges {
        self.forget(layout, clock);
        if self.stored == Stored::Packed {
            self.leave(layout, clock);
        }
        self.changes(parts)
    }

    /// The same for an entity of which nothing was left out when it was read: if nothing of it can be needed any more, all
    /// of it is removed. Of another one there may be more than was read.
    pub fn take_changes_of_whole(
        &mut self,
        layout: &Layout,
        clock: Option<ArrivalTime>,
        parts: Parts,
    ) -> EntityChanges {
        self.forget(layout, clock);
        self.leave(layout, clock);
        self.changes(parts)
    }

    fn changes(&mut self, parts: Parts) -> EntityChanges {
        let mut changed = std::mem::take(&mut self.changed);
        if changed.is_empty() {
            return EntityChanges::default();
        }
        if self.stored == Stored::Apart || parts == Parts::Told {
            changed.sort_unstable();
            changed.dedup();
        }
        let told = |entity: &Entity| match parts {
            Parts::Told => entity.encoded(&changed),
            Parts::Untold => Vec::new(),
        };
        if self.stored == Stored::Apart {
            return EntityChanges { slots: self.encoded(&changed), parts: told(self) };
        }
        let slots = match self.latest {
            None => vec![(Slot::Head, None)],
            Some(latest) => match self.packed(latest) {
                Some(packed) => vec![(Slot::Head, Some(packed))],
                None => {
                    self.stored = Stored::Apart;
                    self.encoded(&[Slot::Head].into_iter().chain(self.slots()).collect::<Vec<_>>())
                }
            },
        };
        EntityChanges { slots, parts: told(self) }
    }

    fn encoded(&self, slots: &[Slot]) -> Vec<(Slot, Option<Bytes>)> {
        slots.iter().map(|slot| (*slot, self.encode(*slot))).collect()
    }

    /// Notes that a slot must be written or removed.
    pub(crate) fn mark(&mut self, slot: Slot) {
        // An event changes few slots, and the next one often the same.
        let seen = self.changed.len().min(4);
        if !self.changed[self.changed.len() - seen..].contains(&slot) {
            self.changed.push(slot);
        }
    }

    /// The slots of all tiles and events.
    fn slots(&self) -> impl Iterator<Item = Slot> {
        let tiles = (0..).zip(&self.tiles);
        let tiles =
            tiles.flat_map(|(level, tiles)| tiles.iter().map(move |(start, _)| Slot::Tile { level, start }));
        tiles.chain(self.granules.iter().map(|(start, _)| Slot::Events { start }))
    }

    /// All of it in one slot, unless it is too large.
    fn packed(&self, latest: EventTime) -> Option<Bytes> {
        let tiles = self.tiles.iter().flat_map(Series::iter).map(|(_, tile)| codec::packed_tile_bytes(tile));
        let granules = self.granules.iter().map(|(_, granule)| codec::packed_granule_bytes(granule));
        let mut packing = Packing::new(&self.packed, latest, tiles.chain(granules).sum())?;
        for (level, tiles) in (0..).zip(&self.tiles) {
            tiles.iter().for_each(|(start, tile)| packing.tile(level, start, tile));
        }
        self.granules.iter().for_each(|(start, granule)| packing.granule(start, granule));
        Some(packing.into_bytes().into())
    }

    fn encode(&self, slot: Slot) -> Option<Bytes> {
        let mut out = Vec::new();
        match slot {
            Slot::Head => codec::write_head(self.latest?, &mut out),
            Slot::Tile { level, start } => {
                codec::write_tile(self.tiles[usize::from(level)].get(start)?, &self.packed, &mut out)
            }
            Slot::Events { start } => codec::write_granule(self.granules.get(start)?, &self.packed, &mut out),
        }
        Some(out.into())
    }

    /// Drops what no window of a value to come covers, and events that can neither come again nor be joined by one
    /// that must be folded before them.
    pub(crate) fn forget(&mut self, layout: &Layout, clock: Option<ArrivalTime>) {
        let Some(own) = self.latest else { return };
        // Neither an event nor a value to come lies before either of them.
        let floor = layout.floor(clock).unwrap_or(own);
        let latest = own.max(floor);
        for level in 0..self.tiles.len() {
            let first = layout.first_tile(level, latest);
            while let Some(start) = self.tiles[level].pop_first_if(|start| start < first) {
                self.mark(Slot::Tile { level: level as u8, start });
            }
        }
        while let Some(start) = self.granules.pop_first_if(|start| layout.is_spent(start, latest, clock)) {
            self.mark(Slot::Events { start });
        }
    }

    /// Drops the entity as a whole, if nothing of it can be needed any more.
    fn leave(&mut self, layout: &Layout, clock: Option<ArrivalTime>) {
        let is_past = self.latest.is_some() && self.latest < layout.floor(clock);
        if is_past && self.granules.is_empty() && self.tiles.iter().all(Series::is_empty) {
            self.latest = None;
            self.mark(Slot::Head);
        }
    }
}
