//! Running a backfill whose answers are looked at, in the order of their numbers.

use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use trifold_model::EventTime;
use trifold_pipeline::{Answered, Outcome, RowTableError, Timeline};

use crate::aside::Forget;
use crate::error::BackfillError;
use crate::job::{Job, Phase, Resources, Watch};
use crate::meter::Meter;
use crate::recording::Recording;
use crate::shard::{Sink, Sinks};
use crate::sizes::Sizes;
use crate::sorted::Pass;
use crate::sorter::{Sort, SortInput, SortLimits};
use crate::spine::Questioner;
use crate::streamed::Stream;
use crate::survey::{Parts, survey};
use crate::threads::{first_error, join, spawn};
use crate::{Questions, Replay, ReplayAnswer};

/// The streamed plan balances its threads by small parts.
const PARTS_PER_THREAD: u32 = 8;

/// Answers as they are sorted.
pub(crate) static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("number", DataType::UInt64, false),
        Field::new("key", DataType::Binary, false),
        Field::new("event_time", DataType::Int64, true),
        Field::new("event_id", DataType::Utf8, true),
        Field::new("as_of", DataType::Int64, false),
        Field::new("canonical", DataType::Binary, true),
        Field::new("reason", DataType::Utf8, true),
    ]))
});

pub(crate) fn answers(replay: &Replay, each: &mut dyn FnMut(ReplayAnswer<'_>)) -> Result<u64, BackfillError> {
    let Replay { job, questions, spill_dir, resources, watch } = replay;
    questions.iter().try_for_each(Questions::check)?;
    let questions = questions.as_ref().map(|questions| questions as &dyn Questioner);
    let mut count = 0;
    Replaying { job, questions, spill_dir, resources, watch }.batches(&mut |batch| {
        hand_over(&batch, each);
        count += batch.num_rows() as u64;
        Ok(())
    })?;
    Ok(count)
}

/// A replay of any questions.
#[derive(Clone, Copy)]
pub(crate) struct Replaying<'a> {
    pub(crate) job: &'a Job,
    pub(crate) questions: Option<&'a dyn Questioner>,
    pub(crate) spill_dir: &'a Path,
    pub(crate) resources: &'a Resources,
    pub(crate) watch: &'a Watch,
}

impl Replaying<'_> {
    /// Computes all answers and hands them over in batches, in ascending order of their numbers; [`numbers`] and
    /// [`values`] are what stands in them. An error of whoever takes them ends the replay.
    pub(crate) fn batches(
        self,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), BackfillError>,
    ) -> Result<(), BackfillError> {
        let run = Run::prepare(self)?;
        let (sort, input) = Sort::new("answers", SCHEMA.clone(), vec![0]);
        let (sender, sorted) = sync_channel(1);
        std::thread::scope(|scope| {
            let computing = spawn(scope, || run.compute(ReplaySinks(input)))?;
            let sorting = spawn(scope, || run.sort(sort, sender))?;
            // Taking ends with the channel, which the sort finds closed after an error.
            let taken = sorted.into_iter().try_for_each(each);
            first_error([taken, join(computing), join(sorting)])
        })
    }
}

/// The numbers of the answers in a batch.
pub(crate) fn numbers(batch: &RecordBatch) -> &[u64] {
    batch.column(0).as_primitive::<UInt64Type>().values()
}

/// The canonical bytes of each answer in a batch, or why there are none.
pub(crate) fn values(batch: &RecordBatch) -> impl Iterator<Item = Result<&[u8], &str>> {
    let (canonical, reasons) = (batch.column(5).as_binary::<i32>(), batch.column(6).as_string::<i32>());
    canonical.iter().zip(reasons).map(|(bytes, reason)| bytes.ok_or_else(|| reason.unwrap_or_default()))
}

/// Everything that is settled before the first answer is computed.
struct Run<'a> {
    replay: Replaying<'a>,
    recording: Recording,
    parts: Parts,
    sizes: Sizes,
}

impl<'a> Run<'a> {
    fn prepare(replay: Replaying<'a>) -> Result<Self, BackfillError> {
        let Replaying { job, resources, watch, spill_dir, .. } = replay;
        job.check(replay.questions.is_some())?;
        let mut recording = Recording::open(job)?;
        let parts_max = resources.threads.max(1) as u32 * PARTS_PER_THREAD;
        let parts = survey(job, &mut recording, watch, resources.threads, parts_max)?;
        // The answers are sorted while the timeline still is, by half of the memory each.
        let sizes = Sizes::new(job, &recording, resources)?.halved();
        std::fs::create_dir_all(spill_dir).map_err(BackfillError::io("make", spill_dir))?;
        Ok(Run { replay, recording, parts, sizes })
    }

    fn limits(&self, memory_bytes: usize) -> SortLimits {
        let spill_dir = self.replay.spill_dir.to_owned();
        SortLimits { memory_bytes, batch_rows: self.sizes.batch_rows, spill_dir }
    }

    fn compute(&self, sinks: ReplaySinks) -> Result<(), BackfillError> {
        let outcome = match &self.parts {
            Some(parts) => self.stream(parts, &sinks),
            None => self.pass(&sinks),
        };
        if outcome.is_ok() {
            sinks.0.complete();
        }
        outcome
    }

    fn stream(&self, parts: &[Range<usize>], sinks: &dyn Sinks) -> Result<(), BackfillError> {
        let Replaying { job, resources, watch, .. } = self.replay;
        let wanted: Vec<_> = (0..).zip(parts.iter().cloned()).collect();
        Stream {
            job,
            recording: &self.recording,
            timeline: &self.timeline(),
            wanted: &wanted,
            threads: resources.threads,
            batch_rows: self.sizes.batch_rows,
            aside: &Forget,
            sinks,
            read: &Meter::silent(watch),
            computed: &Meter::new(watch, Phase::Compute, self.recording.rows),
        }
        .run()
    }

    fn pass(&self, sinks: &dyn Sinks) -> Result<(), BackfillError> {
        let Replaying { job, resources, watch, questions, .. } = self.replay;
        let question_rows = questions.map_or(0, Questioner::rows);
        let computed = questions.map_or(self.recording.rows, Questioner::rows);
        let shards = resources.threads.max(1) as u32;
        Pass {
            job,
            recording: &self.recording,
            timeline: &self.timeline(),
            questions,
            shards,
            wanted: &(0..shards).collect::<Vec<_>>(),
            threads: resources.threads,
            sizes: self.sizes,
            sort: self.limits(self.sizes.lane_bytes),
            aside: &Forget,
            sinks,
            read: &Meter::new(watch, Phase::Read, self.recording.rows + question_rows),
            computed: &Meter::new(watch, Phase::Compute, computed),
        }
        .run()
    }

    fn timeline(&self) -> Timeline {
        let job = &self.replay.job;
        Timeline::new(&job.version, job.ask.clone(), job.before, &[])
    }

    fn sort(&self, sort: Sort, sorted: SyncSender<RecordBatch>) -> Result<(), BackfillError> {
        let memory_bytes = self.sizes.lane_bytes * self.replay.resources.threads.max(1);
        sort.run(&self.limits(memory_bytes), |batch| {
            self.replay.watch.check()?;
            sorted.send(batch).map_err(|_| BackfillError::Interrupted)
        })
    }
}

impl Questions {
    fn check(&self) -> Result<(), BackfillError> {
        let (keys, times) = (self.keys.len(), self.as_of.len());
        if keys != times {
            return Err(BackfillError::Usage(format!("there are {keys} entities and {times} times to ask for")));
        }
        Ok(())
    }
}

/// Sends answers to be sorted.
struct ReplaySinks(SortInput);

impl Sinks for ReplaySinks {
    fn open(&self, _shard: u32) -> Result<Box<dyn Sink + '_>, BackfillError> {
        Ok(Box::new(ReplaySink(&self.0)))
    }
}

struct ReplaySink<'a>(&'a SortInput);

impl Sink for ReplaySink<'_> {
    fn take(&mut self, answered: &Answered) -> Result<(), BackfillError> {
        let canonical = answered.rows.canonical().map_err(RowTableError::from)?;
        let reasons = answered.rows.outcomes().iter().map(|outcome| match outcome {
            Outcome::Known(_) => None,
            Outcome::Unavailable(reason) => Some(reason.as_str()),
        });
        let columns: Vec<ArrayRef> = vec![
            Arc::new(answered.numbers().clone()),
            Arc::new(answered.keys().clone()),
            Arc::new(answered.event_times().clone()),
            Arc::new(answered.event_ids().clone()),
            Arc::new(Int64Array::from_iter_values(answered.as_of.iter().map(|time| time.0))),
            Arc::new(BinaryArray::from_iter(canonical)),
            Arc::new(StringArray::from_iter(reasons)),
        ];
        let batch = RecordBatch::try_new(SCHEMA.clone(), columns).map_err(RowTableError::from)?;
        if self.0.send(batch) { Ok(()) } else { Err(BackfillError::Interrupted) }
    }

    fn finish(self: Box<Self>) -> Result<(), BackfillError> {
        Ok(())
    }
}

fn hand_over(batch: &RecordBatch, each: &mut dyn FnMut(ReplayAnswer<'_>)) {
    let numbers = numbers(batch);
    let keys = batch.column(1).as_binary::<i32>();
    let event_times = batch.column(2).as_primitive::<Int64Type>();
    let event_ids = batch.column(3).as_string::<i32>();
    let as_of = batch.column(4).as_primitive::<Int64Type>().values();
    for (row, value) in values(batch).enumerate() {
        let event = || (EventTime(event_times.value(row)), event_ids.value(row));
        each(ReplayAnswer {
            number: numbers[row],
            key: keys.value(row),
            event: event_ids.is_valid(row).then(event),
            as_of: EventTime(as_of[row]),
            value,
        });
    }
}
