//! Writing row files.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

use super::{RowFile, RowFormat, check_json_types};
use crate::LogError;
use crate::durable::{directory, make_directory, sync};
use crate::json_text::JsonObjects;

/// Small enough that writers of many files at once stay small, large enough to compress well.
const GROUP_ROWS_MAX: usize = 131_072;

/// Writes one row file. It stands under a hidden name until [`RowFileWriter::finish`] has made it durable;
/// dropped before that, it leaves nothing behind.
pub struct RowFileWriter {
    path: PathBuf,
    unfinished: Unfinished,
    schema: SchemaRef,
    rows: u64,
    output: Output,
}

enum Output {
    Parquet(Box<ArrowWriter<File>>),
    JsonLines(BufWriter<File>),
}

/// The file under its hidden name; removed when it is dropped.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is gone if it was renamed; otherwise there is nobody to tell, and the next writer overwrites it.
        let _ = fs::remove_file(&self.0);
    }
}

impl RowFileWriter {
    /// Begins a file. Its directory is made if it is missing.
    pub fn create(path: &Path, schema: SchemaRef, format: RowFormat) -> Result<Self, LogError> {
        if format == RowFormat::JsonLines {
            check_json_types(path, &schema)?;
        }
        if let Some(directory) = directory(path) {
            make_directory(directory, &mut sync)?;
        }
        let hidden = hidden_name(path);
        let file = File::create(&hidden).map_err(LogError::io("create", &hidden))?;
        let output = match format {
            RowFormat::JsonLines => Output::JsonLines(BufWriter::new(file)),
            RowFormat::Parquet => {
                let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties().build()));
                Output::Parquet(Box::new(writer.map_err(|source| parquet_error(path, source))?))
            }
        };
        Ok(RowFileWriter { path: path.to_owned(), unfinished: Unfinished(hidden), schema, rows: 0, output })
    }

    /// The rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends rows of the file's schema.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), LogError> {
        if batch.schema().fields() != self.schema.fields() {
            let detail = format!("the file has {}, the rows have {}", self.schema, batch.schema());
            return Err(LogError::RowSchema { file: self.path.clone(), detail });
        }
        match &mut self.output {
            Output::Parquet(writer) => writer.write(batch).map_err(|source| parquet_error(&self.path, source))?,
            Output::JsonLines(output) => {
                write_lines(batch, output).map_err(LogError::io("write", &self.path))?;
            }
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Makes the file durable and gives it its name, in place of any file of that name.
    pub fn finish(self) -> Result<RowFile, LogError> {
        let RowFileWriter { path, unfinished, rows, output, .. } = self;
        let file = match output {
            Output::Parquet(writer) => writer.into_inner().map_err(|source| parquet_error(&path, source))?,
            Output::JsonLines(output) => {
                output.into_inner().map_err(|error| LogError::io("write", &path)(error.into_error()))?
            }
        };
        file.sync_all().map_err(LogError::io("sync", &unfinished.0))?;
        let bytes = file.metadata().map_err(LogError::io("read", &unfinished.0))?.len();
        fs::rename(&unfinished.0, &path).map_err(LogError::io("rename into place", &path))?;
        // The name itself is durable once its directory is.
        if let Some(directory) = directory(&path) {
            sync(directory)?;
        }
        Ok(RowFile { path, rows, bytes })
    }
}

/// How Parquet files of ours are written.
pub(crate) fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
}

pub(crate) fn parquet_error(path: &Path, source: parquet::errors::ParquetError) -> LogError {
    LogError::RowFile { file: path.to_owned(), source }
}

fn hidden_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".unfinished");
    path.with_file_name(name)
}

fn write_lines(batch: &RecordBatch, output: &mut impl Write) -> std::io::Result<()> {
    let (objects, mut line) = (JsonObjects::new(batch), String::new());
    for row in 0..batch.num_rows() {
        line.clear();
        objects.write_row(row, &mut line);
        line.push('\n');
        output.write_all(line.as_bytes())?;
    }
    Ok(())
}
