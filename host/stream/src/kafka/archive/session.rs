//! An archiver's time with a cluster, from one failure to the next.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use trifold_eventlog::archive::{ArchiveLimits, ArchiveWriter, ArchivedFile, Finished, Manifest, PartitionWriter};
use trifold_eventlog::{APPEND_TIME, LogError, RawBatch};

use super::{ArchiveNotice, ArchiveReport, ArchiveSettings, Notify};
use crate::error::StreamError;
use crate::kafka::error::ClusterError;
use crate::kafka::fetch::{Fetched, Span, Topic};
use crate::kafka::reader::{Reader, ends, read_from, reader};
use crate::kafka::settings::REQUEST_TIMEOUT;
use crate::kafka::topics::Topics;
use crate::kafka::values::Values;

/// How long a turn waits for a record.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// Records are gathered for so long before they go into a file.
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 1 << 20;
/// The most records of a turn, so that whoever wants to stop it is heard.
const TURN_RECORDS: usize = 65_536;

/// A cluster and an archive that were reached.
pub(super) struct Session {
    settings: Arc<ArchiveSettings>,
    topic: Arc<Path>,
    reader: Reader,
    values: Values,
    writer: ArchiveWriter,
    partitions: BTreeMap<u32, Partition>,
}

/// A partition on its way into the archive.
struct Partition {
    writer: PartitionWriter,
    /// From where on records have yet to be read.
    next: u64,
    gathered: Vec<(Fetched, Option<i64>)>,
    gathered_bytes: usize,
    /// Since when there is an unfinished file, or when it was last looked whether there should be one.
    since: Instant,
    /// Whether all that there was has been read.
    ended: bool,
}

impl Session {
    /// Connects, and looks where the archive goes on and whether the topic still has that.
    pub(super) fn begin(settings: Arc<ArchiveSettings>, notify: Notify<'_>) -> Result<Self, ClusterError> {
        let (topics, topic) = (Topics::new(&settings.cluster)?, &settings.topic);
        let count =
            topics.partitions(topic)?.ok_or_else(|| ClusterError::UnknownTopic { topic: topic.clone() })?;
        if settings.arrival.as_deref() == Some(APPEND_TIME) {
            topics.check_append_times(topic)?;
        }
        let log = topics.log_id(topic)?;
        let reader = reader(&settings.cluster.reader())?;
        let ends = (0..count).map(|partition| ends(&reader, topic, partition)).collect::<Result<Vec<_>, _>>()?;
        let begins = ends.iter().map(|(first, _)| *first).collect();
        let manifest = Manifest::new(&*log.0, settings.arrival.clone(), begins);
        let shares = (count as usize).max(1);
        let limits =
            ArchiveLimits { memory_bytes_max: settings.limits.memory_bytes_max / shares, ..settings.limits };
        let writer = ArchiveWriter::open(&settings.dir, &manifest, limits).map_err(of_log)?;
        let mut partitions = BTreeMap::new();
        let mut records = 0;
        for partition in 0..count {
            let (begun, end) = Partition::begin(&writer, &reader, topic, partition)?;
            records += end - begun.writer.next();
            partitions.insert(partition, begun);
        }
        notify(ArchiveNotice::Found { records });
        let values = Values::new(&settings.encoding, topic)?;
        let session = Session { topic: Path::new(topic).into(), settings, reader, values, writer, partitions };
        session.assign()?;
        Ok(session)
    }

    /// Reads on from where each partition is.
    fn assign(&self) -> Result<(), ClusterError> {
        let topic = self.settings.topic.as_str();
        read_from(&self.reader, self.partitions.iter().map(|(&partition, at)| (topic, partition, at.next)))
    }

    /// Reads what there is, as far as a turn goes: whether that was all.
    pub(super) fn turn(&mut self, report: &mut ArchiveReport, notify: Notify<'_>) -> Result<bool, ClusterError> {
        let was_caught_up = self.is_caught_up();
        let mut records = 0;
        while records < TURN_RECORDS {
            match self.reader.poll(if records == 0 { POLL_WAIT } else { Duration::ZERO }) {
                Some(Ok(message)) => {
                    records += 1;
                    let partition = message.partition().unsigned_abs();
                    let Some(at) = self.partitions.get_mut(&partition) else { continue };
                    let record = (self.values.fetched(&message)?, timestamp(&message));
                    at.take(&self.topic, partition, record)?;
                    if at.is_ready() {
                        self.write(partition, report, notify)?;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(at) = self.partitions.get_mut(&partition.unsigned_abs()) {
                        at.ended = true;
                    }
                }
                Some(Err(error)) => {
                    return Err(ClusterError::client(format!("read the topic {}", self.settings.topic))(error));
                }
                None => break,
            }
        }
        notify(ArchiveNotice::Read { records: records as u64 });
        let partitions: Vec<_> = self.partitions.keys().copied().collect();
        for partition in partitions {
            self.write(partition, report, notify)?;
            let due = |at: &Partition| at.since.elapsed() >= self.settings.interval;
            if self.partitions.get(&partition).is_some_and(due) {
                self.finish_one(partition, report, notify)?;
            }
        }
        if self.is_caught_up() && !was_caught_up {
            notify(ArchiveNotice::CaughtUp);
        }
        Ok(self.is_caught_up())
    }

    /// Whether all that there was has been read.
    pub(super) fn is_caught_up(&self) -> bool {
        self.partitions.values().all(|at| at.ended && at.gathered.is_empty())
    }

    /// Where the archive of each partition ends.
    pub(super) fn ends(&self) -> Vec<u64> {
        self.partitions.values().map(|at| at.writer.next()).collect()
    }

    /// Finishes all files.
    pub(super) fn finish(&mut self, report: &mut ArchiveReport, notify: Notify<'_>) -> Result<(), ClusterError> {
        let partitions: Vec<_> = self.partitions.keys().copied().collect();
        for partition in partitions {
            self.write(partition, report, notify)?;
            self.finish_one(partition, report, notify)?;
        }
        Ok(())
    }

    /// Writes what was gathered of a partition.
    fn write(
        &mut self,
        partition: u32,
        report: &mut ArchiveReport,
        notify: Notify<'_>,
    ) -> Result<(), ClusterError> {
        let Some(at) = self.partitions.get_mut(&partition) else { return Ok(()) };
        let gathered = std::mem::take(&mut at.gathered);
        at.gathered_bytes = 0;
        let Some((raw, timestamps)) = batch(&self.topic, partition, at.writer.next(), gathered) else {
            return Ok(());
        };
        if !at.writer.is_open() {
            at.since = Instant::now();
        }
        let finished = at.writer.push(&raw, &timestamps).map_err(of_log)?;
        self.settle(partition, finished, report, notify)
    }

    fn finish_one(
        &mut self,
        partition: u32,
        report: &mut ArchiveReport,
        notify: Notify<'_>,
    ) -> Result<(), ClusterError> {
        let Some(at) = self.partitions.get_mut(&partition) else { return Ok(()) };
        at.since = Instant::now();
        if at.ended
            && let Some(end) = self.settings.quiet_end(&self.reader, partition, at.writer.next())?
        {
            at.writer.skip_to(end);
        }
        let finished = at.writer.finish().map_err(of_log)?;
        self.settle(partition, finished, report, notify)
    }

    /// Notes files, and goes on behind those of another archiver that was faster.
    fn settle(
        &mut self,
        partition: u32,
        finished: Finished,
        report: &mut ArchiveReport,
        notify: Notify<'_>,
    ) -> Result<(), ClusterError> {
        let (files, is_overtaken) = match finished {
            Finished::Added(files) => (files, false),
            Finished::Overtaken(files) => (files, true),
        };
        for file in &files {
            report.add(file);
            notify(ArchiveNotice::Added(file));
        }
        if is_overtaken {
            notify(ArchiveNotice::Overtaken { partition });
            let (begun, _) = Partition::begin(&self.writer, &self.reader, &self.settings.topic, partition)?;
            self.partitions.insert(partition, begun);
            self.assign()?;
        } else if let Some(at) = self.partitions.get_mut(&partition).filter(|_| !files.is_empty()) {
            at.since = Instant::now();
        }
        Ok(())
    }
}

impl Partition {
    /// Goes on where the archive ends, and says where the topic does.
    fn begin(
        archive: &ArchiveWriter,
        reader: &Reader,
        topic: &str,
        partition: u32,
    ) -> Result<(Self, u64), ClusterError> {
        let writer = archive.partition(partition).map_err(of_log)?;
        // The topic is looked at last: another archiver may be writing what has just come.
        let (first, end) = ends(reader, topic, partition)?;
        writer.check_ends(first, end).map_err(of_log)?;
        // The last record is read once more, to know the topic again.
        let next = writer.last_offset().filter(|last| *last >= first).unwrap_or_else(|| writer.next());
        let begun = Partition {
            writer,
            next,
            gathered: Vec::new(),
            gathered_bytes: 0,
            since: Instant::now(),
            ended: false,
        };
        Ok((begun, end))
    }

    /// Takes the next record in.
    fn take(
        &mut self,
        topic: &Arc<Path>,
        partition: u32,
        record: (Fetched, Option<i64>),
    ) -> Result<(), ClusterError> {
        self.ended = false;
        let offset = record.0.offset;
        if offset < self.writer.next() {
            // It is in the archive, or something else is in its place.
            return match batch(topic, partition, offset, vec![record]) {
                Some((raw, timestamps)) => self.writer.check_last(&raw, &timestamps).map_err(of_log),
                None => Ok(()),
            };
        }
        self.next = offset + 1;
        self.gathered_bytes += record.0.value.len() + record.0.key.as_ref().map_or(0, Vec::len);
        self.gathered.push(record);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.gathered.len() >= BATCH_ROWS || self.gathered_bytes >= BATCH_BYTES
    }
}

impl ArchiveSettings {
    /// The end of a partition, if it has no record from an offset on: what is there says only how transactions ended. Were
    /// it deleted, it would else look as if something was missing from the archive.
    fn quiet_end(&self, known: &Reader, partition: u32, next: u64) -> Result<Option<u64>, ClusterError> {
        let (_, end) = ends(known, &self.topic, partition)?;
        if end <= next {
            return Ok(None);
        }
        let reader = reader(&self.cluster.reader())?;
        read_from(&reader, [(self.topic.as_str(), partition, next)])?;
        // Only the end that a reader finds who began after the look at it says that nothing lies before.
        match reader.poll(REQUEST_TIMEOUT) {
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(Some(end)),
            Some(Err(error)) => Err(ClusterError::client(format!("read the topic {}", self.topic))(error)),
            Some(Ok(_)) | None => Ok(None),
        }
    }
}

impl ArchiveReport {
    fn add(&mut self, file: &ArchivedFile) {
        self.files += 1;
        self.events += file.rows;
        self.undecoded += file.undecoded;
        self.without_arrival += file.without_arrival;
        self.bytes += file.bytes;
    }
}

/// Consecutive records with the time of each; `None` without any.
fn batch(
    topic: &Arc<Path>,
    partition: u32,
    first: u64,
    records: Vec<(Fetched, Option<i64>)>,
) -> Option<(RawBatch, Vec<Option<i64>>)> {
    let (records, timestamps): (Vec<_>, Vec<_>) = records.into_iter().unzip();
    // Whether keys count is for those who read the archive to say, so that all have theirs.
    let topic = Topic { name: topic.clone(), checks_keys: true, made_of: None };
    let mut span = Span::new(topic, partition, first);
    records.into_iter().for_each(|record| span.push(record));
    Some((span.read(first, u64::MAX)?, timestamps))
}

fn timestamp(message: &BorrowedMessage<'_>) -> Option<i64> {
    message.timestamp().to_millis().map(|millis| millis.saturating_mul(1_000))
}

/// What an archive cannot do stops its archiver as it would stop a worker.
fn of_log(error: LogError) -> ClusterError {
    StreamError::Log(error).into()
}
