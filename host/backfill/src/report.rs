//! What a backfill did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trifold_eventlog::{AsideReason, RowFile};
use trifold_pipeline::row_table::UNAVAILABLE;

/// What a backfill did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How the rows were brought into order.
    pub plan: Plan,
    /// How many rows of the log were read.
    pub events_read: u64,
    /// What was written, over all files.
    pub counts: Counts,
    /// How many events were set aside, by reason.
    pub aside: BTreeMap<AsideReason, u64>,
    /// The files of rows, in the order of their names.
    pub files: Vec<RowFile>,
    /// How many of the files an earlier run had finished, with an answer for every row.
    pub resumed_count: u32,
}

/// How the rows are brought into order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plan {
    /// Events and questions are sorted by entity and time. A file holds the entities whose key's BLAKE3 hash,
    /// its first eight bytes read as a little-endian number, leaves the file's number modulo the files' count.
    Sorted,
    /// The log is in the order of event time and each event is asked at its own time, so that nothing needs to
    /// be sorted. A file holds consecutive parts of the log.
    Streamed,
    /// The requests of an on-demand view are joined with what the views answer that it reads. A file holds consecutive
    /// rows of the spine.
    Joined,
}

impl Plan {
    /// The word for reports.
    pub fn name(self) -> &'static str {
        match self {
            Plan::Sorted => "sorted",
            Plan::Streamed => "streamed",
            Plan::Joined => "joined",
        }
    }
}

/// Rows counted by what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// All rows.
    pub rows: u64,
    /// Rows by status: `value`, `empty`, `expired`, `error`, `unavailable`.
    pub statuses: BTreeMap<String, u64>,
    /// Row errors by code.
    pub errors: BTreeMap<u16, ErrorCount>,
    /// Why rows were unavailable, for one of them.
    pub unavailable: Option<String>,
}

/// Row errors of one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// How many there are.
    pub rows: u64,
    /// The number of the event, or row of the spine, of one of them.
    pub number: u64,
    /// What the transform or the host said of it.
    pub message: String,
}

impl Counts {
    /// How many rows have no answer, for reasons that may be gone the next time.
    pub fn unavailable_count(&self) -> u64 {
        self.statuses.get(UNAVAILABLE).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, other: &Counts) {
        self.rows += other.rows;
        for (status, rows) in &other.statuses {
            *self.statuses.entry(status.clone()).or_default() += rows;
        }
        for (code, error) in &other.errors {
            self.errors.entry(*code).and_modify(|known| known.rows += error.rows).or_insert_with(|| error.clone());
        }
        self.unavailable = self.unavailable.take().or_else(|| other.unavailable.clone());
    }
}
