//! When a store that is down is asked again.

use std::time::Duration;

use crate::error::StoreError;

/// So many reads fail, with none between them that does not, before the store is taken for down.
const FAILURES: u32 = 3;

/// It is asked again after so long, and after each time that it is still down after twice as long, up to the most. That is
/// short, since all wait for it and one read is little.
const REST_MIN: Duration = Duration::from_millis(100);
const REST_MAX: Duration = Duration::from_secs(2);

/// Spares a store that is down: nobody asks it but one read now and then, and once that is answered everybody does.
pub(crate) struct Breaker {
    state: State,
    /// Reads that began before it last changed say nothing of what is now.
    epoch: u64,
    random: u64,
}

enum State {
    Closed { failures: u32 },
    Open { until: Duration, rest: Duration, probing: bool, reason: String },
}

/// A read that may go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    epoch: u64,
}

impl Breaker {
    /// `seed` is what decides by how much it waits longer or shorter than others do.
    pub(crate) fn new(seed: u64) -> Self {
        Breaker { state: State::Closed { failures: 0 }, epoch: 0, random: seed }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Lets a read go on, or says why the store is spared.
    pub(crate) fn begin(&mut self, now: Duration) -> Result<Pass, String> {
        match &mut self.state {
            State::Open { until, probing, reason, .. } if now < *until || *probing => return Err(reason.clone()),
            State::Open { probing, .. } => *probing = true,
            State::Closed { .. } => {}
        }
        Ok(Pass { epoch: self.epoch })
    }

    /// The store answered.
    pub(crate) fn succeeded(&mut self, pass: Pass) {
        if pass.epoch == self.epoch {
            self.epoch += u64::from(self.is_open());
            self.state = State::Closed { failures: 0 };
        }
    }

    /// The store did not.
    pub(crate) fn failed(&mut self, pass: Pass, now: Duration, error: &StoreError) {
        if pass.epoch != self.epoch {
            return;
        }
        let rest = match &mut self.state {
            State::Closed { failures } => {
                *failures += 1;
                if *failures < FAILURES {
                    return;
                }
                REST_MIN
            }
            State::Open { rest, .. } => (*rest * 2).min(REST_MAX),
        };
        self.epoch += 1;
        let until = now + self.about(rest);
        self.state = State::Open { until, rest, probing: false, reason: error.to_string() };
    }

    /// Whoever read does not wait for the answer any more.
    pub(crate) fn given_up(&mut self, pass: Pass) {
        if let State::Open { probing, .. } = &mut self.state
            && pass.epoch == self.epoch
        {
            *probing = false;
        }
    }

    /// From half of a time to all of it, so that servers do not come back in step. This is SplitMix64.
    fn about(&mut self, rest: Duration) -> Duration {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        rest / 2 + (rest / 2).mul_f64((bits >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> StoreError {
        StoreError::Remote { address: "somewhere".into(), action: "read", reason: "it is gone".into() }
    }

    #[test]
    fn a_store_that_is_down_is_asked_by_one_at_a_time_and_ever_later() {
        for seed in 0..20 {
            let (mut breaker, mut now) = (Breaker::new(seed), Duration::ZERO);
            let early = breaker.begin(now).unwrap();
            for _ in 0..FAILURES {
                assert!(!breaker.is_open());
                let pass = breaker.begin(now).unwrap();
                breaker.failed(pass, now, &down());
            }
            let mut rest = REST_MIN;
            for _ in 0..8 {
                assert!(
                    breaker.begin(now + rest / 2 - Duration::from_millis(1)).unwrap_err().contains("it is gone")
                );
                now += rest;
                let probe = breaker.begin(now).unwrap();
                assert!(breaker.begin(now).is_err(), "seed {seed}: two at once");
                // One that is not waited for leaves its turn to the next.
                breaker.given_up(probe);
                let probe = breaker.begin(now).unwrap();
                breaker.failed(probe, now, &down());
                rest = (rest * 2).min(REST_MAX);
            }
            now += rest;
            let probe = breaker.begin(now).unwrap();
            // What began before says nothing of now.
            breaker.succeeded(early);
            assert!(breaker.is_open());
            breaker.succeeded(probe);
            assert!(!breaker.is_open() && breaker.begin(now).is_ok());
            for _ in 0..2 * FAILURES {
                breaker.failed(probe, now, &down());
                breaker.failed(early, now, &down());
            }
            assert!(!breaker.is_open());
        }
    }

    #[test]
    fn servers_do_not_come_back_in_step() {
        let first = |seed| Breaker::new(seed).about(REST_MAX);
        let rests: std::collections::BTreeSet<_> = (0..50).map(first).collect();
        assert!(rests.len() > 45, "{rests:?}");
        assert!(rests.iter().all(|rest| (REST_MAX / 2..=REST_MAX).contains(rest)), "{rests:?}");
    }
}
