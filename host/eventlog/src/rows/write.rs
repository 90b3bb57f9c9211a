//! Writing row files.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{RowFile, RowFormat, check_json_types};
use crate::LogError;
use crate::json_text::{write_text, write_value};

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
                let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties()));
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

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
        .build()
}

fn parquet_error(path: &Path, source: parquet::errors::ParquetError) -> LogError {
    LogError::RowFile { file: path.to_owned(), source }
}

fn directory(path: &Path) -> Option<&Path> {
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

fn sync(directory: &Path) -> Result<(), LogError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(LogError::io("sync", directory))
}

/// Makes a directory and those above it that are missing. The name of each is durable, by a sync of the directory
/// above it, before anything is made below it: a file that is durable must not be lost with the way to it.
fn make_directory(path: &Path, sync: &mut impl FnMut(&Path) -> Result<(), LogError>) -> Result<(), LogError> {
    if path.is_dir() {
        return Ok(());
    }
    let above = directory(path);
    above.map_or(Ok(()), |above| make_directory(above, sync))?;
    match fs::create_dir(path) {
        // Another writer was faster.
        Err(_) if path.is_dir() => {}
        made => made.map_err(LogError::io("create", path))?,
    }
    above.map_or(Ok(()), sync)
}

fn hidden_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".unfinished");
    path.with_file_name(name)
}

fn write_lines(batch: &RecordBatch, output: &mut impl Write) -> std::io::Result<()> {
    let schema = batch.schema();
    let mut line = String::new();
    for row in 0..batch.num_rows() {
        line.clear();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            line.push(if line.is_empty() { '{' } else { ',' });
            write_text(field.name(), &mut line);
            line.push(':');
            write_value(column, row, &mut line);
        }
        line.push_str(if line.is_empty() { "{}\n" } else { "}\n" });
        output.write_all(line.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_new_directory_is_durable() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("view/state");
        let mut synced = Vec::new();
        let mut record = |directory: &Path| {
            // What a sync makes durable is there, and nothing below it yet.
            let made = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
            assert!(made.iter().all(|made| fs::read_dir(made).unwrap().count() == 0), "{made:?}");
            synced.push((directory.to_owned(), made));
            Ok(())
        };
        make_directory(&path, &mut record).unwrap();
        make_directory(&path, &mut record).unwrap();
        let view = root.path().join("view");
        assert_eq!(synced, [(root.path().to_owned(), vec![view.clone()]), (view, vec![path])]);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("taken");
        fs::write(&path, "").unwrap();
        let error = make_directory(&path.join("below"), &mut sync).unwrap_err().to_string();
        assert!(error.contains("create") && error.contains("taken"), "{error}");
    }
}
