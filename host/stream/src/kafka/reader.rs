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
///
/// librdkafka (until 2.15) aborts the process if partitions are given anew while it still stops reading them
/// from where they were. It serves requests in turn, so what it has answered after a move, it has stopped before.
pub(crate) fn read_from<'a, C: ConsumerContext>(
    reader: &BaseConsumer<C>,
    positions: impl IntoIterator<Item = (&'a str, u32, u64)>,
) -> Result<(), ClusterError> {
    let failed = || ClusterError::client("go to the offsets that are read next");
    let mut list = TopicPartitionList::new();
    for (topic, partition, next) in positions {
        list.add_partition_offset(topic, partition as i32, Offset::Offset(next as i64)).map_err(failed())?;
    }
    reader.assign(&list).map_err(failed())?;
    reader.assignment().map_err(failed())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rdkafka::Message;
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    use rdkafka::client::DefaultClientContext;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use trifold_test_servers::Kafka;

    use super::*;

    const TOPIC: &str = "moved";
    const PARTITIONS: u32 = 6;

    #[test]
    fn a_reader_may_be_moved_again_at_once() {
        let kafka = Kafka::start().unwrap();
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", kafka.bootstrap())
            .set("group.id", "none")
            .set("enable.auto.commit", "false");
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let topic = NewTopic::new(TOPIC, PARTITIONS as i32, TopicReplication::Fixed(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
        let producer: BaseProducer = config.create().unwrap();
        for offset in 0..8 {
            for partition in 0..PARTITIONS {
                let value = [offset];
                let record = BaseRecord::<(), _>::to(TOPIC).partition(partition as i32).payload(&value);
                producer.send(record).unwrap();
            }
        }
        producer.flush(REQUEST_TIMEOUT).unwrap();

        // More readers than processors, so that they wait for one another at any point.
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let reader = reader(&config).unwrap();
                    for round in 0..1_000 {
                        let next = round % 8;
                        read_from(&reader, (0..PARTITIONS).map(|partition| (TOPIC, partition, next))).unwrap();
                        if round % 100 == 0 {
                            let record = reader.poll(REQUEST_TIMEOUT).unwrap().unwrap();
                            assert_eq!(record.offset().unsigned_abs(), next);
                        }
                    }
                });
            }
        });
    }
}
