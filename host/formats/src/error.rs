//! What can go wrong: with the settings, with a value, with the registry.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why no decoder can be made from its settings.
#[derive(Debug, Error)]
pub enum FormatError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of a schema has none that could be used.
    #[error("{} is no schema that can be used: {problem}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The reader's schema cannot read what the writer's schema writes.
    #[error("{} cannot read what {} writes: {problem}", reader.display(), writer.display())]
    Unreadable {
        /// The file of the reader's schema.
        reader: PathBuf,
        /// The file of the writer's.
        writer: PathBuf,
        /// The first part that does not fit.
        problem: String,
    },
    /// The address of the registry cannot be used.
    #[error("{url} is no address of a schema registry: {problem}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There are no certificates to trust.
    #[error("no certificates to trust in {place}: {problem}")]
    Certificates {
        /// Where they were looked for.
        place: String,
        /// What is wrong.
        problem: String,
    },
}

/// Why a value was not decoded.
#[derive(Debug, Error)]
pub enum ValueError {
    /// The value is to blame, and no other. It will be so whenever it is tried, unless a registry comes to have the
    /// schema that it did not have.
    #[error("{}{reason}", beginning(field, reason))]
    Undecodable {
        /// The path of the field, as `a.b[3]`; empty where it is about the whole value.
        field: String,
        /// What is wrong.
        reason: Reason,
    },
    /// The registry could not be asked. Nothing is known of the value: wait, and try the same value again.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl ValueError {
    /// Whether the same value may be decoded later.
    pub fn is_transient(&self) -> bool {
        matches!(self, ValueError::Registry(_))
    }
}

/// Who it is that something is said of.
fn beginning(field: &str, reason: &Reason) -> String {
    match reason {
        Reason::MessageIndexes(_) | Reason::UnknownSchema { .. } | Reason::Schema { .. } | Reason::Protobuf(_) => {
            String::new()
        }
        _ if field.is_empty() => "the value ".to_owned(),
        _ => format!("field {field}: "),
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// It does not begin as values with a schema's id do.
    #[error("begins with the byte {found:#04x} and not with 0x00, which announces the id of a schema")]
    MagicByte {
        /// The first byte.
        found: u8,
    },
    /// It is too short for the id of a schema.
    #[error("has {bytes} bytes, which is too short for the id of a schema")]
    ShortHeader {
        /// The bytes that are there.
        bytes: usize,
    },
    /// The list that says which message of a file it is does not.
    #[error("the list of message indexes {0}")]
    MessageIndexes(String),
    /// The registry says that it has no such schema.
    #[error("the registry has no schema {id}: {answer}")]
    UnknownSchema {
        /// The id.
        id: u32,
        /// What it answered.
        answer: String,
    },
    /// The schema cannot be used.
    #[error("schema {id} cannot be used: {problem}")]
    Schema {
        /// The id.
        id: u32,
        /// Why not.
        problem: String,
    },
    /// It is another message than expected.
    #[error("is a message {found}, not {expected}")]
    OtherMessage {
        /// What it is.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// It ends too early, or says that something in it is longer than it is.
    #[error("ends in the middle")]
    Truncated,
    /// It goes on after its end.
    #[error("has {bytes} bytes more than its schema describes")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
    /// A number of variable length does not end, or is beyond its type.
    #[error("has a number that is too large for its type")]
    Number,
    /// A length is below zero.
    #[error("has a length of {0}")]
    Length(i64),
    /// A text is not UTF-8.
    #[error("is not UTF-8")]
    Utf8,
    /// A bool is neither 0 nor 1.
    #[error("is no bool but the byte {0:#04x}")]
    Bool(u8),
    /// A union or an enum has no such member.
    #[error("is number {index} of {count}")]
    Member {
        /// The number given.
        index: i64,
        /// How many there are.
        count: usize,
    },
    /// The reader's schema has no place for it.
    #[error("does not fit the reader's schema: {0}")]
    Unreadable(String),
    /// Bytes that are no UUID.
    #[error("has {0} bytes, and a UUID has 16")]
    Uuid(usize),
    /// A decimal number is longer than any that is used.
    #[error("is a decimal number of {0} bytes, more than {most}", most = crate::limits::DECIMAL_BYTES_MAX)]
    Decimal(usize),
    /// A `google.protobuf.Timestamp` outside what that type allows.
    #[error("is no timestamp: {seconds} seconds and {nanos} nanoseconds")]
    Timestamp {
        /// Its seconds.
        seconds: i64,
        /// Its nanoseconds.
        nanos: i32,
    },
    /// It is nested too deeply.
    #[error("is nested more than {most} levels deep", most = crate::limits::DEPTH_MAX)]
    TooDeep,
    /// It becomes more text than a line of an event file may have.
    #[error("becomes more than {most} bytes of JSON", most = crate::limits::TEXT_BYTES_MAX)]
    TooLarge,
    /// It has more parts than would fit into its text.
    #[error("has more than {most} parts", most = crate::limits::STEPS_MAX)]
    TooMany,
    /// It is neither a record nor a map, so that no field could be read from it.
    #[error("is no record")]
    NoRecord,
    /// What the Protobuf library says.
    #[error("{0}")]
    Protobuf(String),
}

/// Why the registry could not be asked. All of it may pass, with time or with other settings.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// It cannot be reached, or the connection broke.
    #[error("the schema registry cannot be reached: {url}: {problem}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What happened.
        problem: String,
    },
    /// It took too long.
    #[error("the schema registry has not answered {url} within {within:?}")]
    Timeout {
        /// What was asked for.
        url: String,
        /// The time that it had.
        within: Duration,
    },
    /// It refuses to answer.
    #[error("the schema registry answered {status} to {url}: {answer}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        answer: String,
    },
    /// What it answered is no answer of a schema registry.
    #[error("the answer to {url} is none of a schema registry: {problem}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong.
        problem: String,
    },
}

/// A value that is to blame, while the path to what is wrong in it is put together from the inside out.
#[derive(Debug)]
pub(crate) struct Bad {
    field: String,
    reason: Reason,
}

impl Bad {
    /// Says in which field of the record it is.
    pub(crate) fn in_field(mut self, name: &str) -> Bad {
        let dot = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("{name}{dot}{}", self.field);
        self
    }

    /// Says which item of the list it is.
    pub(crate) fn in_item(mut self, index: impl std::fmt::Display) -> Bad {
        let dot = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("[{index}]{dot}{}", self.field);
        self
    }
}

impl From<Reason> for Bad {
    fn from(reason: Reason) -> Bad {
        Bad { field: String::new(), reason }
    }
}

impl From<Bad> for ValueError {
    fn from(Bad { field, reason }: Bad) -> ValueError {
        ValueError::Undecodable { field, reason }
    }
}

impl From<Reason> for ValueError {
    fn from(reason: Reason) -> ValueError {
        Bad::from(reason).into()
    }
}
