//! The topics that a worker reads and writes: their names, and whether they are as they must be.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use trifold_model::LogId;

use crate::feed::FeedId;
use crate::kafka::error::ClusterError;
use crate::kafka::settings::{COMPACTION_LAG, ClusterSettings, LOCAL_AGE_MAX, MESSAGE_BYTES_MAX, REQUEST_TIMEOUT};

/// How often it is looked whether a topic that was made is there.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What a topic of ours holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// The changes of a view's state: the truth, of which the last value of each key is kept for ever.
    Changes,
    /// One row for each event that counts.
    Features,
    /// Events that cannot count, or whose row is an error, and why.
    DeadLetters,
    /// Events that came too late or too early to count.
    Late,
}

impl Purpose {
    /// The last part of a topic's name.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Changes => "changes",
            Purpose::Features => "features",
            Purpose::DeadLetters => "dead-letters",
            Purpose::Late => "late",
        }
    }

    /// What a topic must be set to.
    fn settings(self) -> Vec<(&'static str, String)> {
        let size = ("max.message.bytes", MESSAGE_BYTES_MAX.to_string());
        match self {
            // Without compaction they would be forgotten in time, and the state with them.
            Purpose::Changes => {
                // A local store that was not written for longer would not learn of what was removed meanwhile.
                let removals = LOCAL_AGE_MAX.as_millis() * 2;
                vec![
                    ("cleanup.policy", "compact".to_owned()),
                    ("delete.retention.ms", removals.to_string()),
                    // What has just been written is all there for a while, so that whoever follows closely sees each
                    // state that there was.
                    ("min.compaction.lag.ms", COMPACTION_LAG.as_millis().to_string()),
                    size,
                ]
            }
            Purpose::Features | Purpose::DeadLetters | Purpose::Late => vec![size],
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The names of a group's topics: `<group>.<view>.<purpose>`, and for the changes of a view's state
/// `<group>.<view>.<state id>.changes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicNames {
    group: String,
}

impl TopicNames {
    /// The names of a group.
    pub fn new(group: impl Into<String>) -> Self {
        TopicNames { group: group.into() }
    }

    /// A topic of a view.
    pub fn of(&self, feed: &FeedId, purpose: Purpose) -> String {
        let (group, view) = (&self.group, &feed.view);
        match purpose {
            Purpose::Changes => format!("{group}.{view}.{}.{purpose}", feed.state),
            _ => format!("{group}.{view}.{purpose}"),
        }
    }
}

/// Makes and checks topics.
pub(crate) struct Topics {
    admin: AdminClient<DefaultClientContext>,
    brokers: String,
    names: TopicNames,
    replicas: i32,
    features: bool,
}

impl Topics {
    pub(crate) fn new(settings: &ClusterSettings) -> Result<Self, ClusterError> {
        let admin = settings.client().create().map_err(ClusterError::client("make a client"))?;
        let names = TopicNames::new(settings.group.clone());
        let brokers = settings.brokers.clone();
        Ok(Topics { admin, brokers, names, replicas: 0, features: false })
    }

    /// How topics are made, and whether there are some of features.
    pub(crate) fn with(self, replicas: i32, features: bool) -> Self {
        Topics { replicas, features, ..self }
    }

    /// The topic of the changes of a feed, and how many partitions it has.
    pub(crate) fn changes_of(&self, feed: &FeedId) -> Result<(String, u32), ClusterError> {
        let topic = self.names.of(feed, Purpose::Changes);
        let Some(partitions) = self.partitions(&topic)?.filter(|partitions| *partitions > 0) else {
            return Err(ClusterError::NoChanges { topic });
        };
        self.check(&topic, Purpose::Changes, partitions, partitions)?;
        Ok((topic, partitions))
    }

    /// What tells the cluster from others.
    pub(crate) fn cluster_id(&self) -> Result<String, ClusterError> {
        let id = self.admin.inner().fetch_cluster_id(REQUEST_TIMEOUT);
        id.ok_or_else(|| ClusterError::client("tell the cluster's id")(KafkaError::Canceled))
    }

    /// What positions in a topic belong to.
    pub(crate) fn log_id(&self, topic: &str) -> Result<LogId, ClusterError> {
        Ok(LogId(format!("{}/{topic}", self.cluster_id()?).into()))
    }

    /// The number of partitions of a topic; `None` if there is no such topic.
    pub(crate) fn partitions(&self, topic: &str) -> Result<Option<u32>, ClusterError> {
        let failed = || ClusterError::client(format!("describe the topic {topic}, at {}", self.brokers));
        let metadata = self.admin.inner().fetch_metadata(Some(topic), REQUEST_TIMEOUT).map_err(failed())?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
        match found.error().map(RDKafkaErrorCode::from) {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(None),
            Some(code) => Err(failed()(KafkaError::MetadataFetch(code))),
            None => Ok(Some(found.partitions().len() as u32)),
        }
    }

    /// The topics of a view, made if they are not there, and checked if they are.
    pub(crate) fn of_feed(
        &self,
        feed: &FeedId,
        partitions: u32,
    ) -> Result<BTreeMap<Purpose, String>, ClusterError> {
        let mut purposes = vec![Purpose::Changes, Purpose::DeadLetters, Purpose::Late];
        purposes.extend(self.features.then_some(Purpose::Features));
        let named = purposes.into_iter().map(|purpose| {
            let topic = self.names.of(feed, purpose);
            match self.partitions(&topic)? {
                None => self.create(&topic, purpose, partitions)?,
                Some(found) => self.check(&topic, purpose, found, partitions)?,
            }
            Ok((purpose, topic))
        });
        named.collect()
    }

    fn create(&self, topic: &str, purpose: Purpose, partitions: u32) -> Result<(), ClusterError> {
        let settings = purpose.settings();
        let replication = TopicReplication::Fixed(if self.replicas == 0 { -1 } else { self.replicas });
        let mut new = NewTopic::new(topic, partitions as i32, replication);
        for (name, value) in &settings {
            new = new.set(name, value);
        }
        let failed = || ClusterError::client(format!("create the topic {topic}"));
        let created = block_on(self.admin.create_topics([&new], &options())).map_err(failed())?;
        match created.into_iter().next() {
            Some(Ok(_)) | None => self.wait_for(topic).map(drop),
            // Another worker may have been first, or somebody else, in another way.
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {
                let found = self.wait_for(topic)?;
                self.check(topic, purpose, found, partitions)
            }
            Some(Err((_, code))) => Err(failed()(KafkaError::AdminOp(code))),
        }
    }

    /// Waits until the brokers know of a topic that was made: how many partitions it has.
    fn wait_for(&self, topic: &str) -> Result<u32, ClusterError> {
        let begun = Instant::now();
        while begun.elapsed() < REQUEST_TIMEOUT {
            if let Some(partitions) = self.partitions(topic)?.filter(|partitions| *partitions > 0) {
                return Ok(partitions);
            }
            thread::sleep(LOOK_INTERVAL);
        }
        Err(ClusterError::UnknownTopic { topic: topic.to_owned() })
    }

    /// Checks that a topic's brokers say when they appended each record.
    pub(crate) fn check_append_times(&self, topic: &str) -> Result<(), ClusterError> {
        const NAME: &str = "message.timestamp.type";
        match value(&self.describe(topic)?, NAME).as_str() {
            "LogAppendTime" => Ok(()),
            found => Err(ClusterError::Topic {
                topic: topic.to_owned(),
                found: format!("{NAME}={found}"),
                wanted: format!("{NAME}=LogAppendTime"),
                remedy: "alter the topic's settings, or name a field of the events with `--arrival`".to_owned(),
            }),
        }
    }

    fn describe(&self, topic: &str) -> Result<ConfigResource, ClusterError> {
        let failed = || ClusterError::client(format!("describe the topic {topic}"));
        let described = block_on(self.admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options()));
        let described = described.map_err(failed())?.into_iter().next();
        let described = described.ok_or(RDKafkaErrorCode::UnknownTopicOrPartition).and_then(|described| described);
        described.map_err(|code| failed()(KafkaError::AdminOp(code)))
    }

    fn check(&self, topic: &str, purpose: Purpose, found: u32, wanted: u32) -> Result<(), ClusterError> {
        if found != wanted {
            return Err(ClusterError::Topic {
                topic: topic.to_owned(),
                found: format!("{found} partitions"),
                wanted: format!("{wanted}, as many as the topic of events has,"),
                remedy: "the state was kept for another number of partitions; use another group".to_owned(),
            });
        }
        let described = self.describe(topic)?;
        for (name, wanted) in purpose.settings() {
            let found = value(&described, name);
            if !is_enough(name, &found, &wanted) {
                return Err(ClusterError::Topic {
                    topic: topic.to_owned(),
                    found: format!("{name}={found}"),
                    wanted: format!("{name}={wanted}"),
                    remedy: "alter the topic's settings".to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT))
}

fn value(described: &ConfigResource, name: &str) -> String {
    described.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default()
}

/// Whether a setting serves, though another was wanted.
fn is_enough(name: &str, found: &str, wanted: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    let is_least = ["delete.retention.ms", "max.message.bytes", "min.compaction.lag.ms"].contains(&name);
    found == wanted || (is_least && number(found) >= number(wanted))
}
