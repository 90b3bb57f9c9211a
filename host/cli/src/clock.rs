//! The clock, read here and nowhere below.

use std::time::{SystemTime, UNIX_EPOCH};

use trifold_model::EventTime;

/// Now, in microseconds since 1970-01-01T00:00:00Z.
#[expect(clippy::disallowed_methods, reason = "the command is where time enters")]
pub fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
