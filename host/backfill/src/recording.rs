//! The events to be read: the log as it stands when the backfill begins, up to where it is asked for.

use std::collections::BTreeSet;

use trifold_eventlog::log::PARTITION;
use trifold_eventlog::{ArrivalClock, Events, FileLog, LogOptions, RawBatch, ScanUnit, decode};
use trifold_model::{Cut, FeatureView, Positions};
use trifold_pipeline::Ask;

use crate::error::BackfillError;
use crate::job::Job;

/// The log's events before the job's end, cut into units that can be read side by side.
pub(crate) struct Recording {
    pub(crate) log: String,
    /// In offset order, without gaps.
    pub(crate) units: Vec<Unit>,
    pub(crate) rows: u64,
    /// The first offset that is not read.
    pub(crate) end: u64,
    columns: BTreeSet<String>,
}

/// Consecutive events of one file.
pub(crate) struct Unit {
    pub(crate) scan: ScanUnit,
    /// How many of its events count: all, unless the job ends within.
    pub(crate) rows: u64,
    /// The arrival clock before the first event.
    pub(crate) clock: ArrivalClock,
}

impl Recording {
    pub(crate) fn open(job: &Job) -> Result<Self, BackfillError> {
        let columns = job.source.columns([job.version.view()]);
        let options = LogOptions { name: job.log_name.clone(), columns: Some(columns.clone()) };
        let mut log = FileLog::open(&job.log, options)?;
        let end = end(job);
        let units: Vec<_> = log
            .units()?
            .into_iter()
            .filter(|unit| unit.first_offset < end)
            .map(|scan| Unit {
                rows: scan.rows.min(end - scan.first_offset),
                scan,
                clock: ArrivalClock::default(),
            })
            .collect();
        let rows = units.iter().map(|unit| unit.rows).sum();
        Ok(Recording { log: log.id().0.to_string(), units, rows, end, columns })
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

/// The first offset that is not read.
fn end(job: &Job) -> u64 {
    let next = |positions: &Positions| positions.next(PARTITION);
    let by_cut = match &job.ask {
        Ask::EveryEvent(Cut::Position(cut)) | Ask::Spine(Cut::Position(cut)) => next(cut),
        _ => u64::MAX,
    };
    job.until.as_ref().map_or(u64::MAX, next).min(by_cut)
}
