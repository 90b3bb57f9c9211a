//! Running a backfill of an on-demand view: the views that it reads are replayed at the rows of the spine, and what
//! they answer is joined with the requests.

pub(crate) mod join;
pub(crate) mod replay;

use std::ops::Range;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use trifold_model::Field;
use trifold_model::view::arrow_schema;
use trifold_pipeline::row_table::Asked;
use trifold_pipeline::{ArrivalPolicy, LiveVersion, RowTable, RowTableError};

use crate::OnDemandBackfill;
use crate::error::BackfillError;
use crate::job::{Job, Phase};
use crate::manifest;
use crate::meter::Meter;
use crate::on_demand::join::{BATCH_ROWS, Join, Joined, Read};
use crate::output::{FileSinks, OutputDir};
use crate::recording::Recording;
use crate::report::{Plan, Report};
use crate::shard::Sink;
use crate::spine::{Questioner, SpineFile};

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

impl<'a> Run<'a> {
    fn prepare(backfill: &'a OnDemandBackfill) -> Result<Self, BackfillError> {
        let OnDemandBackfill { version, spine, output, .. } = backfill;
        let view = version.view();
        let recordings = backfill.reads.iter().map(Recording::open).collect::<Result<Vec<_>, _>>()?;
        // Every pass sees the events that there were when the backfill began.
        let pinned =
            |(job, recording): (&Job, &Recording)| Job { until: Some(recording.read.clone()), ..job.clone() };
        let jobs: Vec<_> = backfill.reads.iter().zip(&recordings).map(pinned).collect();
        let reads = Read::all(version, &jobs)?;
        let spine = SpineFile::open(spine, view)?;
        let table = RowTable::of_spine(view, &spine.carried(), arrivals(&backfill.reads), output.digest)?;
        let parameters = manifest::on_demand_parameters(backfill, &recordings, &spine)?;
        let output = OutputDir::prepare(&output.dir, output.format, &parameters, output.overwrite)?;
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
        let join = Join {
            version: &self.backfill.version,
            reads: &self.reads,
            questions: &questions,
            spill_dir: &self.output.spill_dir(),
            resources: &self.backfill.resources,
            watch: &self.backfill.watch,
        };
        join.run(|joined| self.write(parts, joined, meter))
    }

    fn write(&self, parts: Range<u32>, mut joined: Joined<'_>, meter: &Meter<'_>) -> Result<(), BackfillError> {
        let version = &self.backfill.version;
        let sinks = FileSinks { output: &self.output, table: &self.table, version };
        for part in parts {
            let mut file = sinks.file(part)?;
            for requests in self.spine.batches(self.rows(part), BATCH_ROWS) {
                let requests = requests?;
                let request = request_batch(version, requests.asked.clone(), requests.as_of.len())?;
                let rows = joined.values(requests.first, &request, &requests.as_of)?;
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
}

/// Columns of request fields in declared order, by name.
pub(crate) fn request_batch(
    version: &LiveVersion,
    columns: Vec<ArrayRef>,
    row_count: usize,
) -> Result<RecordBatch, BackfillError> {
    let fields: Vec<Field> = version.view().request_fields().cloned().collect();
    let options = RecordBatchOptions::new().with_row_count(Some(row_count));
    let request = RecordBatch::try_new_with_options(arrow_schema(&fields), columns, &options);
    Ok(request.map_err(RowTableError::from)?)
}

/// Where times of arrival come from in the least trustworthy of the views that are read.
fn arrivals(reads: &[Job]) -> ArrivalPolicy {
    let known = [ArrivalPolicy::AssumedOnTime, ArrivalPolicy::Recorded];
    let any = |policy: &ArrivalPolicy| reads.iter().any(|job| job.arrivals == *policy);
    known.into_iter().find(any).unwrap_or(ArrivalPolicy::NotNeeded)
}
