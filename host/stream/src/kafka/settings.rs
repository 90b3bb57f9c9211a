//! How a worker finds its cluster, and how its clients are set.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use trifold_formats::Encoding;
use trifold_model::ViewName;

use crate::kafka::error::ClusterError;

/// How the topics of a group of workers are reached, by a worker or by somebody else.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// The addresses of some brokers, `host:port`, separated by commas.
    pub brokers: String,
    /// The group of workers that shares the topic's partitions. The names of its own topics begin with it.
    pub group: String,
    /// The worker's name within the group, which no other may have at the same time: a worker that starts under the name
    /// of one that was killed ends what that one left open at once.
    pub worker: String,
    /// Further settings of the clients, such as `security.protocol`, in librdkafka's words.
    pub properties: BTreeMap<String, String>,
}

/// What a worker on Kafka is told.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// The cluster, and who the worker is there.
    pub cluster: ClusterSettings,
    /// What tells the registry from others. All workers of a group follow the same one.
    pub registry: String,
    /// The views that are followed; all in force where none are named.
    pub views: Vec<ViewName>,
    /// The topic of events.
    pub topic: String,
    /// How the values of its records are encoded.
    pub encoding: Encoding,
    /// The archive that has what the topic has deleted, if there is one.
    pub archive: Option<PathBuf>,
    /// Where the local stores are.
    pub state_dir: PathBuf,
    /// How long the records of one transaction are gathered.
    pub transaction_interval: Duration,
    /// The most events of one transaction.
    pub transaction_rows_max: usize,
    /// How long committed changes may stay in memory alone before they are written to the local store.
    pub local_interval: Duration,
    /// How many brokers have a copy of each topic that is made; 0 leaves that to the cluster.
    pub replicas: i32,
    /// Whether rows go into a topic of each view.
    pub features: bool,
    /// The columns whose values the topic of events is partitioned by. The events of views over another entity are
    /// partitioned anew. None: the topic is partitioned by the entity of every view.
    pub keyed_by: Vec<String>,
    /// Whether an event whose record has another key than its entity's is set aside. Whoever turns that off vouches
    /// that all events of an entity are in one partition.
    pub check_keys: bool,
}

/// The client tells of the end of a partition as of an error; it is told where it is waited for.
pub(crate) fn tell_of(error: &KafkaError, reason: &str) {
    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
        tracing::debug!(%error, reason, "a client of Kafka");
    }
}

/// How long the cluster may take to answer a question.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a worker may be silent before its partitions are given to others.
const SESSION_TIMEOUT_MS: u64 = 15_000;

/// What the worker's guarantees rest on, so that nobody else may set it.
const OURS: [&str; 17] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.protocol",
    "isolation.level",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "partitioner",
    "request.required.acks",
    "transactional.id",
    "transaction.timeout.ms",
];

pub(crate) fn not_empty(name: &str, value: &str) -> Result<(), ClusterError> {
    if value.is_empty() {
        return Err(ClusterError::Setting { name: name.to_owned(), problem: "is empty".to_owned() });
    }
    Ok(())
}

impl ClusterSettings {
    /// Checks what can be checked without a cluster.
    pub fn check(&self) -> Result<(), ClusterError> {
        not_empty("brokers", &self.brokers)?;
        not_empty("group", &self.group)?;
        not_empty("worker", &self.worker)?;
        match self.properties.keys().find(|name| OURS.contains(&name.as_str())) {
            Some(name) => {
                let problem = "is set by the worker, whose guarantees rest on it: leave it out".to_owned();
                Err(ClusterError::Setting { name: name.clone(), problem })
            }
            None => Ok(()),
        }
    }

    /// What all clients have in common.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", format!("{}.{}", self.group, self.worker))
            // A look at a topic that is not there must not make it, with whatever settings.
            .set("allow.auto.create.topics", "false");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    /// A reader of committed records that belongs to no group.
    pub(crate) fn reader(&self) -> ClientConfig {
        let mut config = self.client();
        // The group is never joined: the client wants a name even of readers that choose their partitions themselves.
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed");
        // Readers often stand at the end, and are told so by the broker's answer to a fetch.
        self.default(&mut config, "fetch.wait.max.ms", 20);
        config
    }

    /// Sets what nobody else set.
    pub(crate) fn default(&self, config: &mut ClientConfig, name: &str, value: impl ToString) {
        if !self.properties.contains_key(name) {
            config.set(name, value.to_string());
        }
    }
}

impl KafkaSettings {
    /// Checks what can be checked without a cluster.
    pub fn check(&self) -> Result<(), ClusterError> {
        not_empty("topic", &self.topic)?;
        self.keyed_by.iter().try_for_each(|column| not_empty("keyed-by", column))?;
        self.cluster.check()
    }

    /// A member of the group. Its positions come from the topics of changes.
    pub(crate) fn member(&self) -> ClientConfig {
        let mut config = self.cluster.reader();
        config.set("partition.assignment.strategy", "range");
        self.cluster.default(&mut config, "session.timeout.ms", SESSION_TIMEOUT_MS);
        self.cluster.default(&mut config, "heartbeat.interval.ms", SESSION_TIMEOUT_MS / 5);
        config
    }

    /// A producer of transactions.
    pub(crate) fn producer(&self) -> ClientConfig {
        let session = self.cluster.properties.get("session.timeout.ms").and_then(|text| text.parse().ok());
        // The cluster ends what a worker that is gone left open before it takes the worker for dead, so that whoever
        // takes over seldom waits; and a record is given up before its transaction is.
        let transaction = session.unwrap_or(SESSION_TIMEOUT_MS) * 2 / 3;
        let mut config = self.cluster.client();
        config
            .set("transactional.id", format!("{}.{}", self.cluster.group, self.cluster.worker))
            .set("transaction.timeout.ms", transaction.to_string())
            .set("message.max.bytes", MESSAGE_BYTES_MAX.to_string());
        self.cluster.default(&mut config, "message.timeout.ms", transaction * 4 / 5);
        self.cluster.default(&mut config, "compression.type", "lz4");
        config
    }
}

/// A local store that was not written for so long is built anew.
pub(crate) const LOCAL_AGE_MAX: Duration = Duration::from_secs(3 * 24 * 3_600);

/// So long every change stays in its topic, though later ones may have replaced it.
pub(crate) const COMPACTION_LAG: Duration = Duration::from_secs(600);

/// The largest record of a topic of ours: a slot of 1 MiB and its key, as text of a row at most twice as long.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 << 20;
