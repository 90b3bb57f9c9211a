//! One shard's way from sorted rows to answers.

use arrow_array::RecordBatch;
use trifold_pipeline::{Answered, LiveVersion, PointInTime, Timeline};
use trifold_sandbox::Budget;

use crate::error::BackfillError;
use crate::meter::Meter;

/// Where the answers of shards go.
pub(crate) trait Sinks: Sync {
    /// Begins a shard.
    fn open(&self, shard: u32) -> Result<Box<dyn Sink + '_>, BackfillError>;
}

/// Where the answers of one shard go.
pub(crate) trait Sink {
    /// Takes the next answers.
    fn take(&mut self, answered: &Answered) -> Result<(), BackfillError>;

    /// Keeps what was taken; a sink dropped before that keeps nothing.
    fn finish(self: Box<Self>) -> Result<(), BackfillError>;
}

/// A shard that is being answered.
pub(crate) struct Shard<'a> {
    pub(crate) number: u32,
    answers: PointInTime,
    budget: Budget,
    sink: Box<dyn Sink + 'a>,
    meter: &'a Meter<'a>,
}

impl<'a> Shard<'a> {
    pub(crate) fn begin(
        number: u32,
        timeline: &Timeline,
        version: &LiveVersion,
        sinks: &'a dyn Sinks,
        meter: &'a Meter<'a>,
    ) -> Result<Self, BackfillError> {
        Ok(Shard {
            number,
            answers: PointInTime::new(timeline.clone(), version.clone()),
            budget: Budget::unlimited(),
            sink: sinks.open(number)?,
            meter,
        })
    }

    /// Takes the shard's next rows in timeline order.
    pub(crate) fn push(&mut self, rows: RecordBatch) -> Result<(), BackfillError> {
        let answered = self.answers.push(rows, &mut self.budget)?;
        take(&mut *self.sink, self.meter, &answered)
    }

    pub(crate) fn finish(mut self) -> Result<(), BackfillError> {
        let answered = self.answers.finish(&mut self.budget)?;
        take(&mut *self.sink, self.meter, &answered)?;
        self.sink.finish()
    }
}

fn take(sink: &mut dyn Sink, meter: &Meter<'_>, answered: &Answered) -> Result<(), BackfillError> {
    if !answered.rows.is_empty() {
        sink.take(answered)?;
    }
    meter.add(answered.rows.len())
}
