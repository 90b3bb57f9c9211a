//! How often a caller may ask: a bucket of tokens for each.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::limits::Rejection;

/// The callers that have a bucket of their own. Names are whatever callers say, so whoever invents them must not make this
/// grow: those beyond share one bucket.
const CALLERS_MAX: usize = 10_000;

/// The bytes of a caller's name that count.
const NAME_BYTES: usize = 128;

/// The buckets of all callers.
#[derive(Debug)]
pub(crate) struct Rates {
    rate: u32,
    /// How long a token takes to come back.
    token: Duration,
    /// How long a bucket takes to fill.
    bucket: Duration,
    callers: Mutex<Callers>,
}

/// When each bucket will be full, as time since the server began. One that is full says nothing and may be forgotten.
#[derive(Debug, Default)]
struct Callers {
    full_at: BTreeMap<String, Duration>,
    others: Duration,
    /// When the full buckets were last forgotten.
    swept: Duration,
}

impl Rates {
    pub(crate) fn new(rate: NonZero<u32>, burst: NonZero<u32>) -> Self {
        let token = Duration::from_secs(1) / rate.get();
        Rates { rate: rate.get(), token, bucket: token * burst.get(), callers: Mutex::default() }
    }

    /// Takes a token from a caller's bucket.
    pub(crate) fn take(&self, caller: &str, now: Duration) -> Result<(), Rejection> {
        let caller = &caller[..caller.floor_char_boundary(NAME_BYTES)];
        let mut callers = self.callers();
        if callers.full_at.len() >= CALLERS_MAX && now >= callers.swept + self.bucket {
            callers.swept = now;
            callers.full_at.retain(|_, full_at| *full_at > now);
        }
        let has_room = callers.full_at.len() < CALLERS_MAX;
        let full_at = match callers.full_at.get_mut(caller) {
            Some(full_at) => full_at,
            None if has_room => callers.full_at.entry(caller.to_owned()).or_default(),
            None => &mut callers.others,
        };
        let after = now.max(*full_at) + self.token;
        match after.checked_sub(now + self.bucket) {
            None | Some(Duration::ZERO) => {
                *full_at = after;
                Ok(())
            }
            Some(retry) => Err(Rejection::Rate { caller: caller.to_owned(), rate: self.rate, retry }),
        }
    }

    fn callers(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(rate: u32, burst: u32) -> Rates {
        Rates::new(NonZero::new(rate).unwrap(), NonZero::new(burst).unwrap())
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn retry(taken: Result<(), Rejection>) -> Option<Duration> {
        match taken {
            Err(Rejection::Rate { retry, .. }) => Some(retry),
            _ => None,
        }
    }

    #[test]
    fn tokens_come_back_one_by_one_and_never_more_than_a_bucket_has() {
        let rates = rates(10, 3);
        for _ in 0..3 {
            assert_eq!(rates.take("a", ms(0)), Ok(()));
        }
        assert_eq!(retry(rates.take("a", ms(0))), Some(ms(100)));
        assert_eq!(retry(rates.take("a", ms(99))), Some(ms(1)));
        assert_eq!(rates.take("a", ms(100)), Ok(()));
        assert_eq!(retry(rates.take("a", ms(100))), Some(ms(100)));
        for _ in 0..3 {
            assert_eq!(rates.take("a", ms(100_000)), Ok(()));
        }
        assert_eq!(retry(rates.take("a", ms(100_000))), Some(ms(100)));
    }

    #[test]
    fn callers_have_buckets_of_their_own() {
        let rates = rates(1, 1);
        assert_eq!(rates.take("a", ms(0)), Ok(()));
        assert_eq!(retry(rates.take("a", ms(0))), Some(ms(1000)));
        assert_eq!(rates.take("b", ms(0)), Ok(()));
    }

    #[test]
    fn invented_names_share_a_bucket_and_are_forgotten() {
        let rates = rates(1, 1);
        let taken = |name: usize, at| rates.take(&format!("caller {name}"), at).is_ok();
        let passed = (0..2 * CALLERS_MAX).filter(|&name| taken(name, ms(0))).count();
        assert_eq!(passed, CALLERS_MAX + 1);
        assert_eq!(rates.callers().full_at.len(), CALLERS_MAX);
        // A bucket that is full again is forgotten, and its place is free.
        assert!(taken(2 * CALLERS_MAX, ms(1000)) && taken(2 * CALLERS_MAX + 1, ms(1000)));
        assert_eq!(rates.callers().full_at.len(), 2);
        let long = "é".repeat(NAME_BYTES);
        assert_eq!(rates.take(&long, ms(1000)), Ok(()));
        assert!(rates.callers().full_at.keys().all(|name| name.len() <= NAME_BYTES));
    }
}
