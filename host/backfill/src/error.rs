//! Why a backfill cannot be done, or was not finished.

use std::io;
use std::path::PathBuf;

use datafusion_common::DataFusionError;
use trifold_eventlog::LogError;
use trifold_pipeline::{ExplainError, ReadError, RowTableError, TimelineError};

/// Why a backfill cannot be done, or was not finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackfillError {
    /// The log, the spine or a row file could not be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is asked and what was given do not go together.
    #[error("{0}")]
    Usage(String),
    /// There is no file at a spine's path.
    #[error(
        "there is no spine at {}: name a *.parquet or *.jsonl file with the entity's key fields and the as-of time \
         in its columns", file.display()
    )]
    NoSpine {
        /// The path.
        file: PathBuf,
    },
    /// A row of a spine that asks nothing.
    #[error("spine {}, row {row}: column {column} {problem}", file.display())]
    SpineRow {
        /// The file.
        file: PathBuf,
        /// The row, from zero.
        row: u64,
        /// The column.
        column: String,
        /// What is wrong with its value.
        problem: String,
    },
    /// A spine whose columns cannot be used.
    #[error("spine {}: {problem}", file.display())]
    SpineFile {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The directory holds the rows of another backfill.
    #[error(
        "{} holds the rows of another backfill: its {parameter} was {before} and is now {now}; choose another \
         directory, or `--overwrite` to remove what is there", dir.display()
    )]
    OtherBackfill {
        /// The directory.
        dir: PathBuf,
        /// The first parameter that differs.
        parameter: String,
        /// Its value then.
        before: String,
        /// Its value now.
        now: String,
    },
    /// The directory holds files that no backfill wrote.
    #[error("{} is not empty and no backfill wrote it: it holds {found}; choose another directory", dir.display())]
    ForeignDirectory {
        /// The directory.
        dir: PathBuf,
        /// One of the files.
        found: String,
    },
    /// Another process is writing there.
    #[error("another backfill is writing to {}: wait for it, or choose another directory", dir.display())]
    Busy {
        /// The directory.
        dir: PathBuf,
    },
    /// A record of an earlier run that cannot be read.
    #[error("{} is damaged: {problem}; use `--overwrite` to begin again", file.display())]
    Record {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An on-demand view asks for something that the views given do not give.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Events and questions could not be put together.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// A value could not be explained.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// Rows could not be put into a table.
    #[error(transparent)]
    Table(#[from] RowTableError),
    /// Rows that are wide beyond the memory.
    #[error("sorting {what} takes more than {memory_bytes} bytes a thread: allow more memory, or fewer threads")]
    Memory {
        /// What was being sorted.
        what: &'static str,
        /// What one thread had.
        memory_bytes: usize,
    },
    /// Sorting failed, most often for lack of disk.
    #[error("sorting {what} failed: {source}")]
    Sort {
        /// What was being sorted.
        what: &'static str,
        /// What the sorter said.
        source: Box<DataFusionError>,
    },
    /// Another thread of the backfill failed, and its error is reported in place of this one.
    #[error("another part of the backfill failed")]
    Interrupted,
    /// A mistake in the backfill itself.
    #[error("this is a mistake in the backfill: {0}")]
    Internal(String),
    /// It was told to stop. Finished files stay, and the same backfill goes on from them.
    #[error("stopped: {finished} of {total} files are finished; run the same backfill again to go on")]
    Cancelled {
        /// How many files are finished.
        finished: u32,
        /// Of how many.
        total: u32,
    },
}

impl BackfillError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| BackfillError::Io { action, path, source }
    }

    /// Whether it only stopped because it was told to.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, BackfillError::Cancelled { .. })
    }
}
