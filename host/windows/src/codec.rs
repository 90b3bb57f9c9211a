//! The bytes that are kept of an entity. Numbers are little-endian.
//!
//! ```text
//! head:    u8 1, i64 latest event time
//!        | u8 2, i64 latest event time, then for each other slot: u8 level of a tile or 255 for events, i64 start,
//!          u32 length + slot
//! tile:    u8 0 + state | u8 1 + why it failed (UTF-8)
//! events:  u8 1 + why they failed (UTF-8)
//!        | u8 0, then for each event: i64 time, u32 length + id (UTF-8), 16 bytes of content,
//!          u8 0 | u8 1 + u32 length + prepared event
//! ```
//!
//! Most entities are small, and what a store takes to write a slot hardly depends on its size: they are packed into
//! their heads. A large one has slots that are written each by itself.

use std::ops::{Deref, Range};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use trifold_model::{EventTime, Slot};

use crate::entity::{Granule, Held, KeptEvent, State, Tile};
use crate::fold::Failure;

const APART: u8 = 1;
const PACKED: u8 = 2;
/// The level that stands for events.
const EVENTS: u8 = u8::MAX;
/// What a packed slot takes beside its own bytes.
const PART_BYTES: usize = 1 + 8 + 4;
/// The most bytes of the parts of a head: a few pages of a store, which writes a page as a whole anyway.
const PACKED_BYTES_MAX: usize = 16_000;
const KNOWN: u8 = 0;
const FAILED: u8 = 1;

/// How the bytes of an entity are damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// They end too early.
    #[error("it ends within {0}")]
    Truncated(&'static str),
    /// Bytes are left over.
    #[error("{0} bytes follow its end")]
    Trailing(usize),
    /// A byte that says which form follows has another value than those it may have.
    #[error("{what} has form {found}")]
    Form {
        /// What it belongs to.
        what: &'static str,
        /// The byte.
        found: u8,
    },
    /// A text is not UTF-8.
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    /// A tile of a level that the view does not have.
    #[error("a tile has level {0}, which the view does not have")]
    Level(u8),
}

/// What is known of an entity as a whole.
pub(crate) struct Head {
    pub(crate) latest: EventTime,
    /// Everything else, unless it lies in slots of its own: how much of the head comes before it.
    pub(crate) packed_from: Option<usize>,
}

/// A slot in a packed head.
pub(crate) struct Part {
    pub(crate) slot: Slot,
    /// Where its own bytes lie.
    pub(crate) place: Range<u32>,
}

/// A head into which the other slots are packed.
pub(crate) struct Packing<'a> {
    /// The head that the entity was read from.
    packed: &'a [u8],
    out: Vec<u8>,
}

impl<'a> Packing<'a> {
    /// A head alone, with room for parts of some bytes; `None` if they are too many.
    pub(crate) fn new(packed: &'a [u8], latest: EventTime, bytes: usize) -> Option<Self> {
        if bytes > PACKED_BYTES_MAX {
            return None;
        }
        // A worker has many of these in memory, so none is larger than it must be.
        let mut out = Vec::with_capacity(1 + size_of::<i64>() + bytes);
        out.push(PACKED);
        out.extend_from_slice(&latest.0.to_le_bytes());
        Some(Packing { packed, out })
    }

    /// Adds a tile.
    pub(crate) fn tile(&mut self, level: u8, start: EventTime, tile: &Tile) {
        match &tile.state {
            // It stands there as it would be written, with its form before it.
            State::Known(Held::Packed(place)) => self.again(place.start as usize - 1..place.end as usize),
            _ => self.part(level, start, |packed, out| write_tile(tile, packed, out)),
        }
    }

    /// Adds the events of a granule.
    pub(crate) fn granule(&mut self, start: EventTime, granule: &Granule) {
        match granule {
            Granule::Stored(Held::Packed(place)) => self.again(place.start as usize..place.end as usize),
            _ => self.part(EVENTS, start, |packed, out| write_granule(granule, packed, out)),
        }
    }

    /// Adds a part of the head that the entity was read from.
    fn again(&mut self, body: Range<usize>) {
        self.out.extend_from_slice(&self.packed[body.start - PART_BYTES..body.end]);
    }

    fn part(&mut self, level: u8, start: EventTime, write: impl FnOnce(&[u8], &mut Vec<u8>)) {
        let Packing { packed, out } = self;
        out.push(level);
        out.extend_from_slice(&start.0.to_le_bytes());
        let length = out.len();
        out.extend_from_slice(&[0; 4]);
        let first = out.len();
        write(packed, out);
        let written = (out.len() - first) as u32;
        out[length..first].copy_from_slice(&written.to_le_bytes());
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.out
    }
}

/// The bytes that a tile takes in a packed head.
pub(crate) fn packed_tile_bytes(tile: &Tile) -> usize {
    PART_BYTES
        + match &tile.state {
            State::Known(state) => 1 + state.len(),
            State::Failed(failure) => 1 + failure.len(),
            State::Planned(_) => 0,
        }
}

/// The bytes that the events of a granule take in a packed head.
pub(crate) fn packed_granule_bytes(granule: &Granule) -> usize {
    PART_BYTES
        + match granule {
            Granule::Stored(stored) => stored.len(),
            Granule::Events { bytes, .. } => 1 + bytes,
            Granule::Failed(failure) => 1 + failure.len(),
        }
}

/// The slots of an entity, each by itself, whichever way they are kept.
pub fn unpacked(slots: Vec<(Slot, Bytes)>) -> Result<Vec<(Slot, Bytes)>, Damage> {
    let [(Slot::Head, bytes)] = slots.as_slice() else { return Ok(slots) };
    let head = decode_head(bytes)?;
    let Some(from) = head.packed_from else { return Ok(slots) };
    let mut alone = Vec::new();
    write_head(head.latest, &mut alone);
    let parts = parts(bytes, from).map(|part| {
        let Part { slot, place } = part?;
        Ok((slot, bytes.slice(place.start as usize..place.end as usize)))
    });
    let mut unpacked: Vec<_> =
        std::iter::once(Ok((Slot::Head, alone.into()))).chain(parts).collect::<Result<_, Damage>>()?;
    unpacked.sort_by_key(|(slot, _)| *slot);
    Ok(unpacked)
}

/// All slots of an entity as they are kept: in the head alone, if they are not too large for that.
pub fn packed(slots: Vec<(Slot, Bytes)>) -> Result<Vec<(Slot, Bytes)>, Damage> {
    let Some(((Slot::Head, bytes), parts)) = slots.split_first() else { return Ok(slots) };
    let head = decode_head(bytes)?;
    let bytes = parts.iter().map(|(_, part)| PART_BYTES + part.len()).sum();
    let packing = head.packed_from.is_none().then(|| Packing::new(&[], head.latest, bytes)).flatten();
    let Some(mut packing) = packing else { return Ok(slots) };
    for (slot, part) in parts {
        let (level, start) = match *slot {
            Slot::Tile { level, start } => (level, start),
            Slot::Events { start } => (EVENTS, start),
            Slot::Head => return Err(Damage::Form { what: "a packed slot", found: 0 }),
        };
        packing.part(level, start, |_, out| out.extend_from_slice(part));
    }
    Ok(vec![(Slot::Head, packing.into_bytes().into())])
}

/// Whether a head is all that is kept of its entity: it has no other slot.
pub fn is_packed(head: &[u8]) -> bool {
    head.first() == Some(&PACKED)
}

pub(crate) fn write_head(latest: EventTime, out: &mut Vec<u8>) {
    out.push(APART);
    out.extend_from_slice(&latest.0.to_le_bytes());
}

pub(crate) fn decode_head(bytes: &[u8]) -> Result<Head, Damage> {
    let mut reader = Reader(bytes);
    let format = reader.byte("the format")?;
    let latest = EventTime(i64::from_le_bytes(reader.array("the latest event time")?));
    let packed_from = match format {
        APART => reader.end().map(|()| None)?,
        PACKED => Some(bytes.len() - reader.0.len()),
        found => return Err(Damage::Form { what: "the head", found }),
    };
    Ok(Head { latest, packed_from })
}

/// The slots that are packed into a head.
pub(crate) fn parts(head: &[u8], from: usize) -> impl Iterator<Item = Result<Part, Damage>> {
    let mut reader = Reader(&head[from..]);
    let part = move || {
        let level = reader.byte("the level of a packed slot")?;
        let start = EventTime(i64::from_le_bytes(reader.array("the start of a packed slot")?));
        let slot = if level == EVENTS { Slot::Events { start } } else { Slot::Tile { level, start } };
        let length = reader.bytes("a packed slot")?.len();
        let end = head.len() - reader.0.len();
        Ok((Part { slot, place: (end - length) as u32..end as u32 }, reader.0.is_empty()))
    };
    let mut rest = (from < head.len()).then_some(part);
    std::iter::from_fn(move || {
        let read = rest.as_mut()?();
        if !matches!(read, Ok((_, false))) {
            rest = None;
        }
        Some(read.map(|(part, _)| part))
    })
}

pub(crate) fn write_tile(tile: &Tile, packed: &[u8], out: &mut Vec<u8>) {
    match &tile.state {
        State::Known(state) => {
            out.reserve_exact(1 + state.len());
            out.push(KNOWN);
            out.extend_from_slice(state.get(packed));
        }
        State::Failed(failure) => write_failure(failure, out),
        State::Planned(_) => write_failure("its plan was never carried out", out),
    }
}

/// Whether a tile's state is known, which then is all but the first byte, or why not.
pub(crate) fn decode_tile(bytes: &[u8]) -> Result<Result<(), Failure>, Damage> {
    let mut reader = Reader(bytes);
    match reader.byte("the form of a tile")? {
        KNOWN => Ok(Ok(())),
        FAILED => reader.failure().map(Err),
        found => Err(Damage::Form { what: "a tile", found }),
    }
}

pub(crate) fn write_granule(granule: &Granule, packed: &[u8], out: &mut Vec<u8>) {
    let (events, bytes) = match granule {
        Granule::Stored(stored) => return out.extend_from_slice(stored.get(packed)),
        Granule::Events { events, bytes } => (events, bytes),
        Granule::Failed(failure) => return write_failure(failure, out),
    };
    out.reserve(1 + bytes);
    out.push(KNOWN);
    for event in events {
        out.extend_from_slice(&event.time.0.to_le_bytes());
        write_bytes(&event.id, out);
        out.extend_from_slice(&event.content);
        match &event.row {
            Some(row) => {
                out.push(1);
                write_bytes(row, out);
            }
            None => out.push(0),
        }
    }
}

/// The bytes that an event takes.
pub(crate) fn event_bytes(event: &KeptEvent) -> usize {
    8 + 4 + event.id.len() + 16 + 1 + event.row.as_ref().map_or(0, |row| 4 + row.len())
}

/// Whether the events of a granule are known, which then decode, or why not.
pub(crate) fn decode_granule(bytes: &[u8]) -> Result<Result<(), Failure>, Damage> {
    let mut reader = Reader(bytes);
    match reader.byte("the form of events")? {
        KNOWN => {}
        FAILED => return reader.failure().map(Err),
        found => return Err(Damage::Form { what: "a run of events", found }),
    }
    while !reader.0.is_empty() {
        reader.event()?;
    }
    Ok(Ok(()))
}

/// The events of a granule that was decoded.
pub(crate) fn events(granule: &Bytes) -> impl Iterator<Item = KeptEvent> {
    let mut reader = Reader(granule.slice(1..));
    std::iter::from_fn(move || (!reader.0.is_empty()).then(|| reader.event().ok()).flatten())
}

fn write_failure(failure: &str, out: &mut Vec<u8>) {
    out.push(FAILED);
    out.extend_from_slice(failure.as_bytes());
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Reads from the beginning on; what it takes shares the memory of the whole.
struct Reader<T>(T);

/// Bytes from whose beginning some can be taken.
trait Source: Deref<Target = [u8]> + Sized {
    /// Takes the first `count`, which must be there.
    fn take(&mut self, count: usize) -> Self;

    /// Goes beyond the first `count`, which must be there.
    fn skip(&mut self, count: usize);
}

impl Source for Bytes {
    fn take(&mut self, count: usize) -> Self {
        self.split_to(count)
    }

    fn skip(&mut self, count: usize) {
        self.advance(count);
    }
}

impl Source for &[u8] {
    fn take(&mut self, count: usize) -> Self {
        let (taken, rest) = self.split_at(count);
        *self = rest;
        taken
    }

    fn skip(&mut self, count: usize) {
        *self = &self[count..];
    }
}

impl<T: Source> Reader<T> {
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Damage> {
        let taken = *self.0.first_chunk().ok_or(Damage::Truncated(what))?;
        self.0.skip(N);
        Ok(taken)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, Damage> {
        self.array(what).map(|[byte]| byte)
    }

    fn bytes(&mut self, what: &'static str) -> Result<T, Damage> {
        let length = u32::from_le_bytes(self.array(what)?) as usize;
        if length > self.0.len() {
            return Err(Damage::Truncated(what));
        }
        Ok(self.0.take(length))
    }

    fn event(&mut self) -> Result<KeptEvent<T>, Damage> {
        let time = EventTime(i64::from_le_bytes(self.array("an event's time")?));
        let id = self.bytes("an event's id")?;
        std::str::from_utf8(&id).map_err(|_| Damage::Text("an event's id"))?;
        let content = self.array("an event's content")?;
        let row = match self.byte("an event's form")? {
            0 => None,
            1 => Some(self.bytes("a prepared event")?),
            found => return Err(Damage::Form { what: "an event", found }),
        };
        Ok(KeptEvent { time, id, content, row })
    }

    fn failure(&mut self) -> Result<Failure, Damage> {
        let text = std::str::from_utf8(&self.0).map_err(|_| Damage::Text("the reason of a failure"))?;
        Ok(Arc::from(text))
    }

    fn end(&self) -> Result<(), Damage> {
        if self.0.is_empty() { Ok(()) } else { Err(Damage::Trailing(self.0.len())) }
    }
}
