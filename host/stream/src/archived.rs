//! One partition of an archive as a source.

use std::ops::Range;

use trifold_eventlog::archive::PartitionReader;
use trifold_eventlog::{Archive, ArchiveError, LogError, RawBatch};
use trifold_model::LogId;

use crate::source::Source;

/// One partition of an archive.
pub struct ArchivePartition {
    log: LogId,
    partition: u32,
    together: Range<u32>,
    reader: PartitionReader,
}

impl ArchivePartition {
    /// A partition whose states have events of no other. `checks_keys`: the key of each event must be that of its entity.
    pub fn alone(archive: &Archive, partition: u32, checks_keys: bool) -> Self {
        ArchivePartition {
            log: archive.log(),
            partition,
            together: partition..partition + 1,
            reader: archive.partition(partition, checks_keys),
        }
    }

    /// A partition whose states have the events of all partitions, which are read one after the other.
    pub fn of_all(archive: &Archive, partition: u32, checks_keys: bool) -> Self {
        let together = 0..archive.partitions();
        ArchivePartition { together, ..ArchivePartition::alone(archive, partition, checks_keys) }
    }
}

impl Source for ArchivePartition {
    fn log(&self) -> &LogId {
        &self.log
    }

    fn partition(&self) -> u32 {
        self.partition
    }

    fn together(&self) -> Range<u32> {
        self.together.clone()
    }

    fn read(&mut self, from: u64, rows_max: usize) -> Result<Option<RawBatch>, LogError> {
        let begin = self.reader.begin()?;
        match from {
            // A state begins with what is there. One that began before must not miss what it has yet to read.
            0 if begin > 0 => Ok(Some(RawBatch::nothing(self.partition, 0..begin, self.reader.dir().into()))),
            from if from < begin => {
                let (dir, partition) = (self.reader.dir().to_owned(), self.partition);
                Err(ArchiveError::Gap { dir, partition, from, to: begin }.into())
            }
            from => self.reader.read(from, rows_max),
        }
    }

    fn rows_known(&mut self) -> Result<u64, LogError> {
        self.reader.end()
    }
}
