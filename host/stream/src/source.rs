//! Where events come from.

use std::ops::Range;

use trifold_eventlog::{FileLog, LogError, RawBatch};
use trifold_model::LogId;

/// One partition of a log.
pub trait Source: Send {
    /// The log's id.
    fn log(&self) -> &LogId;

    /// The number of the partition.
    fn partition(&self) -> u32;

    /// The partitions whose events come into the same states: this one, unless others are read into them in turn. A state
    /// forgets nothing that an event of any of them may still need.
    fn together(&self) -> Range<u32> {
        self.partition()..self.partition() + 1
    }

    /// Up to `rows_max` rows from an offset on, in order and without gaps. `None`: there is nothing more at
    /// present.
    fn read(&mut self, from: u64, rows_max: usize) -> Result<Option<RawBatch>, LogError>;

    /// How many rows there are at present.
    fn rows_known(&mut self) -> Result<u64, LogError>;

    /// Forgets what an earlier look at the log found, after which it had failed.
    fn reopen(&mut self) -> Result<(), LogError> {
        Ok(())
    }

    /// What was read by a reader who stands at `next`, for [`Source::check_consumed`] after a restart; the
    /// last read ended there. Empty for sources whose offsets cannot shift.
    fn consumed(&mut self, _next: u64) -> Result<Vec<u8>, LogError> {
        Ok(Vec::new())
    }

    /// Fails with [`LogError::Consumed`] if the events before `next` are not those that were read.
    fn check_consumed(&mut self, _next: u64, _consumed: &[u8]) -> Result<(), LogError> {
        Ok(())
    }
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

    fn reopen(&mut self) -> Result<(), LogError> {
        FileLog::reopen(self)
    }

    fn consumed(&mut self, next: u64) -> Result<Vec<u8>, LogError> {
        FileLog::consumed(self, next)
    }

    fn check_consumed(&mut self, next: u64, consumed: &[u8]) -> Result<(), LogError> {
        FileLog::check_consumed(self, next, consumed)
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn log(&self) -> &LogId {
        (**self).log()
    }

    fn partition(&self) -> u32 {
        (**self).partition()
    }

    fn together(&self) -> Range<u32> {
        (**self).together()
    }

    fn read(&mut self, from: u64, rows_max: usize) -> Result<Option<RawBatch>, LogError> {
        (**self).read(from, rows_max)
    }

    fn rows_known(&mut self) -> Result<u64, LogError> {
        (**self).rows_known()
    }

    fn reopen(&mut self) -> Result<(), LogError> {
        (**self).reopen()
    }

    fn consumed(&mut self, next: u64) -> Result<Vec<u8>, LogError> {
        (**self).consumed(next)
    }

    fn check_consumed(&mut self, next: u64, consumed: &[u8]) -> Result<(), LogError> {
        (**self).check_consumed(next, consumed)
    }
}
