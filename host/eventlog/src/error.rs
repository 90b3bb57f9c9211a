//! Why a log or a row file cannot be read or written.

use std::io;
use std::path::{Path, PathBuf};

use arrow_schema::{ArrowError, DataType};
use parquet::errors::ParquetError;
use trifold_model::FieldType;

use crate::archive::ArchiveError;
use crate::consumed::LogChange;

/// A problem with a whole log, segment or row file. What is wrong with one row is an [`crate::Aside`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A log that is no file cannot be read at present.
    #[error("the log {log} cannot be read: {detail}")]
    Unreachable {
        /// The log.
        log: String,
        /// What its client says.
        detail: String,
    },
    /// A log has deleted what has yet to be read.
    #[error(
        "the log {log} has deleted its records before offset {first}, and those from {from} on have yet to be read: \
         read them from an archive with `--archive`, or start anew with what is left, as another group"
    )]
    Deleted {
        /// The log.
        log: String,
        /// What was to be read.
        from: u64,
        /// The first offset that is still there.
        first: u64,
    },
    /// An archive is not as it must be.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// There is nothing at the path.
    #[error("there is nothing at {}: name a directory of *.parquet and *.jsonl files, or one such file", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// A directory that holds nothing to read.
    #[error("directory {} has no *.parquet or *.jsonl file: put at least one there", path.display())]
    NoSegments {
        /// The directory.
        path: PathBuf,
    },
    /// Something that is no Parquet or JSON-lines file by its name and kind.
    #[error("{} is {found}: a segment is a regular file named *.parquet or *.jsonl", path.display())]
    NotASegment {
        /// The path.
        path: PathBuf,
        /// What it is instead.
        found: &'static str,
    },
    /// A Parquet file of zero bytes.
    #[error(
        "{} has zero bytes: write a Parquet file under another name and rename it when it is complete",
        file.display()
    )]
    ZeroBytes {
        /// The file.
        file: PathBuf,
    },
    /// A Parquet file whose footer cannot be read.
    #[error(
        "{} is no complete Parquet file ({source}): write it again, under another name, and rename it when it \
         is complete",
        file.display()
    )]
    Footer {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: ParquetError,
    },
    /// A Parquet file whose footer is right and whose rows are not.
    #[error("{} is damaged at row {row} or soon after ({detail}): restore the file from its source", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The row in the file where reading failed.
        row: u64,
        /// What is wrong there.
        detail: String,
    },
    /// A segment whose rows have been counted is another one now.
    #[error(
        "{} had {was} bytes when its rows were counted and has {is} now: put the old file back; events are \
         only added in new segments, or at the end of the last one if it is *.jsonl",
        file.display()
    )]
    Changed {
        /// The file.
        file: PathBuf,
        /// Its size when it was counted.
        was: u64,
        /// Its size now.
        is: u64,
    },
    /// A segment whose rows have been counted is gone.
    #[error("segment {} is gone, and with it the offsets of all that follow: put it back", file.display())]
    Gone {
        /// The file.
        file: PathBuf,
    },
    /// A new segment that would shift the offsets of events already counted.
    #[error(
        "new segment {} sorts before {}, which is known already: give it a name that sorts after it",
        file.display(), last.display()
    )]
    OutOfOrder {
        /// The new file.
        file: PathBuf,
        /// The last segment known.
        last: PathBuf,
    },
    /// The files that were read before a position are not what they were.
    #[error("log {log}: {change}")]
    Consumed {
        /// The log.
        log: String,
        /// What changed.
        change: LogChange,
    },
    /// A position that the log does not reach.
    #[error(
        "offset {offset} lies beyond the {rows} rows of {}: this is not the log that the position came from, \
         or it has lost events",
        path.display()
    )]
    Beyond {
        /// The log.
        path: PathBuf,
        /// The offset asked for.
        offset: u64,
        /// The rows that there are.
        rows: u64,
    },
    /// A column that is needed and not there.
    #[error(
        "{} has no column {column}, which {field} ({ty}) needs; it has {}",
        file.display(), columns.join(", ")
    )]
    MissingColumn {
        /// The file.
        file: PathBuf,
        /// The column.
        column: String,
        /// What needs it: an input, or one of the source's own fields.
        field: String,
        /// The type that it must have, or be convertible to.
        ty: FieldType,
        /// The columns that the file has.
        columns: Vec<String>,
    },
    /// A column that is there and was not read.
    #[error(
        "column {column} of {}, which {field} needs, was not read: add it to the columns that the log is \
         opened with",
        file.display()
    )]
    UnreadColumn {
        /// The file.
        file: PathBuf,
        /// The column.
        column: String,
        /// What needs it.
        field: String,
    },
    /// Two columns of one name.
    #[error("{} has more than one column {column}: rename all but one", file.display())]
    AmbiguousColumn {
        /// The file.
        file: PathBuf,
        /// The column.
        column: String,
    },
    /// A column whose type has no conversion.
    #[error(
        "column {column} of {} has type {found}, which cannot become {wanted} for {field}: write the column \
         in a type that converts, or declare the input in another",
        file.display()
    )]
    ColumnType {
        /// The file.
        file: PathBuf,
        /// The column.
        column: String,
        /// What needs it.
        field: String,
        /// The type in the file.
        found: DataType,
        /// The type needed.
        wanted: FieldType,
    },
    /// Arrow refused to convert a column, most often because one batch of it holds more than 2 GiB.
    #[error("column {column} of {} cannot be converted: {source}; read fewer rows at once", file.display())]
    Column {
        /// The file.
        file: PathBuf,
        /// The column.
        column: String,
        /// What Arrow said.
        source: ArrowError,
    },
    /// A row file cannot hold a column of this type.
    #[error("column {column} of {} has type {ty}, which JSON-lines row files do not have", file.display())]
    RowType {
        /// The row file.
        file: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        ty: DataType,
    },
    /// Rows whose schema is not that of their row file.
    #[error("the rows of {} have another schema than was asked for: {detail}", file.display())]
    RowSchema {
        /// The row file.
        file: PathBuf,
        /// The difference.
        detail: String,
    },
    /// A JSON-lines row file, which says nothing of types, was to be read without a schema.
    #[error("{} is JSON lines, which can only be read with the schema that they were written with", file.display())]
    NoSchema {
        /// The row file.
        file: PathBuf,
    },
    /// A line of a row file that its writer cannot have written.
    #[error("line {line} of {}: {detail}; write the file again", file.display())]
    RowLine {
        /// The row file.
        file: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// Rows could not be written or read as Parquet.
    #[error("row file {}: {source}", file.display())]
    RowFile {
        /// The row file.
        file: PathBuf,
        /// What the Parquet library said.
        source: ParquetError,
    },
}

impl LogError {
    /// Gives an I/O error its place.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
        move |source| match source.kind() {
            io::ErrorKind::NotFound => LogError::NotFound { path: path.to_owned() },
            _ => LogError::Io { action, path: path.to_owned(), source },
        }
    }
}
