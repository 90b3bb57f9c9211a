//! Until when an answer is wanted, and whether it still is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tonic::codegen::http::HeaderMap;
use trifold_sandbox::Budget;

use crate::limits::Rejection;
use crate::load::Load;

/// The header by which a caller says how long it waits, in gRPC's words: up to eight digits and a unit, as in `250m` for
/// 250 milliseconds. It means the same over HTTP.
const TIMEOUT: &str = "grpc-timeout";

/// What is left of the time to say that it is over. The transport gives up by itself when the time is over, with a status
/// of its own.
const MARGIN: Duration = Duration::from_millis(2);

/// How long the caller of a request waits, if it says so. What is no time is passed over, as gRPC has it.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| is_number)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// When the time of somebody who waits so long from a moment on is over, early enough to be told.
pub(crate) fn after(begun: Instant, timeout: Duration) -> Instant {
    begun + timeout.saturating_sub(MARGIN)
}

/// Somebody who waits for an answer. Whoever computes it is told when this is dropped.
#[derive(Debug)]
pub(crate) struct Waits {
    gone: Arc<AtomicBool>,
    deadline: Option<Instant>,
    /// Dropped with this, which those notice who listen.
    leaves: Option<oneshot::Sender<()>>,
}

impl Waits {
    pub(crate) fn until(deadline: Option<Instant>) -> Self {
        Waits { gone: Arc::default(), deadline, leaves: None }
    }

    /// Completes when this is dropped, for what waits for a store meanwhile.
    pub(crate) fn left(&mut self) -> impl Future<Output = ()> + use<> {
        let (leaves, left) = oneshot::channel();
        self.leaves = Some(leaves);
        async {
            let _ = left.await;
        }
    }

    /// What computes for it asks this between calls of guests.
    pub(crate) fn is_wanted(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let (gone, deadline) = (self.gone.clone(), self.deadline);
        move || !gone.load(Ordering::Relaxed) && deadline.is_none_or(|deadline| Instant::now() < deadline)
    }

    /// Waits for an answer until the deadline.
    pub(crate) async fn wait_for<T>(&self, answer: impl Future<Output = T>) -> Result<T, Rejection> {
        match self.deadline {
            None => Ok(answer.await),
            Some(deadline) => {
                tokio::time::timeout_at(deadline.into(), answer).await.map_err(|_| Rejection::Deadline)
            }
        }
    }

    /// Why an answer was not wanted any more.
    pub(crate) fn why(deadline: Option<Instant>) -> Rejection {
        match deadline {
            Some(deadline) if Instant::now() >= deadline => Rejection::Deadline,
            _ => Rejection::Cancelled,
        }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

/// The budget of a request, of which it is told what was burnt, however the request ends.
pub(crate) struct Spending {
    pub(crate) budget: Budget,
    load: Load,
}

impl Spending {
    pub(crate) fn new(budget: Budget, load: Load) -> Self {
        Spending { budget, load }
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        self.load.burnt(self.budget.spent());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Duration>) {
        let mut headers = HeaderMap::new();
        headers.insert(TIMEOUT, text.parse().unwrap());
        assert_eq!(timeout(&headers), expected, "{text}");
    }

    #[test]
    fn a_timeout_is_read_as_grpc_writes_it() {
        check("1H", Some(Duration::from_secs(3600)));
        check("2M", Some(Duration::from_secs(120)));
        check("99999999S", Some(Duration::from_secs(99_999_999)));
        check("250m", Some(Duration::from_millis(250)));
        check("7u", Some(Duration::from_micros(7)));
        check("0n", Some(Duration::ZERO));
        for wrong in ["", "m", "1", "-1m", "+1m", "1.5m", "1h", "123456789m", "1 m", "m1"] {
            check(wrong, None);
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }

    #[test]
    fn an_answer_is_wanted_until_somebody_leaves_or_the_time_is_over() {
        let waits = Waits::until(None);
        let budget = Budget::unlimited().while_wanted(waits.is_wanted());
        assert!(budget.is_wanted());
        drop(waits);
        assert!(!budget.is_wanted());
        let over = Waits::until(Some(Instant::now()));
        assert!(!Budget::unlimited().while_wanted(over.is_wanted()).is_wanted());
    }
}
