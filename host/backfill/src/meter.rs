//! Counting progress from several threads.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::BackfillError;
use crate::job::{Phase, Watch};

/// The rows done of one phase.
pub(crate) struct Meter<'a> {
    watch: &'a Watch,
    /// `None`: rows are not reported.
    phase: Option<Phase>,
    done: AtomicU64,
    total: u64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(watch: &'a Watch, phase: Phase, total: u64) -> Self {
        Meter { watch, phase: Some(phase), done: AtomicU64::new(0), total }
    }

    /// For rows that another phase reports.
    pub(crate) fn silent(watch: &'a Watch) -> Self {
        Meter { watch, phase: None, done: AtomicU64::new(0), total: 0 }
    }

    /// Counts rows, and refuses to go on where the backfill is cancelled.
    pub(crate) fn add(&self, rows: usize) -> Result<(), BackfillError> {
        let done = self.done.fetch_add(rows as u64, Ordering::Relaxed) + rows as u64;
        if let Some(phase) = self.phase {
            self.watch.progress.report(phase, done, self.total);
        }
        self.watch.check()
    }
}

impl Watch {
    /// An error once the backfill is cancelled. Whoever knows how many files are finished says so in its place.
    pub(crate) fn check(&self) -> Result<(), BackfillError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(BackfillError::Cancelled { finished: 0, total: 0 });
        }
        Ok(())
    }
}
