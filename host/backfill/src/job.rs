//! What a backfill is asked to do, and what it tells of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use trifold_eventlog::{RowFormat, SourceConfig};
use trifold_model::Positions;
use trifold_pipeline::{ArrivalPolicy, Ask, LiveVersion};

/// What is computed, and over which events.
#[derive(Clone)]
pub struct Job {
    /// The version that computes.
    pub version: LiveVersion,
    /// The log: a directory of segments, one file, or an archive.
    pub log: PathBuf,
    /// The log's id; by default the name of the directory or file. An archive knows its own.
    pub log_name: Option<String>,
    /// Whether the key of each event in an archive must be that of its entity, as workers on Kafka take it.
    pub checks_keys: bool,
    /// Which of the log's columns carry what every event has.
    pub source: SourceConfig,
    /// What is asked.
    pub ask: Ask,
    /// Whether events at exactly T do not count.
    pub before: bool,
    /// Where times of arrival come from; made by [`ArrivalPolicy::new`].
    pub arrivals: ArrivalPolicy,
    /// Only events before these positions are read. A cut by position implies it.
    pub until: Option<Positions>,
}

/// A file of questions: one entity and one time in each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spine {
    /// The file, `*.parquet` or `*.jsonl`.
    pub path: PathBuf,
    /// The column of the as-of time, `as_of` by default. The key fields have columns of their own names, and all
    /// other columns are carried through to the rows.
    pub as_of: String,
}

impl Spine {
    /// A spine whose times stand in the column `as_of`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Spine { path: path.into(), as_of: "as_of".to_owned() }
    }
}

/// Where the rows go.
///
/// The directory will hold the rows as `part-00000.parquet` (or `.jsonl`) and so on, with the columns of
/// [`trifold_pipeline::row_table`]; the events that do not count in `_aside/`, JSON lines whose files are in the
/// order of the log; the parameters in `_backfill.json`; and in `_done/` a record of each finished file. Whoever
/// reads such a directory skips names that begin with an underscore.
#[derive(Debug, Clone)]
pub struct Output {
    /// The directory; it is made if it is missing. It must be empty or hold a backfill.
    pub dir: PathBuf,
    /// The format of the files.
    pub format: RowFormat,
    /// Whether rows carry the digest of their canonical bytes.
    pub digest: bool,
    /// Whether what another backfill wrote there may be removed.
    pub overwrite: bool,
}

/// What a backfill may use.
#[derive(Debug, Clone)]
pub struct Resources {
    /// Into how many files the rows are split. The streamed plan ([`crate::Plan`]) may make fewer, as it never
    /// splits a row group of the log or the events of one time.
    pub shards: u32,
    /// How many threads compute.
    pub threads: usize,
    /// How much memory sorting may take; beyond it, it spills to disk. Each thread gets its share, and
    /// [`Resources::MEMORY_BYTES_MIN`] at least. What sorting does not hold (a few batches per thread, and the row
    /// groups being written) comes on top.
    pub memory_bytes_max: usize,
    /// How many events and questions one pass over the log may sort. What is finished after a pass is kept when
    /// the backfill is interrupted; in turn every pass reads the whole log.
    pub pass_rows_max: u64,
}

impl Resources {
    /// What each thread has to sort with at least: with less, it would take very many small runs on disk.
    pub const MEMORY_BYTES_MIN: usize = 16 << 20;
}

impl Default for Resources {
    /// Eight files; two threads; 256 MiB, with which ten million narrow events sort in few runs on disk; ten
    /// million rows a pass, some tens of seconds of work to lose.
    fn default() -> Self {
        Resources { shards: 8, threads: 2, memory_bytes_max: 256 << 20, pass_rows_max: 10_000_000 }
    }
}

/// What a backfill is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reading the events' times, to see whether they must be sorted.
    Survey,
    /// Reading events and questions, and sorting them.
    Read,
    /// Computing and writing rows.
    Compute,
}

impl Phase {
    /// The word for progress bars.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Survey => "survey",
            Phase::Read => "read",
            Phase::Compute => "compute",
        }
    }
}

/// Is told how far a backfill is, from several threads.
pub trait Progress: Send + Sync {
    /// `done` of `total` rows of a phase. Phases follow one another; where the log is read in several passes,
    /// reading and computing take turns. Where rows are set aside, phases may end below their totals.
    fn report(&self, phase: Phase, done: u64, total: u64);
}

impl<F: Fn(Phase, u64, u64) + Send + Sync> Progress for F {
    fn report(&self, phase: Phase, done: u64, total: u64) {
        self(phase, done, total);
    }
}

/// How a running backfill is watched and stopped.
#[derive(Clone)]
pub struct Watch {
    /// Is told of progress.
    pub progress: Arc<dyn Progress>,
    /// Once true, the backfill ends with [`crate::BackfillError::Cancelled`] at the next batch.
    pub cancelled: Arc<AtomicBool>,
}

impl Default for Watch {
    /// Tells nobody, and is never cancelled.
    fn default() -> Self {
        Watch { progress: Arc::new(|_, _, _| {}), cancelled: Arc::default() }
    }
}
