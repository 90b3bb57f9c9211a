//! Running a backfill into files.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::FieldRef;
use trifold_model::Cut;
use trifold_pipeline::{Ask, RowTable, Timeline, TimelineError};

use crate::Backfill;
use crate::aside::Forget;
use crate::error::BackfillError;
use crate::job::{Job, Phase};
use crate::manifest;
use crate::meter::Meter;
use crate::output::{FileSinks, OutputDir};
use crate::recording::Recording;
use crate::report::{Plan, Report};
use crate::shard::Sinks;
use crate::sizes::Sizes;
use crate::sorted::Pass;
use crate::sorter::SortLimits;
use crate::spine::{Questioner, SpineFile};
use crate::streamed::Stream;
use crate::survey::{Parts, survey};

impl Job {
    /// Refuses questions that do not go together.
    pub(crate) fn check(&self, has_questions: bool) -> Result<(), BackfillError> {
        let view = self.version.view();
        let problem = match (&self.ask, has_questions) {
            (Ask::Spine(_), false) => "a spine is asked for and none is given".to_owned(),
            (Ask::OwnPosition | Ask::Emitted(_) | Ask::EveryEvent(_), true) => {
                "a spine is given and every event is asked for: choose one of them".to_owned()
            }
            _ if view.on_demand().is_some() => {
                format!(
                    "view {} is an on-demand view: its values belong to requests, and not to events",
                    view.name
                )
            }
            (Ask::Spine(Cut::Arrival) | Ask::EveryEvent(Cut::Arrival), _) if self.source.arrival.is_none() => {
                return Err(TimelineError::NoArrival { view: view.name.to_string() }.into());
            }
            _ => return Ok(()),
        };
        Err(BackfillError::Usage(problem))
    }
}

/// A spine's columns under names that no column of a timeline bears. The rows' table gives them back their own.
fn apart(carried: Vec<FieldRef>) -> Vec<FieldRef> {
    let renamed = |field: FieldRef| {
        let name = format!("carried.{}", field.name());
        Arc::new(field.as_ref().clone().with_name(name))
    };
    carried.into_iter().map(renamed).collect()
}

/// Everything that is settled before the first row is computed.
struct Run<'a> {
    backfill: &'a Backfill,
    recording: Recording,
    spine: Option<SpineFile>,
    timeline: Timeline,
    table: RowTable,
    parts: Parts,
    output: OutputDir,
    /// How many files were finished before this run began.
    resumed_count: u32,
}

pub(crate) fn run(backfill: &Backfill) -> Result<Report, BackfillError> {
    let run = Run::prepare(backfill)?;
    run.compute().map_err(|error| run.output.with_progress(error, run.part_count()))?;
    let report = run.report()?;
    run.output.tidy()?;
    Ok(report)
}

impl<'a> Run<'a> {
    fn prepare(backfill: &'a Backfill) -> Result<Self, BackfillError> {
        let Backfill { job, resources, watch, .. } = backfill;
        job.check(backfill.spine.is_some())?;
        let view = job.version.view();
        let spine = backfill.spine.as_ref().map(|spine| SpineFile::open(spine, view)).transpose()?;
        let carried = spine.as_ref().map(SpineFile::carried);
        let table = match &carried {
            Some(carried) => RowTable::of_spine(view, carried, job.arrivals, backfill.output.digest)?,
            None => RowTable::of_events(view, job.arrivals, backfill.output.digest),
        };
        let mut recording = Recording::open(job)?;
        let shards = resources.shards.max(1);
        let parts = survey(job, &mut recording, watch, resources.threads, shards)?;
        let plan = if parts.is_some() { Plan::Streamed } else { Plan::Sorted };
        let parameters = manifest::parameters(backfill, &recording, spine.as_ref(), plan)?;
        let output = OutputDir::prepare(
            &backfill.output.dir,
            backfill.output.format,
            &parameters,
            backfill.output.overwrite,
        )?;
        let timeline =
            Timeline::new(&job.version, job.ask.clone(), job.before, &apart(carried.unwrap_or_default()));
        let mut run = Run { backfill, recording, spine, timeline, table, parts, output, resumed_count: 0 };
        run.resumed_count = run.part_count() - run.output.unfinished(run.part_count())?.len() as u32;
        Ok(run)
    }

    fn report(&self) -> Result<Report, BackfillError> {
        let (counts, files) = self.output.finished(self.part_count())?;
        Ok(Report {
            plan: if self.parts.is_some() { Plan::Streamed } else { Plan::Sorted },
            events_read: self.recording.rows,
            counts,
            aside: self.output.aside().counts(&self.recording)?,
            files,
            resumed_count: self.resumed_count,
        })
    }

    /// How many files there will be.
    fn part_count(&self) -> u32 {
        match &self.parts {
            Some(parts) => parts.len() as u32,
            None => self.backfill.resources.shards.max(1),
        }
    }

    fn compute(&self) -> Result<(), BackfillError> {
        let unfinished = self.output.unfinished(self.part_count())?;
        let sinks = FileSinks { output: &self.output, table: &self.table, version: &self.backfill.job.version };
        match &self.parts {
            Some(parts) => self.stream(parts, &unfinished, &sinks),
            None => self.sort(&unfinished, &sinks),
        }
    }

    fn stream(&self, parts: &[Range<usize>], unfinished: &[u32], sinks: &dyn Sinks) -> Result<(), BackfillError> {
        let Backfill { job, resources, watch, .. } = self.backfill;
        let wanted: Vec<_> = unfinished.iter().map(|&part| (part, parts[part as usize].clone())).collect();
        let units = wanted.iter().flat_map(|(_, units)| &self.recording.units[units.clone()]);
        let rows = units.map(|unit| unit.rows).sum();
        Stream {
            job,
            recording: &self.recording,
            timeline: &self.timeline,
            wanted: &wanted,
            threads: resources.threads,
            batch_rows: Sizes::new(job, &self.recording, resources)?.batch_rows,
            aside: &self.output.aside(),
            sinks,
            read: &Meter::silent(watch),
            computed: &Meter::new(watch, Phase::Compute, rows),
        }
        .run()
    }

    fn sort(&self, unfinished: &[u32], sinks: &dyn Sinks) -> Result<(), BackfillError> {
        let Backfill { job, resources, watch, .. } = self.backfill;
        let sizes = Sizes::new(job, &self.recording, resources)?;
        let shards = self.part_count();
        let passes: Vec<_> = unfinished.chunks(self.pass_shards(shards)).collect();
        let read = Meter::new(watch, Phase::Read, self.rows() * passes.len() as u64);
        let questions = self.spine.as_ref().map_or(self.recording.rows, Questioner::rows);
        let computed = Meter::new(watch, Phase::Compute, questions * unfinished.len() as u64 / u64::from(shards));
        let keep = self.output.aside();
        for (index, wanted) in passes.into_iter().enumerate() {
            Pass {
                job,
                recording: &self.recording,
                timeline: &self.timeline,
                questions: self.spine.as_ref().map(|spine| spine as &dyn Questioner),
                shards,
                wanted,
                threads: resources.threads,
                sizes,
                sort: SortLimits {
                    memory_bytes: sizes.lane_bytes,
                    batch_rows: sizes.batch_rows,
                    spill_dir: self.output.spill_dir(),
                },
                // Every pass sees the same events; the first one keeps what is set aside.
                aside: if index == 0 { &keep } else { &Forget },
                sinks,
                read: &read,
                computed: &computed,
            }
            .run()?;
        }
        Ok(())
    }

    /// Events and questions together.
    fn rows(&self) -> u64 {
        self.recording.rows + self.spine.as_ref().map_or(0, Questioner::rows)
    }

    /// How many shards one pass takes: as many as the rows allow, and one for each thread at least.
    fn pass_shards(&self, shards: u32) -> usize {
        let resources = &self.backfill.resources;
        let fit = u128::from(resources.pass_rows_max) * u128::from(shards) / u128::from(self.rows().max(1));
        usize::try_from(fit).unwrap_or(usize::MAX).max(resources.threads).max(1)
    }
}
