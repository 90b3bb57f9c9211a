//! The topics that a worker reads and writes: their names, and whether they are as they must be.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use trifold_model::{LogId, ViewName};

use crate::feed::FeedId;
use crate::kafka::error::ClusterError;
use crate::kafka::settings::{
    COMPACTION_LAG, ClusterSettings, KafkaSettings, LOCAL_AGE_MAX, MESSAGE_BYTES_MAX, REQUEST_TIMEOUT,
};

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
    /// Events, partitioned by another entity than in the topic that the worker was given.
    Repartition,
    /// What the group was begun with.
    Deployment,
    /// The positions of records that were fed back.
    Replayed,
}

impl Purpose {
    /// The topics of a view.
    pub const OF_VIEW: [Purpose; 4] = [Purpose::Changes, Purpose::DeadLetters, Purpose::Late, Purpose::Features];
    /// The topics of events that are partitioned anew. What changes is how far they are.
    pub const OF_KEYING: [Purpose; 2] = [Purpose::Changes, Purpose::Repartition];

    /// The last part of a topic's name.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Changes => "changes",
            Purpose::Features => "features",
            Purpose::DeadLetters => "dead-letters",
            Purpose::Late => "late",
            Purpose::Repartition => "repartition",
            Purpose::Deployment => "deployment",
            Purpose::Replayed => "replayed",
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
            Purpose::Repartition => vec![("cleanup.policy", "delete".to_owned()), size],
            Purpose::Features | Purpose::DeadLetters | Purpose::Late => vec![size],
            Purpose::Replayed => vec![("cleanup.policy", "compact".to_owned())],
            // It holds for as long as the group does.
            Purpose::Deployment => {
                [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")]
                    .map(|(name, value)| (name, value.to_owned()))
                    .into()
            }
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The names of a group's topics: `<group>.<view>.<purpose>`, for the changes of a view's state
/// `<group>.<view>.<state id>.changes`, and `<group>.<purpose>` for what is of no view. In place of a view, events that are
/// partitioned anew have `by_<entity>`.
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
            Purpose::Changes | Purpose::Repartition => format!("{group}.{view}.{}.{purpose}", feed.state),
            _ => format!("{group}.{view}.{purpose}"),
        }
    }

    /// The dead letters of a view, whatever its state.
    pub fn dead_letters(&self, view: &ViewName) -> String {
        format!("{}.{view}.{}", self.group, Purpose::DeadLetters)
    }

    /// The view that a topic of dead letters is of, if it is one of this group.
    fn view_of(&self, topic: &str) -> Option<ViewName> {
        let rest = topic.strip_prefix(&self.group)?.strip_prefix('.')?;
        rest.strip_suffix(Purpose::DeadLetters.name())?.strip_suffix('.')?.parse().ok()
    }

    /// A topic of no view.
    pub fn of_group(&self, purpose: Purpose) -> String {
        format!("{}.{purpose}", self.group)
    }
}

/// Makes and checks topics.
pub(crate) struct Topics {
    admin: AdminClient<DefaultClientContext>,
    brokers: String,
    names: TopicNames,
}

impl Topics {
    pub(crate) fn new(settings: &ClusterSettings) -> Result<Self, ClusterError> {
        let admin = settings.client().create().map_err(ClusterError::client("make a client"))?;
        let names = TopicNames::new(settings.group.clone());
        let brokers = settings.brokers.clone();
        Ok(Topics { admin, brokers, names })
    }

    pub(crate) fn names(&self) -> &TopicNames {
        &self.names
    }

    /// Removes the topic of the changes of a feed, and returns its name, if there is one.
    pub(crate) fn remove_changes(&self, feed: &FeedId) -> Result<Option<String>, ClusterError> {
        let topic = self.names.of(feed, Purpose::Changes);
        let failed = || ClusterError::client(format!("remove the topic {topic}, at {}", self.brokers));
        let removed = block_on(self.admin.delete_topics(&[&topic], &options())).map_err(failed())?;
        match removed.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::UnknownTopicOrPartition))) | None => Ok(None),
            Some(Err((_, code))) => Err(failed()(KafkaError::AdminOp(code))),
            Some(Ok(_)) => Ok(Some(topic)),
        }
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

    /// The views that the group has dead letters of.
    pub(crate) fn views_with_letters(&self) -> Result<Vec<ViewName>, ClusterError> {
        let metadata = self.admin.inner().fetch_metadata(None, REQUEST_TIMEOUT);
        let metadata = metadata.map_err(ClusterError::client(format!("list the topics, at {}", self.brokers)))?;
        let mut views: Vec<_> =
            metadata.topics().iter().filter_map(|topic| self.names.view_of(topic.name())).collect();
        views.sort();
        Ok(views)
    }

    /// The topics of a feed, made as a worker is told if they are not there, and checked if they are.
    pub(crate) fn of_feed(
        &self,
        feed: &FeedId,
        purposes: &[Purpose],
        partitions: u32,
        worker: &KafkaSettings,
    ) -> Result<BTreeMap<Purpose, String>, ClusterError> {
        let wanted = purposes.iter().filter(|purpose| worker.features || **purpose != Purpose::Features);
        let named = wanted.map(|&purpose| {
            let topic = self.names.of(feed, purpose);
            if let Some(found) = self.partitions(&topic)? {
                self.check(&topic, purpose, found, partitions)?;
                return Ok((purpose, topic));
            }
            let mut more = Vec::new();
            if purpose == Purpose::Repartition {
                // A state that begins later begins with the first event that is there.
                let events = self.describe(&worker.topic)?;
                more.extend(["retention.ms", "retention.bytes"].map(|name| (name, value(&events, name))));
            }
            self.create(&topic, purpose, more, partitions, worker.replicas)?;
            Ok((purpose, topic))
        });
        named.collect()
    }

    /// A topic of no view, made with so many replicas if it is not there, and checked if it is. Its first partition is
    /// used.
    pub(crate) fn of_group(&self, purpose: Purpose, replicas: i32) -> Result<String, ClusterError> {
        let topic = self.names.of_group(purpose);
        match self.partitions(&topic)? {
            None => self.create(&topic, purpose, Vec::new(), 1, replicas)?,
            Some(found) => self.check(&topic, purpose, found, found)?,
        }
        Ok(topic)
    }

    /// Makes a topic with the settings of its purpose and some more; with as many replicas as the cluster makes by
    /// default for 0.
    fn create(
        &self,
        topic: &str,
        purpose: Purpose,
        more: Vec<(&'static str, String)>,
        partitions: u32,
        replicas: i32,
    ) -> Result<(), ClusterError> {
        let replication = TopicReplication::Fixed(if replicas == 0 { -1 } else { replicas });
        let mut new = NewTopic::new(topic, partitions as i32, replication);
        let settings = [purpose.settings(), more].concat();
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
