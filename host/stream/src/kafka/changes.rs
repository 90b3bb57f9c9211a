//! Reading topics of changes.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use trifold_model::StateId;
use trifold_store::Entry;

use crate::kafka::error::ClusterError;
use crate::kafka::reader::{Reader, ends, read_from, reader};
use crate::kafka::settings::{ClusterSettings, REQUEST_TIMEOUT};

/// So many changes are read at once.
const ENTRIES_MAX: usize = 16_384;
/// How often it is looked whether a transaction that was left open is over.
const OPEN_INTERVAL: Duration = Duration::from_millis(50);
/// How long a worker waits before it says so and begins anew. A cluster ends transactions of workers that are gone after
/// some ten seconds.
const OPEN_PATIENCE: Duration = Duration::from_secs(30);

/// Reads committed changes.
pub(crate) struct ChangesReader {
    committed: Reader,
    uncommitted: Reader,
    /// The topic, the partition and the offset that the next record is of.
    at: Option<(String, u32, u64)>,
}

/// What is called while reading takes its time.
pub(crate) type Serve<'a> = &'a dyn Fn() -> Result<(), ClusterError>;

impl ChangesReader {
    pub(crate) fn new(settings: &ClusterSettings) -> Result<Self, ClusterError> {
        let mut uncommitted = settings.reader();
        uncommitted.set("isolation.level", "read_uncommitted");
        Ok(ChangesReader { committed: reader(&settings.reader())?, uncommitted: reader(&uncommitted)?, at: None })
    }

    /// The first and the end offset, once no transaction is open before the end.
    pub(crate) fn ends(&self, topic: &str, partition: u32, serve: Serve<'_>) -> Result<(u64, u64), ClusterError> {
        let (low, end) = ends(&self.uncommitted, topic, partition)?;
        let begun = Instant::now();
        loop {
            let closed = ends(&self.committed, topic, partition)?.1;
            if closed >= end {
                return Ok((low, end));
            }
            if begun.elapsed() > OPEN_PATIENCE {
                let topic = topic.to_owned();
                return Err(ClusterError::OpenTransaction { topic, partition, offset: closed, end });
            }
            serve()?;
            thread::sleep(OPEN_INTERVAL);
        }
    }

    /// The changes of a state from an offset on, and the offset before which there are no others.
    pub(crate) fn read(
        &mut self,
        (topic, partition, state): (&str, u32, StateId),
        from: u64,
        end: u64,
    ) -> Result<(Vec<Entry>, u64), ClusterError> {
        let reading = || ClusterError::client(format!("read the topic {topic}"));
        let goes_on =
            self.at.as_ref().is_some_and(|(of, at, next)| (of.as_str(), *at, *next) == (topic, partition, from));
        if !goes_on {
            read_from(&self.committed, [(topic, partition, from)])?;
        }
        self.at = None;
        let (mut entries, mut next) = (Vec::new(), from);
        while next < end && entries.len() < ENTRIES_MAX {
            let message = match self.committed.poll(REQUEST_TIMEOUT) {
                Some(Ok(message)) => message,
                // The last records may be those that say how transactions ended, which no reader gets.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok((entries, end)),
                Some(Err(error)) => return Err(reading()(error)),
                None => return Err(reading()(KafkaError::NoMessageReceived)),
            };
            let entry = Entry::decode(state, message.key().unwrap_or_default(), message.payload());
            entries.push(entry.map_err(|source| ClusterError::Entry {
                topic: topic.to_owned(),
                partition,
                offset: message.offset(),
                source,
            })?);
            next = message.offset().unsigned_abs() + 1;
        }
        self.at = Some((topic.to_owned(), partition, next));
        Ok((entries, next))
    }
}
