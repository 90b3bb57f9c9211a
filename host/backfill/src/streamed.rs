//! The streamed plan: a log in the order of event time, of which each event is asked at its own time.
//!
//! The latest event of an entity at an event's own time is one of the events at that very time (see the survey),
//! and those stand together in the log. So the rows go through in the order of the log; only within one time, and
//! only where an entity occurs there more than once, are rows moved to stand together.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{BinaryArray, RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use trifold_pipeline::Timeline;

use crate::aside::AsideSink;
use crate::error::BackfillError;
use crate::job::Job;
use crate::meter::Meter;
use crate::recording::Recording;
use crate::shard::{Shard, Sinks};
use crate::sorted::timeline_error;
use crate::threads::{first_error, join, spawn};

/// Where a timeline's rows hold the event's time.
const EVENT_TIME: usize = 4;

/// The parts of the log to be computed, and where their answers go.
pub(crate) struct Stream<'a> {
    pub(crate) job: &'a Job,
    pub(crate) recording: &'a Recording,
    pub(crate) timeline: &'a Timeline,
    /// The number and the units of each part.
    pub(crate) wanted: &'a [(u32, Range<usize>)],
    pub(crate) threads: usize,
    pub(crate) batch_rows: usize,
    pub(crate) aside: &'a dyn AsideSink,
    pub(crate) sinks: &'a dyn Sinks,
    pub(crate) read: &'a Meter<'a>,
    pub(crate) computed: &'a Meter<'a>,
}

impl Stream<'_> {
    pub(crate) fn run(&self) -> Result<(), BackfillError> {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let mut workers = Vec::new();
            for _ in 0..self.threads.clamp(1, self.wanted.len().max(1)) {
                workers.push(spawn(scope, || {
                    while let Some((number, units)) = self.wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                        self.part(*number, units.clone())?;
                    }
                    Ok(())
                })?);
            }
            first_error(workers.into_iter().map(join))
        })
    }

    fn part(&self, number: u32, units: Range<usize>) -> Result<(), BackfillError> {
        let mut shard = Shard::begin(number, self.timeline, &self.job.version, self.sinks, self.computed)?;
        let mut runs = Runs { timeline: self.timeline, unfinished: Vec::new() };
        for unit in &self.recording.units[units] {
            let mut set_aside = self.aside.open(unit)?;
            for events in self.recording.events(self.job, unit, self.batch_rows)? {
                let events = events?;
                let count = events.times.len() + events.aside.len();
                let (rows, aside) = self.timeline.events(events)?;
                set_aside.take(&aside)?;
                self.read.add(count)?;
                if let Some(rows) = runs.push(rows).map_err(timeline_error)? {
                    shard.push(rows)?;
                }
            }
            set_aside.finish()?;
        }
        shard.push(runs.finish().map_err(timeline_error)?)?;
        shard.finish()
    }
}

/// Cuts a stream of rows where the time changes.
struct Runs<'a> {
    timeline: &'a Timeline,
    /// Rows of the last time seen, which the next rows may continue.
    unfinished: Vec<RecordBatch>,
}

impl Runs<'_> {
    /// Takes rows in log order and gives those back whose times are complete, in timeline order within each.
    fn push(&mut self, rows: RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
        let times = rows.column(EVENT_TIME).as_primitive::<Int64Type>().values();
        let Some(&last) = times.last() else { return Ok(None) };
        let complete = times.partition_point(|&time| time < last);
        if complete == 0 && self.continues(last) {
            self.unfinished.push(rows);
            return Ok(None);
        }
        let mut ready = std::mem::take(&mut self.unfinished);
        ready.push(rows.slice(0, complete));
        self.unfinished.push(rows.slice(complete, rows.num_rows() - complete));
        self.arranged(&ready).map(Some)
    }

    fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let rest = std::mem::take(&mut self.unfinished);
        self.arranged(&rest)
    }

    fn continues(&self, time: i64) -> bool {
        self.unfinished.first().is_some_and(|rows| {
            rows.column(EVENT_TIME).as_primitive::<Int64Type>().values().first() == Some(&time)
        })
    }

    fn arranged(&self, rows: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
        let rows = match rows {
            [one] => one.clone(),
            many => concat_batches(self.timeline.schema(), many)?,
        };
        match order(&rows) {
            None => Ok(rows),
            Some(order) => take_record_batch(&rows, &UInt32Array::from(order)),
        }
    }
}

/// The order that puts the rows of one entity at one time next to each other, ascending by number; `None` where
/// they stand so already.
fn order(rows: &RecordBatch) -> Option<Vec<u32>> {
    let keys: &BinaryArray = rows.column(0).as_binary();
    let times = rows.column(EVENT_TIME).as_primitive::<Int64Type>().values();
    let mut order: Option<Vec<u32>> = None;
    let mut start = 0;
    while start < times.len() {
        let run = times[start..].iter().take_while(|&&time| time == times[start]).count();
        let mut sorted: Vec<u32> = (start as u32..(start + run) as u32).collect();
        // A stable sort leaves the rows of one entity in the order of their numbers.
        sorted.sort_by_key(|&row| keys.value(row as usize));
        let repeats = sorted.windows(2).any(|pair| keys.value(pair[0] as usize) == keys.value(pair[1] as usize));
        if repeats {
            let order = order.get_or_insert_with(|| (0..times.len() as u32).collect());
            order[start..start + run].copy_from_slice(&sorted);
        }
        start += run;
    }
    order
}
