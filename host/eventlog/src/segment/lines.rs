//! Reading a JSON-lines segment, which may be growing.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::LogError;
use crate::raw::{JsonLines, LINE_BYTES_MAX};
use crate::segment::{self, Extent};

/// The byte position of every so many lines is kept: 8 bytes for some hundred kilobytes of file.
const LINES_PER_MARK: u64 = 1024;

/// A batch ends early when its lines reach this size, so that memory is bounded whatever the lines hold.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// What is read from the file at once.
const BUFFER_BYTES: usize = 256 << 10;

/// The beginning of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Place {
    row: u64,
    byte: u64,
}

/// A reader that remembers where lines begin.
pub(crate) struct LinesReader {
    file: Arc<Path>,
    input: BufReader<File>,
    at: Place,
    /// The furthest place reached: all lines before it have been counted.
    known: Place,
    /// The byte position of every [`LINES_PER_MARK`]th line before `known`.
    marks: Vec<u64>,
}

impl LinesReader {
    /// Opens a file. `marks` are those of an earlier reader of the same file.
    pub(crate) fn open(file: Arc<Path>, marks: Vec<u64>) -> Result<Self, LogError> {
        let input = File::open(&file).map_err(LogError::io("open", &file))?;
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        let marks = if marks.is_empty() { vec![0] } else { marks };
        let last = marks.len() as u64 - 1;
        let known = Place { row: last * LINES_PER_MARK, byte: marks.last().copied().unwrap_or(0) };
        Ok(LinesReader { file, input, at: Place::default(), known, marks })
    }

    /// The marks, for a later reader of the same file.
    pub(crate) fn into_marks(self) -> Vec<u64> {
        self.marks
    }

    /// Up to `rows_max` lines from a row on; `None` where there are none. `closed` counts an unfinished last line.
    pub(crate) fn read(&mut self, row: u64, rows_max: usize, closed: bool) -> Result<Option<JsonLines>, LogError> {
        if !self.go_to(row, closed)? {
            return Ok(None);
        }
        let (mut bytes, mut bounds) = (Vec::new(), vec![0]);
        while bounds.len() <= rows_max && bytes.len() < BATCH_BYTES_MAX && self.line(closed, Some(&mut bytes))? {
            bounds.push(bytes.len());
        }
        Ok((bounds.len() > 1).then(|| JsonLines::new(bytes, bounds)))
    }

    /// Counts the lines from the furthest place reached to the end.
    pub(crate) fn count(&mut self, closed: bool) -> Result<Extent, LogError> {
        self.go_to(u64::MAX, closed)?;
        Ok(Extent { rows: self.known.row, bytes: self.known.byte })
    }

    /// Goes to the beginning of a row, or to the end if there is no such row.
    fn go_to(&mut self, row: u64, closed: bool) -> Result<bool, LogError> {
        let near = self.nearest(row);
        if near != self.at {
            self.seek(near)?;
        }
        while self.at.row < row {
            if !self.line(closed, None)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The last place whose byte position is known at or before a row.
    fn nearest(&self, row: u64) -> Place {
        let last = self.marks.len() - 1;
        let mark = usize::try_from(row / LINES_PER_MARK).map_or(last, |mark| mark.min(last));
        let mark = Place { row: mark as u64 * LINES_PER_MARK, byte: self.marks[mark] };
        [mark, self.at, self.known]
            .into_iter()
            .filter(|place| place.row <= row)
            .max_by_key(|place| place.row)
            .unwrap_or(mark)
    }

    fn seek(&mut self, place: Place) -> Result<(), LogError> {
        self.input.seek(SeekFrom::Start(place.byte)).map_err(LogError::io("read", &self.file))?;
        self.at = place;
        Ok(())
    }

    /// Passes one line, appending it to `keep` without its line end. `false`, and the place unchanged, when there
    /// is no whole line.
    fn line(&mut self, closed: bool, mut keep: Option<&mut Vec<u8>>) -> Result<bool, LogError> {
        let start = keep.as_ref().map_or(0, |keep| keep.len());
        let (length, ended) =
            pass_line(&mut self.input, keep.as_deref_mut()).map_err(LogError::io("read", &self.file))?;
        if !ended && (length == 0 || !closed) {
            if let Some(keep) = keep {
                keep.truncate(start);
            }
            self.check_not_shrunk()?;
            if length > 0 {
                self.seek(self.at)?;
            }
            return Ok(false);
        }
        if let Some(keep) = keep
            && keep.len() > start
            && keep.ends_with(b"\r")
        {
            keep.pop();
        }
        self.advance(length);
        Ok(true)
    }

    fn advance(&mut self, bytes: u64) {
        self.at = Place { row: self.at.row + 1, byte: self.at.byte + bytes };
        if self.at.row > self.known.row {
            self.known = self.at;
            if self.at.row.is_multiple_of(LINES_PER_MARK) {
                self.marks.push(self.at.byte);
            }
        }
    }

    fn check_not_shrunk(&self) -> Result<(), LogError> {
        let is = segment::size_of_known(&self.file)?;
        if is < self.known.byte {
            return Err(LogError::Changed { file: self.file.to_path_buf(), was: self.known.byte, is });
        }
        Ok(())
    }
}

/// Reads to the end of a line or of the input: how many bytes, and whether the line has its end. Of a line that
/// is too long, one byte more than the longest is kept: enough to tell.
fn pass_line(input: &mut impl BufRead, mut keep: Option<&mut Vec<u8>>) -> io::Result<(u64, bool)> {
    let mut length = 0;
    loop {
        let buffer = match input.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = memchr::memchr(b'\n', buffer);
        let text = &buffer[..end.unwrap_or(buffer.len())];
        if let Some(keep) = keep.as_deref_mut() {
            let room = (LINE_BYTES_MAX as u64 + 1).saturating_sub(length);
            keep.extend_from_slice(&text[..text.len().min(usize::try_from(room).unwrap_or(usize::MAX))]);
        }
        let passed = text.len() + usize::from(end.is_some());
        length += passed as u64;
        input.consume(passed);
        if end.is_some() || passed == 0 {
            return Ok((length, end.is_some()));
        }
    }
}
