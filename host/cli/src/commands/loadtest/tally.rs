//! What became of the requests of a load, in memory that does not grow with them.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use trifold_pipeline::Outcome as Row;
use trifold_server::client::{Answer, ClientError};

use crate::exit::{Exit, OrExit, Outcome};

/// The longest time that is told apart from longer ones, in microseconds.
const LONGEST_US: u64 = 3_600_000_000;

/// The most parts that the load's time is divided into.
const PARTS_MAX: u32 = 100;

/// The lengths of such a part, in milliseconds.
const PART_MS: [u64; 12] =
    [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 3_600_000];

/// The code of what was given up after the timeout.
pub(super) const TIMED_OUT: &str = "DEADLINE_EXCEEDED";

/// The code of a server that is not reached.
const UNAVAILABLE: &str = "UNAVAILABLE";

/// How a request ended.
pub(super) enum End {
    /// It was answered, or refused.
    Came(Result<Answer, ClientError>),
    /// It was given up after the timeout.
    TimedOut,
    /// It was given up because the load was interrupted.
    Unfinished,
}

/// What became of the requests. Times are counted from the beginning of the load.
pub(super) struct Tally {
    /// The part of the load that is not measured.
    warmup: Duration,
    /// Requests of that part that left.
    pub(super) warmup_requests: u64,
    /// Requests that left.
    pub(super) sent: u64,
    /// Requests that found too many on their way.
    pub(super) not_sent: u64,
    /// Requests with an answer.
    pub(super) answered: u64,
    /// Requests that were given up because the load was interrupted.
    pub(super) unfinished: u64,
    /// Failed requests by code.
    pub(super) failed: BTreeMap<&'static str, Failed>,
    /// Rows of answers by view and status.
    pub(super) rows: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// Microseconds from a request's time to its end.
    pub(super) latency: Histogram<u64>,
    /// Microseconds from a request's time to its leaving, or not.
    pub(super) lag: Histogram<u64>,
    /// When the last request left.
    pub(super) last_due: Duration,
    /// When the last answer came.
    pub(super) last_answer: Option<Duration>,
    /// How many requests found no server since.
    pub(super) without_server: u64,
    /// The latencies, by when the request was due.
    pub(super) parts: Vec<Histogram<u64>>,
    /// The length of each.
    pub(super) part: Duration,
    empty_part: Histogram<u64>,
}

/// Requests that failed alike.
#[derive(Default)]
pub(super) struct Failed {
    pub(super) count: u64,
    /// What the first of them said.
    pub(super) message: String,
}

/// Microseconds, to so many decimal digits.
fn histogram(digits: u8) -> Outcome<Histogram<u64>> {
    Histogram::new_with_bounds(1, LONGEST_US, digits).or_exit(Exit::Internal)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).map_or(LONGEST_US, |micros| micros.min(LONGEST_US))
}

impl Tally {
    /// Of a load that is measured for about so long after the warm-up.
    pub(super) fn new(warmup: Duration, measured: Duration) -> Outcome<Self> {
        let fits = |part: &Duration| *part * PARTS_MAX >= measured;
        let part = PART_MS.into_iter().map(Duration::from_millis).find(fits);
        Ok(Tally {
            warmup,
            warmup_requests: 0,
            sent: 0,
            not_sent: 0,
            answered: 0,
            unfinished: 0,
            failed: BTreeMap::new(),
            rows: BTreeMap::new(),
            latency: histogram(3)?,
            lag: histogram(3)?,
            last_due: Duration::ZERO,
            last_answer: None,
            without_server: 0,
            parts: Vec::new(),
            part: part.unwrap_or(Duration::from_millis(PART_MS[PART_MS.len() - 1])),
            empty_part: histogram(2)?,
        })
    }

    fn is_measured(&self, due: Duration) -> bool {
        due >= self.warmup
    }

    /// A request leaves.
    pub(super) fn leaves(&mut self, due: Duration, now: Duration) {
        if !self.is_measured(due) {
            self.warmup_requests += 1;
            return;
        }
        self.sent += 1;
        self.last_due = now;
    }

    /// A request that left is sent: the runtime may have come to it late.
    pub(super) fn begins(&mut self, due: Duration, now: Duration) {
        if self.is_measured(due) {
            self.lag.saturating_record(micros(now.saturating_sub(due)));
        }
    }

    /// A request does not leave, since too many are on their way.
    pub(super) fn stays(&mut self, due: Duration, now: Duration) {
        if self.is_measured(due) {
            self.not_sent += 1;
            self.last_due = now;
            self.lag.saturating_record(micros(now.saturating_sub(due)));
        }
    }

    /// A request that left ends.
    pub(super) fn ends(&mut self, due: Duration, now: Duration, end: &End) {
        if !self.is_measured(due) {
            return;
        }
        let latency = micros(now.saturating_sub(due));
        match end {
            End::Came(Ok(answer)) => {
                self.answered += 1;
                self.last_answer = Some(now);
                self.without_server = 0;
                self.count_rows(answer);
                self.took(due, latency);
            }
            End::Came(Err(error)) => {
                let code = error.code_name().unwrap_or("MALFORMED");
                self.without_server += u64::from(code == UNAVAILABLE);
                self.fails(code, || error.to_string());
                // Whoever's deadline it was, the answer would have taken longer.
                if code == TIMED_OUT {
                    self.took(due, latency);
                }
            }
            End::TimedOut => {
                self.fails(TIMED_OUT, || "given up after the timeout".to_owned());
                self.took(due, latency);
            }
            End::Unfinished => {
                self.unfinished += 1;
                self.took(due, latency);
            }
        }
    }

    fn fails(&mut self, code: &'static str, message: impl FnOnce() -> String) {
        let failed = self.failed.entry(code).or_insert_with(|| Failed { count: 0, message: message() });
        failed.count += 1;
    }

    fn took(&mut self, due: Duration, latency: u64) {
        self.latency.saturating_record(latency);
        let place = (due - self.warmup).as_nanos() / self.part.as_nanos();
        // Poisson arrivals may take longer than was reckoned with.
        let place = usize::try_from(place).map_or(usize::MAX, |place| place).min(2 * PARTS_MAX as usize);
        while self.parts.len() <= place {
            self.parts.push(self.empty_part.clone());
        }
        self.parts[place].saturating_record(latency);
    }

    fn count_rows(&mut self, answer: &Answer) {
        for view in &answer.views {
            if !self.rows.contains_key(&view.view) {
                self.rows.insert(view.view.clone(), BTreeMap::new());
            }
            let Some(statuses) = self.rows.get_mut(&view.view) else { continue };
            for outcome in view.rows.outcomes() {
                *statuses.entry(status(outcome)).or_default() += 1;
            }
        }
    }

    /// How many failed, whatever by.
    pub(super) fn failures(&self) -> u64 {
        self.failed.values().map(|failed| failed.count).sum()
    }
}

fn status(outcome: &Row) -> &'static str {
    match outcome {
        Row::Known(status) => status.name(),
        Row::Unavailable(_) => "unavailable",
    }
}
