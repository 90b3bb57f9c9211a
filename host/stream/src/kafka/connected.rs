//! The real cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use trifold_eventlog::APPEND_TIME;
use trifold_model::LogId;
use trifold_store::Entry;

use crate::feed::FeedId;
use crate::kafka::changes::ChangesReader;
use crate::kafka::cluster::{Changelog, Cluster, Committed, Decision, Fetch, Polled, Transaction};
use crate::kafka::deployment::{Beginning, Deployment};
use crate::kafka::error::ClusterError;
use crate::kafka::fetch::Fetched;
use crate::kafka::group::Member;
use crate::kafka::headers;
use crate::kafka::keying::TopicPartition;
use crate::kafka::outbox::{Parcel, Routed};
use crate::kafka::reader::{Reader, read_from, reader};
use crate::kafka::settings::KafkaSettings;
use crate::kafka::topics::{Purpose, Topics};
use crate::kafka::transaction::Writer;
use crate::kafka::values::{SharedValues, Values, fetched};

/// How long a reader waits for the next record of those that the group gave long ago.
const FETCH_WAIT: Duration = Duration::from_millis(500);

/// A cluster that was reached, and all clients that speak to it.
pub(crate) struct Connected {
    settings: Arc<KafkaSettings>,
    partition_count: u32,
    cluster_id: String,
    topics: Topics,
    beginning: Beginning,
    member: Member,
    writer: Writer,
    changes: ChangesReader,
    values: SharedValues,
    named: BTreeMap<FeedId, BTreeMap<Purpose, String>>,
    /// Whether the group gives records.
    begun: bool,
}

impl Connected {
    /// Connects, checks the topic of events and what the group was begun with, and ends what a worker of this name left
    /// open.
    pub(crate) fn new(
        settings: Arc<KafkaSettings>,
        deployment: &Deployment,
        arrival: Option<&str>,
    ) -> Result<Self, ClusterError> {
        let topics = Topics::new(&settings.cluster)?;
        let topic = &settings.topic;
        let partition_count =
            topics.partitions(topic)?.ok_or_else(|| ClusterError::UnknownTopic { topic: topic.clone() })?;
        if arrival == Some(APPEND_TIME) {
            topics.check_append_times(topic)?;
        }
        let values = Arc::new(Mutex::new(Values::new(&settings.encoding, topic)?));
        // Before anything that a worker of the same name in another deployment would notice.
        let beginning = Beginning::look(&settings.cluster, &topics, deployment.clone())?;
        Ok(Connected {
            beginning,
            cluster_id: topics.cluster_id()?,
            writer: Writer::new(&settings)?,
            changes: ChangesReader::new(&settings.cluster)?,
            member: Member::new(&settings, values.clone())?,
            values,
            settings,
            partition_count,
            topics,
            named: BTreeMap::new(),
            begun: false,
        })
    }

    fn topic(&self, feed: &FeedId, purpose: Purpose) -> Result<&str, ClusterError> {
        let topic = self.named.get(feed).and_then(|topics| topics.get(&purpose));
        topic.map(String::as_str).ok_or_else(|| ClusterError::UnknownTopic { topic: format!("{feed} {purpose}") })
    }

    /// Writes what is to be written for one feed; the marker comes last and is tracked.
    fn send(&self, partition: u32, feed: &FeedId, parcel: &Parcel, track: usize) -> Result<(), ClusterError> {
        for (purpose, message) in &parcel.messages {
            self.writer.send(self.topic(feed, *purpose)?, partition, message.parts(), None, 0)?;
        }
        self.writer.serve();
        let topic = self.topic(feed, Purpose::Changes)?;
        for (key, value) in &parcel.changes {
            self.writer.send(topic, partition, (Some(key), value.as_deref()), None, 0)?;
        }
        self.writer.serve();
        let mut marker = parcel.marker.iter();
        marker.try_for_each(|marker| self.writer.send(topic, partition, marker.parts(), None, track))
    }

    /// Writes events that are partitioned anew; the last one in each partition is tracked.
    fn route<'a>(
        &'a self,
        feed: &FeedId,
        routed: &[Routed],
        tracks: &mut BTreeMap<(&'a str, u32), usize>,
    ) -> Result<(), ClusterError> {
        if routed.is_empty() {
            return Ok(());
        }
        let topic = self.topic(feed, Purpose::Repartition)?;
        for Routed { partition, record, origin, problem } in routed {
            // What comes later in a partition takes the place of what came before.
            let next = usize::MAX - tracks.len();
            let track = *tracks.entry((topic, *partition)).or_insert(next);
            let headers = headers::written(origin, problem.as_deref());
            self.writer.send(topic, *partition, record.parts(), Some(headers), track)?;
        }
        self.writer.serve();
        Ok(())
    }
}

impl Cluster for Connected {
    fn log(&self, topic: &str) -> LogId {
        LogId(format!("{}/{topic}", self.cluster_id).into())
    }

    fn partition_count(&self) -> u32 {
        self.partition_count
    }

    fn ends_of_events(&mut self, place: &TopicPartition) -> Result<(u64, u64), ClusterError> {
        self.member.ends(place)
    }

    fn events_reader(&mut self, place: &TopicPartition) -> Box<dyn Fetch> {
        let (settings, values) = (self.settings.clone(), self.values.clone());
        Box::new(EventsReader { settings, values, place: place.clone(), reading: None })
    }

    fn subscribe(&mut self, topics: BTreeSet<Arc<str>>) -> Result<(), ClusterError> {
        self.member.subscribe(topics)
    }

    fn prepare(&mut self, feed: &FeedId, purposes: &[Purpose]) -> Result<(), ClusterError> {
        if !self.named.contains_key(feed) {
            let topics = self.topics.of_feed(feed, purposes, self.partition_count, &self.settings)?;
            self.named.insert(feed.clone(), topics);
        }
        Ok(())
    }

    fn remove_changes(&mut self, feed: &FeedId) -> Result<bool, ClusterError> {
        if self.named.remove(feed).is_some() {
            // A producer asks for each topic that it ever wrote to, again and again, and brokers may make it anew for that.
            self.writer = Writer::new(&self.settings)?;
        }
        Ok(self.topics.remove_changes(feed)?.is_some())
    }

    fn poll(&mut self, rows_max: usize, wait: Duration) -> Result<Polled, ClusterError> {
        let polled = self.member.poll(rows_max, wait, self.settings.transaction_interval)?;
        self.begun &= !matches!(polled, Polled::Decided(_));
        Ok(polled)
    }

    fn decisions(&mut self) -> Vec<Decision> {
        self.member.decisions()
    }

    fn begin(&mut self, positions: &BTreeMap<TopicPartition, u64>) -> Result<(), ClusterError> {
        self.member.begin(positions)?;
        self.begun = true;
        Ok(())
    }

    fn leave(&mut self) {
        self.member.leave();
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<Committed, ClusterError> {
        self.beginning.make(&self.settings, &self.topics)?;
        self.writer.begin()?;
        let mut routed = BTreeMap::new();
        for (track, (place, feed, parcel)) in (1..).zip(&transaction.parcels) {
            self.route(feed, &parcel.routed, &mut routed)?;
            self.send(place.partition, feed, parcel, track)?;
        }
        tracing::trace!("transaction has its records");
        let Some(member) = self.member.metadata() else { return Err(ClusterError::Regrouped) };
        let offsets = self.writer.commit(&transaction.positions, &member)?;
        // After the marker comes the record that says that the transaction was committed. Whatever a worker that has
        // lost the partition writes in between is never committed.
        let tracks = 1..=transaction.parcels.len();
        let changed = tracks.map(|track| Some(offsets.get(&track)? + 2)).collect();
        let reached = |((topic, partition), track): (&(&str, u32), &usize)| {
            let place = TopicPartition { topic: (*topic).into(), partition: *partition };
            Some((place, *offsets.get(track)?))
        };
        Ok(Committed { changed, routed: routed.iter().filter_map(reached).collect() })
    }

    fn ends_of_changes(&mut self, log: Changelog<'_>) -> Result<(u64, u64), ClusterError> {
        let serve = || if self.begun { Ok(()) } else { self.member.serve() };
        serve()?;
        self.changes.ends(self.topic(log.feed, Purpose::Changes)?, log.partition, &serve)
    }

    fn changes(&mut self, log: Changelog<'_>, from: u64, end: u64) -> Result<(Vec<Entry>, u64), ClusterError> {
        if !self.begun {
            self.member.serve()?;
        }
        let topic = self.topic(log.feed, Purpose::Changes)?.to_owned();
        self.changes.read((&topic, log.partition, log.feed.state), from, end)
    }
}

/// Reads events from wherever a feed stands.
struct EventsReader {
    settings: Arc<KafkaSettings>,
    values: SharedValues,
    place: TopicPartition,
    /// A client, while there is something to read, and the offset from which it reads on.
    reading: Option<(Reader, u64)>,
}

impl EventsReader {
    /// A client that reads on from an offset.
    fn reader(&mut self, from: u64) -> Result<Reader, ClusterError> {
        let reader = match self.reading.take() {
            Some((reader, next)) if next == from => return Ok(reader),
            Some((reader, _)) => reader,
            None => reader(&self.settings.cluster.reader())?,
        };
        read_from(&reader, [(&*self.place.topic, self.place.partition, from)])?;
        Ok(reader)
    }

    /// The next events from an offset on, and whether there were no more.
    fn read(&mut self, from: u64, rows_max: usize) -> Result<(Vec<Fetched>, bool), ClusterError> {
        let reader = self.reader(from)?;
        let deadline = Instant::now() + FETCH_WAIT;
        let (mut records, mut is_end): (Vec<Fetched>, _) = (Vec::new(), false);
        while records.len() < rows_max {
            let wait = if records.is_empty() { deadline - Instant::now() } else { Duration::ZERO };
            match reader.poll(wait) {
                Some(Ok(message)) => records.push(fetched(&self.values, &message)?),
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    is_end = true;
                    break;
                }
                None => break,
                Some(Err(error)) => {
                    let topic = &self.place.topic;
                    return Err(ClusterError::client(format!("read the topic {topic}"))(error));
                }
            }
        }
        let next = records.last().map_or(from, |last| last.offset + 1);
        self.reading = Some((reader, next));
        Ok((records, is_end))
    }
}

impl Fetch for EventsReader {
    fn fetch(&mut self, from: u64, rows_max: usize) -> Result<Vec<Fetched>, ClusterError> {
        Ok(self.read(from, rows_max)?.0)
    }

    fn is_at_end(&mut self, from: u64) -> Result<bool, ClusterError> {
        // The client says once that it is at the end, so that each look takes a new one.
        self.reading = None;
        let (records, is_end) = self.read(from, 1)?;
        self.reading = None;
        Ok(is_end && records.is_empty())
    }

    fn rest(&mut self) {
        self.reading = None;
    }
}
