//! Where events come from.

use trifold_eventlog::{FileLog, LogError, RawBatch};
use trifold_model::LogId;

/// One partition of a log.
pub trait Source: Send {
    /// The log's id.
    fn log(&self) -> &LogId;

    /// The number of the partition.
    fn partition(&self) -> u32;

    /// Up to `rows_max` rows from an offset on, in order and without gaps. `None`: there is nothing more at
    /// present.
    fn read(&mut self, from: u64, rows_max: usize) -> Result<Option<RawBatch>, LogError>;

    /// How many rows there are at present.
    fn rows_known(&mut self) -> Result<u64, LogError>;
}

impl Source for FileLog {
    fn log(&self) -> &LogId {
        self.id()
    }

    fn partition(&self) -> u32 {
        0
    }

    fn read(&mut self, from: u64, rows_max: usize) -> Result<Option<RawBatch>, LogError> {
        FileLog::read(self, from, rows_max)
    }

    fn rows_known(&mut self) -> Result<u64, LogError> {
        FileLog::rows_known(self)
    }
}
