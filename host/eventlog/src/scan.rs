//! Parts of a log that can be read side by side.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::log::PARTITION;
use crate::segment::{self, SegmentKind, SegmentReader};
use crate::{LogError, RawBatch};

/// Row groups are put together until they hold this many rows: opening a file for less is not worth it.
const UNIT_ROWS_MIN: u64 = 65_536;

/// A part of one segment: some row groups of a Parquet file, or all whole lines of a JSON-lines file.
#[derive(Debug, Clone)]
pub struct ScanUnit {
    /// The file.
    pub file: Arc<Path>,
    /// The offset of the first row.
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

    /// Reads the unit's rows in batches of up to `rows_max`; `columns` as in [`crate::LogOptions::columns`].
    pub fn read(&self, columns: Option<&BTreeSet<String>>, rows_max: usize) -> Result<UnitReader, LogError> {
        if let Some(bytes) = self.bytes {
            segment::check_size(&self.file, bytes)?;
        }
        let kind = match self.part {
            Part::Groups(_) => SegmentKind::Parquet,
            Part::Lines => SegmentKind::JsonLines,
        };
        let mut reader = SegmentReader::open(self.file.clone(), kind, columns, Vec::new())?;
        if let (SegmentReader::Parquet(segment), Part::Groups(groups)) = (&mut reader, &self.part) {
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

/// The rows of a [`ScanUnit`], in offset order. After an error there is nothing more.
pub struct UnitReader {
    unit: ScanUnit,
    reader: SegmentReader,
    done: u64,
    rows_max: usize,
}

impl UnitReader {
    fn read(&mut self) -> Result<RawBatch, LogError> {
        let left = usize::try_from(self.unit.rows - self.done).unwrap_or(usize::MAX);
        let row = self.unit.first_row + self.done;
        let rows = self.reader.read(row, self.rows_max.min(left), self.unit.bytes.is_some())?;
        let rows = rows.ok_or_else(|| LogError::Damaged {
            file: self.unit.file.to_path_buf(),
            row,
            detail: "it ends before the rows that were counted".to_owned(),
        })?;
        let first_offset = self.unit.first_offset + self.done;
        Ok(RawBatch { partition: PARTITION, first_offset, places: None, file: self.unit.file.clone(), rows })
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
