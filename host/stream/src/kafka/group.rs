//! The group of workers: who has which partition.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use crate::kafka::cluster::{Decision, Polled};
use crate::kafka::error::ClusterError;
use crate::kafka::settings::{KafkaSettings, REQUEST_TIMEOUT, tell_of};
use crate::kafka::values::{SharedValues, fetched};

/// This worker, as a member of the group.
pub(crate) struct Member {
    consumer: BaseConsumer<Decisions>,
    topic: String,
    values: SharedValues,
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
            let partitions = partitions.iter().map(|element| element.partition().unsigned_abs());
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
    /// Joins the group.
    pub(crate) fn join(settings: &KafkaSettings, values: SharedValues) -> Result<Self, ClusterError> {
        let consumer = settings.member().create_with_context(Decisions::default());
        let consumer: BaseConsumer<Decisions> = consumer.map_err(ClusterError::client("make a consumer"))?;
        consumer.subscribe(&[&settings.topic]).map_err(ClusterError::client("join the group"))?;
        Ok(Member { consumer, topic: settings.topic.clone(), values })
    }

    /// Reads from these offsets on, of the partitions that were assigned.
    pub(crate) fn begin(&self, positions: &BTreeMap<u32, u64>) -> Result<(), ClusterError> {
        let mut list = TopicPartitionList::new();
        let failed = || ClusterError::client(format!("read the topic {}", self.topic));
        for (&partition, &next) in positions {
            let offset = Offset::Offset(next as i64);
            list.add_partition_offset(&self.topic, partition as i32, offset).map_err(failed())?;
        }
        self.consumer.assign(&list).map_err(failed())
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

    /// Waits for a record or a decision, and gathers records for a while after the first.
    pub(crate) fn poll(&self, rows_max: usize, wait: Duration, gather: Duration) -> Result<Polled, ClusterError> {
        let (mut records, mut ended, mut deadline) = (Vec::new(), Vec::new(), Instant::now() + wait);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.consumer.poll(left);
            if !self.consumer.context().is_empty() {
                // Records of a partition that is no longer ours are somebody else's; one that stays ours is read anew.
                return Ok(Polled::Decided(self.decisions()));
            }
            match message {
                Some(Ok(message)) => {
                    if records.is_empty() {
                        deadline = Instant::now() + gather;
                    }
                    let partition = message.partition().unsigned_abs();
                    ended.retain(|other| *other != partition);
                    records.push((partition, fetched(&self.values, &message)?));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => ended.push(partition.unsigned_abs()),
                Some(Err(error)) if is_passing(&error) => tracing::debug!(%error, "a poll of Kafka failed"),
                Some(Err(error)) => {
                    return Err(ClusterError::client(format!("read the topic {}", self.topic))(error));
                }
                None if left.is_zero() => return Ok(Polled::Records { records, ended }),
                None => {}
            }
            if records.len() >= rows_max {
                return Ok(Polled::Records { records, ended });
            }
        }
    }

    /// The first offset of a partition that is not deleted, and before which all records are committed at present.
    pub(crate) fn ends(&self, partition: u32) -> Result<(u64, u64), ClusterError> {
        let ends = self.consumer.fetch_watermarks(&self.topic, partition as i32, REQUEST_TIMEOUT);
        let (first, end) = ends.map_err(ClusterError::client(format!("look at the topic {}", self.topic)))?;
        Ok((first.unsigned_abs(), end.unsigned_abs()))
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
