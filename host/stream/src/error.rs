//! What stops a worker, and what it only reports.

use trifold_eventlog::{LogChange, LogError};
use trifold_model::{StateId, ViewName};
use trifold_pipeline::ingest::IngestError;
use trifold_pipeline::row_table::RowTableError;
use trifold_pipeline::{ArrivalPolicyError, CatalogProblem};
use trifold_registry::RegistryError;
use trifold_sandbox::Cause;
use trifold_store::StoreError;

use crate::feed::FeedId;
use crate::resident::StateError;

/// Why a worker stopped. Whatever was written since the last checkpoint is taken back by the next restore.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(LogError),
    /// The store failed, or refused a commit.
    #[error("view {view}: {source}")]
    Store {
        /// The view, or the views that were committed together.
        view: String,
        /// What the store said.
        source: StoreError,
    },
    /// What a step emitted could not be made durable or taken back.
    #[error("view {view}: {source}")]
    Sink {
        /// The view.
        view: ViewName,
        /// What the file system said.
        source: LogError,
    },
    /// A batch could not be folded.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// A row has no answer for a reason that may be gone the next time. To emit it would make that final.
    #[error(
        "view {view}: the row at offset {offset} could not be computed ({cause}: {reason}): run the stream again, \
         it goes on at its last commit",
        cause = cause.name()
    )]
    Unavailable {
        /// The view.
        view: ViewName,
        /// The offset of the row's event.
        offset: u64,
        /// What kind of trouble it was.
        cause: Cause,
        /// What happened.
        reason: String,
    },
    /// Emitted rows could not be put into a table.
    #[error("view {view}: the emitted rows make no table: {source}")]
    Table {
        /// The view.
        view: ViewName,
        /// Why not.
        source: RowTableError,
    },
    /// The state was filled from another log.
    #[error(
        "view {view}: its state {state} follows the log {stored}, and this is the log {given}: use the log that \
         the state came from, with `--log-id {stored}` if that was only renamed, or another data directory; for a \
         topic, use another group"
    )]
    OtherLog {
        /// The view.
        view: ViewName,
        /// Its state.
        state: StateId,
        /// The log that the state follows.
        stored: String,
        /// The log that the worker reads.
        given: String,
    },
    /// The state was filled from events that were read in another way.
    #[error(
        "view {view}: its state {state} was filled from events read as {stored}, and they are now read as {given}: \
         use the source options that the state came from, or replay the log: for files after \
         `trifold clear {view}`, for a topic as another group"
    )]
    OtherSource {
        /// The view.
        view: ViewName,
        /// Its state.
        state: StateId,
        /// How the state's events were read.
        stored: String,
        /// How the worker reads them.
        given: String,
    },
    /// The files that the state was filled from are not what they were.
    #[error(
        "view {view}: its state {state} was filled from other files of the log {log}: {change}, or \
         `trifold clear {view}` to replay the log"
    )]
    ChangedLog {
        /// The view.
        view: ViewName,
        /// Its state.
        state: StateId,
        /// The log.
        log: String,
        /// The file and what changed.
        change: Box<LogChange>,
    },
    /// The state has applied more events than the log holds.
    #[error(
        "view {view}: its state {state} has applied {applied} events of the log {log}, which holds {known}: \
         {}, or replay the log: for files after \
         `trifold clear {view}`, for a topic as another group",
        change.as_ref().map_or_else(|| "restore the log".to_owned(), ToString::to_string)
    )]
    AheadOfLog {
        /// The view.
        view: ViewName,
        /// Its state.
        state: StateId,
        /// The log.
        log: String,
        /// The state's position.
        applied: u64,
        /// The rows of the log.
        known: u64,
        /// The file that they are missing from, if the log can tell.
        change: Option<Box<LogChange>>,
    },
    /// The stored marker is not the one that this worker committed last.
    #[error(
        "view {view}: the marker of its state {state} was changed by somebody else while this worker ran: let \
         one worker at a time write a state"
    )]
    Overtaken {
        /// The view.
        view: String,
        /// Its state.
        state: StateId,
    },
    /// The source did not continue where it was asked to.
    #[error(
        "the log {log} was read from offset {wanted} for at most {rows_max} rows and gave {rows} from {given}"
    )]
    Gap {
        /// The log.
        log: String,
        /// The offset asked for.
        wanted: u64,
        /// The most rows asked for.
        rows_max: usize,
        /// The first offset given.
        given: u64,
        /// The rows given.
        rows: usize,
    },
    /// The releases could not be read when the worker started.
    #[error("the releases cannot be read: {0}")]
    Registry(RegistryError),
    /// There is nothing to do, and nobody wants to wait.
    #[error("no row view is in force: push a component and release it, or follow the log to wait for a release")]
    NoViews,
    /// There is nothing to do because of what is wrong with the releases.
    #[error("no row view can be put into force: {0}")]
    Releases(String),
}

impl StreamError {
    /// Whether it says something of the log's files as they are at present, which somebody may put right.
    pub(crate) fn is_of_the_log(&self) -> bool {
        matches!(self, StreamError::Log(_) | StreamError::ChangedLog { .. } | StreamError::AheadOfLog { .. })
    }

    /// Whether it may be gone when the same is tried again.
    pub fn may_pass(&self) -> bool {
        match self {
            StreamError::Log(error) => matches!(error, LogError::Unreachable { .. }),
            StreamError::Unavailable { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn state(view: impl Into<String>) -> impl FnOnce(StateError) -> StreamError {
        let view = view.into();
        move |error| match error {
            StateError::Store(source) => StreamError::Store { view, source },
            StateError::Overtaken(state) => StreamError::Overtaken { view, state },
        }
    }

    pub(crate) fn sink(view: &ViewName) -> impl FnOnce(LogError) -> StreamError {
        let view = view.clone();
        move |source| StreamError::Sink { view, source }
    }
}

/// Trouble that keeps one view or one release back and stops nothing else.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A release could not be put into force; the one before it stays.
    #[error(transparent)]
    Release(CatalogProblem),
    /// The releases could not be read; those known stay in force.
    #[error("the releases cannot be read: {0}")]
    Registry(RegistryError),
    /// The log that is followed cannot be read at present, or is not the one it was. All views stand still until it is
    /// put right.
    #[error("the stream stands still: {0}")]
    Log(String),
    /// The state of a version that was given up is still there.
    #[error("the state of {feed}, which was given up, cannot be removed: {reason}; `trifold clear` removes it")]
    Leftover {
        /// The state.
        feed: FeedId,
        /// Why.
        reason: String,
    },
    /// The view judges arrivals and the source records none.
    #[error(transparent)]
    Arrival(ArrivalPolicyError),
    /// The log cannot be decoded for the view: a column is missing or of an impossible type. The view stands
    /// still until another version is released.
    #[error("view {view} stands still at offset {offset}: {source}")]
    Decode {
        /// The view.
        view: ViewName,
        /// The offset at which the batch begins that cannot be decoded.
        offset: u64,
        /// What is wrong.
        source: LogError,
    },
    /// A stored record of the view does not decode. The view stands still; with a cleared state it starts anew.
    #[error("view {view} stands still at offset {offset}: {source}")]
    Record {
        /// The view.
        view: ViewName,
        /// The offset at which the batch begins that needs the record.
        offset: u64,
        /// Which record, and what is wrong with it.
        source: RecordProblem,
    },
}

/// Where a damaged record was found out.
#[derive(Debug, thiserror::Error)]
pub enum RecordProblem {
    /// The store cannot read it.
    #[error(transparent)]
    Store(StoreError),
    /// Its fields are not the view's inputs.
    #[error(transparent)]
    Fields(IngestError),
}

impl Problem {
    /// Whether a view stands still because of it, rather than going on with the version it had.
    pub fn blocks(&self) -> bool {
        matches!(self, Problem::Arrival(_) | Problem::Decode { .. } | Problem::Record { .. })
    }
}
