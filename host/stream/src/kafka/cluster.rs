//! What a worker needs of a cluster: its port. Behind it stands a real cluster, or one that fails on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use trifold_model::LogId;
use trifold_store::Entry;

use crate::feed::FeedId;
use crate::kafka::error::ClusterError;
use crate::kafka::fetch::Fetched;
use crate::kafka::keying::TopicPartition;
use crate::kafka::outbox::Parcel;
use crate::kafka::topics::Purpose;

/// A cluster, as one worker of a group sees it. No call but [`Cluster::poll`] learns of what the group decides, and no
/// transaction is open while it is called.
pub trait Cluster: Send {
    /// What positions in a topic of events belong to.
    fn log(&self, topic: &str) -> LogId;

    /// The number of partitions of the topic that the worker was given, and of all that are made for the group.
    fn partition_count(&self) -> u32;

    /// The first offset of a partition's events that is not deleted, and before which all are committed at present.
    fn ends_of_events(&mut self, place: &TopicPartition) -> Result<(u64, u64), ClusterError>;

    /// A reader of one partition's events that the group knows nothing of.
    fn events_reader(&mut self, place: &TopicPartition) -> Box<dyn Fetch>;

    /// Makes the topics of a feed, or checks those that are there.
    fn prepare(&mut self, feed: &FeedId, purposes: &[Purpose]) -> Result<(), ClusterError>;

    /// Removes the topic of the changes of a feed that nobody follows any more: whether there was one.
    fn remove_changes(&mut self, feed: &FeedId) -> Result<bool, ClusterError>;

    /// Has the group share these topics of events from its next decision on. All workers of it name the same in the end.
    fn subscribe(&mut self, topics: BTreeSet<Arc<str>>) -> Result<(), ClusterError>;

    /// Waits for a record or a decision, and gathers records for a while after the first.
    fn poll(&mut self, rows_max: usize, wait: Duration) -> Result<Polled, ClusterError>;

    /// What the group decided, after [`ClusterError::Regrouped`].
    fn decisions(&mut self) -> Vec<Decision>;

    /// Has the group give records from these offsets on, of the partitions that it decided on.
    fn begin(&mut self, positions: &BTreeMap<TopicPartition, u64>) -> Result<(), ClusterError>;

    /// Leaves the group. Others take over at once.
    fn leave(&mut self);

    /// Writes and commits all of a transaction or nothing, unless somebody else may have its partitions. After an error it
    /// may have been committed or not, and only a new session under the same name finds out.
    fn commit(&mut self, transaction: &Transaction) -> Result<Committed, ClusterError>;

    /// The first and the end offset of some changes, once no transaction is open before the end: whatever was committed
    /// is read then, even if whoever committed it was killed while the cluster was on it. It fails with
    /// [`ClusterError::Regrouped`] once the group decided otherwise, before the group [gives records](Cluster::begin).
    fn ends_of_changes(&mut self, log: Changelog<'_>) -> Result<(u64, u64), ClusterError>;

    /// The committed changes from an offset on, as many as are read at once, and the offset before which there are no
    /// others. It fails like [`Cluster::ends_of_changes`].
    fn changes(&mut self, log: Changelog<'_>, from: u64, end: u64) -> Result<(Vec<Entry>, u64), ClusterError>;
}

/// Reads one partition's events in their order.
pub trait Fetch: Send {
    /// The next events from an offset on, if there are any at present.
    fn fetch(&mut self, from: u64, rows_max: usize) -> Result<Vec<Fetched>, ClusterError>;

    /// Whether there are no events from an offset on at present.
    fn is_at_end(&mut self, from: u64) -> Result<bool, ClusterError>;

    /// Lets go of what it holds: nothing is read for now.
    fn rest(&mut self);
}

/// What the group decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// This worker has these partitions and no others. It gets their records once it [says](Cluster::begin) where from.
    Assigned(Vec<TopicPartition>),
    /// It has none.
    Revoked,
}

/// What one look at the group came to.
#[derive(Debug)]
pub enum Polled {
    /// Decisions, in their order. They come before any record.
    Decided(Vec<Decision>),
    /// Records, each with its partition; there may be none.
    Records(Vec<(TopicPartition, Fetched)>),
}

/// The changes of one feed in one partition.
#[derive(Debug, Clone, Copy)]
pub struct Changelog<'a> {
    /// The feed.
    pub feed: &'a FeedId,
    /// The partition.
    pub partition: u32,
}

/// What the steps of a turn came to.
#[derive(Debug, Default)]
pub struct Transaction {
    /// What is written, by partition of events and feed.
    pub parcels: Vec<(TopicPartition, FeedId, Parcel)>,
    /// How far it leads each partition.
    pub positions: Vec<(TopicPartition, u64)>,
}

/// Where a transaction's records came to stand.
#[derive(Debug, Default)]
pub struct Committed {
    /// For each of its parcels, the offset up to which it leads the changes, if that is known.
    pub changed: Vec<Option<u64>>,
    /// The last offset in each partition into which events were partitioned anew.
    pub routed: BTreeMap<TopicPartition, u64>,
}
