//! The file log.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trifold_model::LogId;

use crate::consumed::{Consumed, LogChange, Rows, Sums};
use crate::scan::ScanUnit;
use crate::segment::{self, SegmentKind, SegmentReader};
use crate::{Archive, ArchiveError, LogError, RawBatch};

/// The one partition of a file log.
pub const PARTITION: u32 = 0;

/// How to read a log.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// The log's id; by default the name of the directory or file.
    pub name: Option<String>,
    /// The only columns to read ([`crate::SourceConfig::columns`]); all by default. Lines are always read whole.
    pub columns: Option<BTreeSet<String>>,
}

/// A log of files, with one partition, 0.
///
/// Opening it lists its segments; they are opened and counted when they are first needed. A Parquet segment is
/// counted by its footer, so that it is complete or an error; a JSON-lines segment is counted as it is read, and
/// while it is the last one it may grow. A line without its line end is read once a later segment exists.
pub struct FileLog {
    id: LogId,
    path: PathBuf,
    columns: Option<BTreeSet<String>>,
    slots: Vec<Slot>,
    /// The offset of the first row of each counted slot, and of the first slot that is not counted.
    starts: Vec<u64>,
    /// What stands before each of them.
    sums: Vec<Sums>,
    /// The segment that is open, if any.
    open: Option<(usize, SegmentReader)>,
}

/// A segment that the log knows of.
struct Slot {
    file: Arc<Path>,
    kind: SegmentKind,
    /// The size of the file when its rows were counted for good.
    counted_bytes: u64,
    marks: Vec<u64>,
}

/// Where an offset lies.
enum Place {
    /// In a segment whose rows are counted.
    Counted(usize),
    /// In the JSON-lines segment that is being counted, or behind it.
    Tail(usize),
    /// Behind the last segment.
    End,
}

impl FileLog {
    /// Opens a directory of segments, or one file as a log of one segment.
    pub fn open(path: &Path, options: LogOptions) -> Result<FileLog, LogError> {
        if Archive::is_at(path) {
            let (dir, log) = (path.to_owned(), Archive::open(path)?.manifest().log.clone());
            return Err(ArchiveError::NotALog { dir, log }.into());
        }
        let files = segment::list(path)?;
        if files.is_empty() {
            return Err(LogError::NoSegments { path: path.to_owned() });
        }
        let name = options.name.unwrap_or_else(|| default_name(path));
        Ok(FileLog {
            id: LogId(name.into()),
            path: path.to_owned(),
            columns: options.columns,
            slots: files.into_iter().map(Slot::new).collect(),
            starts: vec![0],
            sums: vec![Sums::default()],
            open: None,
        })
    }

    /// Opens the log anew, as if nothing was known of its segments.
    pub fn reopen(&mut self) -> Result<(), LogError> {
        let options = LogOptions { name: Some(self.id.0.to_string()), columns: self.columns.clone() };
        *self = FileLog::open(&self.path, options)?;
        Ok(())
    }

    /// The log's id.
    pub fn id(&self) -> &LogId {
        &self.id
    }

    /// The directory or file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The segments known at present, in order.
    pub fn segments(&self) -> impl Iterator<Item = (&Path, SegmentKind)> {
        self.slots.iter().map(|slot| (&*slot.file, slot.kind))
    }

    /// Up to `rows_max` rows from an offset on, all of one segment. `None`: there is nothing more at present, and
    /// a later call may find more.
    pub fn read(&mut self, from: u64, rows_max: usize) -> Result<Option<RawBatch>, LogError> {
        loop {
            match self.locate(from)? {
                Place::Counted(slot) => return self.read_slot(slot, from, rows_max),
                Place::Tail(slot) => {
                    if let Some(batch) = self.read_slot(slot, from, rows_max)? {
                        return Ok(Some(batch));
                    }
                    if self.is_closed(slot) {
                        self.count(slot)?;
                        continue;
                    }
                }
                Place::End => {}
            }
            if !self.refresh()? {
                return self.at_end(from);
            }
        }
    }

    /// How many rows there are at present. Counts what was not counted before.
    pub fn rows_known(&mut self) -> Result<u64, LogError> {
        self.refresh()?;
        while self.counted() < self.slots.len() && self.is_closed(self.counted()) {
            self.count(self.counted())?;
        }
        let last = self.counted();
        let tail = if last < self.slots.len() { self.reader(last)?.count(false)?.rows } else { 0 };
        Ok(self.counted_rows() + tail)
    }

    /// The last segment, if it ends with a line that has no line end yet and is not read before.
    pub fn unfinished_line(&self) -> Result<Option<PathBuf>, LogError> {
        let Some(slot) = self.slots.last().filter(|slot| slot.kind == SegmentKind::JsonLines) else {
            return Ok(None);
        };
        let last = segment::last_byte(&slot.file)?;
        Ok(last.filter(|byte| *byte != b'\n').map(|_| slot.file.to_path_buf()))
    }

    /// The log as it stands, cut into parts that can be read side by side, in offset order without gaps.
    pub fn units(&mut self) -> Result<Vec<ScanUnit>, LogError> {
        self.rows_known()?;
        let mut units = Vec::new();
        for slot in 0..self.slots.len() {
            let (file, first_offset) = (self.slots[slot].file.clone(), self.starts[slot]);
            let closed = slot < self.counted();
            units.extend(ScanUnit::of(file, first_offset, closed, self.reader(slot)?)?);
        }
        Ok(units)
    }

    /// What was read by a reader who stands at `next`, for [`FileLog::check_consumed`]: some hundred bytes, however
    /// many segments there are. They depend on the log and on `next` alone. The rows before `next` must have been
    /// read or counted before.
    pub fn consumed(&mut self, next: u64) -> Result<Vec<u8>, LogError> {
        let Some(row) = next.checked_sub(1) else { return Ok(Vec::new()) };
        let (Place::Counted(slot) | Place::Tail(slot)) = self.locate(row)? else {
            return Err(LogError::Beyond { path: self.path.clone(), offset: next, rows: self.counted_rows() });
        };
        let (first, before) = (self.starts[slot], self.sums[slot].clone());
        Ok(Consumed { first, before, last: self.slots[slot].name().to_owned() }.encode())
    }

    /// Checks what was read by a reader who stood at `next` when the log was open before: the segments up to there
    /// have the names and the numbers of rows that they had. The last of them may have grown. Counts what was not
    /// counted before.
    pub fn check_consumed(&mut self, next: u64, consumed: &[u8]) -> Result<(), LogError> {
        if next == 0 {
            return Ok(());
        }
        self.rows_known()?;
        let log = self.id.0.to_string();
        let refuse = |change: LogChange| LogError::Consumed { log: log.clone(), change };
        let was = Consumed::decode(consumed).map_err(refuse)?;
        let Some(last) = self.slots.iter().position(|slot| slot.name() == was.last) else {
            return Err(refuse(was.last_gone(next)));
        };
        was.check_before(self.starts[last], &self.sums[last], &self.rows_before(last)).map_err(refuse)?;
        was.check_last(next, self.rows_of(last)?).map_err(refuse)
    }

    /// The segments before one, which are counted.
    fn rows_before(&self, end: usize) -> Vec<Rows> {
        let slots = self.slots[..end].iter().zip(self.starts.windows(2));
        slots.map(|(slot, starts)| (slot.name().to_owned(), starts[1] - starts[0])).collect()
    }

    /// The rows of a segment at present; those before it are counted.
    fn rows_of(&mut self, slot: usize) -> Result<u64, LogError> {
        match self.starts.get(slot + 1) {
            Some(end) => Ok(end - self.starts[slot]),
            None => Ok(self.reader(slot)?.count(false)?.rows),
        }
    }

    /// How many segments are counted for good.
    fn counted(&self) -> usize {
        self.starts.len() - 1
    }

    fn counted_rows(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Whether a segment cannot grow any more.
    fn is_closed(&self, slot: usize) -> bool {
        slot + 1 < self.slots.len() || self.slots[slot].kind == SegmentKind::Parquet
    }

    /// Finds an offset, counting Parquet segments on the way.
    fn locate(&mut self, offset: u64) -> Result<Place, LogError> {
        loop {
            if offset < self.counted_rows() {
                return Ok(Place::Counted(self.starts.partition_point(|start| *start <= offset) - 1));
            }
            let next = self.counted();
            match self.slots.get(next).map(|slot| slot.kind) {
                None => return Ok(Place::End),
                Some(SegmentKind::JsonLines) => return Ok(Place::Tail(next)),
                Some(SegmentKind::Parquet) => self.count(next)?,
            }
        }
    }

    /// Counts the next segment for good; it is closed.
    fn count(&mut self, slot: usize) -> Result<(), LogError> {
        let end = self.reader(slot)?.count(true)?;
        self.slots[slot].counted_bytes = end.bytes;
        self.sums.push(self.sums[slot].with(self.slots[slot].name(), end.rows));
        self.starts.push(self.counted_rows() + end.rows);
        Ok(())
    }

    fn read_slot(&mut self, slot: usize, from: u64, rows_max: usize) -> Result<Option<RawBatch>, LogError> {
        let (row, closed) = (from - self.starts[slot], self.is_closed(slot));
        let rows = self.reader(slot)?.read(row, rows_max.max(1), closed)?;
        let file = self.slots[slot].file.clone();
        Ok(rows.map(|rows| RawBatch { partition: PARTITION, first_offset: from, places: None, file, rows }))
    }

    /// The reader of a segment. One segment is open at a time; of the one before, what is cheap is remembered.
    fn reader(&mut self, index: usize) -> Result<&mut SegmentReader, LogError> {
        let reader = match self.open.take() {
            Some((open, reader)) if open == index => reader,
            other => {
                if let Some((before, SegmentReader::Lines(lines))) = other {
                    self.slots[before].marks = lines.into_marks();
                }
                self.open_slot(index)?
            }
        };
        Ok(&mut self.open.insert((index, reader)).1)
    }

    fn open_slot(&mut self, index: usize) -> Result<SegmentReader, LogError> {
        let counted = index < self.counted();
        let slot = &mut self.slots[index];
        if counted {
            segment::check_size(&slot.file, slot.counted_bytes)?;
        }
        SegmentReader::open(slot.file.clone(), slot.kind, self.columns.as_ref(), std::mem::take(&mut slot.marks))
    }

    /// Looks for new segments, and at whether the old ones are as they were. Whether there are new ones.
    fn refresh(&mut self) -> Result<bool, LogError> {
        let files = segment::list(&self.path)?;
        for (index, slot) in self.slots.iter().enumerate() {
            match files.get(index) {
                Some((file, _)) if *file == slot.file => {}
                Some((file, _)) if files.iter().any(|(file, _)| *file == slot.file) => {
                    return Err(self.out_of_order(file));
                }
                _ => return Err(LogError::Gone { file: slot.file.to_path_buf() }),
            }
            if index < self.counted() {
                segment::check_size(&slot.file, slot.counted_bytes)?;
            }
        }
        let known = self.slots.len();
        self.slots.extend(files.into_iter().skip(known).map(Slot::new));
        Ok(self.slots.len() > known)
    }

    fn out_of_order(&self, file: &Path) -> LogError {
        let last = self.slots.last().map_or_else(|| self.path.clone(), |slot| slot.file.to_path_buf());
        LogError::OutOfOrder { file: file.to_owned(), last }
    }

    /// What a read that found nothing means: the end of the log, or an offset beyond it.
    fn at_end(&mut self, offset: u64) -> Result<Option<RawBatch>, LogError> {
        let tail = self.counted();
        let in_tail = if tail < self.slots.len() { self.reader(tail)?.count(false)?.rows } else { 0 };
        let rows = self.counted_rows() + in_tail;
        if offset > rows {
            return Err(LogError::Beyond { path: self.path.clone(), offset, rows });
        }
        Ok(None)
    }
}

impl Slot {
    fn new((file, kind): (Arc<Path>, SegmentKind)) -> Self {
        Slot { file, kind, counted_bytes: 0, marks: Vec::new() }
    }

    /// The name of the file, without the directory, which may be moved.
    fn name(&self) -> &[u8] {
        self.file.file_name().map_or(&[], |name| name.as_encoded_bytes())
    }
}

fn default_name(path: &Path) -> String {
    // A path such as `.` or `data/..` has its name only once it is resolved.
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    resolved.file_name().map_or_else(|| "log".to_owned(), |name| name.to_string_lossy().into_owned())
}
