//! Writes records and notes, both or neither.

use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, NoCustomPartitioner, Producer, ProducerContext};
use trifold_model::ViewName;

use super::letters::{Letter, note_key};
use super::originals::Original;
use crate::kafka::error::ClusterError;
use crate::kafka::settings::{ClusterSettings, tell_of};
use crate::kafka::topics::{Purpose, Topics};

/// How long the cluster may take for a step of a transaction.
const TIMEOUT: Duration = Duration::from_secs(20);
/// After so long the cluster ends a transaction of a replay that was killed. Until then workers wait before it.
const TRANSACTION_MS: u32 = 10_000;
/// The largest that a client may be told: how large a record may be, its topic says.
const RECORD_BYTES_MAX: u32 = 1_000_000_000;

/// The one producer of a group's replays: a second one ends the first.
pub(crate) struct Feeder {
    producer: BaseProducer<Silent>,
    topic: String,
    notes: String,
}

struct Silent;

impl ClientContext for Silent {
    fn error(&self, error: KafkaError, reason: &str) {
        tell_of(&error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Silent {
    type DeliveryOpaque = ();

    // A record that was not written fails the transaction.
    fn delivery(&self, _result: &DeliveryResult<'_>, (): ()) {}
}

impl Feeder {
    /// Ends whatever a replay before left open.
    pub(crate) fn new(cluster: &ClusterSettings, topics: &Topics, topic: &str) -> Result<Self, ClusterError> {
        let notes = topics.of_group(Purpose::Replayed, 0)?;
        let mut config = cluster.client();
        config
            .set("transactional.id", format!("{}.replay", cluster.group))
            .set("transaction.timeout.ms", TRANSACTION_MS.to_string())
            .set("message.max.bytes", RECORD_BYTES_MAX.to_string());
        cluster.default(&mut config, "message.timeout.ms", TRANSACTION_MS * 4 / 5);
        cluster.default(&mut config, "compression.type", "lz4");
        let producer: BaseProducer<Silent> =
            config.create_with_context(Silent).map_err(ClusterError::client("make a producer"))?;
        producer.init_transactions(TIMEOUT).map_err(ClusterError::client("begin with transactions"))?;
        Ok(Feeder { producer, topic: topic.to_owned(), notes })
    }

    /// Appends records, and notes that they were.
    pub(crate) fn feed(&self, view: &ViewName, records: &[(Letter, Original)]) -> Result<(), ClusterError> {
        self.producer.begin_transaction().map_err(failed("begin a transaction"))?;
        let written = self.write(view, records);
        if written.is_err() {
            // If it cannot be ended now, the cluster ends it in time.
            let _ = self.producer.abort_transaction(TIMEOUT);
        }
        written
    }

    fn write(&self, view: &ViewName, records: &[(Letter, Original)]) -> Result<(), ClusterError> {
        for (letter, original) in records {
            self.send(original.record(&self.topic))?;
            let (key, value) =
                (note_key(letter), format!("{{\"view\":\"{view}\",\"reason\":\"{}\"}}", letter.reason));
            self.send(BaseRecord::to(&self.notes).partition(0).key(key.as_bytes()).payload(value.as_bytes()))?;
        }
        self.producer.flush(TIMEOUT).map_err(failed("write the records of a transaction"))?;
        tracing::trace!("replay has its records");
        self.producer.commit_transaction(TIMEOUT).map_err(failed("commit a transaction"))?;
        tracing::trace!("replay committed");
        Ok(())
    }

    fn send(&self, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), ClusterError> {
        let action = format!("write to the topic {}", record.topic);
        self.producer.send(record).map_err(|(error, _)| failed(&action)(error))
    }
}

impl Original {
    /// The record once more, in its partition.
    fn record<'a>(&'a self, topic: &'a str) -> BaseRecord<'a, [u8], [u8]> {
        let mut record = BaseRecord::to(topic).partition(self.partition as i32);
        (record.key, record.payload) = (self.key.as_deref(), self.value.as_deref());
        (record.timestamp, record.headers) = (self.timestamp, self.headers.clone());
        record
    }
}

fn failed(action: &str) -> impl FnOnce(KafkaError) -> ClusterError {
    let action = action.to_owned();
    move |source| match source.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch,
        ) => ClusterError::OtherReplay { action, source: Box::new(source) },
        _ => ClusterError::client(action)(source),
    }
}
