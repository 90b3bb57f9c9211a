//! Logs as they stand, in parts that can be read side by side.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use trifold_model::{LogId, Positions};

use crate::archive::{Archive, ArchiveError, ArchiveFile, Manifest};
use crate::log::PARTITION;
use crate::segment::{self, SegmentKind, SegmentReader};
use crate::{FileLog, LogError, LogOptions, RawBatch};

/// Row groups are put together until they hold this many rows: opening a file for less is not worth it.
const UNIT_ROWS_MIN: u64 = 65_536;

/// A log as it stands: files of events, or an archive.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The log's id.
    pub log: LogId,
    /// Its parts, by partition and in offset order without gaps.
    pub units: Vec<ScanUnit>,
    /// Where each partition ends.
    pub ends: Positions,
}

impl Scan {
    /// Looks at a directory of segments, at one file, or at an archive, whose name is its log's. `checks_keys`: in an
    /// archive the key of each event must be that of its entity.
    pub fn of(path: &Path, options: LogOptions, checks_keys: bool) -> Result<Self, LogError> {
        if !Archive::is_at(path) {
            let mut log = FileLog::open(path, options)?;
            let units = log.units()?;
            let rows = units.iter().map(|unit| unit.rows).sum();
            return Ok(Scan { log: log.id().clone(), units, ends: Positions([(PARTITION, rows)].into()) });
        }
        let archive = Archive::open(path)?;
        let log = archive.log();
        if let Some(name) = options.name.filter(|name| **name != *log.0) {
            let found = log.0.to_string();
            return Err(ArchiveError::OtherLog { at: path.to_owned(), found, wanted: name }.into());
        }
        let (units, ends) = archive.units(checks_keys)?;
        Ok(Scan { log, units, ends })
    }
}

/// A part of one segment: some row groups of a Parquet file, or all whole lines of a JSON-lines file; or a file of an
/// archive.
#[derive(Debug, Clone)]
pub struct ScanUnit {
    /// The file.
    pub file: Arc<Path>,
    /// The partition of its rows.
    pub partition: u32,
    /// Where it begins: the offset of the first row, unless offsets before it are skipped.
    pub first_offset: u64,
    /// The number of rows.
    pub rows: u64,
    /// The row of the file where the unit begins.
    first_row: u64,
    /// The size of the file if that is for good.
    bytes: Option<u64>,
    part: Part,
}

#[derive(Debug, Clone)]
enum Part {
    Groups(Range<usize>),
    Lines,
    Archived { manifest: Arc<Manifest>, checks_keys: bool },
}

impl ScanUnit {
    /// The units of one segment; `closed` says that it is counted for good.
    pub(crate) fn of(
        file: Arc<Path>,
        first_offset: u64,
        closed: bool,
        reader: &mut SegmentReader,
    ) -> Result<Vec<ScanUnit>, LogError> {
        let extent = reader.count(closed)?;
        let bytes = closed.then_some(extent.bytes);
        let unit = |rows: Range<u64>, part| ScanUnit {
            file: file.clone(),
            partition: PARTITION,
            first_offset: first_offset + rows.start,
            rows: rows.end - rows.start,
            first_row: rows.start,
            bytes,
            part,
        };
        let mut units = match reader {
            SegmentReader::Lines(_) => vec![unit(0..extent.rows, Part::Lines)],
            SegmentReader::Parquet(segment) => {
                let starts = segment.group_starts();
                let parts = groups(starts).into_iter();
                parts.map(|part| unit(starts[part.start]..starts[part.end], Part::Groups(part))).collect()
            }
        };
        units.retain(|unit| unit.rows > 0);
        Ok(units)
    }

    /// The unit of a file of an archive, if there are events in it.
    pub(crate) fn of_archive(partition: u32, manifest: Arc<Manifest>, file: &ArchiveFile) -> Option<ScanUnit> {
        let unit = ScanUnit {
            file: file.path().clone(),
            partition,
            first_offset: file.first(),
            rows: file.rows(),
            first_row: 0,
            bytes: Some(file.bytes()),
            part: Part::Archived { manifest, checks_keys: file.checks_keys() },
        };
        Some(unit).filter(|unit| unit.rows > 0)
    }

    /// How many of the unit's rows stand before an offset.
    pub fn rows_before(&self, offset: u64) -> Result<u64, LogError> {
        match &self.part {
            _ if offset == u64::MAX => Ok(self.rows),
            Part::Archived { manifest, checks_keys } => {
                ArchiveFile::open(self.file.clone(), manifest, *checks_keys)?.rows_before(offset)
            }
            Part::Groups(_) | Part::Lines => Ok(offset.saturating_sub(self.first_offset).min(self.rows)),
        }
    }

    /// Reads the unit's rows in batches of up to `rows_max`; `columns` as in [`crate::LogOptions::columns`].
    pub fn read(&self, columns: Option<&BTreeSet<String>>, rows_max: usize) -> Result<UnitReader, LogError> {
        if let Some(bytes) = self.bytes {
            segment::check_size(&self.file, bytes)?;
        }
        let segment = |kind| SegmentReader::open(self.file.clone(), kind, columns, Vec::new());
        let mut reader = match &self.part {
            Part::Groups(_) => Reader::Segment(segment(SegmentKind::Parquet)?),
            Part::Lines => Reader::Segment(segment(SegmentKind::JsonLines)?),
            Part::Archived { manifest, checks_keys } => {
                Reader::Archived(Box::new(ArchiveFile::open(self.file.clone(), manifest, *checks_keys)?))
            }
        };
        if let (Reader::Segment(SegmentReader::Parquet(segment)), Part::Groups(groups)) = (&mut reader, &self.part)
        {
            segment.end_before_group(groups.end);
        }
        Ok(UnitReader { unit: self.clone(), reader, done: 0, rows_max: rows_max.max(1) })
    }
}

/// Ranges of row groups, each of [`UNIT_ROWS_MIN`] rows or more but for the last.
fn groups(starts: &[u64]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut first, last) = (0, starts.len() - 1);
    for group in 1..=last {
        if starts[group] - starts[first] >= UNIT_ROWS_MIN || group == last {
            ranges.push(first..group);
            first = group;
        }
    }
    ranges
}

enum Reader {
    Segment(SegmentReader),
    Archived(Box<ArchiveFile>),
}

/// The rows of a [`ScanUnit`], in offset order. After an error there is nothing more.
pub struct UnitReader {
    unit: ScanUnit,
    reader: Reader,
    done: u64,
    rows_max: usize,
}

impl UnitReader {
    fn read(&mut self) -> Result<RawBatch, LogError> {
        let left = usize::try_from(self.unit.rows - self.done).unwrap_or(usize::MAX);
        let row = self.unit.first_row + self.done;
        let rows_max = self.rows_max.min(left);
        let batch = match &mut self.reader {
            Reader::Archived(file) => file.read(row, rows_max)?,
            Reader::Segment(segment) => {
                let rows = segment.read(row, rows_max, self.unit.bytes.is_some())?;
                let (first_offset, file) = (self.unit.first_offset + self.done, self.unit.file.clone());
                rows.map(|rows| RawBatch { partition: PARTITION, first_offset, places: None, file, rows })
            }
        };
        batch.ok_or_else(|| LogError::Damaged {
            file: self.unit.file.to_path_buf(),
            row,
            detail: "it ends before the rows that were counted".to_owned(),
        })
    }
}

impl Iterator for UnitReader {
    type Item = Result<RawBatch, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done >= self.unit.rows {
            return None;
        }
        let batch = self.read();
        self.done = batch.as_ref().map_or(self.unit.rows, |batch| self.done + batch.rows() as u64);
        Some(batch)
    }
}
