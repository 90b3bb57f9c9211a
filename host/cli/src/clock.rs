//! The clock, read here and nowhere below.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use trifold_model::EventTime;
use trifold_store::Stopwatch;

/// How much time has passed since now.
pub fn stopwatch() -> Stopwatch {
    let begun = Instant::now();
    Arc::new(move || begun.elapsed())
}

/// Now, in microseconds since 1970-01-01T00:00:00Z.
#[expect(clippy::disallowed_methods, reason = "the command is where time enters")]
pub fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
