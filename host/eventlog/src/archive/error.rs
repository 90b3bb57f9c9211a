//! What is wrong with an archive.

use std::path::PathBuf;

/// Why an archive cannot be read or continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A directory that is no archive.
    #[error("{} is no archive: it has no _archive.json, which `trifold archive` makes", dir.display())]
    NoArchive {
        /// The directory.
        dir: PathBuf,
    },
    /// An archive is given where files of events are wanted.
    #[error(
        "{} is an archive of the topic {log}: `trifold stream` reads it with `--topic` and `--archive`, and `trifold backfill \
         --materialize` loads it", dir.display()
    )]
    NotALog {
        /// The directory.
        dir: PathBuf,
        /// The log that it is an archive of.
        log: String,
    },
    /// What an archive is of cannot be read.
    #[error("{} is damaged ({detail}): restore it, or archive into another directory", file.display())]
    Manifest {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// An archive, or a file in it, is of another log.
    #[error("{} is of the log {found} and not of {wanted}: name another directory", at.display())]
    OtherLog {
        /// The directory or file.
        at: PathBuf,
        /// The log that it is of.
        found: String,
        /// The log that was wanted.
        wanted: String,
    },
    /// An archive, or a file in it, has its arrivals from elsewhere.
    #[error(
        "{} has arrivals from {found} and not from {wanted}: name with `--arrival` what the archive was begun with, or \
         archive into another directory", at.display()
    )]
    OtherArrival {
        /// The directory or file.
        at: PathBuf,
        /// Where its arrivals are from.
        found: String,
        /// Where they should be from.
        wanted: String,
    },
    /// The topic does not have the partitions that it had.
    #[error(
        "the archive {} was begun with {found} partitions and the topic has {wanted}: archive into another directory",
        dir.display()
    )]
    OtherPartitions {
        /// The directory.
        dir: PathBuf,
        /// How many partitions the archive has.
        found: usize,
        /// How many the topic has.
        wanted: usize,
    },
    /// Something that no archiver put there.
    #[error("{} is no part of an archive: move it elsewhere", path.display())]
    Foreign {
        /// The file or directory.
        path: PathBuf,
    },
    /// A file that is not what its name says, or lacks what every file of an archive has.
    #[error("{} is no file of an archive: {detail}: restore it from a copy", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Some events are not in the archive, though later ones are.
    #[error(
        "the archive {} has a gap in partition {partition}: offsets from {from} up to {to} are missing; restore their \
         files from a copy", dir.display()
    )]
    Gap {
        /// The directory.
        dir: PathBuf,
        /// The partition.
        partition: u32,
        /// The first offset that is missing.
        from: u64,
        /// The offset that is there again.
        to: u64,
    },
    /// Events have been deleted before they were archived.
    #[error(
        "the archive {} ends at offset {end} of partition {partition}, and the log {log} has deleted its records before \
         offset {first}: those between are lost to the archive; archive what is left into another directory",
        dir.display()
    )]
    Overtaken {
        /// The directory.
        dir: PathBuf,
        /// The log.
        log: String,
        /// The partition.
        partition: u32,
        /// Where the archive ends.
        end: u64,
        /// The first offset that the log has.
        first: u64,
    },
    /// What a log has deleted is not all in its archive.
    #[error(
        "the archive {} ends at offset {end} of partition {partition}, and the log {log} has deleted its records before \
         offset {first}: those between are in neither; start anew with what is left, without `--archive` and as another \
         group", dir.display()
    )]
    Short {
        /// The directory.
        dir: PathBuf,
        /// The log.
        log: String,
        /// The partition.
        partition: u32,
        /// Where the archive ends.
        end: u64,
        /// The first offset that the log has.
        first: u64,
    },
    /// The log is not the one that was archived, though it has its name.
    #[error(
        "the log {log} is not the one in the archive {}: partition {partition}: {detail}; the topic was deleted and made \
         again: archive it into another directory", dir.display()
    )]
    OtherTopic {
        /// The directory.
        dir: PathBuf,
        /// The log.
        log: String,
        /// The partition.
        partition: u32,
        /// How that shows.
        detail: String,
    },
    /// Places so far on that they have no number.
    #[error("the archive {}, partition {partition}, reaches to offset {next}: that is too far to be read", dir.display())]
    TooFar {
        /// The directory.
        dir: PathBuf,
        /// The partition.
        partition: u32,
        /// The offset.
        next: u64,
    },
}
