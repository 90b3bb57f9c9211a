//! Times and spans, in microseconds. Nobody below the runners reads a clock: every time is an argument.

use std::fmt;

/// When an event happened: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventTime(pub i64);

/// When the first log received an event: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArrivalTime(pub i64);

/// A length of time in microseconds, never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span(u64);

impl Span {
    /// A span of whole seconds, or `None` when its microseconds do not fit an `i64`.
    pub fn from_seconds(seconds: u64) -> Option<Span> {
        seconds.checked_mul(1_000_000).filter(|micros| i64::try_from(*micros).is_ok()).map(Span)
    }

    /// The span in microseconds.
    pub fn micros(self) -> i64 {
        // The constructor admits nothing that does not fit.
        self.0 as i64
    }

    /// Both spans one after the other, or the longest span there is.
    pub fn saturating_add(self, other: Span) -> Span {
        Span((self.0 + other.0).min(i64::MAX as u64))
    }
}

impl EventTime {
    /// The time from `earlier` to `self`; negative when `earlier` is the later one. Saturates.
    pub fn micros_since(self, earlier: EventTime) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The latest multiple of a span that is not after this time; times before 1970 are aligned downwards too. Saturates.
    ///
    /// # Panics
    ///
    /// If the span is empty.
    pub fn align_down(self, span: Span) -> EventTime {
        let micros = span.micros();
        EventTime(self.0.div_euclid(micros).saturating_mul(micros))
    }
}

impl ArrivalTime {
    /// How long after `event` happened it arrived; negative when it arrived before. Saturates.
    pub fn micros_after(self, event: EventTime) -> i64 {
        self.0.saturating_sub(event.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000_000;
        match seconds {
            s if s % 86_400 == 0 && s > 0 => write!(f, "{}d", s / 86_400),
            s if s % 3_600 == 0 && s > 0 => write!(f, "{}h", s / 3_600),
            s if s % 60 == 0 && s > 0 => write!(f, "{}m", s / 60),
            s => write!(f, "{s}s"),
        }
    }
}
