//! The stream worker: follows a log of events, folds them into the records of every view in force, and emits
//! one row per admitted event and view.
//!
//! Every view's state is a *feed* with a position of its own, so that a view that is released later starts at
//! the log's beginning and catches up. So does the state of a version that is tried out beside the one in force; `emission`
//! says who emits which rows then. A step takes one batch of the log through all feeds that stand at the
//! same position and makes durable what it emitted; at a checkpoint, the records and positions that the steps before it
//! came to are committed in one store transaction. A crash in between leaves files behind the committed position;
//! [`Worker::restore`] removes them, and the steps are taken again. So each event counts once and each row is there
//! once.
//!
//! Reading order: [`source`], [`sink`] and [`releases`] are the worker's ports; [`feed`], `resident`, [`step`] and
//! [`worker`] are the state machine over them; [`files`] is the sink of row files; [`driver`] runs a worker and says
//! when; [`notice`] is what it reports, [`error`] what stops it. [`archived`] are the partitions of an archive as sources, and
//! [`load`] brings what a worker left in its store into a Redis.

pub mod archived;
mod aside;
pub mod driver;
mod emission;
pub mod error;
pub mod feed;
pub mod files;
mod fingerprint;
pub mod kafka;
pub mod load;
pub mod notice;
pub mod releases;
mod resident;
pub mod sink;
pub mod source;
pub mod step;
pub mod worker;

pub use archived::ArchivePartition;
pub use driver::{DEFAULT_CHECKPOINT_INTERVAL, Driver, RunReport, Until};
pub use error::{Problem, RecordProblem, StreamError};
pub use feed::FeedId;
pub use files::{FileSink, feed_dir};
pub use load::{Load, LoadError};
pub use notice::{Counts, FeedProgress, Notice, Progress};
pub use releases::{Fixed, ReleaseFeed};
pub use sink::{AsideKind, AsideLine, Discard, Emission, NoSink, Sink};
pub use source::Source;
pub use step::{Polled, Step, StepReport, TrialSeen};
pub use worker::{
    DEFAULT_RESIDENT_BYTES, DEFAULT_ROWS_MAX, MakeFunctions, Restored, Switch, Worker, WorkerConfig,
};
