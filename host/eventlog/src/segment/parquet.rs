//! Reading a Parquet segment from any row.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use crate::segment::strings::strings_as_bytes;
use crate::{LogError, segment};

/// The fewest rows that are decoded at once; reads of fewer are cut from them.
const BATCH_ROWS_MIN: usize = 1024;
/// The most rows that are decoded at once.
const BATCH_ROWS_MAX: usize = 65_536;
/// Fewer rows are decoded at once where the footer says that they would take more, so that memory is bounded whatever
/// the rows hold.
const BATCH_BYTES_MAX: i64 = 64 << 20;

/// A Parquet file whose footer has been read.
pub(crate) struct ParquetSegment {
    file: Arc<Path>,
    handle: File,
    bytes: u64,
    metadata: ArrowReaderMetadata,
    file_schema: SchemaRef,
    mask: ProjectionMask,
    /// The first row of each row group, and the number of rows.
    starts: Vec<u64>,
    /// The most rows that are decoded at once.
    batch_rows_max: usize,
    /// The row group before which reading ends.
    groups_end: usize,
    stream: Option<Stream>,
}

/// A reader in the middle of the file, and what it has decoded and not given out.
struct Stream {
    next: u64,
    reader: ParquetRecordBatchReader,
    pending: RecordBatch,
}

impl ParquetSegment {
    /// Opens a file and reads its footer. Of the columns, only those named are read, or all.
    pub(crate) fn open(file: Arc<Path>, columns: Option<&BTreeSet<String>>) -> Result<Self, LogError> {
        let handle = File::open(&file).map_err(LogError::io("open", &file))?;
        let bytes = segment::size(&file)?;
        if bytes == 0 {
            return Err(LogError::ZeroBytes { file: file.to_path_buf() });
        }
        let as_written = ArrowReaderMetadata::load(&handle, ArrowReaderOptions::new())
            .map_err(|source| LogError::Footer { file: file.to_path_buf(), source })?;
        let file_schema = as_written.schema().clone();
        let metadata = strings_as_bytes(&handle, &as_written).unwrap_or(as_written);
        let mask = projection(&metadata, &file_schema, columns);
        let starts = group_starts(&metadata);
        Ok(ParquetSegment {
            batch_rows_max: batch_rows_max(&metadata, &mask),
            groups_end: starts.len() - 1,
            stream: None,
            file,
            handle,
            bytes,
            metadata,
            file_schema,
            mask,
            starts,
        })
    }

    /// The size that the file had when it was opened.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// The first row of each row group, and the number of rows.
    pub(crate) fn group_starts(&self) -> &[u64] {
        &self.starts
    }

    /// The file's columns with the types that the file gives them.
    pub(crate) fn file_schema(&self) -> &SchemaRef {
        &self.file_schema
    }

    /// What the footer says under a key.
    pub(crate) fn key_value(&self, key: &str) -> Option<String> {
        let all = self.metadata.metadata().file_metadata().key_value_metadata()?;
        all.iter().find(|entry| entry.key == key)?.value.clone()
    }

    /// Ends reading before a row group, so that nothing is fetched from it.
    pub(crate) fn end_before_group(&mut self, group: usize) {
        self.groups_end = self.groups_end.min(group);
    }

    /// Up to `rows_max` rows from a row on; `None` at the end. Going on where the last read ended keeps the
    /// reader; any other row starts a new one in the row's own row group.
    pub(crate) fn read(&mut self, row: u64, rows_max: usize) -> Result<Option<RecordBatch>, LogError> {
        if row >= self.starts[self.groups_end] {
            return Ok(None);
        }
        let mut stream = match self.stream.take().filter(|stream| stream.next == row) {
            Some(stream) => stream,
            None => self.stream_from(row, rows_max)?,
        };
        if stream.pending.num_rows() == 0 {
            stream.pending = match stream.reader.next() {
                Some(Ok(batch)) if batch.num_rows() > 0 => batch,
                Some(Ok(_)) | None => return Err(self.damaged(row, "it ends before its footer says".to_owned())),
                Some(Err(error)) => return Err(self.damaged(row, error.to_string())),
            };
        }
        let rows = rows_max.max(1).min(stream.pending.num_rows());
        let batch = stream.pending.slice(0, rows);
        stream.pending = stream.pending.slice(rows, stream.pending.num_rows() - rows);
        stream.next += rows as u64;
        self.stream = Some(stream);
        Ok(Some(batch))
    }

    fn stream_from(&self, row: u64, rows_max: usize) -> Result<Stream, LogError> {
        let group = self.starts.partition_point(|start| *start <= row) - 1;
        // A row group's rows fit an `usize`: they have been counted by a library that keeps them in one.
        let skipped = (row - self.starts[group]) as usize;
        let handle = self.handle.try_clone().map_err(LogError::io("open", &self.file))?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, self.metadata.clone())
            .with_projection(self.mask.clone())
            .with_row_groups((group..self.groups_end).collect())
            .with_offset(skipped)
            .with_batch_size(rows_max.max(BATCH_ROWS_MIN).min(self.batch_rows_max))
            .build()
            .map_err(|error| self.damaged(row, error.to_string()))?;
        let pending = RecordBatch::new_empty(Arc::new(arrow_schema::Schema::empty()));
        Ok(Stream { next: row, reader, pending })
    }

    fn damaged(&self, row: u64, detail: String) -> LogError {
        LogError::Damaged { file: self.file.to_path_buf(), row, detail }
    }
}

fn projection(
    metadata: &ArrowReaderMetadata,
    schema: &SchemaRef,
    columns: Option<&BTreeSet<String>>,
) -> ProjectionMask {
    let Some(columns) = columns else {
        return ProjectionMask::all();
    };
    let wanted = schema.fields().iter().enumerate().filter(|(_, field)| columns.contains(field.name()));
    ProjectionMask::roots(metadata.parquet_schema(), wanted.map(|(index, _)| index))
}

/// The most rows of any row group that are decoded at once, by what its columns hold: their pages, or the strings
/// that a dictionary stands for.
fn batch_rows_max(metadata: &ArrowReaderMetadata, mask: &ProjectionMask) -> usize {
    let groups = metadata.metadata().row_groups().iter().map(|group| {
        let columns = group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
        let bytes = columns.map(|(_, column)| {
            column.uncompressed_size().max(column.unencoded_byte_array_data_bytes().unwrap_or(0)).max(0)
        });
        let row_bytes = bytes.fold(0, i64::saturating_add) / group.num_rows().max(1);
        BATCH_BYTES_MAX / row_bytes.max(1)
    });
    groups.min().map_or(BATCH_ROWS_MAX, |rows| usize::try_from(rows).unwrap_or(1).clamp(1, BATCH_ROWS_MAX))
}

fn group_starts(metadata: &ArrowReaderMetadata) -> Vec<u64> {
    let mut starts = vec![0];
    let mut rows = 0;
    for group in metadata.metadata().row_groups() {
        rows += u64::try_from(group.num_rows()).unwrap_or(0);
        starts.push(rows);
    }
    starts
}
