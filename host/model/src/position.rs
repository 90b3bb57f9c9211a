//! Places in the log that a pipeline reads, and cuts through it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A topic or a file log. Positions of different logs cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(pub Arc<str>);

/// The place of one event: the offset counts the events of its partition from zero.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The log.
    pub log: LogId,
    /// The partition of the log.
    pub partition: u32,
    /// The offset in the partition.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.log.0, self.partition, self.offset)
    }
}

/// The place of an event in a log as one number, by which events are told apart and sorted: within a partition it grows
/// with the offset. In a log of one partition it is the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventNumber(pub u64);

impl EventNumber {
    const OFFSET_BITS: u32 = 48;
    /// So many partitions have numbers: as signed integers, too, all numbers grow.
    pub const PARTITIONS: u32 = 1 << (63 - Self::OFFSET_BITS);
    /// So many offsets of a partition have numbers.
    pub const OFFSETS: u64 = 1 << Self::OFFSET_BITS;

    /// The number of a place below [`EventNumber::PARTITIONS`] and [`EventNumber::OFFSETS`].
    pub fn new(partition: u32, offset: u64) -> Self {
        debug_assert!(partition < Self::PARTITIONS && offset < Self::OFFSETS);
        EventNumber(u64::from(partition) << Self::OFFSET_BITS | offset)
    }

    /// The partition.
    pub fn partition(self) -> u32 {
        (self.0 >> Self::OFFSET_BITS) as u32
    }

    /// The offset.
    pub fn offset(self) -> u64 {
        self.0 & (Self::OFFSETS - 1)
    }
}

/// How far each partition of one log has been applied: the offset of the **next** event, so that zero means
/// that nothing was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Positions(pub BTreeMap<u32, u64>);

impl Positions {
    /// The next offset of a partition.
    pub fn next(&self, partition: u32) -> u64 {
        self.0.get(&partition).copied().unwrap_or(0)
    }

    /// Whether the event at `offset` of `partition` lies before these positions.
    pub fn includes(&self, partition: u32, offset: u64) -> bool {
        offset < self.next(partition)
    }
}

/// What was known when a value was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// Every recorded event.
    All,
    /// Events with arrival <= T, so that nothing leaks from later.
    Arrival,
    /// Events before these positions.
    Position(Positions),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_with_offsets_and_lead_back() {
        let (last_partition, last_offset) = (EventNumber::PARTITIONS - 1, EventNumber::OFFSETS - 1);
        let places =
            [(0, 0), (0, 7), (0, last_offset), (1, 0), (1, 7), (last_partition, 0), (last_partition, last_offset)];
        let numbers = places.map(|(partition, offset)| EventNumber::new(partition, offset));
        assert!(numbers.is_sorted() && numbers.iter().all(|number| i64::try_from(number.0).is_ok()));
        assert_eq!(numbers.map(|number| (number.partition(), number.offset())), places);
        assert_eq!(numbers[1].0, 7);
    }
}
