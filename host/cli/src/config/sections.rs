//! What can be configured.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Serialize, Serializer};
use trifold_model::ViewName;
use trifold_registry::PublicKey;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// The directory of the registry, the embedded store, emitted rows and caches.
    pub data_dir: PathBuf,
    /// The registry's place; empty for one in the data directory.
    pub registry: String,
    /// The registry's object store, where it is in one.
    pub s3: S3Section,
    /// Who signs, and whose signatures count.
    pub signatures: SignaturesSection,
    /// The columns of events.
    pub source: SourceSection,
    /// The stream worker.
    pub stream: StreamSection,
    /// Workers on Kafka.
    pub kafka: KafkaSection,
    /// Archives of topics.
    pub archive: ArchiveSection,
    /// The online store, where it is a Redis.
    pub redis: RedisSection,
    /// What a server keeps of what it reads.
    pub cache: CacheSection,
    /// Backfills.
    pub backfill: BackfillSection,
    /// The online server.
    pub server: ServerSection,
    /// The sandbox.
    pub sandbox: SandboxSection,
    /// Metrics and health.
    pub metrics: MetricsSection,
    /// Status and releases, for those who operate processes.
    pub admin: AdminSection,
    /// Deciding about canaries.
    pub controller: ControllerSection,
    /// Structured logs.
    pub log: LogSection,
}

/// How an object store with the interface of S3 is reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct S3Section {
    /// Its address; empty for what the environment says, or Amazon's.
    pub endpoint: String,
    /// The region; empty for what the environment says.
    pub region: String,
    /// Whether it may be asked without TLS.
    pub allow_http: bool,
    /// Whether the bucket is part of the host's name.
    pub virtual_hosted_style: bool,
}

/// Signatures of components.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SignaturesSection {
    /// The keys of which one must have signed what runs; none to run everything.
    #[serde(serialize_with = "as_texts")]
    pub trusted_keys: Vec<PublicKey>,
    /// The file of the private key that signs; empty for none.
    pub key: PathBuf,
}

fn as_texts<T: ToString, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

/// What the columns of events mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SourceSection {
    /// The column of the event time.
    pub event_time: String,
    /// The column of the event id.
    pub event_id: String,
    /// The column of the arrival time; empty when arrivals are not recorded.
    pub arrival: String,
    /// Whether events without arrival count as on time for views that limit lateness.
    pub assume_on_time: bool,
}

/// The stream worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StreamSection {
    /// The most events of one step, which is one file of rows per view.
    pub step_rows: usize,
    /// How long steps may be kept in memory before they are written to the store together, in milliseconds.
    pub checkpoint_interval_ms: u64,
    /// The memory for states, written and unwritten, beyond which they are written at once, in mebibytes.
    pub resident_mib: usize,
    /// The format of emitted rows: `parquet` or `jsonl`.
    pub rows_format: String,
    /// How often a followed log and the releases are looked at, in milliseconds.
    pub poll_interval_ms: u64,
    /// Whether values are kept beside the records that they were computed from.
    pub keep_outputs: bool,
}

/// Workers on Kafka.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KafkaSection {
    /// The addresses of some brokers.
    pub brokers: String,
    /// How values are encoded: `json`, `avro` or `protobuf`.
    pub encoding: String,
    /// The file of the schema of all values; empty where they name one in a registry.
    pub schema: PathBuf,
    /// The file of a schema that Avro values are read by; empty where they are read by that of their writer.
    pub reader_schema: PathBuf,
    /// The full name of the Protobuf message; empty where there is no choice.
    pub message: String,
    /// The address of the schema registry; empty without one.
    pub schema_registry: String,
    /// The user of the registry; empty where it asks for none.
    pub schema_registry_user: String,
    /// The user's password.
    #[serde(skip_serializing)]
    pub schema_registry_password: String,
    /// The file of the certificates that the registry's is checked by; empty for those of the system.
    pub schema_registry_ca: PathBuf,
    /// The group of workers.
    pub group: String,
    /// This worker's name within the group.
    pub worker: String,
    /// How long the records of one transaction are gathered, in milliseconds.
    pub transaction_interval_ms: u64,
    /// The most events of one transaction.
    pub transaction_rows: usize,
    /// How long committed changes may stay in memory before they are written to the local store, in milliseconds.
    pub local_interval_ms: u64,
    /// How many brokers have a copy of each topic that is made; 0 leaves that to the cluster.
    pub replicas: u16,
    /// Whether rows go into a topic of each view.
    pub features: bool,
    /// Whether workers feed a Redis with the states of their partitions.
    pub materialize: bool,
    /// The columns that the topic of events is partitioned by; none if that is the entity of every view.
    pub keyed_by: Vec<String>,
    /// Whether an event whose record has another key than its entity's is set aside.
    pub check_keys: bool,
    /// Further settings of the clients, in librdkafka's words.
    pub properties: BTreeMap<String, String>,
}

/// Archives of topics.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ArchiveSection {
    /// The directory of the archive; empty for one of the data directory.
    pub dir: PathBuf,
    /// How long a file may stay unfinished while its topic is followed, in milliseconds.
    pub interval_ms: u64,
    /// The most events of a file.
    pub file_rows: usize,
    /// The size at which a file ends, in mebibytes.
    pub file_mib: usize,
    /// The memory for files that are not finished, in mebibytes.
    pub memory_mib: usize,
}

/// The online store, where it is a Redis.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RedisSection {
    /// Its address, or those of some nodes of a cluster; none for the embedded store. They may hold a password.
    #[serde(skip_serializing)]
    pub urls: Vec<String>,
    /// Whether they are nodes of a cluster.
    pub cluster: bool,
    /// The user, where the addresses name none.
    pub user: String,
    /// The user's password.
    #[serde(skip_serializing)]
    pub password: String,
    /// The file of the certificates that the server's is checked by; empty for those of the system.
    pub ca: PathBuf,
    /// What the names of all keys begin with.
    pub prefix: String,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// The most reads of a server that are under way at once.
    pub reads_max: usize,
}

/// What a server keeps of what it reads.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CacheSection {
    /// The memory for it, in mebibytes; 0 keeps nothing.
    pub mib: u64,
    /// How long it answers without the store being asked, in milliseconds.
    pub ttl_ms: u64,
    /// How old it may be where the store cannot be asked, in milliseconds.
    pub stale_ms: u64,
    /// The views of which anything is kept; none for all.
    #[serde(serialize_with = "as_texts")]
    pub views: Vec<ViewName>,
    /// Views of which nothing is kept.
    #[serde(serialize_with = "as_texts")]
    pub except: Vec<ViewName>,
}

/// Backfills.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BackfillSection {
    /// The memory that sorting may use before it spills to disk, in mebibytes.
    pub memory_mib: u64,
    /// How many threads work; 0 takes one per processor.
    pub threads: usize,
}

/// The online server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ServerSection {
    /// The address that gRPC listens on.
    pub listen: String,
    /// The address that HTTP listens on; empty for none.
    pub http_listen: String,
    /// The views that are served by their entities' ids, in the contract `feature_store`; none to not offer it.
    #[serde(serialize_with = "as_texts")]
    pub feature_store_views: Vec<ViewName>,
    /// How often the releases are looked at, in milliseconds.
    pub poll_interval_ms: u64,
    /// The most rows of one request.
    pub rows_max: usize,
    /// The most values of one request: its rows times the features asked for.
    pub cells_max: usize,
    /// The most bytes of one request.
    pub request_bytes_max: usize,
    /// The units of fuel that one request may burn.
    pub request_fuel: u64,
    /// The units of fuel that one view of a request may burn; 0 for no less than the request.
    pub view_fuel: u64,
    /// The requests that are computed at once; 0 for eight for each processor.
    pub concurrency: usize,
    /// How many of them may be of one view; 0 for three quarters.
    pub view_concurrency: usize,
    /// The requests that may wait.
    pub queue: usize,
    /// How long they may, in milliseconds.
    pub queue_ms: u64,
    /// How long a request may take that does not say so itself, in milliseconds; 0 for any time.
    pub deadline_ms: u64,
    /// The requests of one caller in a second; 0 for any number.
    pub caller_rate: u32,
    /// How many of them may come at once; 0 for those of a second.
    pub caller_burst: u32,
    /// How long the bytes of a request may take to come in, in milliseconds.
    pub receive_ms: u64,
    /// What all requests together may have, in mebibytes.
    pub receive_mib: usize,
    /// The connections at once.
    pub connections_max: usize,
    /// The requests of one connection at once.
    pub connection_requests_max: u32,
    /// How long a connection may take to say what it speaks, in milliseconds.
    pub handshake_ms: u64,
    /// How long a connection may be silent before it is asked whether it is alive, in milliseconds; 0 to never ask.
    pub keepalive_ms: u64,
    /// The most questions that shadows are asked at once.
    pub shadows_max: usize,
    /// How long requests in flight may take after a signal to stop, in milliseconds.
    pub drain_ms: u64,
}

/// The sandbox.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SandboxSection {
    /// The most instances at one time.
    pub instances_max: u32,
    /// The largest component, in bytes.
    pub component_bytes_max: usize,
    /// The processor time that compiling one component may take, in seconds.
    pub compile_seconds: u64,
    /// The memory that it may take, in mebibytes.
    pub compile_memory_mib: u64,
}

/// Metrics and health, over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MetricsSection {
    /// The address to listen on; empty for none.
    pub listen: String,
}

/// Status and releases, over gRPC, for those who operate processes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct AdminSection {
    /// The loopback address to listen on; empty for none.
    pub listen: String,
    /// The addresses of the processes that are told of releases.
    pub processes: Vec<String>,
}

/// Deciding about canaries: by how much one may do worse than the version in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ControllerSection {
    /// How often processes are asked, in milliseconds.
    pub interval_ms: u64,
    /// The rows of a canary that must be seen before anything is decided.
    pub rows_min: u64,
    /// How much larger the share of errors may be, as a part of all rows.
    pub errors: f64,
    /// How much larger the share of nulls may be, as a part of all feature values.
    pub nulls: f64,
    /// How many times the fuel of a row may be burnt.
    pub fuel: f64,
    /// How many times the time of a call may be taken, at the ninth decile.
    pub latency: f64,
}

/// Structured logs, written to standard error.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogSection {
    /// The filter, such as `info` or `trifold_stream=debug`.
    pub filter: String,
    /// `text` or `json`.
    pub format: String,
}

impl Config {
    /// The configuration as a file would hold it.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_else(|error| format!("# cannot be shown: {error}"))
    }
}
