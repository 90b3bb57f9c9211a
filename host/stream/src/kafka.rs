//! Workers on Kafka: a group of them shares a topic's partitions, and each event counts once.
//!
//! For each of its partitions a worker runs the very [`Worker`](crate::Worker) of the file log, over a local store.
//! What the steps of a turn emitted, what they changed and how far they came goes into one transaction. The local store
//! follows behind committed transactions, so that it can always be brought up to date from the topic of changes.
//!
//! ```text
//! poll the group ──> steps of each partition ──> one transaction: rows, set-aside events, changes, offsets
//!      ^                                                                 │ committed
//!      └────────────────── local stores, now and then <──────────────────┘
//! ```
//!
//! No transaction is open while the group is polled, so that partitions change hands between transactions only. A
//! worker that was taken for dead finds out when it commits, since its transaction carries the generation of the group
//! that it belongs to. After any failure of a transaction the worker forgets what it has in memory and begins with what
//! was committed.
//!
//! Reading order: `cluster` (the port: what is needed of a cluster), `fetch` (records in memory), `partition` (a
//! source, as the worker sees it), `outbox` (a sink, likewise), `local` (the local stores), `restore` (from changes to
//! a local store), `session` (the state machine over all of these), [`driver`] with its `patience`, [`error`]. On the
//! other side of the port stand [`settings`], [`topics`] (what is there and what is made), `deployment` (what the group
//! was begun with), `leftovers` (what nobody goes on with), `group` (who has which partition), `transaction`, `reader`, `changes`, `values` (what stands in a
//! record) and, of all these, `connected`. [`materialize`] follows what workers committed, from outside of the group,
//! into an online store that others read; [`replay`](mod@replay) feeds dead letters back, `emitted` tells which
//! releases rows were computed under, and [`mod@archive`] keeps the
//! events beyond the topic's retention.

pub mod archive;
mod changes;
pub mod cluster;
mod connected;
mod deployment;
pub mod driver;
mod emitted;
pub mod error;
pub mod fetch;
mod group;
mod headers;
pub mod keying;
mod leftovers;
pub mod local;
pub mod materialize;
pub mod outbox;
mod partition;
mod patience;
mod reader;
mod rekey;
mod removal;
pub mod replay;
mod restore;
pub mod session;
pub mod settings;
pub mod topics;
mod transaction;
mod values;

pub use archive::{ArchiveNotice, ArchiveReport, ArchiveSettings, Archiver};
pub use cluster::{Changelog, Cluster, Committed, Decision, Fetch, Polled, Transaction};
pub use driver::KafkaDriver;
pub use emitted::rows_of;
pub use error::ClusterError;
pub use fetch::{Fetched, Origin};
pub use keying::TopicPartition;
pub use local::LocalStores;
pub use materialize::{FedView, FeedNotice, Materializer, Shares};
pub use outbox::{Outgoing, Parcel, Routed};
pub use removal::remove_changes;
pub use replay::{Gone, ReplayCounts, ReplayReport, ReplaySettings, replay};
pub use session::Session;
pub use settings::{ClusterSettings, KafkaSettings};
pub use topics::{Purpose, TopicNames};
