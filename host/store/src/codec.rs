//! The bytes of records, markers, switches and places of slots in a store of format 4. All numbers are little-endian, except in
//! places, whose bytes have the order of slots.
//!
//! ```text
//! record: u8 format (1 | 2), i64 event time, u32 partition, u64 offset,
//!         u32 length + event id (UTF-8), u32 length + fields,
//!         in format 2: 16 bytes of the output's computation, u32 length + output
//! marker: u8 format (1), u64 incarnation, u8 0 | u8 1 + u64 release,
//!         u32 length + log (UTF-8), u32 length + source (UTF-8),
//!         u32 count + count times (u32 partition, u64 next offset),
//!         u32 count + count times (u32 partition, i64 latest arrival), partitions ascending,
//!         u32 length + what was consumed
//! slot:   u8 0 (head) | u8 1, u8 level, time (a tile) | u8 2, time (events),
//!         where a time is 8 bytes, big-endian, with the sign bit flipped
//! switch: u8 0 | u8 1, u64 release, u8 whether its canary computes rows;
//!         its place: u32 partition, u64 offset, big-endian
//! ```
//!
//! Decoding checks everything and leaves no byte unread, so damaged bytes give an error or another value and never
//! a panic. There is no checksum: that a value is the right one is what an audit shows.

use std::collections::BTreeMap;

use bytes::Bytes;
use trifold_model::{ComputationId, EntityKey, EventTime, LogId, Positions, Slot, StateId};

use crate::error::{Damage, StoreError};
use crate::record::{Marker, Output, Record, RowSwitch, RowsUnder, SlotChange};

/// The most bytes of an entity key: a key of several long strings fits, and a page of the database holds one.
pub const KEY_BYTES_MAX: usize = 2 << 10;

/// The most bytes of an encoded record: an embedding of 4,096 doubles takes 32 KiB, and a commit of thousands of
/// records must fit into memory.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

const FORMAT: u8 = 1;
/// A record with an output.
const FORMAT_OUTPUT: u8 = 2;
/// Format, event time, partition, offset and the two lengths.
const RECORD_BYTES_FIXED: usize = 1 + 8 + 4 + 8 + 4 + 4;
/// Computation and length.
const OUTPUT_BYTES_FIXED: usize = 16 + 4;

impl SlotChange {
    /// Checks that a key and what the slot holds are within the limits of every store.
    pub fn check_size(&self, state: StateId) -> Result<(), StoreError> {
        check_key(state, &self.key)?;
        let bytes = self.bytes.as_ref().map_or(0, Bytes::len);
        if bytes > RECORD_BYTES_MAX {
            return Err(StoreError::SlotTooLarge { state, key: self.key.clone(), slot: self.slot, bytes });
        }
        Ok(())
    }
}

fn check_key(state: StateId, key: &EntityKey) -> Result<(), StoreError> {
    if key.0.len() > KEY_BYTES_MAX {
        let head = hex::encode(&key.0[..32]);
        return Err(StoreError::KeyTooLarge { state, head, bytes: key.0.len() });
    }
    Ok(())
}

impl Record {
    /// How many bytes the record takes in a store; [`RECORD_BYTES_MAX`] at most can be committed.
    pub fn encoded_bytes(&self) -> usize {
        let output = self.output.as_ref().map_or(0, |output| OUTPUT_BYTES_FIXED + output.fields.len());
        RECORD_BYTES_FIXED + self.event_id.len() + self.fields.len() + output
    }

    /// Checks that a key and its record are within the limits of every store.
    pub fn check_size(&self, state: StateId, key: &EntityKey) -> Result<(), StoreError> {
        check_key(state, key)?;
        let bytes = self.encoded_bytes();
        if bytes > RECORD_BYTES_MAX {
            return Err(StoreError::RecordTooLarge { state, key: key.clone(), bytes });
        }
        Ok(())
    }
}

/// The first byte of the places of events, which come after all others.
pub(crate) const EVENTS: u8 = 2;

/// Appends the place of a slot.
pub(crate) fn encode_slot(slot: Slot, out: &mut Vec<u8>) {
    match slot {
        Slot::Head => out.push(0),
        Slot::Tile { level, start } => {
            out.extend_from_slice(&[1, level]);
            out.extend_from_slice(&ordered_time(start));
        }
        Slot::Events { start } => {
            out.push(EVENTS);
            out.extend_from_slice(&ordered_time(start));
        }
    }
}

fn ordered_time(time: EventTime) -> [u8; 8] {
    (time.0 ^ i64::MIN).to_be_bytes()
}

/// Reads the place of a slot.
pub(crate) fn decode_slot(bytes: &[u8]) -> Result<Slot, Damage> {
    let mut reader = Reader { rest: bytes, total: bytes.len() };
    let time = |reader: &mut Reader<'_>| -> Result<EventTime, Damage> {
        Ok(EventTime(i64::from_be_bytes(reader.array("the slot's time")?) ^ i64::MIN))
    };
    let slot = match reader.array("the slot")? {
        [0] => Slot::Head,
        [1] => {
            let [level] = reader.array("the slot's level")?;
            Slot::Tile { level, start: time(&mut reader)? }
        }
        [EVENTS] => Slot::Events { start: time(&mut reader)? },
        [byte] => return Err(Damage::Flag { what: "the slot", byte }),
    };
    reader.end()?;
    Ok(slot)
}

/// Appends the place of a switch.
pub(crate) fn encode_switch_place(switch: &RowSwitch, out: &mut Vec<u8>) {
    out.extend_from_slice(&switch.partition.to_be_bytes());
    out.extend_from_slice(&switch.offset.to_be_bytes());
}

/// Writes a switch into an empty buffer.
pub(crate) fn encode_switch(switch: &RowSwitch, out: &mut Vec<u8>) {
    out.push(switch.to.is_some().into());
    if let Some(RowsUnder { release, canary }) = switch.to {
        out.extend_from_slice(&release.to_le_bytes());
        out.push(canary.into());
    }
}

/// Reads a switch and its place.
pub(crate) fn decode_switch(place: &[u8], bytes: &[u8]) -> Result<RowSwitch, Damage> {
    let mut reader = Reader { rest: place, total: place.len() };
    let partition = u32::from_be_bytes(reader.array("the switch's partition")?);
    let offset = u64::from_be_bytes(reader.array("the switch's offset")?);
    reader.end()?;
    let mut reader = Reader { rest: bytes, total: bytes.len() };
    let to = match reader.flag("the switch")? {
        true => Some(RowsUnder {
            release: reader.u64("the switch's release")?,
            canary: reader.flag("the switch's canary")?,
        }),
        false => None,
    };
    reader.end()?;
    Ok(RowSwitch { partition, offset, to })
}

/// Writes a record into an empty buffer. Its size must have been checked, which keeps the lengths in their 32 bits.
pub(crate) fn encode_record(record: &Record, out: &mut Vec<u8>) {
    out.push(if record.output.is_some() { FORMAT_OUTPUT } else { FORMAT });
    out.extend_from_slice(&record.event_time.0.to_le_bytes());
    out.extend_from_slice(&record.partition.to_le_bytes());
    out.extend_from_slice(&record.offset.to_le_bytes());
    write_bytes(record.event_id.as_bytes(), out);
    write_bytes(&record.fields, out);
    if let Some(output) = &record.output {
        out.extend_from_slice(&output.computation.0);
        write_bytes(&output.fields, out);
    }
}

/// Reads a record.
pub(crate) fn decode_record(bytes: &[u8]) -> Result<Record, Damage> {
    let (format, mut reader) = Reader::new(bytes, FORMAT_OUTPUT)?;
    let record = Record {
        event_time: EventTime(i64::from_le_bytes(reader.array("the event time")?)),
        partition: reader.u32("the partition")?,
        offset: reader.u64("the offset")?,
        event_id: reader.text("the event id")?.to_owned(),
        fields: reader.bytes("the fields")?.to_owned(),
        output: match format {
            FORMAT => None,
            _ => Some(Output {
                computation: ComputationId(reader.array("the output's computation")?),
                fields: reader.bytes("the output")?.to_owned(),
            }),
        },
    };
    reader.end()?;
    Ok(record)
}

/// Writes a marker into an empty buffer.
pub(crate) fn encode_marker(marker: &Marker, out: &mut Vec<u8>) {
    out.push(FORMAT);
    out.extend_from_slice(&marker.incarnation.to_le_bytes());
    out.push(marker.release.is_some().into());
    if let Some(release) = marker.release {
        out.extend_from_slice(&release.to_le_bytes());
    }
    write_bytes(marker.log.0.as_bytes(), out);
    write_bytes(marker.source.as_bytes(), out);
    write_length(marker.positions.0.len(), out);
    for (partition, next) in &marker.positions.0 {
        out.extend_from_slice(&partition.to_le_bytes());
        out.extend_from_slice(&next.to_le_bytes());
    }
    write_length(marker.arrivals.len(), out);
    for (partition, latest) in &marker.arrivals {
        out.extend_from_slice(&partition.to_le_bytes());
        out.extend_from_slice(&latest.to_le_bytes());
    }
    write_bytes(&marker.consumed, out);
}

/// Reads a marker.
pub(crate) fn decode_marker(bytes: &[u8]) -> Result<Marker, Damage> {
    let (_, mut reader) = Reader::new(bytes, FORMAT)?;
    let incarnation = reader.u64("the incarnation")?;
    let release = match reader.flag("the release")? {
        true => Some(reader.u64("the release")?),
        false => None,
    };
    let log = LogId(reader.text("the log")?.into());
    let source = reader.text("the source")?.to_owned();
    let positions = Positions(read_partitions(&mut reader, "the positions", u64::from_le_bytes)?);
    let arrivals = read_partitions(&mut reader, "the arrivals", i64::from_le_bytes)?;
    let consumed = reader.bytes("what was consumed")?.to_owned();
    reader.end()?;
    Ok(Marker { incarnation, log, source, positions, consumed, release, arrivals })
}

fn read_partitions<T>(
    reader: &mut Reader<'_>,
    what: &'static str,
    value: fn([u8; 8]) -> T,
) -> Result<BTreeMap<u32, T>, Damage> {
    let count = reader.u32(what)?;
    let mut values = BTreeMap::new();
    for _ in 0..count {
        let (partition, bytes) = (reader.u32(what)?, reader.array(what)?);
        if values.last_key_value().is_some_and(|(last, _)| *last >= partition) {
            return Err(Damage::PartitionOrder(partition));
        }
        values.insert(partition, value(bytes));
    }
    Ok(values)
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(length as u32).to_le_bytes());
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    /// Reads the format byte, which must be from 1 to `latest`.
    fn new(bytes: &'a [u8], latest: u8) -> Result<(u8, Self), Damage> {
        let mut reader = Reader { rest: bytes, total: bytes.len() };
        let [format] = reader.array("the format")?;
        if (FORMAT..=latest).contains(&format) { Ok((format, reader)) } else { Err(Damage::Format(format)) }
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Damage> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Damage::Truncated { what, bytes: self.total })?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, Damage> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, Damage> {
        self.array(what).map(u64::from_le_bytes)
    }

    fn flag(&mut self, what: &'static str) -> Result<bool, Damage> {
        match self.array(what)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [byte] => Err(Damage::Flag { what, byte }),
        }
    }

    fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], Damage> {
        let length = self.u32(what)? as usize;
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or(Damage::Truncated { what, bytes: self.total })?;
        self.rest = rest;
        Ok(taken)
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str, Damage> {
        std::str::from_utf8(self.bytes(what)?).map_err(|_| Damage::Utf8(what))
    }

    fn end(self) -> Result<(), Damage> {
        match self.rest.len() {
            0 => Ok(()),
            more => Err(Damage::Trailing(more)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            event_time: EventTime(-7),
            event_id: "UA-1545-é".to_owned(),
            partition: 3,
            offset: u64::MAX,
            fields: vec![1, 0, 255],
            output: None,
        }
    }

    fn record_with_output() -> Record {
        let output = Output { computation: ComputationId([0xAB; 16]), fields: vec![1, 7] };
        Record { output: Some(output), ..record() }
    }

    fn marker(release: Option<u64>) -> Marker {
        Marker {
            incarnation: 9,
            log: LogId("flights".into()),
            source: "id=é".to_owned(),
            positions: Positions(BTreeMap::from([(0, 51_955), (7, 1)])),
            consumed: vec![0xC0, 0xDE],
            release,
            arrivals: BTreeMap::from([(7, -1)]),
        }
    }

    fn record_bytes(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_record(record, &mut bytes);
        bytes
    }

    fn marker_bytes(marker: &Marker) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_marker(marker, &mut bytes);
        bytes
    }

    #[test]
    fn records_and_markers_round_trip() {
        for record in [record(), record_with_output()] {
            assert_eq!(record_bytes(&record).len(), record.encoded_bytes());
            assert_eq!(decode_record(&record_bytes(&record)), Ok(record));
        }
        for marker in [marker(None), marker(Some(4))] {
            assert_eq!(decode_marker(&marker_bytes(&marker)), Ok(marker));
        }
    }

    #[test]
    fn the_bytes_are_the_published_ones() {
        let expected = "01f9ffffffffffffff03000000ffffffffffffffff0a00000055412d313534352dc3a9030000000100ff";
        assert_eq!(hex::encode(record_bytes(&record())), expected);
        let expected = format!("02{}{}020000000107", &expected[2..], "ab".repeat(16));
        assert_eq!(hex::encode(record_bytes(&record_with_output())), expected);
        let expected = "010900000000000000010400000000000000\
                        07000000666c69676874730500000069643dc3a9020000000000000 0f3ca000000000000070000000100000000000000\
                        0100000007000000ffffffffffffffff02000000c0de";
        assert_eq!(hex::encode(marker_bytes(&marker(Some(4)))), expected.replace(' ', ""));
    }

    #[test]
    fn a_flipped_bit_gives_an_error_or_another_value() {
        let check = |bytes: Vec<u8>, same: &dyn Fn(&[u8]) -> bool| {
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(!same(&flipped), "bit {bit}");
            }
        };
        for record in [record(), record_with_output()] {
            check(record_bytes(&record), &|bytes| decode_record(bytes).as_ref() == Ok(&record));
        }
        let marker = marker(Some(4));
        check(marker_bytes(&marker), &|bytes| decode_marker(bytes).as_ref() == Ok(&marker));
    }

    #[test]
    fn bytes_cut_short_or_too_long_are_damage() {
        let records = [record_bytes(&record()), record_bytes(&record_with_output())];
        for mut bytes in records.clone().into_iter().chain([marker_bytes(&marker(Some(4)))]) {
            let is_record = records.contains(&bytes);
            let damage = |bytes: &[u8]| match is_record {
                true => decode_record(bytes).unwrap_err(),
                false => decode_marker(bytes).unwrap_err(),
            };
            for length in 0..bytes.len() {
                assert!(matches!(damage(&bytes[..length]), Damage::Truncated { .. }), "length {length}");
            }
            bytes.extend([0, 0]);
            assert_eq!(damage(&bytes), Damage::Trailing(2));
        }
    }

    #[test]
    fn damage_says_what_and_where() {
        let with = |at: usize, byte: u8| {
            let mut bytes = marker_bytes(&marker(Some(4)));
            bytes[at] = byte;
            decode_marker(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 2), Damage::Format(2));
        assert_eq!(with(9, 7), Damage::Flag { what: "the release", byte: 7 });
        assert_eq!(with(22, 0xFF), Damage::Utf8("the log"));
        assert_eq!(with(36, 0xFF), Damage::Utf8("the source"));
        assert_eq!(with(42, 7), Damage::PartitionOrder(7));
    }

    #[test]
    fn sizes_are_bounded() {
        let state = StateId([7; 16]);
        let key = EntityKey(vec![1; KEY_BYTES_MAX].into());
        let mut record = record();
        record.fields = vec![0; RECORD_BYTES_MAX - RECORD_BYTES_FIXED - record.event_id.len()];
        assert_eq!(record.check_size(state, &key), Ok(()));
        let long = EntityKey(vec![1; KEY_BYTES_MAX + 1].into());
        assert!(matches!(record.check_size(state, &long), Err(StoreError::KeyTooLarge { bytes: 2049, .. })));
        record.fields.push(0);
        let refused = record.check_size(state, &key);
        assert_eq!(refused, Err(StoreError::RecordTooLarge { state, key, bytes: RECORD_BYTES_MAX + 1 }));
    }
}
