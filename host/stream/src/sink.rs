//! Where emitted rows and set-aside events go.

use std::fmt;

use arrow_array::RecordBatch;
use trifold_eventlog::{AsideReason, LogError};
use trifold_store::{Commit, SlotChange};

use crate::feed::FeedId;

/// What one step emitted for one feed.
#[derive(Debug, Clone)]
pub struct Emission {
    /// The feed.
    pub feed: FeedId,
    /// The partition of the log.
    pub partition: u32,
    /// The position at which the step began: the offset of its first event.
    pub first_offset: u64,
    /// One row for each admitted event, in the schema of the view's row table; it may have no rows.
    pub rows: RecordBatch,
    /// The rows of the entities that a canary serves, in the schema of its own row table: they are not in `rows`.
    pub canary: Option<RecordBatch>,
    /// What was set aside, ascending by offset.
    pub aside: Vec<AsideLine>,
}

impl Emission {
    /// The rows, those of each version by themselves.
    pub fn tables(&self) -> impl Iterator<Item = &RecordBatch> {
        [&self.rows].into_iter().chain(&self.canary)
    }
}

/// Why an event is in the aside file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AsideKind {
    /// It does not count.
    Excluded(AsideReason),
    /// It counts, and the row that it emitted is an error, whose message is only here.
    RowError,
    /// It counts, and its row could not be computed, for a reason that is no part of the value.
    Unavailable,
}

impl AsideKind {
    /// The word for files and counters.
    pub fn name(self) -> &'static str {
        match self {
            AsideKind::Excluded(reason) => reason.name(),
            AsideKind::RowError => "row-error",
            AsideKind::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for AsideKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One line of an aside file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsideLine {
    /// The event's offset.
    pub offset: u64,
    /// The partition and the offset at which it stood first, in a log that was partitioned anew.
    pub first: Option<(u32, u64)>,
    /// Why it is here.
    pub kind: AsideKind,
    /// The field and what is wrong with it, or the message of the row error.
    pub detail: String,
    /// The event as JSON.
    pub event: String,
}

/// What [`Sink::discard`] removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Discard {
    /// How many finished files.
    pub file_count: u64,
}

/// Takes what steps emit. [`Sink::write`] is called before the step is committed, so what it wrote may belong to one
/// that never was; [`Sink::discard`] takes that back.
pub trait Sink: Send {
    /// Makes an emission durable, all of it or nothing under its final name.
    fn write(&mut self, emission: &Emission) -> Result<(), LogError>;

    /// Takes in what a step changed of a feed's state, with every slot of a window view by itself in `parts`, if
    /// [`WorkerConfig::parts`](crate::WorkerConfig::parts) says so. It is called after the step's
    /// [`Sink::write`]; most sinks have no use for it.
    fn change(&mut self, _feed: &FeedId, _commit: &Commit, _parts: &[SlotChange]) {}

    /// Removes whatever was written for a feed by steps that began at `next` or later.
    fn discard(&mut self, feed: &FeedId, partition: u32, next: u64) -> Result<Discard, LogError>;
}

/// Emits nothing: the worker fills the store and no more.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSink;

impl Sink for NoSink {
    fn write(&mut self, _emission: &Emission) -> Result<(), LogError> {
        Ok(())
    }

    fn discard(&mut self, _feed: &FeedId, _partition: u32, _next: u64) -> Result<Discard, LogError> {
        Ok(Discard::default())
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn write(&mut self, emission: &Emission) -> Result<(), LogError> {
        (**self).write(emission)
    }

    fn change(&mut self, feed: &FeedId, commit: &Commit, parts: &[SlotChange]) {
        (**self).change(feed, commit, parts);
    }

    fn discard(&mut self, feed: &FeedId, partition: u32, next: u64) -> Result<Discard, LogError> {
        (**self).discard(feed, partition, next)
    }
}
