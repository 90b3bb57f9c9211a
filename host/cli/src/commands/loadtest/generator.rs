//! Sends requests at their times, whatever becomes of earlier ones.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use trifold_model::EventTime;
use trifold_server::client::{Client, Lookup};

use super::draw::{Draw, Schedule};
use super::keys::Keys;
use super::tally::{End, Tally};
use crate::exit::Outcome;

/// What the generator and its requests share.
pub(super) struct Shared {
    pub(super) features: Vec<String>,
    pub(super) as_of: Option<EventTime>,
    pub(super) timeout: Duration,
    pub(super) begun: Instant,
    tally: Mutex<Tally>,
}

impl Shared {
    pub(super) fn new(features: Vec<String>, as_of: Option<EventTime>, timeout: Duration, tally: Tally) -> Self {
        Shared { features, as_of, timeout, begun: Instant::now(), tally: Mutex::new(tally) }
    }

    /// What became of the requests so far. Whoever panicked left it whole: nobody panics between two changes.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until {
    pub(super) warmup: Duration,
    /// The time to measure after it.
    pub(super) duration: Option<Duration>,
    /// The requests to measure.
    pub(super) requests: Option<u64>,
}

impl Until {
    /// How long the measured part takes, about.
    pub(super) fn measured(&self, rate: f64) -> Duration {
        let of_requests = |requests| Duration::try_from_secs_f64(requests as f64 / rate).unwrap_or(Duration::MAX);
        let times = [self.duration, self.requests.map(of_requests)];
        times.into_iter().flatten().min().unwrap_or(Duration::MAX)
    }
}

/// Sends requests.
pub(super) struct Generator {
    pub(super) shared: Arc<Shared>,
    pub(super) clients: Vec<Client>,
    pub(super) keys: Keys,
    pub(super) draw: Draw,
    pub(super) schedule: Schedule,
    pub(super) batch: usize,
    pub(super) until: Until,
    /// As many as may be on their way.
    pub(super) slots: Arc<Semaphore>,
}

impl Generator {
    /// Sends everything, until it is told to stop, and says what tells the questions from others. It works on a thread of its own, since the runtime's timers would be
    /// a millisecond late.
    pub(super) fn run(
        mut self,
        stop: &Receiver<()>,
        given_up: &watch::Receiver<bool>,
        runtime: &Handle,
    ) -> Outcome<u64> {
        let mut places = vec![0; self.batch];
        let (mut count, mut measured) = (0_usize, 0_u64);
        loop {
            let due = self.schedule.next();
            if self.until.duration.is_some_and(|duration| due >= self.until.warmup.saturating_add(duration))
                || self.until.requests == Some(measured)
            {
                return Ok(self.draw.digest);
            }
            // A request that does not leave takes its keys with it, so that the others ask what they would have asked.
            places.fill_with(|| self.draw.place());
            let columns = self.keys.rows(&places)?;
            if is_stopped(stop, due.saturating_sub(self.shared.begun.elapsed())) {
                return Ok(self.draw.digest);
            }
            measured += u64::from(due >= self.until.warmup);
            let client = &self.clients[count % self.clients.len()];
            count += 1;
            match Arc::clone(&self.slots).try_acquire_owned() {
                Err(_) => self.shared.tally().stays(due, self.shared.begun.elapsed()),
                Ok(slot) => {
                    self.shared.tally().leaves(due, self.shared.begun.elapsed());
                    let (shared, given_up) = (Arc::clone(&self.shared), given_up.clone());
                    runtime.spawn(request(shared, client.clone(), columns, due, given_up, slot));
                }
            }
        }
    }
}

/// Waits for so long. Whether the load is to stop.
fn is_stopped(stop: &Receiver<()>, wait: Duration) -> bool {
    !matches!(stop.recv_timeout(wait), Err(RecvTimeoutError::Timeout))
}

async fn request(
    shared: Arc<Shared>,
    mut client: Client,
    columns: RecordBatch,
    due: Duration,
    mut given_up: watch::Receiver<bool>,
    slot: OwnedSemaphorePermit,
) {
    shared.tally().begins(due, shared.begun.elapsed());
    let lookup = Lookup { features: &shared.features, columns: &columns, as_of: shared.as_of, in_hand: &[] };
    let end = tokio::select! {
        came = tokio::time::timeout(shared.timeout, client.look_up(lookup)) => came.map_or(End::TimedOut, End::Came),
        _ = given_up.wait_for(|given_up| *given_up) => End::Unfinished,
    };
    let now = shared.begun.elapsed();
    shared.tally().ends(due, now, &end);
    drop(slot);
}
