//! Archives: the events of a topic with their places and arrivals, as Parquet by day.
//!
//! ```text
//! ARCHIVE/_archive.json                                   which log it is of, from which offsets on
//! ARCHIVE/day=2013-01-01/00003-00000000000000000120.parquet    partition 3 from offset 120 on
//! ```
//!
//! Of each partition the files are a chain: each says in its footer where the next one begins, and is named by where it
//! begins itself. A file gets its name when it is complete, and only if there is none of that name. Whoever adds one has
//! begun where the chain ended, so that any number of archivers, killed at any point, neither lose an event nor have it
//! twice.
//!
//! What stands in a file is what the stream decodes: the event as JSON, and the record's key and time. So an event of an
//! archive is, for any view, the event that it is in the topic.
//!
//! Reading order: `manifest` and `chain` (which files there are), `file` (what stands in one), `writer`, `error`.

mod chain;
pub mod error;
mod file;
mod manifest;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trifold_model::{EventNumber, LogId, Positions};

use crate::scan::ScanUnit;
use crate::{LogError, RawBatch};
use chain::Link;
pub use error::ArchiveError;
pub(crate) use file::ArchiveFile;
pub use manifest::Manifest;
pub use writer::{ArchiveLimits, ArchiveWriter, ArchivedFile, Finished, PartitionWriter};

/// An archive that is read.
#[derive(Debug, Clone)]
pub struct Archive {
    dir: PathBuf,
    manifest: Arc<Manifest>,
}

impl Archive {
    /// Whether a directory is an archive.
    pub fn is_at(dir: &Path) -> bool {
        manifest::path(dir).exists()
    }

    /// Opens an archive.
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        let manifest = Manifest::read(dir)?.ok_or_else(|| ArchiveError::NoArchive { dir: dir.to_owned() })?;
        Ok(Archive { dir: dir.to_owned(), manifest: Arc::new(manifest) })
    }

    /// Fails unless it is of this log.
    pub fn check_log(&self, log: &LogId) -> Result<(), LogError> {
        let (found, wanted) = (self.manifest.log.clone(), log.0.to_string());
        match found == wanted {
            true => Ok(()),
            false => Err(ArchiveError::OtherLog { at: self.dir.clone(), found, wanted }.into()),
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it is an archive of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The log that it is of.
    pub fn log(&self) -> LogId {
        LogId(self.manifest.log.as_str().into())
    }

    /// How many partitions the log has.
    pub fn partitions(&self) -> u32 {
        self.manifest.begins.len() as u32
    }

    /// All files, as parts that can be read side by side, by partition and in offset order; and where each partition
    /// ends. `checks_keys`: the key of each event must be that of its entity.
    pub(crate) fn units(&self, checks_keys: bool) -> Result<(Vec<ScanUnit>, Positions), LogError> {
        look(|| self.all_units(checks_keys))
    }

    fn all_units(&self, checks_keys: bool) -> Result<(Vec<ScanUnit>, Positions), LogError> {
        let chains = chain::list(&self.dir, &self.manifest)?;
        let (mut units, mut ends) = (Vec::new(), Positions::default());
        for (partition, files) in (0..).zip(chains) {
            let mut next = self.manifest.begins[partition as usize];
            for link in files {
                chain::check(&self.dir, partition, next, &link)?;
                let file = ArchiveFile::open(link.path.into(), &self.manifest, checks_keys)?;
                next = file.about().next;
                if partition >= EventNumber::PARTITIONS || next >= EventNumber::OFFSETS {
                    return Err(ArchiveError::TooFar { dir: self.dir.clone(), partition, next }.into());
                }
                units.extend(ScanUnit::of_archive(partition, self.manifest.clone(), &file));
            }
            ends.0.insert(partition, next);
        }
        Ok((units, ends))
    }

    /// A reader of one partition.
    pub fn partition(&self, partition: u32, checks_keys: bool) -> PartitionReader {
        PartitionReader { archive: self.clone(), partition, checks_keys, chain: Vec::new(), open: None }
    }
}

/// Looks a second time where something is missing: of files that are added while a directory is listed, a later one may be
/// seen without an earlier one.
fn look<T>(mut at: impl FnMut() -> Result<T, LogError>) -> Result<T, LogError> {
    match at() {
        Err(LogError::Archive(ArchiveError::Gap { .. })) => at(),
        found => found,
    }
}

/// Reads one partition of an archive from any offset on.
pub struct PartitionReader {
    archive: Archive,
    partition: u32,
    checks_keys: bool,
    /// The files, as of the last look.
    chain: Vec<Link>,
    open: Option<Open>,
}

/// A file in the middle of which a reader stands.
struct Open {
    file: ArchiveFile,
    /// The row that comes next, and the offset from which on it is looked for.
    row: u64,
    next: u64,
}

impl PartitionReader {
    /// The directory of the archive.
    pub fn dir(&self) -> &Path {
        &self.archive.dir
    }

    /// The offset before which there is nothing in the archive.
    pub fn begin(&self) -> Result<u64, LogError> {
        self.archive.manifest.begin(&self.archive.dir, self.partition)
    }

    /// Where the archive ends at present.
    pub fn end(&mut self) -> Result<u64, LogError> {
        Ok(match chain::of_partition(&self.archive.dir, &self.archive.manifest, self.partition)?.pop() {
            Some(last) => self.open_file(&last)?.about().next,
            None => self.begin()?,
        })
    }

    /// Events from an offset on, of at most so many offsets and at least one. `None` where the archive ends.
    pub fn read(&mut self, from: u64, offsets_max: usize) -> Result<Option<RawBatch>, LogError> {
        let Some(Open { mut file, row, .. }) = look(|| self.open_at(from))? else { return Ok(None) };
        let end = from.saturating_add(offsets_max.max(1) as u64);
        let batch = match file.read(row, offsets_max.max(1))? {
            Some(batch) => batch.within(from, end),
            // What is left of the file's offsets has no events.
            None => RawBatch::nothing(self.partition, from..file.about().next.min(end), file.path().clone()),
        };
        self.open = Some(Open { file, row: row + batch.rows() as u64, next: batch.next_offset() });
        Ok(Some(batch))
    }

    /// Lets go of what it holds.
    pub fn rest(&mut self) {
        (self.chain, self.open) = (Vec::new(), None);
    }

    /// The file that has an offset, where that is to be read.
    fn open_at(&mut self, from: u64) -> Result<Option<Open>, LogError> {
        match self.open.take() {
            Some(open) if open.next == from && from < open.file.about().next => return Ok(Some(open)),
            _ => {}
        }
        if self.chain.last().is_none_or(|last| last.first < from) {
            // There may be files that were not there before.
            self.chain = chain::of_partition(&self.archive.dir, &self.archive.manifest, self.partition)?;
        }
        let after = self.chain.partition_point(|link| link.first <= from);
        let (end, found) = match after.checked_sub(1).map(|last| self.open_file(&self.chain[last])).transpose()? {
            Some(file) => (file.about().next, Some(file).filter(|file| from < file.about().next)),
            None => (self.begin()?, None),
        };
        let Some(mut file) = found else {
            let next = self.chain.get(after).cloned();
            // At a second look everything is looked at anew.
            self.chain.clear();
            return next.map_or(Ok(None), |next| {
                chain::check(&self.archive.dir, self.partition, end, &next).map(|()| None)
            });
        };
        Ok(Some(Open { row: file.rows_before(from)?, next: from, file }))
    }

    fn open_file(&self, link: &Link) -> Result<ArchiveFile, LogError> {
        ArchiveFile::open(link.path.as_path().into(), &self.archive.manifest, self.checks_keys)
    }
}
