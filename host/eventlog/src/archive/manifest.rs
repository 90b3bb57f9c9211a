//! What an archive is of.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ArchiveError;
use crate::LogError;

/// Raised when files of an archive mean something else.
const FORMAT: u32 = 1;

/// What an archive is of, fixed when it is begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    /// The log.
    pub log: String,
    /// The field of the arrival, or the time of the log's append; `None` where no arrivals are recorded.
    pub arrival: Option<String>,
    /// The offset from which each partition is archived.
    pub begins: Vec<u64>,
}

/// Where an archive's manifest stands.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("_archive.json")
}

/// Where arrivals are from, in words.
pub(super) fn shown(arrival: Option<&str>) -> String {
    arrival.map_or_else(|| "nowhere".to_owned(), |field| format!("`{field}`"))
}

impl Manifest {
    /// What an archive of a log will be.
    pub fn new(log: impl Into<String>, arrival: Option<String>, begins: Vec<u64>) -> Self {
        Manifest { format: FORMAT, log: log.into(), arrival, begins }
    }

    /// Where a partition begins.
    pub(super) fn begin(&self, dir: &Path, partition: u32) -> Result<u64, LogError> {
        let (found, wanted) = (self.begins.len(), partition as usize + 1);
        let begin = self.begins.get(partition as usize).copied();
        Ok(begin.ok_or_else(|| ArchiveError::OtherPartitions { dir: dir.to_owned(), found, wanted })?)
    }

    /// Reads the manifest of a directory that has one.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, LogError> {
        let file = path(dir);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LogError::io("read", &file)(error)),
        };
        let damaged = |detail: String| ArchiveError::Manifest { file: file.clone(), detail };
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        match manifest.format {
            FORMAT => Ok(Some(manifest)),
            other => Err(damaged(format!("it has format {other}, and {FORMAT} is the one that is known")).into()),
        }
    }

    /// Fails where an archive that is there is not what it should be.
    pub(super) fn check(&self, wanted: &Manifest, dir: &Path) -> Result<(), ArchiveError> {
        let at = dir.to_owned();
        if self.log != wanted.log {
            return Err(ArchiveError::OtherLog { at, found: self.log.clone(), wanted: wanted.log.clone() });
        }
        if self.arrival != wanted.arrival {
            let (found, wanted) = (shown(self.arrival.as_deref()), shown(wanted.arrival.as_deref()));
            return Err(ArchiveError::OtherArrival { at, found, wanted });
        }
        if self.begins.len() != wanted.begins.len() {
            let (found, wanted) = (self.begins.len(), wanted.begins.len());
            return Err(ArchiveError::OtherPartitions { dir: at, found, wanted });
        }
        Ok(())
    }

    pub(super) fn write(&self, file: &Path) -> io::Result<()> {
        let mut file = fs::File::create(file)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()
    }
}
