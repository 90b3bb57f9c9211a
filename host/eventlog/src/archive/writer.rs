//! Writing an archive.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use parquet::schema::types::ColumnPath;

use super::chain;
use super::file::{self, About, ArchiveFile, LastRecord};
use super::{Archive, ArchiveError, Manifest, manifest};
use crate::durable::{directory, make_directory, sync};
use crate::rows::write::{parquet_error, properties};
use crate::time::DAY_MICROS;
use crate::{ArrivalClock, LogError, RawBatch, arrival};

/// Where files stand until they are complete.
const UNFINISHED: &str = "_unfinished";

/// How large the files of an archive become. A file ends with a day in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// The most events of a file.
    pub rows_max: usize,
    /// The size at which a file ends.
    pub bytes_max: usize,
    /// What an unfinished file may hold in memory before that goes to the disk.
    pub memory_bytes_max: usize,
}

/// An archive that is written, by one of any number of archivers.
pub struct ArchiveWriter {
    archive: Archive,
    limits: ArchiveLimits,
    /// A place for unfinished files that no other archiver has.
    place: Arc<Place>,
}

impl ArchiveWriter {
    /// Opens an archive for the log that it must be of, or begins it. `wanted.begins` are where an archive begins that is
    /// not there yet.
    pub fn open(dir: &Path, wanted: &Manifest, limits: ArchiveLimits) -> Result<Self, LogError> {
        make_directory(dir, &mut sync)?;
        if Manifest::read(dir)?.is_none()
            && let Some(path) = chain::entries(dir)?.pop()
        {
            return Err(ArchiveError::Foreign { path }.into());
        }
        let place = Arc::new(Place::take(dir)?);
        let made = place.dir.join("manifest");
        wanted.write(&made).map_err(LogError::io("write", &made))?;
        // Whoever begins an archive first says what it is.
        put(&made, &manifest::path(dir))?;
        let archive = Archive::open(dir)?;
        archive.manifest.check(wanted, dir)?;
        Ok(ArchiveWriter { archive, limits, place })
    }

    /// The archive.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Goes on with a partition where it ends at present.
    pub fn partition(&self, partition: u32) -> Result<PartitionWriter, LogError> {
        let Archive { dir, manifest } = &self.archive;
        let last = chain::of_partition(dir, manifest, partition)?.pop();
        let last = last.map(|link| ArchiveFile::open(link.path.into(), manifest, true)).transpose()?;
        let last = last.as_ref().map(ArchiveFile::about);
        let next = last.map_or_else(|| manifest.begin(dir, partition), |last| Ok(last.next))?;
        Ok(PartitionWriter {
            archive: self.archive.clone(),
            limits: self.limits,
            place: self.place.clone(),
            partition,
            archived: next,
            next,
            clock: last.map(|last| last.clock).unwrap_or_default(),
            last: last.and_then(|last| last.last.clone()),
            open: None,
        })
    }
}

/// Writes one partition of an archive.
pub struct PartitionWriter {
    archive: Archive,
    limits: ArchiveLimits,
    place: Arc<Place>,
    partition: u32,
    /// Where the archive ends, and where it will.
    archived: u64,
    next: u64,
    clock: ArrivalClock,
    last: Option<LastRecord>,
    open: Option<OpenFile>,
}

/// A file that is not finished.
struct OpenFile {
    path: PathBuf,
    writer: ArrowWriter<File>,
    /// The name that it will have.
    name: PathBuf,
    day: i64,
    first: u64,
    rows: usize,
    undecoded: usize,
    without_arrival: usize,
    last: Option<LastRecord>,
}

/// When a row arrived.
struct Timed {
    arrival: Option<i64>,
    day: i64,
    /// The clock after it.
    clock: ArrivalClock,
}

/// A file that was added to an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedFile {
    /// Where it stands.
    pub path: PathBuf,
    /// The partition.
    pub partition: u32,
    /// The offset at which it begins.
    pub first: u64,
    /// The offset at which the next one begins.
    pub next: u64,
    /// How many events are in it.
    pub rows: u64,
    /// How many of them have a value that could not be decoded.
    pub undecoded: u64,
    /// How many of them have no arrival that can be read, where arrivals are recorded.
    pub without_arrival: u64,
    /// Its size.
    pub bytes: u64,
}

/// What became of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// They are in the archive; there may be none.
    Added(Vec<ArchivedFile>),
    /// Another archiver was first with the last of what was to be added: the writer is of no use any more, and its
    /// partition goes on where the archive now ends.
    Overtaken(Vec<ArchivedFile>),
}

impl PartitionWriter {
    /// The offset before which everything is in the archive or in the unfinished file.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The offset of the last record in the archive, by which its topic is known again.
    pub fn last_offset(&self) -> Option<u64> {
        self.last.as_ref().map(|last| last.offset)
    }

    /// Fails if a batch that has the last record of the archive in it has another one in its place. `timestamps` has the
    /// time of each record.
    pub fn check_last(&self, raw: &RawBatch, timestamps: &[Option<i64>]) -> Result<(), LogError> {
        let Some(last) = &self.last else { return Ok(()) };
        match raw.row_of(last.offset) {
            Some(row) if LastRecord::of(raw, row, timestamps[row]) != *last => {
                let detail = format!("offset {} holds another record", last.offset);
                Err(self.other_topic(detail))
            }
            _ => Ok(()),
        }
    }

    /// Fails if the topic cannot be gone on with: it has records from `first` up to `end`.
    pub fn check_ends(&self, first: u64, end: u64) -> Result<(), LogError> {
        let (dir, log) = (self.archive.dir.clone(), self.archive.manifest.log.clone());
        if end < self.next {
            return Err(self.other_topic(format!("it ends at offset {end}, and the archive at {}", self.next)));
        }
        if first > self.next {
            let (partition, end) = (self.partition, self.next);
            return Err(ArchiveError::Overtaken { dir, log, partition, end, first }.into());
        }
        Ok(())
    }

    fn other_topic(&self, detail: String) -> LogError {
        let (dir, log) = (self.archive.dir.clone(), self.archive.manifest.log.clone());
        ArchiveError::OtherTopic { dir, log, partition: self.partition, detail }.into()
    }

    /// There are no records before an offset that have not been pushed.
    pub fn skip_to(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// Whether there is an unfinished file.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Adds records, which go on where the last ones ended and have their keys, and finishes the files that they fill.
    /// `timestamps` has the time of each record.
    pub fn push(&mut self, raw: &RawBatch, timestamps: &[Option<i64>]) -> Result<Finished, LogError> {
        debug_assert!(raw.rows() == 0 || raw.offset(0) >= self.next, "records come in their order and once");
        let timed = self.timed(raw, timestamps)?;
        let arrivals: Vec<_> = timed.iter().map(|row| row.arrival).collect();
        let (mut added, mut row) = (Vec::new(), 0);
        while row < raw.rows() {
            let day = timed[row].day;
            if self.open.as_ref().is_some_and(|open| open.day != day || self.is_full(open)) {
                match self.finish()? {
                    Finished::Added(files) => added.extend(files),
                    Finished::Overtaken(_) => return Ok(Finished::Overtaken(added)),
                }
            }
            let open = self.open.take().map_or_else(|| self.begin(day), Ok)?;
            let room = self.limits.rows_max.max(1) - open.rows;
            let count = timed[row..].iter().take(room).take_while(|row| row.day == day).count();
            self.open = Some(self.write(open, raw, row..row + count, timestamps, &arrivals)?);
            row += count;
            (self.clock, self.next) = (timed[row - 1].clock, raw.offset(row - 1) + 1);
        }
        self.next = self.next.max(raw.next_offset());
        Ok(Finished::Added(added))
    }

    /// When rows arrived. Days go by the clock, which never goes back within a partition, and so by the topic alone.
    fn timed(&self, raw: &RawBatch, timestamps: &[Option<i64>]) -> Result<Vec<Timed>, LogError> {
        let column = self.archive.manifest.arrival.as_deref();
        let recorded = column.map_or_else(|| Ok(timestamps.to_vec()), |column| arrival::of_rows(raw, column))?;
        let mut clock = self.clock;
        let rows = recorded.into_iter().zip(timestamps).map(|(recorded, timestamp)| {
            let passed = clock.pass(recorded).map(|at| at.0);
            // Before the first arrival that can be read there is the time of the record alone.
            let at = clock.state().or_else(|| ArrivalClock::default().pass(*timestamp).map(|at| at.0));
            Timed {
                arrival: passed.filter(|_| column.is_some()),
                day: at.unwrap_or(0).div_euclid(DAY_MICROS),
                clock,
            }
        });
        Ok(rows.collect())
    }

    fn is_full(&self, open: &OpenFile) -> bool {
        open.rows >= self.limits.rows_max.max(1) || open.bytes() >= self.limits.bytes_max
    }

    fn begin(&self, day: i64) -> Result<OpenFile, LogError> {
        let name = chain::name(self.partition, self.archived, day * DAY_MICROS);
        let path = self.place.dir.join(name.file_name().unwrap_or_default());
        let file = File::create(&path).map_err(LogError::io("create", &path))?;
        // Events differ from each other, so that a dictionary or the least and greatest of them are of no use.
        let event = || ColumnPath::from("event");
        let properties = properties()
            .set_max_row_group_bytes(Some(self.limits.memory_bytes_max.max(1)))
            .set_column_dictionary_enabled(event(), false)
            .set_column_statistics_enabled(event(), parquet::file::properties::EnabledStatistics::None)
            .build();
        let writer = ArrowWriter::try_new(file, file::schema(), Some(properties))
            .map_err(|source| parquet_error(&path, source))?;
        let (first, last) = (self.archived, self.last.clone());
        Ok(OpenFile { path, writer, name, day, first, rows: 0, undecoded: 0, without_arrival: 0, last })
    }

    fn write(
        &self,
        mut open: OpenFile,
        raw: &RawBatch,
        rows: std::ops::Range<usize>,
        timestamps: &[Option<i64>],
        arrivals: &[Option<i64>],
    ) -> Result<OpenFile, LogError> {
        let last = rows.end - 1;
        open.rows += rows.len();
        open.undecoded += raw.bad().iter().filter(|(row, _)| rows.contains(row)).count();
        if self.archive.manifest.arrival.is_some() {
            open.without_arrival += arrivals[rows.clone()].iter().filter(|arrival| arrival.is_none()).count();
        }
        open.last = Some(LastRecord::of(raw, last, timestamps[last]));
        let failed = |source: arrow_schema::ArrowError| LogError::RowSchema {
            file: open.path.clone(),
            detail: source.to_string(),
        };
        let batch = file::rows(raw, rows, timestamps, arrivals).map_err(failed)?;
        open.writer.write(&batch).map_err(|source| parquet_error(&open.path, source))?;
        Ok(open)
    }

    /// Makes the unfinished file durable and adds it to the archive, unless another archiver was first. That there is
    /// nothing where records were [skipped](PartitionWriter::skip_to) is kept as well, if need be in a file without any.
    pub fn finish(&mut self) -> Result<Finished, LogError> {
        let open = match self.open.take() {
            Some(open) => open,
            None if self.next > self.archived => {
                self.begin(self.clock.state().unwrap_or(0).div_euclid(DAY_MICROS))?
            }
            None => return Ok(Finished::Added(Vec::new())),
        };
        let Archive { dir, manifest } = &self.archive;
        let OpenFile { path, mut writer, name, first, rows, undecoded, without_arrival, last, .. } = open;
        let about = About {
            log: manifest.log.clone(),
            arrival: manifest.arrival.clone(),
            partition: self.partition,
            first,
            next: self.next,
            clock: self.clock,
            last: last.clone(),
        };
        about.key_values().into_iter().for_each(|entry| writer.append_key_value_metadata(entry));
        let file = writer.into_inner().map_err(|source| parquet_error(&path, source))?;
        file.sync_all().map_err(LogError::io("sync", &path))?;
        let bytes = file.metadata().map_err(LogError::io("read", &path))?.len();
        let named = dir.join(name);
        // Another archiver's file that goes on from the same place may be of another day, if one of them has no events.
        let turn = self.place.turn(self.partition)?;
        if chain::has(dir, self.partition, first)? || !put(&path, &named)? {
            return Ok(Finished::Overtaken(Vec::new()));
        }
        drop(turn);
        (self.last, self.archived) = (last, self.next);
        Ok(Finished::Added(vec![ArchivedFile {
            path: named,
            partition: self.partition,
            first,
            next: self.next,
            rows: rows as u64,
            undecoded: undecoded as u64,
            without_arrival: without_arrival as u64,
            bytes,
        }]))
    }
}

impl OpenFile {
    fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }
}

impl Place {
    /// Waits until no other archiver adds a file of a partition; for as long as what is returned lives.
    fn turn(&self, partition: u32) -> Result<File, LogError> {
        let path = self.all.join(format!("partition-{partition:05}.lock"));
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = open.map_err(LogError::io("open", &path))?;
        lock.lock().map_err(LogError::io("lock", &path))?;
        Ok(lock)
    }
}

/// Gives a durable file its name, unless there is one of that name. Whether it was given.
fn put(made: &Path, named: &Path) -> Result<bool, LogError> {
    let above = directory(named);
    above.map_or(Ok(()), |above| make_directory(above, &mut sync))?;
    let is_new = match fs::hard_link(made, named) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(LogError::io("put into place", named)(error)),
    };
    fs::remove_file(made).map_err(LogError::io("remove", made))?;
    above.map_or(Ok(()), sync)?;
    Ok(is_new)
}

/// A directory for unfinished files, locked as long as its archiver lives.
struct Place {
    all: PathBuf,
    dir: PathBuf,
    _lock: File,
}

impl Place {
    /// Takes the first that no living archiver has, and removes what a dead one left there.
    fn take(archive: &Path) -> Result<Self, LogError> {
        let all = archive.join(UNFINISHED);
        make_directory(&all, &mut sync)?;
        for number in 0_u32.. {
            let path = all.join(format!("{number}.lock"));
            let lock = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(LogError::io("open", &path))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(LogError::io("lock", &path)(error)),
            }
            let dir = all.join(number.to_string());
            match fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(LogError::io("remove", &dir)(error));
                }
                _ => {}
            }
            make_directory(&dir, &mut sync)?;
            return Ok(Place { all, dir, _lock: lock });
        }
        unreachable!("there are more numbers than processes")
    }
}
