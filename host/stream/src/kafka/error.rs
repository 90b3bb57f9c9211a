//! What a cluster cannot do for a worker.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use trifold_formats::{FormatError, RegistryError};
use trifold_model::EntityKey;
use trifold_store::{EntryError, StoreError};
use trifold_windows::Damage;

use crate::error::StreamError;

/// Why a worker on Kafka cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A setting cannot be.
    #[error("the Kafka setting `{name}` {problem}")]
    Setting {
        /// The setting.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The cluster, or the way to it, failed.
    #[error("Kafka could not {action}: {source}")]
    Client {
        /// What it was to do.
        action: String,
        /// What the client says.
        source: Box<KafkaError>,
    },
    /// Another producer of the same name began after this worker.
    #[error(
        "Kafka could not {action}, since another worker began under the name `{worker}` or this one was silent for too \
         long ({source}): give each worker of a group a name of its own with `--worker`"
    )]
    Fenced {
        /// What it was to do.
        action: String,
        /// The name.
        worker: String,
        /// What the client says.
        source: Box<KafkaError>,
    },
    /// Values cannot be decoded with what was configured.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The schema registry does not answer, and without it nothing is known of a value.
    #[error("the schema registry: {0}")]
    Registry(#[from] RegistryError),
    /// There is no such topic.
    #[error("the cluster has no topic {topic}: create it, or name another with `--topic`")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// Nobody made a topic of the group yet.
    #[error(
        "the cluster has no topic {topic}, or nothing in it: start a worker of the group with `trifold stream --topic`, or \
         name another group with `--group`"
    )]
    NoTopicOfGroup {
        /// The topic.
        topic: String,
    },
    /// Another replay of the group began after this one.
    #[error(
        "Kafka could not {action}, since another replay of the group began or this one was silent for too long ({source})"
    )]
    OtherReplay {
        /// What it was to do.
        action: String,
        /// What the client says.
        source: Box<KafkaError>,
    },
    /// What stands among dead letters is none.
    #[error(
        "the topic {topic}, partition {partition}, offset {offset}: no dead letter ({problem}): leave it out with `--from` and `--to`"
    )]
    Letter {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// What is wrong.
        problem: String,
    },
    /// Nobody made the changes of a state yet.
    #[error(
        "the cluster has no topic {topic}: start a worker of the group with `trifold stream --topic`, or name another \
         group with `--group`"
    )]
    NoChanges {
        /// The topic of the changes.
        topic: String,
    },
    /// A topic is not as it must be.
    #[error("the topic {topic} has {found} where {wanted} must be: {remedy}")]
    Topic {
        /// The topic.
        topic: String,
        /// What was found.
        found: String,
        /// What must be.
        wanted: String,
        /// What to do.
        remedy: String,
    },
    /// The group was begun with something else than this worker was told.
    #[error(
        "the group {group} belongs to another deployment: {differences}; name another group with `--group`, or give this \
         worker what the group was begun with (it stands in the topic {topic})"
    )]
    OtherDeployment {
        /// The group.
        group: String,
        /// What differs, both sides named.
        differences: String,
        /// Where it stands.
        topic: String,
    },
    /// A topic of changes holds something else.
    #[error("the topic {topic}, partition {partition}, offset {offset}: {source}")]
    Entry {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset.
        offset: i64,
        /// What is wrong.
        source: EntryError,
    },
    /// What a topic of changes says of an entity makes none.
    #[error("the changes of {feed}, partition {partition}: entity {entity}: {source}")]
    Entity {
        /// Of what.
        feed: String,
        /// The partition.
        partition: u32,
        /// The entity.
        entity: EntityKey,
        /// What is wrong.
        source: Damage,
    },
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The local state cannot be kept where it should be.
    #[error("cannot {action} {path}: {source}")]
    Local {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: std::path::PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A worker that had a partition before left a transaction open, and the cluster has not ended it yet.
    #[error(
        "the topic {topic}, partition {partition}: a transaction is open at offset {offset}, before the end at {end}: \
         waiting for the cluster to end it"
    )]
    OpenTransaction {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// Before which offset everything is committed or gone.
        offset: u64,
        /// The end.
        end: u64,
    },
    /// The group decided otherwise while this worker took its partitions up.
    #[error("the group of workers changed meanwhile")]
    Regrouped,
    /// A follower of changes panicked.
    #[error("{feed}: the feeder panicked, which is a mistake of trifold's")]
    Panicked {
        /// What it followed.
        feed: String,
    },
    /// The worker itself stopped.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl ClusterError {
    /// For `map_err`: what the client was to do when it failed.
    pub(crate) fn client(action: impl Into<String>) -> impl FnOnce(KafkaError) -> ClusterError {
        let action = action.into();
        move |source| match source {
            KafkaError::ClientConfig(_, problem, name, _) => {
                ClusterError::Setting { name, problem: format!("is refused by Kafka's client: {problem}") }
            }
            source => ClusterError::Client { action, source: Box::new(source) },
        }
    }

    /// Whether it may be gone when it is tried again.
    pub fn may_pass(&self) -> bool {
        match self {
            ClusterError::Client { source, .. } => !is_refusal(source),
            ClusterError::Store(StoreError::Remote { .. }) => true,
            ClusterError::Registry(_)
            | ClusterError::NoChanges { .. }
            | ClusterError::Regrouped
            | ClusterError::OpenTransaction { .. }
            | ClusterError::Fenced { .. } => true,
            ClusterError::Stream(error) => error.may_pass(),
            _ => false,
        }
    }
}

/// Whether the cluster said no, rather than nothing: asked again, it would say the same.
fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    matches!(error, KafkaError::ClientCreation(_))
        || matches!(
            code,
            Some(
                Code::SaslAuthenticationFailed
                    | Code::Authentication
                    | Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
                    | Code::TransactionalIdAuthorizationFailed
                    | Code::InvalidReplicationFactor
                    | Code::MessageSizeTooLarge
                    | Code::PolicyViolation
                    | Code::UnsupportedVersion
                    | Code::SSL
            )
        )
}
