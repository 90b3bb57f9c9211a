//! What a group of workers was begun with. Workers that were told something else would write other values, or values of
//! other views, into the same topics.
//!
//! It stands in the first record of a topic of the group's own, which whoever is the first to commit anything writes
//! before; records behind it count for nothing. So all workers see the same, even if several begin at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use trifold_formats::Encoding;

use crate::kafka::error::ClusterError;
use crate::kafka::reader::{ends, read_from, reader};
use crate::kafka::settings::{ClusterSettings, KafkaSettings, REQUEST_TIMEOUT, tell_of};
use crate::kafka::topics::{Purpose, Topics};
use crate::worker::WorkerConfig;

/// The one partition that is used.
const PARTITION: u32 = 0;

/// What decides which values a group writes, in words: the name of each setting, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment(BTreeMap<String, String>);

impl Deployment {
    /// That of a worker.
    pub(crate) fn of(settings: &KafkaSettings, config: &WorkerConfig) -> Self {
        let (source, flag) = (&config.source, |is: bool| is.to_string());
        let encoding = match settings.encoding {
            Encoding::Json => "json",
            Encoding::Avro { .. } => "avro",
            Encoding::Protobuf { .. } => "protobuf",
        };
        let words = [
            ("registry", settings.registry.clone()),
            ("views", words_of(&settings.views, "all in force")),
            ("topic", settings.topic.clone()),
            ("keyed-by", words_of(&settings.keyed_by, "the entity of every view")),
            ("encoding", encoding.to_owned()),
            ("event-time", source.event_time.clone()),
            ("event-id", source.event_id.clone()),
            ("arrival", source.arrival.clone().unwrap_or_else(|| "none".to_owned())),
            ("assume-on-time", flag(config.assume_on_time)),
            ("check-keys", flag(settings.check_keys)),
            ("features", flag(settings.features)),
        ];
        Deployment(words.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Where another one differs, both sides named.
    fn differences(&self, other: &Deployment) -> Option<String> {
        let names: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let mut text = String::new();
        for name in names {
            let [here, there] = [self, other].map(|side| side.0.get(name).map_or("nothing", String::as_str));
            if here != there {
                let comma = if text.is_empty() { "" } else { ", " };
                // Writing to a string cannot fail.
                let _ = write!(text, "{comma}`{name}` is {here} for this worker and {there} for the group");
            }
        }
        (!text.is_empty()).then_some(text)
    }
}

/// Names in an order of their own.
fn words_of(names: &[impl AsRef<str>], none: &str) -> String {
    let names: BTreeSet<_> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { none.to_owned() } else { names.into_iter().collect::<Vec<_>>().join(" ") }
}

/// What a worker knows of how its group was begun.
pub(crate) struct Beginning {
    own: Deployment,
    is_made: bool,
}

impl Beginning {
    /// Refuses to join a group that was begun with something else.
    pub(crate) fn look(cluster: &ClusterSettings, topics: &Topics, own: Deployment) -> Result<Self, ClusterError> {
        let topic = topics.names().of_group(Purpose::Deployment);
        let found = match topics.partitions(&topic)? {
            Some(_) => first(cluster, &topic)?,
            None => None,
        };
        let is_made = found.is_some();
        found.map_or(Ok(()), |found| check(cluster, topic, &own, &found))?;
        Ok(Beginning { own, is_made })
    }

    /// Begins the group, unless it was begun. A worker that was told something by mistake, and has written nothing yet,
    /// leaves no group behind that can be nothing else.
    pub(crate) fn make(&mut self, settings: &KafkaSettings, topics: &Topics) -> Result<(), ClusterError> {
        if self.is_made {
            return Ok(());
        }
        let cluster = &settings.cluster;
        let topic = topics.of_group(Purpose::Deployment, settings.replicas)?;
        if first(cluster, &topic)?.is_none() {
            write(cluster, &topic, &self.own)?;
        }
        let nothing = || ClusterError::client(format!("read the topic {topic}"))(KafkaError::NoMessageReceived);
        let found = first(cluster, &topic)?.ok_or_else(nothing)?;
        check(cluster, topic, &self.own, &found)?;
        self.is_made = true;
        Ok(())
    }
}

fn check(
    cluster: &ClusterSettings,
    topic: String,
    own: &Deployment,
    found: &Deployment,
) -> Result<(), ClusterError> {
    match own.differences(found) {
        None => Ok(()),
        Some(differences) => {
            Err(ClusterError::OtherDeployment { group: cluster.group.clone(), differences, topic })
        }
    }
}

/// The topic of a group's events.
pub(crate) fn topic_of_events(cluster: &ClusterSettings, topics: &Topics) -> Result<String, ClusterError> {
    let topic = topics.names().of_group(Purpose::Deployment);
    let found = match topics.partitions(&topic)? {
        Some(_) => first(cluster, &topic)?,
        None => None,
    };
    let named = found.and_then(|found| found.0.get("topic").cloned());
    named.ok_or(ClusterError::NoTopicOfGroup { topic })
}

/// What a group was begun with, if it was.
fn first(cluster: &ClusterSettings, topic: &str) -> Result<Option<Deployment>, ClusterError> {
    let failed = || ClusterError::client(format!("read the topic {topic}"));
    let reader = reader(&cluster.reader())?;
    let (first, _) = ends(&reader, topic, PARTITION)?;
    read_from(&reader, [(topic, PARTITION, first)])?;
    let message = match reader.poll(REQUEST_TIMEOUT) {
        Some(Ok(message)) => message,
        Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
        Some(Err(error)) => return Err(failed()(error)),
        None => return Err(failed()(KafkaError::NoMessageReceived)),
    };
    let words = serde_json::from_slice(message.payload().unwrap_or_default());
    words.map(|words| Some(Deployment(words))).map_err(|error| ClusterError::Topic {
        topic: topic.to_owned(),
        found: format!("a first record that cannot be read ({error})"),
        wanted: "what the group was begun with".to_owned(),
        remedy: "somebody else wrote it; name another group with `--group`".to_owned(),
    })
}

/// Whether a record was written.
#[derive(Default)]
struct Written(Mutex<Option<KafkaError>>);

impl ClientContext for Written {
    fn error(&self, error: KafkaError, reason: &str) {
        tell_of(&error, reason);
    }
}

impl ProducerContext for Written {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let refused = result.as_ref().err().map(|(error, _)| error.clone());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }
}

fn write(cluster: &ClusterSettings, topic: &str, own: &Deployment) -> Result<(), ClusterError> {
    let failed = || ClusterError::client(format!("write to the topic {topic}"));
    let mut config = cluster.client();
    config.set("acks", "all").set("message.timeout.ms", REQUEST_TIMEOUT.as_millis().to_string());
    let producer: BaseProducer<Written> = config.create_with_context(Written::default()).map_err(failed())?;
    let words: serde_json::Map<_, _> =
        own.0.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let words = serde_json::Value::Object(words).to_string();
    let record = BaseRecord::<(), str>::to(topic).partition(PARTITION as i32).payload(&words);
    producer.send(record).map_err(|(error, _)| failed()(error))?;
    producer.flush(REQUEST_TIMEOUT * 2).map_err(failed())?;
    let refused = producer.context().0.lock().unwrap_or_else(PoisonError::into_inner).take();
    refused.map_or(Ok(()), |error| Err(failed()(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(words: &[(&str, &str)]) -> Deployment {
        Deployment(words.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_differs_is_named_on_both_sides() {
        let begun = deployment(&[("registry", "1"), ("topic", "a"), ("views", "all in force")]);
        assert_eq!(begun.differences(&begun), None);
        let other = deployment(&[("registry", "2"), ("topic", "a"), ("features", "true")]);
        let parts = [
            "`features` is true for this worker and nothing for the group",
            "`registry` is 2 for this worker and 1 for the group",
            "`views` is nothing for this worker and all in force for the group",
        ];
        assert_eq!(other.differences(&begun), Some(parts.join(", ")));
    }

    #[test]
    fn names_are_the_same_in_any_order() {
        assert_eq!(words_of(&["b", "a", "b"], "none"), "a b");
        assert_eq!(words_of(&[] as &[&str], "none"), "none");
    }
}
