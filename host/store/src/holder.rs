//! Who has a store open.
//!
//! Beside a database file stands `<file>.holder`. Whoever opens the database locks that file and writes into it
//! who it is, as one JSON object `{"pid", "command", "since-micros"}`; whoever finds it locked reads there whom to
//! name. The operating system drops the lock when a process ends, however it ends, so what a killed process left in
//! the file blocks nobody.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trifold_model::EventTime;
use trifold_model::calendar::civil_from_days;

use crate::error::StoreError;

/// A holder file longer than this was not written by a holder.
const HOLDER_BYTES_MAX: u64 = 64 << 10;

/// The process that has a store open, as it described itself when it opened it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// What it runs, for people: `trifold up`.
    pub command: String,
    /// When it opened the store, in microseconds since 1970-01-01T00:00:00Z.
    pub since: EventTime,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct HolderJson {
    pid: u32,
    command: String,
    since_micros: i64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({}) since {}", self.pid, self.command, utc(self.since))
    }
}

/// The locked holder file of an open database.
#[derive(Debug)]
pub(crate) struct HolderLock {
    file: File,
}

impl HolderLock {
    /// Takes the lock, or says who has it.
    pub(crate) fn acquire(database: &Path, holder: &Holder) -> Result<Self, StoreError> {
        let path = holder_path(database);
        let open = |error: io::Error| StoreError::Open {
            path: database.to_owned(),
            reason: format!("{}: {error}", path.display()),
        };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(open)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Held { path: database.to_owned(), holder: read(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(open(error)),
        }
        write(&mut file, holder).map_err(open)?;
        Ok(HolderLock { file })
    }
}

impl Drop for HolderLock {
    fn drop(&mut self) {
        // The lock is what counts and goes with the file; an old name left in it does no harm.
        let _ = self.file.set_len(0);
    }
}

fn holder_path(database: &Path) -> PathBuf {
    let mut path = OsString::from(database);
    path.push(".holder");
    path.into()
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.take(HOLDER_BYTES_MAX).read_to_string(&mut text).ok()?;
    let HolderJson { pid, command, since_micros } = serde_json::from_str(&text).ok()?;
    Some(Holder { pid, command, since: EventTime(since_micros) })
}

fn write(file: &mut File, holder: &Holder) -> io::Result<()> {
    let json = HolderJson { pid: holder.pid, command: holder.command.clone(), since_micros: holder.since.0 };
    let mut line = serde_json::to_string(&json)?;
    line.push('\n');
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(line.as_bytes())
}

/// The time to the second, as `2013-01-31 23:59:59 UTC`, by the proleptic Gregorian calendar.
fn utc(time: EventTime) -> String {
    let seconds = time.0.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        for (micros, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
            (951_782_400_000_000, "2000-02-29 00:00:00 UTC"),
            (1_359_676_799_999_999, "2013-01-31 23:59:59 UTC"),
            (4_107_542_400_000_000, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(EventTime(micros)), text);
        }
        utc(EventTime(i64::MIN));
        utc(EventTime(i64::MAX));
    }
}
