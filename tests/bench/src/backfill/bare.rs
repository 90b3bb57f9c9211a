//! The same scan, and a write of the same rows, with Parquet alone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context;
use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use trifold_backfill::{Backfill, Report};

use crate::backfill::events::properties;

/// Rows of a batch, as in the backfill.
const BATCH_ROWS: usize = 4096;

/// What is read, and the rows to be written, file by file.
pub(crate) struct Bare {
    log: Vec<PathBuf>,
    columns: Vec<String>,
    files: Vec<Vec<RecordBatch>>,
    out: PathBuf,
    threads: usize,
}

impl Bare {
    /// Does without the backfill what it did: the rows that it wrote are held in memory.
    pub(crate) fn new(backfill: &Backfill, report: &Report, out: PathBuf) -> anyhow::Result<Self> {
        let mut log = Vec::new();
        for entry in fs::read_dir(&backfill.job.log)? {
            log.push(entry?.path());
        }
        log.sort();
        fs::create_dir_all(&out)?;
        let files = report
            .files
            .iter()
            .map(|file| Ok(scan(&file.path, None, None)?.collect::<Result<_, _>>()?))
            .collect::<anyhow::Result<_>>()?;
        let columns = backfill.job.source.columns([backfill.job.version.view()]).into_iter().collect();
        Ok(Bare { log, columns, files, out, threads: backfill.resources.threads })
    }

    /// Reads everything and writes everything, on as many threads as the backfill has.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads).map(|worker| scope.spawn(move || self.part(worker))).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    /// One thread's share of the row groups and of the files.
    fn part(&self, worker: usize) -> anyhow::Result<()> {
        for path in &self.log {
            for batch in scan(path, Some(&self.columns), Some((worker, self.threads)))? {
                std::hint::black_box(batch?);
            }
        }
        for (number, rows) in self.files.iter().enumerate().skip(worker).step_by(self.threads) {
            self.write(number, rows)?;
        }
        Ok(())
    }

    /// The file is durable at the end, like one of the backfill.
    fn write(&self, number: usize, rows: &[RecordBatch]) -> anyhow::Result<()> {
        let first = rows.first().context("a file without rows")?;
        let file = File::create(self.out.join(format!("{number}.parquet")))?;
        let mut writer = ArrowWriter::try_new(file, first.schema(), Some(properties()))?;
        for batch in rows {
            writer.write(batch)?;
        }
        Ok(writer.into_inner()?.sync_all()?)
    }
}

/// Reads some columns, or all, of every n-th row group, or of all.
fn scan(
    path: &Path,
    columns: Option<&[String]>,
    every: Option<(usize, usize)>,
) -> anyhow::Result<ParquetRecordBatchReader> {
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.with_batch_size(BATCH_ROWS);
    if let Some(columns) = columns {
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().map(String::as_str));
        builder = builder.with_projection(mask);
    }
    if let Some((first, step)) = every {
        let groups = (first..builder.metadata().num_row_groups()).step_by(step).collect();
        builder = builder.with_row_groups(groups);
    }
    Ok(builder.build()?)
}
