//! Readers of partitions.

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::kafka::error::ClusterError;
use crate::kafka::settings::{REQUEST_TIMEOUT, tell_of};

/// Tells of failed connections to whoever looks for the cause of something.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        tell_of(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// A reader that belongs to no group.
pub(crate) type Reader = BaseConsumer<Quiet>;

/// Makes one.
pub(crate) fn reader(config: &ClientConfig) -> Result<Reader, ClusterError> {
    config.create_with_context(Quiet).map_err(ClusterError::client("make a reader"))
}

/// The first offset of a partition that is not deleted, and where it ends at present: for a reader of committed records,
/// where the first transaction that is open begins.
pub(crate) fn ends<C: ConsumerContext>(
    reader: &BaseConsumer<C>,
    topic: &str,
    partition: u32,
) -> Result<(u64, u64), ClusterError> {
    let ends = reader.fetch_watermarks(topic, partition as i32, REQUEST_TIMEOUT);
    let (first, end) = ends.map_err(ClusterError::client(format!("look at the topic {topic}")))?;
    Ok((first.unsigned_abs(), end.unsigned_abs()))
}

/// Has a reader go on at these offsets of partitions, and read no others.
pub(crate) fn read_from<'a, C: ConsumerContext>(
    reader: &BaseConsumer<C>,
    positions: impl IntoIterator<Item = (&'a str, u32, u64)>,
) -> Result<(), ClusterError> {
    let failed = || ClusterError::client("go to the offsets that are read next");
    let mut list = TopicPartitionList::new();
    for (topic, partition, next) in positions {
        list.add_partition_offset(topic, partition as i32, Offset::Offset(next as i64)).map_err(failed())?;
    }
    reader.assign(&list).map_err(failed())
}
