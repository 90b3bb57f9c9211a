//! The status of a value, which is part of the value, and the codes of row errors.

use std::fmt;

/// The code of a row error. Guests use [`ErrorCode::GUEST_MIN`] to [`ErrorCode::GUEST_MAX`]; the codes above are
/// the host's verdicts on a one-row call in a fresh instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub u16);

impl ErrorCode {
    /// The smallest code that a guest may return.
    pub const GUEST_MIN: u16 = 1;
    /// The largest code that a guest may return.
    pub const GUEST_MAX: u16 = 0xFEFF;
    /// The guest trapped, most often by a panic.
    pub const TRAP: ErrorCode = ErrorCode(0xFF00);
    /// The row needed more fuel than the version's limit.
    pub const FUEL: ErrorCode = ErrorCode(0xFF01);
    /// The row needed more memory than the version's limit.
    pub const MEMORY: ErrorCode = ErrorCode(0xFF02);
    /// The guest reported that the whole call failed.
    pub const FAILURE: ErrorCode = ErrorCode(0xFF03);
    /// The guest's answer broke the contract: row count, layout, UTF-8 or offsets.
    pub const ANSWER: ErrorCode = ErrorCode(0xFF04);

    /// Whether a guest may return this code.
    pub fn is_guest(self) -> bool {
        (Self::GUEST_MIN..=Self::GUEST_MAX).contains(&self.0)
    }

    /// What a host code means; `None` for the codes of guests.
    pub fn host_meaning(self) -> Option<&'static str> {
        match self {
            Self::TRAP => Some("trap"),
            Self::FUEL => Some("fuel limit"),
            Self::MEMORY => Some("memory limit"),
            Self::FAILURE => Some("failure"),
            Self::ANSWER => Some("invalid answer"),
            _ => None,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_meaning() {
            Some(meaning) => write!(f, "{} ({meaning})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The status of a row of features: the first byte of its canonical bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowStatus {
    /// The transform's answer.
    Value,
    /// No event counts.
    Empty,
    /// The latest event is older than the view's time to live.
    Expired,
    /// A deterministic error of this row.
    Error(ErrorCode),
}

impl RowStatus {
    /// The status byte.
    pub fn byte(self) -> u8 {
        match self {
            RowStatus::Value => 0,
            RowStatus::Empty => 1,
            RowStatus::Expired => 2,
            RowStatus::Error(_) => 3,
        }
    }

    /// Whether the canonical bytes go on with the columns.
    pub fn has_columns(self) -> bool {
        matches!(self, RowStatus::Value | RowStatus::Empty)
    }

    /// The word that files and answers use.
    pub fn name(self) -> &'static str {
        match self {
            RowStatus::Value => "value",
            RowStatus::Empty => "empty",
            RowStatus::Expired => "expired",
            RowStatus::Error(_) => "error",
        }
    }

    /// The status that a row's canonical bytes begin with; `None` where they begin with none.
    pub fn of_canonical(bytes: &[u8]) -> Option<RowStatus> {
        match bytes {
            [0, ..] => Some(RowStatus::Value),
            [1, ..] => Some(RowStatus::Empty),
            [2] => Some(RowStatus::Expired),
            [3, low, high] => Some(RowStatus::Error(ErrorCode(u16::from_le_bytes([*low, *high])))),
            _ => None,
        }
    }

    /// The status of a name and, for errors, a code.
    pub fn from_parts(name: &str, code: Option<u16>) -> Option<RowStatus> {
        match (name, code) {
            ("value", None) => Some(RowStatus::Value),
            ("empty", None) => Some(RowStatus::Empty),
            ("expired", None) => Some(RowStatus::Expired),
            ("error", Some(code)) => Some(RowStatus::Error(ErrorCode(code))),
            _ => None,
        }
    }
}
