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
