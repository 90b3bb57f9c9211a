//! Segments: the files of a log, and reading one of them.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::LogError;
use crate::raw::RawRows;

pub(crate) mod lines;
pub(crate) mod parquet;
mod strings;

use lines::LinesReader;
use parquet::ParquetSegment;

/// The format of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentKind {
    /// `*.parquet`, complete from the moment it stands under its name.
    Parquet,
    /// `*.jsonl`, one JSON object per line; it may grow while it is the log's last segment.
    JsonLines,
}

impl SegmentKind {
    /// The kind of a file by its name. Hidden files, which unfinished ones are, are of no kind.
    pub fn of(path: &Path) -> Option<SegmentKind> {
        if path.file_name()?.as_encoded_bytes().starts_with(b".") {
            return None;
        }
        match path.extension()?.to_str()? {
            "parquet" => Some(SegmentKind::Parquet),
            "jsonl" => Some(SegmentKind::JsonLines),
            _ => None,
        }
    }
}

/// A segment that is open for reading.
pub(crate) enum SegmentReader {
    Parquet(Box<ParquetSegment>),
    Lines(LinesReader),
}

/// How much of a segment there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl SegmentReader {
    /// Opens a segment; `marks` as [`LinesReader::open`] takes them.
    pub(crate) fn open(
        file: Arc<Path>,
        kind: SegmentKind,
        columns: Option<&BTreeSet<String>>,
        marks: Vec<u64>,
    ) -> Result<Self, LogError> {
        Ok(match kind {
            SegmentKind::Parquet => SegmentReader::Parquet(Box::new(ParquetSegment::open(file, columns)?)),
            SegmentKind::JsonLines => SegmentReader::Lines(LinesReader::open(file, marks)?),
        })
    }

    /// Up to `rows_max` rows from a row on; `None` where there are none. `closed` counts an unfinished last line.
    pub(crate) fn read(&mut self, row: u64, rows_max: usize, closed: bool) -> Result<Option<RawRows>, LogError> {
        match self {
            SegmentReader::Parquet(segment) => {
                let batch = segment.read(row, rows_max)?;
                Ok(batch.map(|batch| RawRows::Columns { batch, file_schema: segment.file_schema().clone() }))
            }
            SegmentReader::Lines(reader) => Ok(reader.read(row, rows_max, closed)?.map(RawRows::Lines)),
        }
    }

    /// How much there is at present. `closed` counts an unfinished last line.
    pub(crate) fn count(&mut self, closed: bool) -> Result<Extent, LogError> {
        match self {
            SegmentReader::Parquet(segment) => Ok(Extent { rows: segment.rows(), bytes: segment.bytes() }),
            SegmentReader::Lines(reader) => reader.count(closed),
        }
    }
}

/// The segments of a directory in the order of their names, or the one file that `path` is.
pub(crate) fn list(path: &Path) -> Result<Vec<(Arc<Path>, SegmentKind)>, LogError> {
    if !metadata(path)?.is_dir() {
        return Ok(vec![segment(path)?]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(LogError::io("list", path))? {
        let file = entry.map_err(LogError::io("list", path))?.path();
        if SegmentKind::of(&file).is_some() {
            files.push(segment(&file)?);
        }
    }
    files.sort_by(|(a, _), (b, _)| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(files)
}

fn segment(path: &Path) -> Result<(Arc<Path>, SegmentKind), LogError> {
    let not_a_segment = |found| LogError::NotASegment { path: path.to_owned(), found };
    let kind = SegmentKind::of(path).ok_or_else(|| not_a_segment("a file of another name"))?;
    let metadata = metadata(path)?;
    if metadata.is_dir() {
        return Err(not_a_segment("a directory"));
    }
    if !metadata.is_file() {
        return Err(not_a_segment("no regular file"));
    }
    Ok((path.into(), kind))
}

fn metadata(path: &Path) -> Result<Metadata, LogError> {
    fs::metadata(path).map_err(LogError::io("read", path))
}

/// The size of a file.
pub(crate) fn size(path: &Path) -> Result<u64, LogError> {
    Ok(metadata(path)?.len())
}

/// The last byte of a file that has one.
pub(crate) fn last_byte(path: &Path) -> Result<Option<u8>, LogError> {
    let last = |mut file: File| {
        if file.metadata()?.len() == 0 {
            return Ok(None);
        }
        let mut byte = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut byte)?;
        Ok(Some(byte[0]))
    };
    File::open(path).and_then(last).map_err(LogError::io("read", path))
}

/// The size of a file of which rows have been read.
pub(crate) fn size_of_known(file: &Path) -> Result<u64, LogError> {
    size(file).map_err(|error| match error {
        LogError::NotFound { path } => LogError::Gone { file: path },
        other => other,
    })
}

/// Fails if a file is not of the size that it had when its rows were counted.
pub(crate) fn check_size(file: &Path, was: u64) -> Result<(), LogError> {
    match size_of_known(file)? {
        is if is == was => Ok(()),
        is => Err(LogError::Changed { file: file.to_owned(), was, is }),
    }
}
