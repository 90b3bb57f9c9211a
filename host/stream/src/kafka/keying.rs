//! Which topic the events of a view are read from: the one that the worker was given, or, where that is partitioned by
//! another entity than the view's, one of the group's own, in which they are partitioned by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use trifold_eventlog::SourceConfig;
use trifold_model::{FeatureView, Field, StateId, ViewName};
use trifold_pipeline::{LiveVersion, LiveViews};

use crate::feed::FeedId;
use crate::kafka::settings::KafkaSettings;
use crate::kafka::topics::{Purpose, TopicNames};

/// One partition of a topic of events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The number of the partition.
    pub partition: u32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// An entity by which events are partitioned anew, and what tells how far they are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Keying {
    pub(crate) feed: FeedId,
    pub(crate) entity: Vec<Field>,
}

impl Keying {
    /// The entity of a view, unless the topic of events is partitioned by it.
    fn of(view: &FeatureView, source: &SourceConfig, keyed_by: &[String]) -> Option<Self> {
        let columns: BTreeSet<_> =
            view.key_fields().iter().map(|field| source.column(field.name.as_str())).collect();
        if keyed_by.is_empty() || keyed_by.iter().map(String::as_str).collect::<BTreeSet<_>>() == columns {
            return None;
        }
        let entity: Vec<_> = view.key_fields().to_vec();
        let name = ViewName::by(entity.iter().map(|field| &field.name));
        Some(Keying { feed: FeedId { view: name, state: StateId::of_entity(&entity) }, entity })
    }
}

/// The views in force, by the topic that their events are read from.
#[derive(Default)]
pub(crate) struct Plan {
    views: BTreeMap<Arc<str>, LiveViews>,
    /// The topics that are partitioned anew.
    pub(crate) rekeyed: BTreeMap<Arc<str>, Keying>,
}

impl Plan {
    pub(crate) fn new(live: &LiveViews, settings: &KafkaSettings, source: &SourceConfig) -> Self {
        let names = TopicNames::new(settings.cluster.group.clone());
        let given: Arc<str> = settings.topic.as_str().into();
        let (mut rekeyed, mut views) = (BTreeMap::new(), BTreeMap::from([(given.clone(), LiveViews::default())]));
        let mut topic_of = |version: &LiveVersion| match Keying::of(version.view(), source, &settings.keyed_by) {
            None => given.clone(),
            Some(keying) => {
                let topic: Arc<str> = names.of(&keying.feed, Purpose::Repartition).into();
                rekeyed.insert(topic.clone(), keying);
                topic
            }
        };
        for (name, version) in &live.views {
            views.entry(topic_of(version)).or_default().views.insert(name.clone(), version.clone());
        }
        for (name, candidate) in &live.candidates {
            let live = views.entry(topic_of(&candidate.version)).or_default();
            live.candidates.insert(name.clone(), candidate.clone());
        }
        Plan { views, rekeyed }
    }

    /// The topics of events: the one that the worker was given, and those that are partitioned anew.
    pub(crate) fn topics(&self) -> BTreeSet<Arc<str>> {
        self.views.keys().cloned().collect()
    }

    /// The views that read a topic. Nobody may read one any more that was read before.
    pub(crate) fn of(&self, topic: &str) -> Option<&LiveViews> {
        self.views.get(topic)
    }
}
