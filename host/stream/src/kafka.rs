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
//! Reading order: [`settings`], [`topics`] (what is there and what is made), `fetch` (records in memory), `group` (who
//! has which partition), `partition` (a source, as the worker sees it), `outbox` (a sink, likewise), `transaction`,
//! `restore` (from the topic of changes to a local store), `session` (all of these, while the cluster is there),
//! [`driver`], [`error`].

pub mod driver;
pub mod error;
mod fetch;
mod group;
mod outbox;
mod partition;
mod restore;
mod session;
pub mod settings;
pub mod topics;
mod transaction;

pub use driver::KafkaDriver;
pub use error::ClusterError;
pub use settings::KafkaSettings;
pub use topics::TopicNames;
