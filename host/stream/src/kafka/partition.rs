//! One partition of the topic of events, as a source.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use trifold_eventlog::{LogError, RawBatch};
use trifold_model::LogId;

use crate::kafka::fetch::{Fetched, Span};
use crate::kafka::settings::{KafkaSettings, Quiet, Reader};
use crate::source::Source;

/// How long a feed that stands behind the others waits for its next record before the others have a turn.
const EARLIER_WAIT: Duration = Duration::from_millis(500);

/// A partition that is read by the group, and from earlier offsets for feeds that began later than others.
pub(crate) struct Partition {
    log: LogId,
    topic: Arc<Path>,
    partition: u32,
    /// What the group gave.
    live: Span,
    /// How many offsets there are.
    known: u64,
    settings: Arc<KafkaSettings>,
    earlier: Option<Earlier>,
}

/// A reader of what stands before what the group gives.
struct Earlier {
    consumer: Reader,
    span: Span,
}

impl Partition {
    pub(crate) fn new(log: LogId, partition: u32, settings: Arc<KafkaSettings>) -> Self {
        let topic: Arc<Path> = Path::new(&settings.topic).into();
        let live = Span::new(topic.clone(), partition, u64::MAX, settings.check_keys);
        Partition { log, topic, partition, live, known: 0, settings, earlier: None }
    }

    /// The group gives records from an offset on.
    pub(crate) fn begin(&mut self, first: u64) {
        self.live = Span::new(self.topic.clone(), self.partition, first, self.settings.check_keys);
    }

    pub(crate) fn set_known(&mut self, known: u64) {
        self.known = known;
    }

    /// Takes in a record that the group gave.
    pub(crate) fn push(&mut self, record: Fetched) {
        self.live.push(record);
        self.known = self.known.max(self.live.next());
    }

    /// How many records of the group are in memory.
    pub(crate) fn held(&self) -> usize {
        self.live.len()
    }

    /// Whether a feed at one of these offsets stands behind what the group gives.
    pub(crate) fn is_behind(&self, mut feeds: impl Iterator<Item = u64>) -> bool {
        feeds.any(|next| !self.live.reaches(next))
    }

    /// Forgets records that nobody will ask for again: all feeds stand at one of these offsets.
    pub(crate) fn forget(&mut self, feeds: impl Iterator<Item = u64> + Clone) {
        let live = feeds.clone().filter(|next| self.live.reaches(*next));
        self.live.forget(live.min().unwrap_or_else(|| self.live.next()));
        if feeds.clone().all(|next| self.live.reaches(next)) {
            self.earlier = None;
        }
    }

    fn failed(&self, error: &KafkaError) -> LogError {
        LogError::Unreachable { log: self.log.0.to_string(), detail: error.to_string() }
    }

    /// The reader of earlier records, with some from an offset on, if there are any at present.
    fn earlier(&mut self, from: u64, rows_max: usize) -> Result<&Span, KafkaError> {
        let goes_on = |earlier: &Earlier| earlier.span.reaches(from) && from <= earlier.span.next();
        let mut earlier = match self.earlier.take() {
            Some(earlier) if goes_on(&earlier) => earlier,
            other => {
                let consumer = match other {
                    Some(earlier) => earlier.consumer,
                    None => self.settings.reader().create_with_context(Quiet)?,
                };
                let mut list = TopicPartitionList::new();
                let offset = Offset::Offset(from as i64);
                list.add_partition_offset(&self.settings.topic, self.partition as i32, offset)?;
                consumer.assign(&list)?;
                let span = Span::new(self.topic.clone(), self.partition, from, self.settings.check_keys);
                Earlier { consumer, span }
            }
        };
        earlier.span.forget(from);
        let deadline = Instant::now() + EARLIER_WAIT;
        while earlier.span.len() < rows_max {
            let wait = if earlier.span.len() == 0 { deadline - Instant::now() } else { Duration::ZERO };
            match earlier.consumer.poll(wait) {
                Some(Ok(message)) => earlier.span.push(Fetched::of(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) | None => break,
                Some(Err(error)) => return Err(error),
            }
        }
        Ok(&self.earlier.insert(earlier).span)
    }
}

impl Source for Partition {
    fn log(&self) -> &LogId {
        &self.log
    }

    fn partition(&self) -> u32 {
        self.partition
    }

    fn read(&mut self, from: u64, rows_max: usize) -> Result<Option<RawBatch>, LogError> {
        if self.live.reaches(from) {
            return Ok(self.live.read(from, rows_max as u64));
        }
        match self.earlier(from, rows_max) {
            Ok(span) => Ok(span.read(from, rows_max as u64)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn rows_known(&mut self) -> Result<u64, LogError> {
        Ok(self.known)
    }
}
