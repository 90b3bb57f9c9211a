//! The events to be read: the log as it stands when the backfill begins, up to where it is asked for.

use std::collections::BTreeSet;

use trifold_eventlog::{ArrivalClock, Events, LogOptions, RawBatch, Scan, ScanUnit, decode};
use trifold_model::{Cut, EventNumber, FeatureView, Positions};
use trifold_pipeline::Ask;

use crate::error::BackfillError;
use crate::job::Job;

/// The log's events before the job's end, cut into units that can be read side by side.
pub(crate) struct Recording {
    pub(crate) log: String,
    /// By partition and in offset order, without gaps.
    pub(crate) units: Vec<Unit>,
    pub(crate) rows: u64,
    /// Up to where each partition is read, of what there is at present.
    pub(crate) read: Positions,
    columns: BTreeSet<String>,
}

/// Consecutive events of one file.
pub(crate) struct Unit {
    pub(crate) scan: ScanUnit,
    /// The first offset that is not read.
    pub(crate) end: u64,
    /// How many of its events count: all, unless the job ends within.
    pub(crate) rows: u64,
    /// The arrival clock before the first event.
    pub(crate) clock: ArrivalClock,
}

impl Recording {
    pub(crate) fn open(job: &Job) -> Result<Self, BackfillError> {
        let columns = job.source.columns([job.version.view()]);
        let options = LogOptions { name: job.log_name.clone(), columns: Some(columns.clone()) };
        let Scan { log, units, ends } = Scan::of(&job.log, options, job.checks_keys)?;
        let read = units.into_iter().map(|scan| {
            let end = end(job, scan.partition);
            Ok(Unit { rows: scan.rows_before(end)?, scan, end, clock: ArrivalClock::default() })
        });
        let mut units = read.collect::<Result<Vec<_>, BackfillError>>()?;
        units.retain(|unit| unit.rows > 0);
        let rows = units.iter().map(|unit| unit.rows).sum();
        let read = ends.0.into_iter().map(|(partition, known)| (partition, known.min(end(job, partition))));
        Ok(Recording { log: log.0.to_string(), units, rows, read: Positions(read.collect()), columns })
    }

    /// The events of a unit.
    pub(crate) fn events<'a>(
        &self,
        job: &'a Job,
        unit: &Unit,
        rows_max: usize,
    ) -> Result<impl Iterator<Item = Result<Events, BackfillError>> + use<'a>, BackfillError> {
        Ok(self.decoded(job, unit, rows_max)?.map(|decoded| Ok(decoded?.1)))
    }

    /// The events of a unit, with the rows that they were decoded from.
    pub(crate) fn decoded<'a>(
        &self,
        job: &'a Job,
        unit: &Unit,
        rows_max: usize,
    ) -> Result<impl Iterator<Item = Result<(RawBatch, Events), BackfillError>> + use<'a>, BackfillError> {
        let view: &'a FeatureView = job.version.view();
        let mut clock = unit.clock;
        let raw = unit.raw(&self.columns, rows_max)?;
        Ok(raw.map(move |raw| {
            let raw = raw?;
            let events = decode(&raw, &job.source, view, &mut clock)?;
            Ok((raw, events))
        }))
    }
}

impl Unit {
    /// The number of the place where it begins, by which it is told apart from all others.
    pub(crate) fn number(&self) -> u64 {
        EventNumber::new(self.scan.partition, self.scan.first_offset).0
    }

    /// Whether all of it is read, and more might be.
    pub(crate) fn is_whole(&self) -> bool {
        self.end == u64::MAX || (self.rows == self.scan.rows && self.scan.first_offset + self.rows < self.end)
    }

    pub(crate) fn raw(
        &self,
        columns: &BTreeSet<String>,
        rows_max: usize,
    ) -> Result<impl Iterator<Item = Result<RawBatch, BackfillError>> + use<>, BackfillError> {
        let mut left = usize::try_from(self.rows).unwrap_or(usize::MAX);
        let batches = self.scan.read(Some(columns), rows_max.min(left))?;
        Ok(batches.map_while(move |raw| {
            let raw = match raw {
                Ok(raw) if left == 0 || raw.rows() == 0 => return None,
                Ok(raw) => raw.head(left),
                Err(error) => return Some(Err(error.into())),
            };
            left -= raw.rows();
            Some(Ok(raw))
        }))
    }
}

/// The first offset of a partition that is not read.
fn end(job: &Job, partition: u32) -> u64 {
    let next = |positions: &Positions| positions.next(partition);
    let by_cut = match &job.ask {
        Ask::EveryEvent(Cut::Position(cut)) | Ask::Spine(Cut::Position(cut)) => next(cut),
        _ => u64::MAX,
    };
    job.until.as_ref().map_or(u64::MAX, next).min(by_cut)
}
