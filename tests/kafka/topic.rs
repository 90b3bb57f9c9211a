//! Topics of a cluster, read and written as anybody may.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(60);

/// A record as it was read: its key and its value.
pub(crate) type Pair = (Vec<u8>, Option<Vec<u8>>);

/// A cluster.
pub(crate) struct Cluster {
    config: ClientConfig,
}

/// Says nothing of the end of a partition.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ConsumerContext for Quiet {}

impl Cluster {
    pub(crate) fn new(bootstrap: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        Cluster { config }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config.create().unwrap()
    }

    #[track_caller]
    pub(crate) fn create(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        for made in block_on(self.admin().create_topics([&new], &options)).unwrap() {
            made.unwrap();
        }
    }

    /// Deletes a topic, and waits until it is gone.
    #[track_caller]
    pub(crate) fn delete(&self, topic: &str) {
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        for deleted in block_on(self.admin().delete_topics(&[topic], &options)).unwrap() {
            deleted.unwrap();
        }
        let begun = Instant::now();
        while self.topics().contains_key(topic) {
            assert!(begun.elapsed() < PATIENCE, "the topic {topic} is still there");
        }
    }

    /// Waits until a group has no member: the cluster takes all that it had for dead.
    #[track_caller]
    pub(crate) fn wait_for_no_member(&self, group: &str) {
        let (admin, begun) = (self.admin(), Instant::now());
        let is_empty = || {
            let groups = admin.inner().fetch_group_list(Some(group), PATIENCE).unwrap();
            groups.groups().iter().all(|group| group.members().is_empty())
        };
        while !is_empty() {
            assert!(begun.elapsed() < PATIENCE, "the group {group} still has members");
        }
    }

    /// Changes settings of a topic; those that are not named go back to their defaults.
    #[track_caller]
    pub(crate) fn alter(&self, topic: &str, settings: &[(&str, &str)]) {
        let altered = AlterConfig::new(ResourceSpecifier::Topic(topic));
        let altered = settings.iter().fold(altered, |altered, (name, value)| altered.set(name, value));
        for result in block_on(self.admin().alter_configs([&altered], &AdminOptions::new())).unwrap() {
            result.unwrap();
        }
    }

    /// A setting of a topic.
    #[track_caller]
    pub(crate) fn setting(&self, topic: &str, name: &str) -> Option<String> {
        let (admin, options) = (self.admin(), AdminOptions::new());
        let described = block_on(admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options)).unwrap();
        described.into_iter().next().unwrap().unwrap().get(name).unwrap().value.clone()
    }

    /// Deletes the records of every partition before an offset, or all if it has fewer.
    #[track_caller]
    pub(crate) fn delete_before(&self, topic: &str, offset: u64) {
        let admin = self.admin();
        let mut list = TopicPartitionList::new();
        for partition in 0..self.topics()[topic] as i32 {
            let (_, end) = admin.inner().fetch_watermarks(topic, partition, PATIENCE).unwrap();
            let before = Offset::Offset(end.min(offset as i64));
            list.add_partition_offset(topic, partition, before).unwrap();
        }
        block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
    }

    /// The topics of the cluster, without its own.
    pub(crate) fn topics(&self) -> BTreeMap<String, u32> {
        let metadata = self.admin().inner().fetch_metadata(None, PATIENCE).unwrap();
        let topics = metadata.topics().iter().filter(|topic| !topic.name().starts_with("__"));
        topics.map(|topic| (topic.name().to_owned(), topic.partitions().len() as u32)).collect()
    }

    /// Writes values under their keys, and waits until all are there.
    pub(crate) fn write<'a>(&self, topic: &str, pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
        let mut config = self.config.clone();
        config.set("linger.ms", "5").set("enable.idempotence", "true").set("message.max.bytes", "8388608");
        let producer: BaseProducer = config.create().unwrap();
        for (key, value) in pairs {
            let mut record = BaseRecord::to(topic).key(key).payload(value);
            while let Err((error, again)) = producer.send(record) {
                assert_eq!(error.rdkafka_error_code(), Some(rdkafka::types::RDKafkaErrorCode::QueueFull));
                producer.poll(Duration::from_millis(10));
                record = again;
            }
            producer.poll(Duration::ZERO);
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Writes values under their keys in one transaction, and commits it or takes it back.
    pub(crate) fn write_at_once<'a>(
        &self,
        topic: &str,
        pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        commit: bool,
    ) {
        let mut config = self.config.clone();
        config.set("transactional.id", "a-test");
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        for (key, value) in pairs {
            producer.send(BaseRecord::to(topic).key(key).payload(value)).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        match commit {
            true => producer.commit_transaction(PATIENCE).unwrap(),
            false => producer.abort_transaction(PATIENCE).unwrap(),
        }
    }

    /// Writes a record that has a key and no value.
    pub(crate) fn remove(&self, topic: &str, key: &str) {
        let producer: BaseProducer = self.config.create().unwrap();
        producer.send(BaseRecord::<str, [u8]>::to(topic).key(key)).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    }

    /// All committed records of a topic, by partition, in their order.
    #[track_caller]
    pub(crate) fn read(&self, topic: &str) -> Vec<Vec<Pair>> {
        self.read_as(topic, |message| {
            (message.key().unwrap_or_default().to_vec(), message.payload().map(<[u8]>::to_vec))
        })
    }

    /// What is made of all committed records of a topic.
    #[track_caller]
    pub(crate) fn read_as<T>(&self, topic: &str, make: impl Fn(&BorrowedMessage<'_>) -> T) -> Vec<Vec<T>> {
        let partitions = self.topics()[topic];
        let mut config = self.config.clone();
        config
            .set("group.id", "a-test")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "20")
            .set("isolation.level", "read_committed");
        let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet).unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition as i32, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut records: Vec<_> = (0..partitions).map(|_| Vec::new()).collect();
        let mut left = partitions;
        while left > 0 {
            match consumer.poll(PATIENCE).expect("the cluster answers") {
                Ok(message) => records[message.partition() as usize].push(make(&message)),
                Err(KafkaError::PartitionEOF(_)) => left -= 1,
                Err(error) => panic!("{topic}: {error}"),
            }
        }
        records
    }
}
