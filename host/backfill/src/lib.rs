//! Backfills: the values of a view over recorded events, at every event or at the rows of a spine.
//!
//! The backfill reads, sorts, splits and writes. What an event means and what a row's value is, the pipeline
//! says ([`trifold_pipeline::Timeline`] and [`trifold_pipeline::PointInTime`]).
//!
//! Reading order: [`job`] (what is asked) and [`report`] (what was done), [`error`]; then `run` (a backfill into
//! files), `replay` (one whose answers are only looked at) and `on_demand` (replays, joined with requests); `explain`
//! reads the events of one entity. All take a `recording` of the log, `survey` it and follow one of two plans: `sorted`
//! (`exchange`, `sorter`) or `streamed`. Either hands rows to a `shard`,
//! whose answers go where `output` or `replay` puts them.

mod aside;
mod durable;
pub mod error;
mod exchange;
mod explain;
pub mod job;
mod manifest;
mod meter;
mod on_demand;
mod output;
mod recording;
mod replay;
pub mod report;
mod run;
mod shard;
mod sizes;
mod sorted;
mod sorter;
mod spine;
mod streamed;
mod survey;
mod threads;

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use trifold_eventlog::AsideReason;
use trifold_model::{EntityKey, EventTime};
use trifold_pipeline::{ExplainBounds, Explanation, LiveVersion, ReadView, Rows};

pub use error::BackfillError;
pub use job::{Job, Output, Phase, Progress, Resources, Spine, Watch};
pub use report::{Counts, ErrorCount, Plan, Report};

/// A backfill into files.
#[derive(Clone)]
pub struct Backfill {
    /// What is computed.
    pub job: Job,
    /// The questions, where the job asks for those of a spine.
    pub spine: Option<Spine>,
    /// Where the rows go.
    pub output: Output,
    /// What it may use.
    pub resources: Resources,
    /// How it is watched and stopped.
    pub watch: Watch,
}

impl Backfill {
    /// Runs to the end, or goes on with what an earlier run of the same backfill left: files that are missing, and
    /// those with rows that were unavailable. Blocks the thread, which may be one of an asynchronous runtime only if
    /// it may be blocked.
    pub fn run(&self) -> Result<Report, BackfillError> {
        run::run(self)
    }
}

/// A backfill of an on-demand view into files: its values at the requests of a spine.
///
/// Every view that it reads is replayed at the entities and times of the spine, and the answers are joined with the
/// requests in the order of the spine, so that memory does not depend on how long it is. Events that do not count are
/// kept by backfills of the views that are read, and not here.
#[derive(Clone)]
pub struct OnDemandBackfill {
    /// The version that computes.
    pub version: LiveVersion,
    /// How each view that it reads is computed: jobs that ask for a spine, one for each of those views.
    pub reads: Vec<Job>,
    /// The requests: the request fields stand in columns of their own names, beside the as-of time.
    pub spine: Spine,
    /// Where the rows go.
    pub output: Output,
    /// What it may use, for all replays together.
    pub resources: Resources,
    /// How it is watched and stopped.
    pub watch: Watch,
}

impl OnDemandBackfill {
    /// Runs to the end, or goes on with the files that an earlier run of the same backfill had not finished, as
    /// [`Backfill::run`] does.
    pub fn run(&self) -> Result<Report, BackfillError> {
        on_demand::run(self)
    }
}

/// A backfill whose answers are looked at and not kept, for audits.
#[derive(Clone)]
pub struct Replay {
    /// What is computed.
    pub job: Job,
    /// The questions, where the job asks for those of a spine.
    pub questions: Option<Questions>,
    /// Where sorting may put what does not fit into memory. A directory of its own is made there and removed.
    pub spill_dir: PathBuf,
    /// What it may use; shards are of no account.
    pub resources: Resources,
    /// How it is watched and stopped.
    pub watch: Watch,
}

/// Entities and times, row by row.
#[derive(Debug, Clone, Default)]
pub struct Questions {
    /// The entity of each question.
    pub keys: Vec<EntityKey>,
    /// The as-of time of each question.
    pub as_of: Vec<EventTime>,
}

/// One answer of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayAnswer<'a> {
    /// The [number](trifold_model::EventNumber) of the event, or the index of the question.
    pub number: u64,
    /// The bytes of the entity's key.
    pub key: &'a [u8],
    /// The time and the id of the event; `None` for a question.
    pub event: Option<(EventTime, &'a str)>,
    /// The as-of time.
    pub as_of: EventTime,
    /// The canonical bytes of the value, or why there is none.
    pub value: Result<&'a [u8], &'a str>,
}

impl Replay {
    /// Computes all answers and hands them over in ascending order of their numbers. Returns how many there were.
    /// Blocks the thread, as [`Backfill::run`] does.
    pub fn answers(&self, each: &mut dyn FnMut(ReplayAnswer<'_>)) -> Result<u64, BackfillError> {
        replay::answers(self, each)
    }
}

/// A backfill of an on-demand view whose answers are looked at and not kept, for audits.
#[derive(Clone)]
pub struct OnDemandReplay {
    /// The version that computes.
    pub version: LiveVersion,
    /// How each view that it reads is computed: jobs that ask for a spine, one for each of those views, and each in
    /// its own cut.
    pub reads: Vec<Job>,
    /// The requests.
    pub requests: Requests,
    /// Where sorting may put what does not fit into memory. A directory of its own is made there and removed.
    pub spill_dir: PathBuf,
    /// What it may use, for all replays together; shards are of no account.
    pub resources: Resources,
    /// How it is watched and stopped.
    pub watch: Watch,
}

/// Requests and times, row by row.
#[derive(Debug, Clone)]
pub struct Requests {
    /// The request fields, by name.
    pub fields: RecordBatch,
    /// The as-of time of each request.
    pub as_of: Vec<EventTime>,
}

/// What the rows of a spine ask, in memory.
#[derive(Debug, Clone)]
pub struct AskedRows {
    /// What is asked with, by name: the key fields of a row or window view, or the request fields of an on-demand view.
    pub columns: RecordBatch,
    /// The as-of time of each row that has one.
    pub as_of: Vec<Option<EventTime>>,
}

/// Some answers of an on-demand view's replay.
pub struct ReplayedRows<'a> {
    /// The number of the request that the first of them answers.
    pub first: u64,
    /// The answers, in the order of the requests.
    pub rows: &'a Rows,
}

impl OnDemandReplay {
    /// Computes all answers and hands them over in the order of the requests; an error of whoever takes them ends the
    /// replay. Blocks the thread, as [`Backfill::run`] does.
    pub fn answers(
        &self,
        each: &mut (dyn FnMut(ReplayedRows<'_>) -> Result<(), BackfillError> + Send),
    ) -> Result<(), BackfillError> {
        on_demand::replay::answers(self, each)
    }
}

/// A value of one entity at one time, whose events and tiles are looked at.
///
/// The log is read once, by one thread, and only events of the entity that are within reach of the value are held.
#[derive(Clone)]
pub struct Explain {
    /// What is computed: it asks for a spine, of which this is the one row.
    pub job: Job,
    /// The entity.
    pub key: EntityKey,
    /// The as-of time.
    pub as_of: EventTime,
    /// How much is listed and held.
    pub bounds: ExplainBounds,
    /// How it is watched and stopped.
    pub watch: Watch,
}

/// What a log says of a value.
#[derive(Clone)]
pub struct Explained {
    /// The version that computed it.
    pub version: LiveVersion,
    /// The entity.
    pub key: EntityKey,
    /// The value, and what it is made of.
    pub explanation: Explanation,
    /// The id of the log.
    pub log: String,
    /// How many rows of the log were read.
    pub rows_read: u64,
    /// How many of them could not be decoded, whoever they are about.
    pub unreadable: BTreeMap<AsideReason, u64>,
    /// What is wrong with the first of them.
    pub first_unreadable: Option<String>,
}

impl Explain {
    /// Reads the log and explains the value. Blocks the thread, as [`Backfill::run`] does.
    pub fn run(&self) -> Result<Explained, BackfillError> {
        explain::explain(self)
    }
}

/// A value of an on-demand view at one request, with the values that it reads.
#[derive(Clone)]
pub struct OnDemandExplain {
    /// The version that computes.
    pub version: LiveVersion,
    /// How each view that it reads is computed: jobs that ask for a spine, one for each of those views.
    pub reads: Vec<Job>,
    /// The request: one row, with the request fields in columns of their own names.
    pub request: RecordBatch,
    /// The as-of time.
    pub as_of: EventTime,
    /// How much is listed and held of each view that is read.
    pub bounds: ExplainBounds,
    /// How it is watched and stopped.
    pub watch: Watch,
}

/// What a log says of a value of an on-demand view.
#[derive(Clone)]
pub struct OnDemandExplained {
    /// The value, a single row.
    pub rows: Rows,
    /// The views that it reads, with what passes between them, and their values.
    pub reads: Vec<(ReadView, Explained)>,
}

impl OnDemandExplain {
    /// Reads the log for each view and explains the values. Blocks the thread, as [`Backfill::run`] does.
    pub fn run(&self) -> Result<OnDemandExplained, BackfillError> {
        explain::explain_on_demand(self)
    }
}
