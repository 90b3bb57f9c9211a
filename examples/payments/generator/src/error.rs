//! What can go wrong.

use std::path::PathBuf;

use arrow_schema::ArrowError;
use trifold_eventlog::LogError;

/// Why payments could not be generated or written.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// There is none of something, or more than can be numbered.
    #[error("{count} {what} cannot be generated: ask for at least 1 and at most 2^62")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many were asked for.
        count: u64,
    },
    /// Payments cannot happen at that rate.
    #[error("{per_day} payments in a day cannot be generated: ask for at least 1 and at most {most}")]
    PerDay {
        /// The rate that was asked for.
        per_day: u64,
        /// The highest rate.
        most: u64,
    },
    /// Payments would reach too far into the future.
    #[error("{events} events at {per_day} in a day would take more than {most} days: ask for more in a day")]
    Days {
        /// How many events.
        events: u64,
        /// The rate.
        per_day: u64,
        /// The longest time.
        most: u64,
    },
    /// Shares that exclude each other come to more than all payments.
    #[error("the shares of payments that are {what} come to more than 100% together: lower one of them")]
    Shares {
        /// Which shares.
        what: &'static str,
    },
    /// A log cannot be written beside other files.
    #[error("{} is not empty, and its files would become part of the log: name a new directory", dir.display())]
    Occupied {
        /// The directory.
        dir: PathBuf,
    },
    /// A directory cannot be read.
    #[error("cannot read {}: {source}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Columns do not make a batch.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

impl GeneratorError {
    /// Whether something else must be asked for, in place of trying again.
    pub fn is_request(&self) -> bool {
        !matches!(self, GeneratorError::Directory { .. } | GeneratorError::Log(_) | GeneratorError::Arrow(_))
    }
}
