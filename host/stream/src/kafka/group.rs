//! The group of workers: who has which partition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use crate::kafka::cluster::{Decision, Polled};
use crate::kafka::error::ClusterError;
use crate::kafka::keying::TopicPartition;
use crate::kafka::reader::{ends, read_from};
use crate::kafka::settings::{KafkaSettings, tell_of};
use crate::kafka::values::{SharedValues, fetched};

/// This worker, as a member of the group.
pub(crate) struct Member {
    consumer: BaseConsumer<Decisions>,
    /// The topics that the group shares.
    topics: BTreeSet<Arc<str>>,
    values: SharedValues,
    /// When the last poll was over.
    polled: Instant,
}

/// What the group decided since it was last asked for.
#[derive(Default)]
struct Decisions(Mutex<Vec<Decision>>);

impl Decisions {
    fn push(&self, decision: Decision) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(decision);
    }

    fn take(&self) -> Vec<Decision> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl ClientContext for Decisions {
    fn error(&self, error: KafkaError, reason: &str) {
        tell_of(&error, reason);
    }
}

impl ConsumerContext for Decisions {
    // It is called within a poll, and no transaction is open then.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        decided: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if decided == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // The member assigns itself, once it knows where its states stand.
            let partitions = partitions.elements();
            let partitions = partitions.iter().map(|element| TopicPartition {
                topic: element.topic().into(),
                partition: element.partition().unsigned_abs(),
            });
            self.push(Decision::Assigned(partitions.collect()));
            // Until it has answered, the client would not hear of what the group decides next.
            if let Err(error) = consumer.assign(&TopicPartitionList::new()) {
                tracing::debug!(%error, "partitions could not be taken");
            }
            return;
        }
        if let Err(error) = consumer.unassign() {
            tracing::debug!(%error, "partitions could not be given back");
        }
        self.push(Decision::Revoked);
    }
}

impl Member {
    /// A member of the group, once it [asks](Member::subscribe) for something.
    pub(crate) fn new(settings: &KafkaSettings, values: SharedValues) -> Result<Self, ClusterError> {
        let consumer = settings.member().create_with_context(Decisions::default());
        let consumer: BaseConsumer<Decisions> = consumer.map_err(ClusterError::client("make a consumer"))?;
        Ok(Member { consumer, topics: BTreeSet::new(), values, polled: Instant::now() })
    }

    /// Asks the group for a share of these topics.
    pub(crate) fn subscribe(&mut self, topics: BTreeSet<Arc<str>>) -> Result<(), ClusterError> {
        if self.topics != topics {
            let names: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
            self.consumer.subscribe(&names).map_err(ClusterError::client("join the group"))?;
            self.topics = topics;
        }
        Ok(())
    }

    /// Reads from these offsets on, of the partitions that were assigned.
    pub(crate) fn begin(&self, positions: &BTreeMap<TopicPartition, u64>) -> Result<(), ClusterError> {
        let positions = positions.iter().map(|(place, next)| (&*place.topic, place.partition, *next));
        read_from(&self.consumer, positions)
    }

    /// Tells the group that this worker is there, while it takes its partitions up and gets no records. It fails with
    /// [`ClusterError::Regrouped`] once the group has [decided](Member::decisions) otherwise.
    pub(crate) fn serve(&self) -> Result<(), ClusterError> {
        drop(self.consumer.poll(Duration::ZERO));
        if self.consumer.context().is_empty() { Ok(()) } else { Err(ClusterError::Regrouped) }
    }

    /// What the group decided since it was last asked for.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        self.consumer.context().take()
    }

    /// Waits for a record or a decision, and gathers records for a while: from the first on, or from the end of the last
    /// poll if there was one already, which has waited while what came before was taken through.
    pub(crate) fn poll(
        &mut self,
        rows_max: usize,
        wait: Duration,
        gather: Duration,
    ) -> Result<Polled, ClusterError> {
        let polled = self.gather(rows_max, wait, gather);
        self.polled = Instant::now();
        polled
    }

    fn gather(&self, rows_max: usize, wait: Duration, gather: Duration) -> Result<Polled, ClusterError> {
        let (mut records, mut deadline, mut left) = (Vec::new(), Instant::now() + wait, Duration::ZERO);
        loop {
            let message = self.consumer.poll(left);
            if !self.consumer.context().is_empty() {
                // Records of a partition that is no longer ours are somebody else's; one that stays ours is read anew.
                return Ok(Polled::Decided(self.decisions()));
            }
            match message {
                Some(Ok(message)) => {
                    if records.is_empty() {
                        deadline = if left.is_zero() { self.polled } else { Instant::now() } + gather;
                    }
                    let topic = self.topics.get(message.topic()).cloned();
                    let topic = topic.unwrap_or_else(|| message.topic().into());
                    let place = TopicPartition { topic, partition: message.partition().unsigned_abs() };
                    records.push((place, fetched(&self.values, &message)?));
                }
                // It does not say of which topic.
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) if is_passing(&error) => tracing::debug!(%error, "a poll of Kafka failed"),
                Some(Err(error)) => return Err(ClusterError::client("read the topics of events")(error)),
                // What is there already is taken without a look at the clock, which would take longer than a record.
                None => {
                    left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(Polled::Records(records));
                    }
                    continue;
                }
            }
            if records.len() >= rows_max {
                return Ok(Polled::Records(records));
            }
            left = Duration::ZERO;
        }
    }

    /// The first offset of a partition that is not deleted, and before which all records are committed at present.
    pub(crate) fn ends(&self, place: &TopicPartition) -> Result<(u64, u64), ClusterError> {
        ends(&self.consumer, &place.topic, place.partition)
    }

    /// As whom a transaction is committed. It is as of the last poll.
    pub(crate) fn metadata(&self) -> Option<ConsumerGroupMetadata> {
        self.consumer.group_metadata()
    }

    /// Leaves the group, so that others take over at once.
    pub(crate) fn leave(&self) {
        self.consumer.unsubscribe();
    }
}

/// Whether the client goes on by itself.
fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::AllBrokersDown
                | Code::BrokerTransportFailure
                | Code::OperationTimedOut
                | Code::Resolve
                | Code::PollExceeded
                | Code::RebalanceInProgress
                | Code::NotCoordinator
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
        )
    )
}
