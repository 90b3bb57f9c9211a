//! The real cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use trifold_eventlog::APPEND_TIME;
use trifold_model::LogId;
use trifold_store::Entry;

use crate::feed::FeedId;
use crate::kafka::changes::ChangesReader;
use crate::kafka::cluster::{Changelog, Cluster, Decision, Fetch, Polled, Transaction};
use crate::kafka::error::ClusterError;
use crate::kafka::fetch::Fetched;
use crate::kafka::group::Member;
use crate::kafka::outbox::{Outgoing, Parcel};
use crate::kafka::settings::{KafkaSettings, Quiet, Reader};
use crate::kafka::topics::{Purpose, Topics};
use crate::kafka::transaction::Writer;
use crate::kafka::values::{SharedValues, Values, fetched};

/// How long a reader waits for the next record of those that the group gave long ago.
const FETCH_WAIT: Duration = Duration::from_millis(500);

/// A cluster that was reached, and all clients that speak to it.
pub(crate) struct Connected {
    settings: Arc<KafkaSettings>,
    partition_count: u32,
    log: LogId,
    topics: Topics,
    member: Member,
    writer: Writer,
    changes: ChangesReader,
    values: SharedValues,
    named: BTreeMap<FeedId, BTreeMap<Purpose, String>>,
    /// Whether the group gives records.
    begun: bool,
}

impl Connected {
    /// Connects, checks the topic of events, ends what a worker of this name left open, and joins the group.
    pub(crate) fn new(settings: Arc<KafkaSettings>, arrival: Option<&str>) -> Result<Self, ClusterError> {
        let topics = Topics::new(&settings.cluster)?.with(settings.replicas, settings.features);
        let topic = &settings.topic;
        let partition_count =
            topics.partitions(topic)?.ok_or_else(|| ClusterError::UnknownTopic { topic: topic.clone() })?;
        if arrival == Some(APPEND_TIME) {
            topics.check_append_times(topic)?;
        }
        let values = Arc::new(Mutex::new(Values::new(&settings.encoding)?));
        Ok(Connected {
            log: topics.log_id(topic)?,
            writer: Writer::new(&settings)?,
            changes: ChangesReader::new(&settings)?,
            member: Member::join(&settings, values.clone())?,
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
            self.writer.send(self.topic(feed, *purpose)?, partition, message, 0)?;
        }
        self.writer.serve();
        let topic = self.topic(feed, Purpose::Changes)?;
        for (key, value) in &parcel.changes {
            let change = Outgoing { key: Some(key.clone()), value: value.clone() };
            self.writer.send(topic, partition, &change, 0)?;
        }
        self.writer.serve();
        parcel.marker.iter().try_for_each(|marker| self.writer.send(topic, partition, marker, track))
    }
}

impl Cluster for Connected {
    fn log(&self) -> LogId {
        self.log.clone()
    }

    fn ends_of_events(&mut self, partition: u32) -> Result<(u64, u64), ClusterError> {
        self.member.ends(partition)
    }

    fn events_reader(&mut self, partition: u32) -> Box<dyn Fetch> {
        let (settings, values) = (self.settings.clone(), self.values.clone());
        Box::new(EventsReader { settings, values, partition, reading: None })
    }

    fn prepare(&mut self, feed: &FeedId) -> Result<(), ClusterError> {
        if !self.named.contains_key(feed) {
            let topics = self.topics.of_feed(feed, self.partition_count)?;
            self.named.insert(feed.clone(), topics);
        }
        Ok(())
    }

    fn poll(&mut self, rows_max: usize, wait: Duration) -> Result<Polled, ClusterError> {
        let polled = self.member.poll(rows_max, wait, self.settings.transaction_interval)?;
        self.begun &= !matches!(polled, Polled::Decided(_));
        Ok(polled)
    }

    fn decisions(&mut self) -> Vec<Decision> {
        self.member.decisions()
    }

    fn begin(&mut self, positions: &BTreeMap<u32, u64>) -> Result<(), ClusterError> {
        self.member.begin(positions)?;
        self.begun = true;
        Ok(())
    }

    fn leave(&mut self) {
        self.member.leave();
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<Vec<Option<u64>>, ClusterError> {
        self.writer.begin()?;
        for (track, (partition, feed, parcel)) in (1..).zip(&transaction.parcels) {
            self.send(*partition, feed, parcel, track)?;
        }
        tracing::trace!("transaction has its records");
        let Some(member) = self.member.metadata() else { return Err(ClusterError::Regrouped) };
        let offsets = self.writer.commit(&transaction.positions, &member)?;
        // After the marker comes the record that says that the transaction was committed. Whatever a worker that has
        // lost the partition writes in between is never committed.
        let tracks = 1..=transaction.parcels.len();
        Ok(tracks.map(|track| Some(offsets.get(&track)? + 2)).collect())
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
    partition: u32,
    /// A client, while there is something to read, and the offset from which it reads on.
    reading: Option<(Reader, u64)>,
}

impl EventsReader {
    /// A client that reads on from an offset.
    fn reader(&mut self, from: u64) -> Result<Reader, ClusterError> {
        let reader = match self.reading.take() {
            Some((reader, next)) if next == from => return Ok(reader),
            Some((reader, _)) => reader,
            None => {
                let made = self.settings.cluster.reader().create_with_context(Quiet);
                made.map_err(ClusterError::client("make a reader"))?
            }
        };
        let (topic, mut list) = (&self.settings.topic, TopicPartitionList::new());
        let added = list.add_partition_offset(topic, self.partition as i32, Offset::Offset(from as i64));
        let assigned = added.and_then(|()| reader.assign(&list));
        assigned.map_err(ClusterError::client(format!("read the topic {topic}")))?;
        Ok(reader)
    }
}

impl Fetch for EventsReader {
    fn fetch(&mut self, from: u64, rows_max: usize) -> Result<Vec<Fetched>, ClusterError> {
        let reader = self.reader(from)?;
        let deadline = Instant::now() + FETCH_WAIT;
        let mut records: Vec<Fetched> = Vec::new();
        while records.len() < rows_max {
            let wait = if records.is_empty() { deadline - Instant::now() } else { Duration::ZERO };
            match reader.poll(wait) {
                Some(Ok(message)) => records.push(fetched(&self.values, &message)?),
                Some(Err(KafkaError::PartitionEOF(_))) | None => break,
                Some(Err(error)) => {
                    let topic = &self.settings.topic;
                    return Err(ClusterError::client(format!("read the topic {topic}"))(error));
                }
            }
        }
        let next = records.last().map_or(from, |last| last.offset + 1);
        self.reading = Some((reader, next));
        Ok(records)
    }

    fn rest(&mut self) {
        self.reading = None;
    }
}
