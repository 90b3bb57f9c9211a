//! Reading row files back.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::{JsonType, check_json_types};
use crate::LogError;
use crate::convert::{Converted, json, primitive};
use crate::json_rows::JsonRows;
use crate::raw::JsonLines;
use crate::segment::lines::LinesReader;
use crate::segment::{self, SegmentKind};

/// The rows of a batch that is read back.
const BATCH_ROWS: usize = 8192;

/// Reads back a row file, or all row files of a directory in the order of their names. JSON lines need the
/// schema that they were written with; a Parquet file must have it if it is given.
pub fn read_row_files(path: &Path, schema: Option<SchemaRef>) -> Result<RowFiles, LogError> {
    Ok(RowFiles { files: segment::list(path)?.into(), schema, open: None })
}

/// The rows of row files. After an error there is nothing more.
pub struct RowFiles {
    files: VecDeque<(Arc<Path>, SegmentKind)>,
    schema: Option<SchemaRef>,
    open: Option<Open>,
}

enum Open {
    Parquet(Arc<Path>, Box<ParquetRecordBatchReader>),
    JsonLines(LineFile),
}

impl RowFiles {
    fn read(&mut self) -> Result<Option<RecordBatch>, LogError> {
        loop {
            if let Some(open) = &mut self.open
                && let Some(batch) = open.read()?
            {
                return Ok(Some(batch));
            }
            let Some((file, kind)) = self.files.pop_front() else {
                return Ok(None);
            };
            self.open = Some(match kind {
                SegmentKind::Parquet => open_parquet(file, self.schema.as_ref())?,
                SegmentKind::JsonLines => Open::JsonLines(LineFile::open(file, self.schema.as_ref())?),
            });
        }
    }
}

impl Iterator for RowFiles {
    type Item = Result<RecordBatch, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.read().transpose();
        if !matches!(batch, Some(Ok(_))) {
            self.open = None;
            self.files.clear();
        }
        batch
    }
}

impl Open {
    fn read(&mut self) -> Result<Option<RecordBatch>, LogError> {
        match self {
            Open::JsonLines(file) => file.read(),
            Open::Parquet(file, reader) => reader.next().transpose().map_err(|error| LogError::RowFile {
                file: file.to_path_buf(),
                source: ParquetError::from(error),
            }),
        }
    }
}

fn open_parquet(file: Arc<Path>, schema: Option<&SchemaRef>) -> Result<Open, LogError> {
    let failed = |source| LogError::RowFile { file: file.to_path_buf(), source };
    let handle = File::open(&file).map_err(LogError::io("open", &file))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(handle).map_err(failed)?;
    if let Some(schema) = schema.filter(|schema| schema.fields() != builder.schema().fields()) {
        let detail = format!("it has {}, asked for was {schema}", builder.schema());
        return Err(LogError::RowSchema { file: file.to_path_buf(), detail });
    }
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(failed)?;
    Ok(Open::Parquet(file.clone(), Box::new(reader)))
}

/// A JSON-lines row file.
struct LineFile {
    file: Arc<Path>,
    schema: SchemaRef,
    lines: LinesReader,
    next: u64,
}

impl LineFile {
    fn open(file: Arc<Path>, schema: Option<&SchemaRef>) -> Result<Self, LogError> {
        let schema = schema.ok_or_else(|| LogError::NoSchema { file: file.to_path_buf() })?.clone();
        check_json_types(&file, &schema)?;
        let lines = LinesReader::open(file.clone(), Vec::new())?;
        Ok(LineFile { file, schema, lines, next: 0 })
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, LogError> {
        let Some(lines) = self.lines.read(self.next, BATCH_ROWS, true)? else {
            return Ok(None);
        };
        let batch = self.batch(&lines)?;
        self.next += lines.len() as u64;
        Ok(Some(batch))
    }

    fn batch(&self, lines: &JsonLines) -> Result<RecordBatch, LogError> {
        let names: BTreeSet<_> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let rows = JsonRows::parse(lines, names, &[]);
        if let Some((row, detail)) = rows.bad.first() {
            return Err(self.bad_line(*row, detail.clone()));
        }
        let mut columns = Vec::new();
        for field in self.schema.fields() {
            let cells = rows.column(field.name());
            let converted = match JsonType::of(field.data_type()) {
                Some(JsonType::Contract(ty)) => json::convert(cells, ty),
                _ => integers(cells, field.data_type()),
            };
            if let Some(bad) = converted.bad.first() {
                return Err(self.bad_line(bad.row, format!("column {}: {}", field.name(), bad.problem)));
            }
            columns.push(converted.array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(lines.len()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| LogError::RowSchema { file: self.file.to_path_buf(), detail: error.to_string() })
    }

    fn bad_line(&self, row: usize, detail: String) -> LogError {
        LogError::RowLine { file: self.file.to_path_buf(), line: self.next + row as u64 + 1, detail }
    }
}

fn integers(cells: &[Option<&str>], ty: &DataType) -> Converted {
    match ty {
        DataType::Int8 => parsed::<Int8Type>(cells),
        DataType::Int16 => parsed::<Int16Type>(cells),
        DataType::Int32 => parsed::<Int32Type>(cells),
        DataType::UInt8 => parsed::<UInt8Type>(cells),
        DataType::UInt16 => parsed::<UInt16Type>(cells),
        DataType::UInt32 => parsed::<UInt32Type>(cells),
        DataType::UInt64 => parsed::<UInt64Type>(cells),
        _ => parsed::<Int64Type>(cells),
    }
}

fn parsed<T: ArrowPrimitiveType<Native: FromStr>>(cells: &[Option<&str>]) -> Converted {
    let parse = |text: &str| text.parse().map_err(|_| format!("{text} is no {}", T::DATA_TYPE));
    primitive::<T>(
        &T::DATA_TYPE,
        cells.iter().map(|cell| cell.filter(|text| *text != "null").map(parse).transpose()),
    )
}
