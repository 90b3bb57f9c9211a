//! Running a backfill of an on-demand view: the views that it reads are replayed at the rows of the spine, and what
//! they answer is joined with the requests.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use arrow_array::{RecordBatch, RecordBatchOptions, UInt64Array};
use arrow_select::concat::concat_batches;
use trifold_eventlog::log::PARTITION;
use trifold_model::view::arrow_schema;
use trifold_model::{Field, Positions};
use trifold_pipeline::row_table::Asked;
use trifold_pipeline::{
    ArrivalPolicy, Ask, LiveVersion, ReadView, RowTable, RowTableError, Rows, on_demand, reads,
};
use trifold_sandbox::Budget;

use crate::OnDemandBackfill;
use crate::error::BackfillError;
use crate::job::{Job, Phase, Resources, Watch};
use crate::manifest;
use crate::meter::Meter;
use crate::output::{FileSinks, OutputDir};
use crate::recording::Recording;
use crate::replay::{self, Replaying};
use crate::report::{Plan, Report};
use crate::shard::Sink;
use crate::spine::{Questioner, SpineFile, SpineRows};
use crate::threads::{first_error, join, spawn};

/// Requests that are computed at a time: what one call of the sandbox takes.
const BATCH_ROWS: usize = 4096;

pub(crate) fn run(backfill: &OnDemandBackfill) -> Result<Report, BackfillError> {
    let run = Run::prepare(backfill)?;
    run.compute().map_err(|error| run.output.with_progress(error, run.part_count()))?;
    let report = run.report()?;
    run.output.tidy()?;
    Ok(report)
}

/// Everything that is settled before the first row is computed.
struct Run<'a> {
    backfill: &'a OnDemandBackfill,
    spine: SpineFile,
    reads: Vec<Read>,
    /// The events of all views that are read.
    event_rows: u64,
    table: RowTable,
    output: OutputDir,
    /// How many files were finished before this run began.
    resumed_count: u32,
}

/// A view that is read.
struct Read {
    taken: ReadView,
    job: Job,
}

impl<'a> Run<'a> {
    fn prepare(backfill: &'a OnDemandBackfill) -> Result<Self, BackfillError> {
        let OnDemandBackfill { version, spine, output, .. } = backfill;
        let view = version.view();
        let job = |name: &_| backfill.reads.iter().find(|job| job.version.view().name == *name);
        let taken = reads(view, |name| Some(job(name)?.version.view()))?;
        let recordings = backfill.reads.iter().map(recording).collect::<Result<Vec<_>, _>>()?;
        // Every pass sees the events that there were when the backfill began.
        let pinned = |job: &Job, recording: &Recording| Job {
            until: Some(Positions([(PARTITION, recording.rows)].into())),
            ..job.clone()
        };
        let jobs = backfill.reads.iter().zip(&recordings);
        let jobs: Vec<_> = jobs.map(|(job, recording)| pinned(job, recording)).collect();
        let read = |taken: ReadView| {
            let job = jobs.iter().find(|job| job.version.view().name == taken.view)?;
            Some(Read { job: job.clone(), taken })
        };
        let spine = SpineFile::open(spine, view)?;
        let table = RowTable::of_spine(view, &spine.carried(), arrivals(&backfill.reads), output.digest)?;
        let parameters = manifest::on_demand_parameters(backfill, &recordings, &spine)?;
        let output = OutputDir::prepare(&output.dir, output.format, &parameters, output.overwrite)?;
        let reads = taken.into_iter().filter_map(read).collect();
        let event_rows = recordings.iter().map(|recording| recording.rows).sum();
        let mut run = Run { backfill, spine, reads, event_rows, table, output, resumed_count: 0 };
        run.resumed_count = run.part_count() - run.output.unfinished(run.part_count())?.len() as u32;
        Ok(run)
    }

    fn report(&self) -> Result<Report, BackfillError> {
        let (counts, files) = self.output.finished(self.part_count())?;
        Ok(Report {
            plan: Plan::Joined,
            events_read: self.event_rows,
            counts,
            aside: Default::default(),
            files,
            resumed_count: self.resumed_count,
        })
    }

    fn part_count(&self) -> u32 {
        self.backfill.resources.shards.max(1)
    }

    /// The rows of the spine that a file holds.
    fn rows(&self, part: u32) -> Range<u64> {
        let (rows, parts) = (u128::from(self.spine.rows()), u128::from(self.part_count()));
        let first = |part: u32| (rows * u128::from(part) / parts) as u64;
        first(part)..first(part + 1)
    }

    /// Computes the files that are not finished, as many in each pass over the events as the rows allow.
    fn compute(&self) -> Result<(), BackfillError> {
        let unfinished = self.output.unfinished(self.part_count())?;
        let rows = unfinished.iter().map(|&part| self.rows(part)).map(|rows| rows.end - rows.start).sum();
        let meter = Meter::new(&self.backfill.watch, Phase::Compute, rows);
        let all = u128::from((self.event_rows + self.spine.rows()).max(1));
        let fit = u128::from(self.backfill.resources.pass_rows_max) * u128::from(self.part_count()) / all;
        let parts_max = usize::try_from(fit).unwrap_or(usize::MAX).max(1);
        let mut passes: Vec<Range<u32>> = Vec::new();
        for part in unfinished {
            match passes.last_mut() {
                Some(pass) if pass.end == part && pass.len() < parts_max => pass.end += 1,
                _ => passes.push(part..part + 1),
            }
        }
        passes.into_iter().try_for_each(|parts| self.pass(parts, &meter))
    }

    /// Replays what is read for some files, and writes them.
    fn pass(&self, parts: Range<u32>, meter: &Meter<'_>) -> Result<(), BackfillError> {
        let rows = self.rows(parts.start).start..self.rows(parts.end - 1).end;
        let questions: Vec<_> =
            self.reads.iter().map(|read| self.spine.about(read.job.version.view(), rows.clone())).collect();
        let (resources, spill_dir) = (self.share(), self.output.spill_dir());
        let watches: Vec<_> = (0..self.reads.len()).map(|place| self.watch(place)).collect();
        std::thread::scope(|scope| {
            let (mut threads, mut answers) = (Vec::new(), Vec::new());
            for ((read, questions), watch) in self.reads.iter().zip(&questions).zip(&watches) {
                let (sender, batches) = sync_channel(1);
                let questions = Some(questions as &dyn Questioner);
                let (spill_dir, resources) = (spill_dir.as_path(), &resources);
                let replaying = Replaying { job: &read.job, questions, spill_dir, resources, watch };
                let send = move |batch| sender.send(batch).map_err(|_| BackfillError::Interrupted);
                threads.push(spawn(scope, move || replaying.batches(&mut { send }))?);
                answers.push(Answers { batches, left: None });
            }
            threads.push(spawn(scope, || self.write(parts, answers, meter))?);
            first_error(threads.into_iter().map(join))
        })
    }

    /// What each replay may use of what there is for all of them.
    fn share(&self) -> Resources {
        let (resources, count) = (&self.backfill.resources, self.reads.len().max(1));
        Resources {
            threads: (resources.threads / count).max(1),
            memory_bytes_max: resources.memory_bytes_max / count,
            ..resources.clone()
        }
    }

    /// The replays run side by side, so that one of them tells how far they are.
    fn watch(&self, place: usize) -> Watch {
        let Watch { progress, cancelled } = self.backfill.watch.clone();
        Watch { progress: if place == 0 { progress } else { Arc::new(|_, _, _| {}) }, cancelled }
    }

    fn write(&self, parts: Range<u32>, mut answers: Vec<Answers>, meter: &Meter<'_>) -> Result<(), BackfillError> {
        let version = &self.backfill.version;
        let sinks = FileSinks { output: &self.output, table: &self.table, version };
        for part in parts {
            let mut file = sinks.file(part)?;
            for requests in self.spine.batches(self.rows(part), BATCH_ROWS) {
                let requests = requests?;
                let rows = self.values(version, &requests, &mut answers)?;
                let numbers: Vec<u64> = (requests.first..).take(rows.len()).collect();
                let asked =
                    Asked::Spine { numbers: UInt64Array::from(numbers.clone()), carried: &requests.carried };
                let table = self.table.batch(version, asked, &requests.asked, &requests.as_of, &rows)?;
                file.write(&table, &rows, &numbers)?;
                meter.add(rows.len())?;
            }
            Box::new(file).finish()?;
        }
        Ok(())
    }

    fn values(
        &self,
        version: &LiveVersion,
        requests: &SpineRows,
        answers: &mut [Answers],
    ) -> Result<Rows, BackfillError> {
        let count = requests.as_of.len();
        let mut read = Vec::with_capacity(answers.len());
        for (Read { job, .. }, answers) in self.reads.iter().zip(answers) {
            let answered = answers.take(requests.first, count)?;
            let rows = Rows::of_canonical(job.version.view(), replay::values(&answered));
            read.push(rows.map_err(|error| BackfillError::Internal(error.to_string()))?);
        }
        let fields: Vec<Field> = version.view().request_fields().cloned().collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let request = RecordBatch::try_new_with_options(arrow_schema(&fields), requests.asked.clone(), &options)
            .map_err(RowTableError::from)?;
        let taken: Vec<_> = self.reads.iter().map(|read| &read.taken).zip(&read).collect();
        let rows = on_demand::values(version, &request, &taken, &requests.as_of, &mut Budget::unlimited());
        Ok(rows.map_err(RowTableError::from)?)
    }
}

fn recording(job: &Job) -> Result<Recording, BackfillError> {
    if !matches!(job.ask, Ask::Spine(_)) {
        let view = &job.version.view().name;
        return Err(BackfillError::Usage(format!(
            "view {view} is read at the rows of a spine, and not at its events"
        )));
    }
    job.check(true)?;
    Recording::open(job)
}

/// Where times of arrival come from in the least trustworthy of the views that are read.
fn arrivals(reads: &[Job]) -> ArrivalPolicy {
    let known = [ArrivalPolicy::AssumedOnTime, ArrivalPolicy::Recorded];
    let any = |policy: &ArrivalPolicy| reads.iter().any(|job| job.arrivals == *policy);
    known.into_iter().find(any).unwrap_or(ArrivalPolicy::NotNeeded)
}

/// The answers of one view that is read, in the order of the spine.
struct Answers {
    batches: Receiver<RecordBatch>,
    left: Option<RecordBatch>,
}

impl Answers {
    /// The next answers, which are those of `count` rows from `first` on.
    fn take(&mut self, first: u64, count: usize) -> Result<RecordBatch, BackfillError> {
        let (mut taken, mut missing) = (Vec::new(), count);
        while missing > 0 {
            let batch = match self.left.take() {
                Some(left) => left,
                // A replay that ended early says why itself.
                None => self.batches.recv().map_err(|_| BackfillError::Interrupted)?,
            };
            let rows = missing.min(batch.num_rows());
            taken.push(batch.slice(0, rows));
            self.left = (rows < batch.num_rows()).then(|| batch.slice(rows, batch.num_rows() - rows));
            missing -= rows;
        }
        let taken = concat_batches(&replay::SCHEMA, &taken).map_err(RowTableError::from)?;
        match replay::numbers(&taken).iter().copied().eq((first..).take(count)) {
            true => Ok(taken),
            false => {
                Err(BackfillError::Internal(format!("row {first} of the spine was not answered in its turn")))
            }
        }
    }
}
