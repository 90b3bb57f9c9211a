//! States as logs of their changes: the keys and values of records that a state can be built anew from, in any log
//! that keeps the last value of each key.
//!
//! ```text
//! key:   u8 0                                                  the marker
//!      | u8 1, u16 length + entity key                         the record of an entity of a row view
//!      | u8 2, u16 length + entity key, slot, as in `codec`    a slot of an entity of a window view
//!      | u8 3, place, as in `codec`                            who computes the rows of events from there on
//! value: marker, record, switch or what the slot holds, as in `codec`; nothing where it was removed
//! ```
//!
//! Numbers are little-endian. Entries of one transaction belong together, and end with the marker that holds once they
//! are in.

use bytes::Bytes;
use trifold_model::{EntityKey, StateId};

use crate::codec::{
    KEY_BYTES_MAX, decode_marker, decode_record, decode_slot, decode_switch, encode_marker, encode_record,
    encode_slot, encode_switch, encode_switch_place,
};
use crate::error::Damage;
use crate::record::{Marker, Record, RowSwitch, SlotChange};

const MARKER: u8 = 0;
const RECORD: u8 = 1;
const SLOT: u8 = 2;
const SWITCH: u8 = 3;

/// One change of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Everything before its positions is in the entries before it.
    Marker(Marker),
    /// What is kept of an entity of a row view.
    Record {
        /// The entity.
        key: EntityKey,
        /// Its record; boxed, since most entries are slots.
        record: Box<Record>,
    },
    /// A slot of an entity of a window view.
    Slot(SlotChange),
    /// Who computes the rows of events from one of them on.
    Switch(RowSwitch),
}

/// Why an entry cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the changes of state {state}: {what}: {damage}")]
pub struct EntryError {
    /// The state.
    pub state: StateId,
    /// Which part.
    pub what: &'static str,
    /// What is wrong with it.
    pub damage: Damage,
}

impl Entry {
    /// The key: later entries with the same replace earlier ones.
    pub fn key(&self) -> Vec<u8> {
        match self {
            Entry::Marker(_) => vec![MARKER],
            Entry::Record { key, .. } => entity(RECORD, key),
            Entry::Slot(change) => {
                let mut out = entity(SLOT, &change.key);
                encode_slot(change.slot, &mut out);
                out
            }
            Entry::Switch(switch) => {
                let mut out = vec![SWITCH];
                encode_switch_place(switch, &mut out);
                out
            }
        }
    }

    /// The value; `None` where something was removed.
    pub fn value(&self) -> Option<Bytes> {
        let mut out = Vec::new();
        match self {
            Entry::Marker(marker) => encode_marker(marker, &mut out),
            Entry::Record { record, .. } => encode_record(record, &mut out),
            Entry::Slot(change) => return change.bytes.clone(),
            Entry::Switch(switch) => encode_switch(switch, &mut out),
        }
        Some(out.into())
    }

    /// Reads an entry of a state.
    pub fn decode(state: StateId, key: &[u8], value: Option<&[u8]>) -> Result<Self, EntryError> {
        let in_the = |what| move |damage| EntryError { state, what, damage };
        let (kind, rest) =
            key.split_first().ok_or_else(|| in_the("a key")(Damage::Truncated { what: "its kind", bytes: 0 }))?;
        let present = || value.ok_or_else(|| in_the("a value")(Damage::Truncated { what: "all of it", bytes: 0 }));
        match *kind {
            MARKER if rest.is_empty() => Ok(Entry::Marker(decode_marker(present()?).map_err(in_the("a marker"))?)),
            MARKER => Err(in_the("a key")(Damage::Trailing(rest.len()))),
            RECORD => {
                let (key, rest) = split_entity(rest).map_err(in_the("a key"))?;
                if !rest.is_empty() {
                    return Err(in_the("a key")(Damage::Trailing(rest.len())));
                }
                let record = decode_record(present()?).map_err(in_the("a record"))?;
                Ok(Entry::Record { key, record: Box::new(record) })
            }
            SLOT => {
                let (key, rest) = split_entity(rest).map_err(in_the("a key"))?;
                let slot = decode_slot(rest).map_err(in_the("a key"))?;
                Ok(Entry::Slot(SlotChange { key, slot, bytes: value.map(Bytes::copy_from_slice) }))
            }
            SWITCH => Ok(Entry::Switch(decode_switch(rest, present()?).map_err(in_the("a switch"))?)),
            byte => Err(in_the("a key")(Damage::Flag { what: "its kind", byte })),
        }
    }
}

/// The beginning of the keys of an entity.
fn entity(kind: u8, key: &EntityKey) -> Vec<u8> {
    // A step refuses longer keys.
    const { assert!(KEY_BYTES_MAX <= u16::MAX as usize) };
    let mut out = Vec::with_capacity(key.0.len() + 16);
    out.push(kind);
    out.extend_from_slice(&(key.0.len() as u16).to_le_bytes());
    out.extend_from_slice(&key.0);
    out
}

fn split_entity(bytes: &[u8]) -> Result<(EntityKey, &[u8]), Damage> {
    let truncated = || Damage::Truncated { what: "the entity", bytes: bytes.len() };
    let (length, rest) = bytes.split_first_chunk().ok_or_else(truncated)?;
    let (key, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into()).ok_or_else(truncated)?;
    Ok((EntityKey(key.into()), rest))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use trifold_model::{EventTime, LogId, Positions, Slot};

    use super::*;
    use crate::record::RowsUnder;

    const STATE: StateId = StateId([7; 16]);

    fn entries() -> Vec<Entry> {
        let key = EntityKey(b"JFK".as_slice().into());
        let slots = [
            Slot::Head,
            Slot::Tile { level: 2, start: EventTime(-60_000_000) },
            Slot::Events { start: EventTime(i64::MAX) },
        ];
        let slot = |slot| {
            let change = |bytes| Entry::Slot(SlotChange { key: key.clone(), slot, bytes });
            [change(Some(Bytes::from_static(b"state"))), change(None)]
        };
        let marker = Marker {
            incarnation: 1,
            log: LogId("cluster/flights".into()),
            source: "event_time".to_owned(),
            positions: Positions(BTreeMap::from([(3, 17)])),
            consumed: Vec::new(),
            release: Some(2),
            arrivals: BTreeMap::new(),
        };
        let record = Record {
            event_time: EventTime(5),
            event_id: "e".to_owned(),
            partition: 3,
            offset: 16,
            fields: vec![1, 2],
            output: None,
        };
        let switch = |offset, to| Entry::Switch(RowSwitch { partition: 3, offset, to });
        let others = [
            Entry::Marker(marker),
            Entry::Record { key: key.clone(), record: Box::new(record) },
            switch(0, Some(RowsUnder { release: 2, canary: true })),
            switch(17, None),
        ];
        slots.into_iter().flat_map(slot).chain(others).collect()
    }

    #[test]
    fn entries_round_trip_and_differ_in_their_keys() {
        let mut keys = BTreeMap::new();
        for entry in entries() {
            let (key, value) = (entry.key(), entry.value());
            assert_eq!(Entry::decode(STATE, &key, value.as_deref()), Ok(entry));
            *keys.entry(key).or_insert(0) += 1;
        }
        // Each slot was there with and without a value.
        assert_eq!(keys.into_values().collect::<Vec<_>>(), [1, 1, 2, 2, 2, 1, 1]);
    }

    #[test]
    fn damaged_entries_are_errors() {
        for entry in entries() {
            let (key, value) = (entry.key(), entry.value());
            for end in 0..key.len() {
                Entry::decode(STATE, &key[..end], value.as_deref()).unwrap_err();
            }
            let longer: Vec<u8> = key.iter().copied().chain([0]).collect();
            Entry::decode(STATE, &longer, value.as_deref()).unwrap_err();
            if let (Some(value), Entry::Marker(_) | Entry::Record { .. } | Entry::Switch(_)) = (&value, &entry) {
                Entry::decode(STATE, &key, None).unwrap_err();
                Entry::decode(STATE, &key, Some(&value[..value.len() - 1])).unwrap_err();
            }
        }
    }
}
