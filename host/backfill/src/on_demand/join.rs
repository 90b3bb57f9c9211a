//! The replays of all views that an on-demand view reads, side by side, and their answers joined with the requests.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use trifold_model::EventTime;
use trifold_pipeline::{Ask, LiveVersion, ReadView, RowTableError, Rows, on_demand, reads};
use trifold_sandbox::Budget;

use crate::error::BackfillError;
use crate::job::{Job, Resources, Watch};
use crate::replay::{self, Replaying};
use crate::spine::Questioner;
use crate::threads::{first_error, join, spawn};

/// Requests that are computed at a time: what one call of the sandbox takes.
pub(crate) const BATCH_ROWS: usize = 4096;

/// A view that is read.
pub(crate) struct Read {
    pub(crate) taken: ReadView,
    pub(crate) job: Job,
}

impl Read {
    /// What an on-demand view reads, each view with the job that computes it.
    pub(crate) fn all(version: &LiveVersion, jobs: &[Job]) -> Result<Vec<Read>, BackfillError> {
        let job = |name: &_| jobs.iter().find(|job| job.version.view().name == *name);
        let taken = reads(version.view(), |name| Some(job(name)?.version.view()))?;
        jobs.iter().try_for_each(check)?;
        Ok(taken.into_iter().filter_map(|taken| Some(Read { job: job(&taken.view)?.clone(), taken })).collect())
    }
}

fn check(job: &Job) -> Result<(), BackfillError> {
    if matches!(job.ask, Ask::Spine(_)) {
        return job.check(true);
    }
    let view = &job.version.view().name;
    Err(BackfillError::Usage(format!("view {view} is read at the rows of a spine, and not at its events")))
}

/// Replays of what is read. `questions` has those of each view that is read.
pub(crate) struct Join<'a, Q> {
    pub(crate) version: &'a LiveVersion,
    pub(crate) reads: &'a [Read],
    pub(crate) questions: &'a [Q],
    pub(crate) spill_dir: &'a Path,
    /// What all replays together may use.
    pub(crate) resources: &'a Resources,
    pub(crate) watch: &'a Watch,
}

impl<Q: Questioner> Join<'_, Q> {
    /// Runs the replays while `take` takes what they answer.
    pub(crate) fn run(
        &self,
        take: impl FnOnce(Joined<'_>) -> Result<(), BackfillError> + Send,
    ) -> Result<(), BackfillError> {
        let resources = self.share();
        let watches: Vec<_> = (0..self.reads.len()).map(|place| self.watch(place)).collect();
        std::thread::scope(|scope| {
            let (mut threads, mut answers) = (Vec::new(), Vec::new());
            for ((read, questions), watch) in self.reads.iter().zip(self.questions).zip(&watches) {
                let (sender, batches) = sync_channel(1);
                let questions = Some(questions as &dyn Questioner);
                let (spill_dir, resources) = (self.spill_dir, &resources);
                let replaying = Replaying { job: &read.job, questions, spill_dir, resources, watch };
                let send = move |batch| sender.send(batch).map_err(|_| BackfillError::Interrupted);
                threads.push(spawn(scope, move || replaying.batches(&mut { send }))?);
                answers.push(Answers { batches, left: None });
            }
            let joined = Joined { version: self.version, reads: self.reads, answers };
            threads.push(spawn(scope, || take(joined))?);
            first_error(threads.into_iter().map(join))
        })
    }

    /// What each replay may use of what there is for all of them.
    fn share(&self) -> Resources {
        let (resources, count) = (self.resources, self.reads.len().max(1));
        Resources {
            threads: (resources.threads / count).max(1),
            memory_bytes_max: resources.memory_bytes_max / count,
            ..resources.clone()
        }
    }

    /// The replays run side by side, so that one of them tells how far they are.
    fn watch(&self, place: usize) -> Watch {
        let Watch { progress, cancelled } = self.watch.clone();
        Watch { progress: if place == 0 { progress } else { Arc::new(|_, _, _| {}) }, cancelled }
    }
}

/// The answers of all replays, in the order of the requests.
pub(crate) struct Joined<'a> {
    version: &'a LiveVersion,
    reads: &'a [Read],
    answers: Vec<Answers>,
}

impl Joined<'_> {
    /// The values of the next requests, of which `first` is the number of the first one.
    pub(crate) fn values(
        &mut self,
        first: u64,
        request: &RecordBatch,
        as_of: &[EventTime],
    ) -> Result<Rows, BackfillError> {
        let mut read = Vec::with_capacity(self.answers.len());
        for (Read { job, .. }, answers) in self.reads.iter().zip(&mut self.answers) {
            let answered = answers.take(first, as_of.len())?;
            let rows = Rows::of_canonical(job.version.view(), replay::values(&answered));
            read.push(rows.map_err(|error| BackfillError::Internal(error.to_string()))?);
        }
        let taken: Vec<_> = self.reads.iter().map(|read| &read.taken).zip(&read).collect();
        let rows = on_demand::values(self.version, request, &taken, as_of, &mut Budget::unlimited());
        Ok(rows.map_err(RowTableError::from)?)
    }
}

/// The answers of one view that is read.
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
            false => Err(BackfillError::Internal(format!("request {first} was not answered in its turn"))),
        }
    }
}
