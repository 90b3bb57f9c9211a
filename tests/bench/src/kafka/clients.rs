//! Bare clients: no more than is needed to carry records.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::runtime::Builder;

use crate::kafka::PARTITIONS;
use crate::kafka::child::Running;
use crate::kafka::payments::Event;

/// How long the cluster may take for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

/// A reader of committed records, set like the workers'.
pub(crate) fn consumer(brokers: &str, group: &str) -> anyhow::Result<BaseConsumer> {
    let mut config = config(brokers);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "20")
        .set("isolation.level", "read_committed");
    Ok(config.create()?)
}

/// Makes a topic with as many partitions as all have.
pub(crate) fn create_topic(brokers: &str, name: &str) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = config(brokers).create()?;
    let topic = NewTopic::new(name, PARTITIONS as i32, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let made = Builder::new_current_thread().build()?.block_on(admin.create_topics([&topic], &options))?;
    for outcome in made {
        outcome.map_err(|(name, code)| anyhow::anyhow!("cannot make the topic {name}: {code}"))?;
    }
    Ok(())
}

/// Waits until somebody has made a topic.
pub(crate) fn wait_for_topic(brokers: &str, name: &str, maker: &mut Running) -> anyhow::Result<()> {
    let lookout = consumer(brokers, "lookout")?;
    let begun = Instant::now();
    loop {
        let metadata = lookout.fetch_metadata(None, PATIENCE)?;
        if metadata.topics().iter().any(|topic| topic.name() == name) {
            return Ok(());
        }
        maker.check()?;
        ensure!(begun.elapsed() < PATIENCE, "the topic {name} is not there");
    }
}

/// Where the partitions of a topic begin and end.
pub(crate) fn ends(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Vec<(u64, u64)>> {
    let of = |partition| consumer.fetch_watermarks(topic, partition, PATIENCE);
    let ends =
        (0..PARTITIONS as i32).map(|partition| Ok(of(partition).map(|(low, end)| (low as u64, end as u64))?));
    ends.collect()
}

/// Adds a record to what is to be sent, and waits where there is no room.
pub(crate) fn send(
    producer: &BaseProducer,
    topic: &str,
    partition: u32,
    key: &[u8],
    value: Option<&[u8]>,
) -> anyhow::Result<()> {
    let mut record = BaseRecord::to(topic).partition(partition as i32).key(key);
    record.payload = value;
    while let Err((error, again)) = producer.send(record) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            return Err(error).with_context(|| format!("cannot write to the topic {topic}"));
        }
        producer.poll(Duration::from_millis(100));
        record = again;
    }
    Ok(())
}

/// A producer that writes each record once, in its order.
pub(crate) fn producer(brokers: &str) -> anyhow::Result<BaseProducer> {
    Ok(config(brokers).set("enable.idempotence", "true").set("compression.type", "lz4").create()?)
}

/// Writes events to a topic that has none, in their order.
pub(crate) fn produce(brokers: &str, topic: &str, events: &[Event]) -> anyhow::Result<()> {
    let producer = producer(brokers)?;
    for event in events {
        send(&producer, topic, event.partition, event.key.as_bytes(), Some(event.value.as_bytes()))?;
    }
    Ok(producer.flush(PATIENCE)?)
}

/// Reads all committed records of a topic.
pub(crate) fn read(brokers: &str, topic: &str, mut take: impl FnMut(&BorrowedMessage<'_>)) -> anyhow::Result<()> {
    let consumer = consumer(brokers, "reader")?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS as i32 {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut left = PARTITIONS;
    while left > 0 {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => take(&message),
            Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
            Some(Err(error)) => return Err(error).with_context(|| format!("cannot read the topic {topic}")),
            None => bail!("the topic {topic} cannot be read within {PATIENCE:?}"),
        }
    }
    Ok(())
}
