//! The directory of a backfill: its rows, the record of each finished file, and what was set aside.
//!
//! `part-00000.parquet` and so on hold the rows; `_backfill.json` the parameters, `_done/` one record for each
//! finished file, `_aside/` the events that do not count, `_tmp/` what sorting spills, while it does. Readers of
//! such directories skip names that begin with an underscore.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trifold_eventlog::{RowFile, RowFileWriter, RowFormat};
use trifold_model::RowStatus;
use trifold_pipeline::row_table::UNAVAILABLE;
use trifold_pipeline::{Answered, LiveVersion, Outcome, RowTable, Rows};

use crate::aside::Keep;
use crate::durable::{read_json, write_json};
use crate::error::BackfillError;
use crate::manifest::first_difference;
use crate::report::{Counts, ErrorCount};
use crate::shard::{Sink, Sinks};

const MANIFEST: &str = "_backfill.json";
const LOCK: &str = "_lock";
const DONE: &str = "_done";
const ASIDE: &str = "_aside";
const SPILL: &str = "_tmp";

/// The record of a finished file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) bytes: u64,
    pub(crate) counts: Counts,
}

impl Done {
    /// Whether nothing is left to compute. What was unavailable once may have an answer the next time.
    pub(crate) fn is_final(&self) -> bool {
        self.counts.unavailable_count() == 0
    }
}

/// A directory that is ready to take rows, and locked.
pub(crate) struct OutputDir {
    dir: PathBuf,
    format: RowFormat,
    _lock: File,
}

impl OutputDir {
    /// Makes a directory ready for a backfill with these parameters: an empty or new one, one of the same
    /// backfill, or any other backfill's with `overwrite`.
    pub(crate) fn prepare(
        dir: &Path,
        format: RowFormat,
        parameters: &Value,
        overwrite: bool,
    ) -> Result<Self, BackfillError> {
        if dir.is_file() {
            let problem = format!("{} is a file: name a directory for the rows", dir.display());
            return Err(BackfillError::Usage(problem));
        }
        fs::create_dir_all(dir).map_err(BackfillError::io("make", dir))?;
        // Before the lock, which is a file in the directory.
        refuse_foreign(dir)?;
        let output = OutputDir { dir: dir.to_owned(), format, _lock: lock(dir)? };
        let manifest = output.dir.join(MANIFEST);
        if manifest.exists() && overwrite {
            output.clear()?;
        } else if manifest.exists() {
            let before: Value = read_json(&manifest)?.unwrap_or(Value::Null);
            if let Some((parameter, before, now)) = first_difference(&before, parameters) {
                return Err(BackfillError::OtherBackfill { dir: output.dir, parameter, before, now });
            }
        }
        // What a killed run spilled.
        output.tidy()?;
        for sub in [DONE, SPILL] {
            let sub = output.dir.join(sub);
            fs::create_dir_all(&sub).map_err(BackfillError::io("make", sub))?;
        }
        if !manifest.exists() {
            write_json(&manifest, parameters)?;
        }
        Ok(output)
    }

    /// Removes what a backfill wrote, the manifest last, so that an interruption leaves it recognisable.
    fn clear(&self) -> Result<(), BackfillError> {
        for sub in [DONE, ASIDE, SPILL] {
            remove(&self.dir.join(sub), |path| fs::remove_dir_all(path))?;
        }
        for name in
            entries(&self.dir)?.iter().filter(|name| name.starts_with("part-") || name.starts_with(".part-"))
        {
            remove(&self.dir.join(name), |path| fs::remove_file(path))?;
        }
        remove(&self.dir.join(MANIFEST), |path| fs::remove_file(path))
    }

    /// Where sorting may spill.
    pub(crate) fn spill_dir(&self) -> PathBuf {
        self.dir.join(SPILL)
    }

    /// Where events that do not count go.
    pub(crate) fn aside(&self) -> Keep {
        Keep { lines_dir: self.dir.join(ASIDE), counts_dir: self.dir.join(DONE) }
    }

    /// Removes what only a running backfill needs.
    pub(crate) fn tidy(&self) -> Result<(), BackfillError> {
        remove(&self.spill_dir(), |path| fs::remove_dir_all(path))
    }

    fn part(&self, part: u32) -> PathBuf {
        self.dir.join(format!("part-{part:05}.{}", self.format.extension()))
    }

    fn record(&self, part: u32) -> PathBuf {
        self.dir.join(DONE).join(format!("part-{part:05}.json"))
    }

    /// The parts, of so many, that are not finished.
    pub(crate) fn unfinished(&self, parts: u32) -> Result<Vec<u32>, BackfillError> {
        let mut unfinished = Vec::new();
        for part in 0..parts {
            if self.written(part)?.is_none_or(|(_, done)| !done.is_final()) {
                unfinished.push(part);
            }
        }
        Ok(unfinished)
    }

    /// What so many parts, all of them finished, came to.
    pub(crate) fn finished(&self, parts: u32) -> Result<(Counts, Vec<RowFile>), BackfillError> {
        let mut counts = Counts::default();
        let mut files = Vec::new();
        for part in 0..parts {
            let (file, done) = self
                .written(part)?
                .ok_or_else(|| BackfillError::Internal(format!("file {part} is not finished at the end")))?;
            counts.add(&done.counts);
            files.push(file);
        }
        Ok((counts, files))
    }

    /// An error that says how far a backfill of so many parts got, where that is what it is about.
    pub(crate) fn with_progress(&self, error: BackfillError, parts: u32) -> BackfillError {
        match (error, self.unfinished(parts)) {
            (BackfillError::Cancelled { .. }, Ok(unfinished)) => {
                BackfillError::Cancelled { finished: parts - unfinished.len() as u32, total: parts }
            }
            (error, _) => error,
        }
    }

    /// The written file of a part, if its record is there and it is as it was left.
    pub(crate) fn written(&self, part: u32) -> Result<Option<(RowFile, Done)>, BackfillError> {
        let Some(done) = read_json::<Done>(&self.record(part))? else { return Ok(None) };
        let path = self.part(part);
        let size = fs::metadata(&path).map(|file| file.len());
        let file = RowFile { path, rows: done.counts.rows, bytes: done.bytes };
        Ok(size.is_ok_and(|size| size == done.bytes).then_some((file, done)))
    }
}

fn lock(dir: &Path) -> Result<File, BackfillError> {
    let path = dir.join(LOCK);
    let file = File::create(&path).map_err(BackfillError::io("make", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BackfillError::Busy { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(BackfillError::io("lock", path)(error)),
    }
}

fn remove(path: &Path, how: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), BackfillError> {
    match how(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BackfillError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Writes each shard to a file.
pub(crate) struct FileSinks<'a> {
    pub(crate) output: &'a OutputDir,
    pub(crate) table: &'a RowTable,
    pub(crate) version: &'a LiveVersion,
}

pub(crate) struct FileSink<'a> {
    sinks: &'a FileSinks<'a>,
    part: u32,
    writer: RowFileWriter,
    counts: Counts,
}

impl FileSinks<'_> {
    /// Begins a file.
    pub(crate) fn file(&self, part: u32) -> Result<FileSink<'_>, BackfillError> {
        let output = self.output;
        let writer = RowFileWriter::create(&output.part(part), self.table.schema().clone(), output.format)?;
        Ok(FileSink { sinks: self, part, writer, counts: Counts::default() })
    }
}

impl Sinks for FileSinks<'_> {
    fn open(&self, shard: u32) -> Result<Box<dyn Sink + '_>, BackfillError> {
        Ok(Box::new(self.file(shard)?))
    }
}

impl FileSink<'_> {
    /// Writes rows of the table, which answer the questions of these numbers.
    pub(crate) fn write(
        &mut self,
        table: &RecordBatch,
        rows: &Rows,
        numbers: &[u64],
    ) -> Result<(), BackfillError> {
        count(&mut self.counts, rows, numbers);
        Ok(self.writer.write(table)?)
    }
}

impl Sink for FileSink<'_> {
    fn take(&mut self, answered: &Answered) -> Result<(), BackfillError> {
        let table = self.sinks.table.answered(self.sinks.version, answered)?;
        self.write(&table, &answered.rows, answered.numbers().values())
    }

    fn finish(self: Box<Self>) -> Result<(), BackfillError> {
        let file = self.writer.finish()?;
        let done = Done { bytes: file.bytes, counts: self.counts };
        write_json(&self.sinks.output.record(self.part), &done)
    }
}

fn count(counts: &mut Counts, rows: &Rows, numbers: &[u64]) {
    counts.rows += rows.len() as u64;
    for (row, (outcome, &number)) in rows.outcomes().iter().zip(numbers).enumerate() {
        let name = match outcome {
            Outcome::Known(status) => status.name(),
            Outcome::Unavailable(_) => UNAVAILABLE,
        };
        match counts.statuses.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(counts.statuses.insert(name.to_owned(), 1)),
        }
        match outcome {
            Outcome::Known(RowStatus::Error(code)) => {
                let message = || rows.message(row).unwrap_or_default().to_owned();
                let first = || ErrorCount { rows: 0, number, message: message() };
                counts.errors.entry(code.0).or_insert_with(first).rows += 1;
            }
            Outcome::Unavailable(reason) if counts.unavailable.is_none() => {
                counts.unavailable = Some(reason.clone());
            }
            _ => {}
        }
    }
}

/// Nobody's files are mixed with rows: a directory without a manifest holds nothing but what a backfill that was killed
/// before it wrote one may have left.
fn refuse_foreign(dir: &Path) -> Result<(), BackfillError> {
    let names = entries(dir)?;
    if names.iter().any(|name| name == MANIFEST) {
        return Ok(());
    }
    let foreign = |name: &String| !name.starts_with('.') && ![LOCK, DONE, SPILL].contains(&name.as_str());
    match names.into_iter().find(foreign) {
        Some(found) => Err(BackfillError::ForeignDirectory { dir: dir.to_owned(), found }),
        None => Ok(()),
    }
}

fn entries(dir: &Path) -> Result<Vec<String>, BackfillError> {
    let failed = |error| BackfillError::io("list", dir)(error);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_unavailable_rows_is_not_final() {
        let rows = |status: &str| {
            let statuses = [("value".to_owned(), 3), (status.to_owned(), 1)].into();
            Done { bytes: 9, counts: Counts { rows: 4, statuses, ..Counts::default() } }
        };
        assert!(rows("error").is_final());
        assert!(!rows(UNAVAILABLE).is_final());
    }
}
