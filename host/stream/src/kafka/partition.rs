//! One partition of a topic of events, as a source.

use std::path::Path;

use trifold_eventlog::archive::PartitionReader;
use trifold_eventlog::{Archive, ArchiveError, LogError, RawBatch};
use trifold_model::LogId;

use crate::error::StreamError;
use crate::kafka::cluster::Fetch;
use crate::kafka::error::ClusterError;
use crate::kafka::fetch::{Fetched, Span, Topic};
use crate::source::Source;

/// A partition that is read by the group, and from earlier offsets for feeds that began later than others.
pub(crate) struct Partition {
    log: LogId,
    topic: Topic,
    partition: u32,
    /// What the group gave.
    live: Span,
    /// The first offset that is not deleted.
    first: u64,
    /// How many offsets there are.
    known: u64,
    /// Reads what stands before what the group gives.
    reader: Box<dyn Fetch>,
    /// What it read.
    earlier: Option<Span>,
    /// Has what is deleted, if there is an archive.
    archive: Option<PartitionReader>,
}

impl Partition {
    pub(crate) fn new(log: LogId, topic: Topic, partition: u32, reader: Box<dyn Fetch>) -> Self {
        let live = Span::new(topic.clone(), partition, u64::MAX);
        Partition { log, topic, partition, live, first: 0, known: 0, reader, earlier: None, archive: None }
    }

    /// With an archive, which must be of the log.
    pub(crate) fn with_archive(mut self, dir: &Path) -> Result<Self, StreamError> {
        let archive = Archive::open(dir).map_err(StreamError::Log)?;
        archive.check_log(&self.log).map_err(StreamError::Log)?;
        self.archive = Some(archive.partition(self.partition, self.topic.checks_keys));
        Ok(self)
    }

    /// The group gives records from an offset on, or from the first that is left: from where on it does.
    pub(crate) fn begin(&mut self, next: u64) -> u64 {
        let first = next.max(self.first);
        self.live = Span::new(self.topic.clone(), self.partition, first);
        first
    }

    /// How many offsets there are.
    pub(crate) fn known(&self) -> u64 {
        self.known
    }

    /// The next offset that the group gives.
    pub(crate) fn given(&self) -> u64 {
        self.live.next()
    }

    /// There are records from `first` up to `known`.
    pub(crate) fn set_known(&mut self, first: u64, known: u64) {
        (self.first, self.known) = (first, known);
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
            self.reader.rest();
            self.archive.iter_mut().for_each(PartitionReader::rest);
        }
    }

    /// Whether the group has nothing more to give at present.
    pub(crate) fn is_at_end(&mut self) -> Result<bool, ClusterError> {
        self.reader.is_at_end(self.live.next())
    }

    /// What the reader has from an offset on, with some more, if there are any at present.
    fn earlier(&mut self, from: u64, rows_max: usize) -> Result<&Span, ClusterError> {
        let goes_on = |span: &Span| span.reaches(from) && from <= span.next();
        let span = self.earlier.take().filter(goes_on);
        let mut span = span.unwrap_or_else(|| Span::new(self.topic.clone(), self.partition, from));
        span.forget(from);
        if span.len() < rows_max {
            let records = self.reader.fetch(span.next(), rows_max - span.len())?;
            records.into_iter().for_each(|record| span.push(record));
        }
        Ok(self.earlier.insert(span))
    }
}

/// What a partition has no more.
impl Partition {
    /// What the archive has of it, or else a batch that passes what nobody has.
    fn deleted(&mut self, from: u64, rows_max: usize) -> Result<RawBatch, LogError> {
        let (log, first) = (self.log.0.to_string(), self.first);
        let begin = self.archive.as_ref().map(PartitionReader::begin).transpose()?.unwrap_or(first).min(first);
        // A state begins with what is there. One that began before must not miss what it has yet to read.
        if from == 0 && begin > 0 {
            return Ok(Span::new(self.topic.clone(), self.partition, 0).skipped(begin));
        }
        let Some(archive) = self.archive.as_mut().filter(|_| begin <= from) else {
            return Err(LogError::Deleted { log, from, first });
        };
        if let Some(batch) = archive.read(from, rows_max)? {
            return Ok(batch);
        }
        let (dir, partition, end) = (archive.dir().to_owned(), self.partition, archive.end()?);
        Err(ArchiveError::Short { dir, log, partition, end, first }.into())
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
        if from < self.first {
            return self.deleted(from, rows_max).map(Some);
        }
        if self.live.reaches(from) {
            return Ok(self.live.read(from, rows_max as u64));
        }
        match self.earlier(from, rows_max) {
            Ok(span) => Ok(span.read(from, rows_max as u64)),
            Err(error) => {
                let (log, detail) = (self.log.0.to_string(), error.to_string());
                Err(LogError::Unreachable { log, detail })
            }
        }
    }

    fn rows_known(&mut self) -> Result<u64, LogError> {
        Ok(self.known)
    }
}
