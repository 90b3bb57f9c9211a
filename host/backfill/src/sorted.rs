//! The sorted plan: events and questions, sorted by shard, entity and moment.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use trifold_pipeline::Timeline;

use crate::aside::AsideSink;
use crate::error::BackfillError;
use crate::exchange::{Router, Routes, lane_parts, with_shard};
use crate::job::Job;
use crate::meter::Meter;
use crate::recording::Recording;
use crate::shard::{Shard, Sinks};
use crate::sizes::Sizes;
use crate::sorter::{Sort, SortInput, SortLimits};
use crate::spine::Questioner;
use crate::threads::{first_error, join, spawn};

/// One pass over the log: everything that it reads and where that goes.
pub(crate) struct Pass<'a> {
    pub(crate) job: &'a Job,
    pub(crate) recording: &'a Recording,
    pub(crate) timeline: &'a Timeline,
    pub(crate) questions: Option<&'a dyn Questioner>,
    /// Over how many shards entities are spread.
    pub(crate) shards: u32,
    /// The shards that are computed in this pass, ascending.
    pub(crate) wanted: &'a [u32],
    pub(crate) threads: usize,
    pub(crate) sizes: Sizes,
    pub(crate) sort: SortLimits,
    pub(crate) aside: &'a dyn AsideSink,
    pub(crate) sinks: &'a dyn Sinks,
    pub(crate) read: &'a Meter<'a>,
    pub(crate) computed: &'a Meter<'a>,
}

impl Pass<'_> {
    pub(crate) fn run(&self) -> Result<(), BackfillError> {
        let lanes = self.threads.clamp(1, self.wanted.len().max(1));
        let routes =
            Routes::new(self.timeline.schema(), self.shards, self.wanted, lanes, self.sizes.sort_batch_bytes);
        let (sorts, inputs): (Vec<_>, Vec<_>) = (0..lanes).map(|_| self.sort()).unzip();
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for _ in 0..self.threads.max(1) {
                let router = Router::new(&routes, &inputs);
                let next = &next;
                threads.push(spawn(scope, move || self.read(next, router))?);
            }
            inputs.into_iter().for_each(SortInput::complete);
            for (sort, part) in sorts.into_iter().zip(lane_parts(self.wanted, lanes)) {
                threads.push(spawn(scope, move || self.compute(sort, part))?);
            }
            first_error(threads.into_iter().map(join))
        })
    }

    fn sort(&self) -> (Sort, SortInput) {
        let schema = with_shard(self.timeline.schema());
        let by = ["shard"].iter().chain(&Timeline::SORT_COLUMNS);
        let by = by.filter_map(|name| schema.index_of(name).ok()).collect();
        Sort::new("events and questions", schema, by)
    }

    /// What one thread reads: the questions, if they fall to it, and units of the log as long as there are any.
    fn read(&self, next: &AtomicUsize, mut router: Router<'_>) -> Result<(), BackfillError> {
        // A lane that has gone says itself why; the router, dropped unfinished, stops the others.
        if self.read_all(next, &mut router)? { router.finish().map_err(timeline_error) } else { Ok(()) }
    }

    fn read_all(&self, next: &AtomicUsize, router: &mut Router<'_>) -> Result<bool, BackfillError> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let wanted = match (index.checked_sub(1), self.questions) {
                (None, None) => true,
                (None, Some(questions)) => self.read_questions(questions, router)?,
                (Some(unit), _) if unit < self.recording.units.len() => self.read_unit(unit, router)?,
                _ => return Ok(true),
            };
            if !wanted {
                return Ok(false);
            }
        }
    }

    fn read_questions(&self, questions: &dyn Questioner, router: &mut Router<'_>) -> Result<bool, BackfillError> {
        let mut wanted = true;
        questions.each(self.timeline, self.sizes.batch_rows, &mut |rows| {
            self.read.add(rows.num_rows())?;
            wanted = router.send(rows).map_err(timeline_error)?;
            Ok(wanted)
        })?;
        Ok(wanted)
    }

    fn read_unit(&self, unit: usize, router: &mut Router<'_>) -> Result<bool, BackfillError> {
        let unit = &self.recording.units[unit];
        let mut set_aside = self.aside.open(unit)?;
        for events in self.recording.events(self.job, unit, self.sizes.batch_rows)? {
            let events = events?;
            let count = events.times.len() + events.aside.len();
            let (rows, aside) = self.timeline.events(events)?;
            set_aside.take(&aside)?;
            self.read.add(count)?;
            if !router.send(rows).map_err(timeline_error)? {
                return Ok(false);
            }
        }
        set_aside.finish()?;
        Ok(true)
    }

    /// What one lane computes: its shards, one after the other.
    fn compute(&self, sort: Sort, shards: &[u32]) -> Result<(), BackfillError> {
        let mut left = shards.iter().copied();
        let mut current: Option<Shard<'_>> = None;
        sort.run(&self.sort, |rows| {
            for (number, rows) in by_shard(&rows) {
                while current.as_ref().is_none_or(|shard| shard.number != number) {
                    let Some(next) = left.next() else {
                        let problem = format!("a row of shard {number} came out of order");
                        return Err(BackfillError::Internal(problem));
                    };
                    if let Some(done) = current.replace(self.begin(next)?) {
                        done.finish()?;
                    }
                }
                if let Some(shard) = &mut current {
                    shard.push(rows)?;
                }
            }
            Ok(())
        })?;
        current.map(Shard::finish).transpose()?;
        // Shards without rows are finished all the same.
        left.try_for_each(|number| self.begin(number)?.finish())
    }

    fn begin(&self, number: u32) -> Result<Shard<'_>, BackfillError> {
        Shard::begin(number, self.timeline, &self.job.version, self.sinks, self.computed)
    }
}

/// The rows of each shard, without the column that names it.
fn by_shard(rows: &RecordBatch) -> Vec<(u32, RecordBatch)> {
    let last = rows.num_columns() - 1;
    let shards = rows.column(last).as_primitive::<UInt32Type>().values();
    let mut plain = rows.clone();
    plain.remove_column(last);
    let mut parts = Vec::new();
    let mut start = 0;
    while start < shards.len() {
        let shard = shards[start];
        let end = start + shards[start..].partition_point(|&other| other == shard);
        parts.push((shard, plain.slice(start, end - start)));
        start = end;
    }
    parts
}

pub(crate) fn timeline_error(error: arrow_schema::ArrowError) -> BackfillError {
    BackfillError::Timeline(error.into())
}
