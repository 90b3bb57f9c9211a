//! Transactions: what a turn came to, all of it or nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::kafka::error::ClusterError;
use crate::kafka::keying::TopicPartition;
use crate::kafka::settings::{KafkaSettings, tell_of};

/// How long the cluster may take for a step of a transaction before the worker begins anew.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How long to wait before it is looked again whether the client has done what it is waited for.
const PAUSE: Duration = Duration::from_millis(1);

/// The one producer of a worker. After an error it must be dropped: how far the transaction came is unknown, and only a
/// new one under the same name ends it.
pub(crate) struct Writer {
    producer: BaseProducer<Tracked>,
    worker: String,
}

/// Names a record whose offset is wanted; 0 is none.
pub(crate) type Track = usize;

/// The offsets of tracked records.
#[derive(Default)]
struct Tracked(Mutex<BTreeMap<Track, u64>>);

impl ClientContext for Tracked {
    fn error(&self, error: KafkaError, reason: &str) {
        tell_of(&error, reason);
    }
}

impl ProducerContext for Tracked {
    type DeliveryOpaque = Track;

    fn delivery(&self, result: &DeliveryResult<'_>, track: Track) {
        // A record that was not written fails the transaction.
        if let (Ok(message), true) = (result, track > 0) {
            let mut offsets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            offsets.insert(track, message.offset().unsigned_abs());
        }
    }
}

impl Writer {
    /// Ends whatever a worker of the same name left open.
    pub(crate) fn new(settings: &KafkaSettings) -> Result<Self, ClusterError> {
        let producer = settings.producer().create_with_context(Tracked::default());
        let producer: BaseProducer<Tracked> = producer.map_err(ClusterError::client("make a producer"))?;
        producer.init_transactions(TIMEOUT).map_err(ClusterError::client("begin with transactions"))?;
        Ok(Writer { producer, worker: settings.cluster.worker.clone() })
    }

    fn failed(&self, action: &str) -> impl FnOnce(KafkaError) -> ClusterError {
        let (action, worker) = (action.to_owned(), self.worker.clone());
        move |source| match source.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch,
            ) => ClusterError::Fenced { action, worker, source: Box::new(source) },
            _ => ClusterError::client(action)(source),
        }
    }

    /// Begins a transaction.
    pub(crate) fn begin(&self) -> Result<(), ClusterError> {
        self.producer.begin_transaction().map_err(self.failed("begin a transaction"))?;
        tracing::trace!("transaction begun");
        Ok(())
    }

    /// Adds a record of a key and a value.
    pub(crate) fn send(
        &self,
        topic: &str,
        partition: u32,
        (key, value): (Option<&[u8]>, Option<&[u8]>),
        headers: Option<OwnedHeaders>,
        track: Track,
    ) -> Result<(), ClusterError> {
        let mut next = BaseRecord::with_opaque_to(topic, track).partition(partition as i32);
        (next.key, next.payload, next.headers) = (key, value, headers);
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let (error, again) = match self.producer.send(next) {
                Ok(()) => break,
                Err(refused) => refused,
            };
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) || Instant::now() >= deadline {
                return Err(self.failed(&format!("write to the topic {topic}"))(error));
            }
            self.pause();
            next = again;
        }
        Ok(())
    }

    /// Serves the client, which keeps a note for each record until then.
    pub(crate) fn serve(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Waits a moment while brokers work. The client's own wait for less than a millisecond keeps the processor busy, and
    /// it ends every one of its waits with such a one.
    fn pause(&self) {
        self.serve();
        thread::sleep(PAUSE);
    }

    /// Waits until all records are there. The client's own way would serve it for a tenth of a second and then look.
    fn flush(&self) -> Result<(), KafkaError> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match self.producer.flush(Duration::ZERO) {
                Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) if Instant::now() < deadline => {
                    self.pause();
                }
                flushed => return flushed,
            }
        }
    }

    /// Commits the transaction with the positions that it leads to, and tells the offsets of tracked records.
    pub(crate) fn commit(
        &self,
        positions: &[(TopicPartition, u64)],
        member: &ConsumerGroupMetadata,
    ) -> Result<BTreeMap<Track, u64>, ClusterError> {
        let mut offsets = TopicPartitionList::new();
        for (TopicPartition { topic, partition }, next) in positions {
            let added = offsets.add_partition_offset(topic, *partition as i32, Offset::Offset(*next as i64));
            added.map_err(ClusterError::client("name a position"))?;
        }
        // All records are there before the cluster looks whether the partitions are still this worker's. Whoever has them
        // next waits for a transaction that is open there, and so for this one.
        self.flush().map_err(self.failed("write the records of a transaction"))?;
        let sent = self.producer.send_offsets_to_transaction(&offsets, member, TIMEOUT);
        sent.map_err(self.failed("add positions to a transaction"))?;
        tracing::trace!("transaction has its positions");
        self.producer.commit_transaction(TIMEOUT).map_err(self.failed("commit a transaction"))?;
        tracing::trace!("transaction committed");
        let tracked = &self.producer.context().0;
        Ok(std::mem::take(&mut *tracked.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
