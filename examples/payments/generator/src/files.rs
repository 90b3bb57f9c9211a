//! Payments and spines on disk. Files come to their names complete, by renaming.

use std::fs;
use std::path::Path;

use trifold_eventlog::{RowFile, RowFileWriter, RowFormat};

use crate::columns::{Batches, payment_schema};
use crate::config::Config;
use crate::error::GeneratorError;
use crate::generator::{Account, Generator};
use crate::spine::SpineBatches;

const BATCH_ROWS: usize = 65_536;

/// Writes a log: payments in the order in which they arrive, over so many files, at least one. The directory is new or
/// empty.
pub fn write_log(
    config: &Config,
    dir: &Path,
    format: RowFormat,
    files: u32,
) -> Result<(Account, Vec<RowFile>), GeneratorError> {
    let mut batches = Batches::new(Generator::new(config.clone())?, BATCH_ROWS);
    check_empty(dir)?;
    let rows_per_file = config.events.div_ceil(files.max(1).into());
    let mut written = Vec::new();
    for number in 0..config.events.div_ceil(rows_per_file) {
        let path = dir.join(format!("payments-{number:05}.{}", format.extension()));
        let mut file = RowFileWriter::create(&path, payment_schema(), format)?;
        while file.rows() < rows_per_file {
            let rows = usize::try_from(rows_per_file - file.rows()).unwrap_or(usize::MAX);
            let Some(batch) = batches.next_rows(rows) else { break };
            file.write(&batch?)?;
        }
        written.push(file.finish()?);
    }
    Ok((batches.account(), written))
}

fn check_empty(dir: &Path) -> Result<(), GeneratorError> {
    let failed = |source| GeneratorError::Directory { dir: dir.to_owned(), source };
    match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(mut entries) => match entries.next().transpose().map_err(failed)? {
            None => Ok(()),
            Some(_) => Err(GeneratorError::Occupied { dir: dir.to_owned() }),
        },
    }
}

/// Writes a spine of so many rows, in place of any file of that name.
pub fn write_spine(config: &Config, path: &Path, format: RowFormat, rows: u64) -> Result<RowFile, GeneratorError> {
    let batches = SpineBatches::new(config.clone(), rows)?;
    let mut file = RowFileWriter::create(path, batches.schema(), format)?;
    for batch in batches {
        file.write(&batch?)?;
    }
    Ok(file.finish()?)
}
