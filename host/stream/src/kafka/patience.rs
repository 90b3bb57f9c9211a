//! What is done about a cluster that is gone: it is tried again, later and later.

use std::time::{Duration, Instant};

use crate::driver::Until;
use crate::kafka::error::ClusterError;

/// After so long without a failure, the next one is news.
const CALM: Duration = Duration::from_secs(60);
/// The longest wait between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Whoever does not follow a topic gives up after so many failures.
const FAILURES_MAX: u32 = 8;

/// What a run remembers of its failures.
pub(crate) struct Patience {
    /// How long the first wait is.
    interval: Duration,
    until: Until,
    /// Whether the cluster was ever reached. If not, whoever started the run made a mistake.
    reached: bool,
    failed: Option<Instant>,
    failures: u32,
    /// What is wrong with the cluster at present.
    standing: Option<String>,
}

/// What comes before the next try.
pub(crate) struct Pause {
    /// How long it is.
    pub(crate) wait: Duration,
    /// What went wrong, unless that was told already.
    pub(crate) news: Option<String>,
}

impl Patience {
    /// With a run that has not begun.
    pub(crate) fn new(interval: Duration, until: Until) -> Self {
        Patience { interval, until, reached: false, failed: None, failures: 0, standing: None }
    }

    /// All went well.
    pub(crate) fn went_well(&mut self) {
        self.reached = true;
        if self.failed.is_none_or(|failed| failed.elapsed() > CALM) {
            (self.standing, self.failures) = (None, 0);
        }
    }

    /// Something went wrong, which fails the run unless it may pass.
    pub(crate) fn bears(&mut self, error: ClusterError) -> Result<Pause, ClusterError> {
        let goes_on = self.until == Until::Follow || self.failures < FAILURES_MAX;
        if !(self.reached && error.may_pass() && goes_on) {
            return Err(error);
        }
        let wait = (self.interval * 2_u32.pow(self.failures.min(5))).min(PAUSE_MAX);
        self.failures += 1;
        self.failed = Some(Instant::now());
        let text = error.to_string();
        let told = self.standing.replace(text.clone());
        Ok(Pause { wait, news: Some(text).filter(|text| told.as_ref() != Some(text)) })
    }
}
