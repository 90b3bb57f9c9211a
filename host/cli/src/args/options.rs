//! Options that several commands take.

use std::path::PathBuf;

use clap::Args;

use super::at_least_one;
use crate::config::listen_address;

const EVENTS: &str = "Events";
const KAFKA: &str = "Kafka";
const REDIS: &str = "Redis";

/// Sample rows to try components on.
#[derive(Debug, Args)]
pub struct Samples {
    /// Events to sample, Parquet or JSON lines; the publish gate tries generated rows in any case
    #[arg(long, value_name = "ROWS")]
    pub sample: Option<PathBuf>,
    /// The most rows to take from the sample
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = at_least_one)]
    pub sample_rows: usize,
}

/// What the registry records of whoever changes it.
#[derive(Debug, Args)]
pub struct Signature {
    /// Who does this, for those who look at the registry later [default: USER]
    #[arg(long, env = "TRIFOLD_BY", value_name = "NAME")]
    pub by: Option<String>,
    /// Why, or what is new
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// The columns of events.
#[derive(Debug, Args, Default)]
pub struct Source {
    /// The column of the event time [default: event_time]
    #[arg(long, help_heading = EVENTS, env = "TRIFOLD_EVENT_TIME", value_name = "COLUMN")]
    pub event_time: Option<String>,
    /// The column of the event id [default: event_id]
    #[arg(long, help_heading = EVENTS, env = "TRIFOLD_EVENT_ID", value_name = "COLUMN")]
    pub event_id: Option<String>,
    /// The column of the arrival time, where arrivals are recorded
    #[arg(long, help_heading = EVENTS, env = "TRIFOLD_ARRIVAL", value_name = "COLUMN")]
    pub arrival: Option<String>,
    /// Vouch that events without a recorded arrival are on time; recorded in the output
    #[arg(long, help_heading = EVENTS)]
    pub assume_on_time: bool,
}

/// The log that is read.
#[derive(Debug, Args)]
pub struct Log {
    /// The log: a directory of Parquet or JSON-lines segments in name order, or one such file; or an archive of a topic
    #[arg(long, help_heading = EVENTS, env = "TRIFOLD_EVENTS", value_name = "PATH")]
    pub events: PathBuf,
    /// The log's name, which positions carry [default: the path's last part]
    #[arg(long, help_heading = EVENTS, value_name = "NAME")]
    pub log_id: Option<String>,
    /// The columns of the events
    #[command(flatten)]
    pub source: Source,
}

/// The log that is streamed, unless it is a topic.
#[derive(Debug, Args)]
pub struct StreamLog {
    /// The log: a directory of Parquet or JSON-lines segments in name order, or one such file
    #[arg(long, help_heading = EVENTS, env = "TRIFOLD_EVENTS", value_name = "PATH", required_unless_present = "topic")]
    pub events: Option<PathBuf>,
    /// The log's name, which positions carry [default: the path's last part]
    #[arg(long, help_heading = EVENTS, value_name = "NAME")]
    pub log_id: Option<String>,
    /// The columns of the events
    #[command(flatten)]
    pub source: Source,
}

/// A cluster, and the group of workers there.
#[derive(Debug, Args)]
pub struct KafkaCluster {
    /// Some brokers of the cluster, separated by commas [default: localhost:9092]
    #[arg(long, help_heading = KAFKA, env = "TRIFOLD_BROKERS", value_name = "HOST:PORT")]
    pub brokers: Option<String>,
    /// The group of workers that shares a topic; its own topics are named after it [default: trifold]
    #[arg(long, help_heading = KAFKA, env = "TRIFOLD_GROUP", value_name = "NAME")]
    pub group: Option<String>,
}

/// A topic of events, and how a worker reads it.
#[derive(Debug, Args)]
pub struct Kafka {
    /// The topic of events, instead of --events
    #[arg(long, help_heading = KAFKA, env = "TRIFOLD_TOPIC", value_name = "TOPIC", conflicts_with_all = ["events", "log_id", "stop_at", "rows_format", "checkpoint_interval_ms"])]
    pub topic: Option<String>,
    /// The columns that the topic is partitioned by, separated by commas; the events of views over another entity are
    /// partitioned anew [default: those of every view's entity]
    #[arg(long, help_heading = KAFKA, env = "TRIFOLD_KEYED_BY", value_name = "COLUMN", value_delimiter = ',')]
    pub keyed_by: Vec<String>,
    /// What stands in its records
    #[command(flatten)]
    pub values: KafkaValues,
    /// The archive of the topic, from which events are read that the topic has deleted
    #[arg(long, help_heading = KAFKA, value_name = "DIR", requires = "topic")]
    pub archive: Option<PathBuf>,
    /// Feed a Redis with the states of this worker's partitions, which is `trifold materialize` for them; every worker of
    /// the group must, or none
    #[arg(long, help_heading = KAFKA, requires = "topic")]
    pub materialize: bool,
    /// This worker's name, which no other of the group has [default: 0]
    #[arg(long, help_heading = KAFKA, env = "TRIFOLD_WORKER", value_name = "NAME")]
    pub worker: Option<String>,
}

/// How the values of a topic's records are encoded.
#[derive(Debug, Args)]
pub struct KafkaValues {
    /// How values are encoded [default: json]
    #[arg(long, help_heading = KAFKA, env = "TRIFOLD_ENCODING", value_parser = ["json", "avro", "protobuf"])]
    pub encoding: Option<String>,
    /// The file of the schema of all values, .avsc or .proto, where they do not name one in a registry
    #[arg(long, help_heading = KAFKA, env = "TRIFOLD_SCHEMA", value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// The address of the schema registry that values name their schemas in
    #[arg(long, help_heading = KAFKA, env = "TRIFOLD_SCHEMA_REGISTRY", value_name = "URL", conflicts_with = "schema")]
    pub schema_registry: Option<String>,
}

/// Who may watch the process.
#[derive(Debug, Args)]
pub struct Watch {
    /// Answer /metrics (Prometheus), /health and /ready over HTTP at this address [default: nowhere]
    #[arg(long, env = "TRIFOLD_METRICS", value_name = "ADDRESS", value_parser = listen_address)]
    pub metrics: Option<String>,
}

/// Who may operate the process.
#[derive(Debug, Args)]
pub struct Operate {
    /// Answer `trifold status`, `--process` of `trifold release` and `--through` of `trifold push`, over gRPC, at this
    /// loopback address
    /// [default: nowhere]
    #[arg(long, env = "TRIFOLD_ADMIN", value_name = "ADDRESS", value_parser = listen_address)]
    pub admin: Option<String>,
}

/// The processes that are to run a release.
#[derive(Debug, Args)]
pub struct Processes {
    /// Processes that are to look at the registry at once, by the addresses of their `--admin`, separated by commas
    #[arg(long = "process", env = "TRIFOLD_PROCESSES", value_name = "URL", value_delimiter = ',')]
    pub urls: Vec<String>,
    /// Wait until each of them runs the release, at most so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub wait: Option<u64>,
}

/// The online store, where it is a Redis.
#[derive(Debug, Args)]
pub struct Redis {
    /// The Redis, or some nodes of a cluster, separated by commas: redis:// and HOST:PORT, or rediss:// behind TLS
    #[arg(long, help_heading = REDIS, env = "TRIFOLD_REDIS", hide_env_values = true, value_name = "URL", value_delimiter = ',')]
    pub redis: Vec<String>,
    /// They are nodes of a cluster
    #[arg(long, help_heading = REDIS)]
    pub redis_cluster: bool,
}

/// The server that is asked.
#[derive(Debug, Args)]
pub struct Server {
    /// The server's address [default: http://127.0.0.1:7411]
    #[arg(long, env = "TRIFOLD_SERVER", value_name = "URL")]
    pub server: Option<String>,
}
