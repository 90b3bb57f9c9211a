//! Rows that count for nothing, and why.

use std::fmt;

/// Why an event was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AsideReason {
    /// A field of the entity key is null.
    NullKey,
    /// A required input, or the event id, is null.
    NullInput,
    /// The log has it under another key than its entity's, so that it may stand in another partition.
    OtherKey,
    /// The row or one of its values cannot be read without loss.
    Decode,
    /// The event time is null.
    NullTime,
    /// It arrived later than the view allows.
    Late,
    /// Its time lies further ahead of its arrival than the view allows.
    Early,
    /// It differs from an event of the same entity, time and id that came first.
    Conflict,
    /// It is larger than any store holds.
    TooLarge,
    /// The transform refused to prepare it.
    Refused,
}

impl AsideReason {
    /// Every reason.
    pub const ALL: [AsideReason; 10] = [
        AsideReason::NullKey,
        AsideReason::OtherKey,
        AsideReason::NullInput,
        AsideReason::Decode,
        AsideReason::NullTime,
        AsideReason::Late,
        AsideReason::Early,
        AsideReason::Conflict,
        AsideReason::TooLarge,
        AsideReason::Refused,
    ];

    /// The word for reports, files and counters.
    pub fn name(self) -> &'static str {
        match self {
            AsideReason::NullKey => "null-key",
            AsideReason::OtherKey => "other-key",
            AsideReason::NullInput => "null-input",
            AsideReason::Decode => "decode",
            AsideReason::NullTime => "null-time",
            AsideReason::Late => "late",
            AsideReason::Early => "early",
            AsideReason::Conflict => "conflict",
            AsideReason::TooLarge => "too-large",
            AsideReason::Refused => "refused",
        }
    }
}

impl fmt::Display for AsideReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One event that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// The partition of the log.
    pub partition: u32,
    /// The offset in the partition.
    pub offset: u64,
    /// Why.
    pub reason: AsideReason,
    /// The field and what is wrong with it.
    pub detail: String,
    /// The row as JSON: the columns that were read, in the file's order. A line that is no JSON object is a JSON
    /// string holding the line.
    pub event: String,
}
