//! A store elsewhere that is spared while it is down, and asked by so many at once and no more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use trifold_model::{EntityKey, StateId};

use crate::api::{Ask, Found, OnlineStore};
use crate::breaker::{Breaker, Pass};
use crate::error::StoreError;
use crate::record::{EntityQuery, Marker, SlotSnapshot, Snapshot};

/// How much time has passed since some moment. Below the runners nobody reads a clock.
pub type Stopwatch = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A store behind a [`Breaker`].
pub struct GuardedStore {
    inner: Arc<dyn OnlineStore>,
    stopwatch: Stopwatch,
    breaker: Mutex<Breaker>,
    reads: AtomicUsize,
    reads_max: usize,
}

impl GuardedStore {
    /// Asks `inner` by at most `reads_max` reads at once. `seed` spreads when servers try a store again that was down.
    pub fn new(inner: Arc<dyn OnlineStore>, stopwatch: Stopwatch, reads_max: usize, seed: u64) -> Self {
        let breaker = Mutex::new(Breaker::new(seed));
        GuardedStore { inner, stopwatch, breaker, reads: AtomicUsize::new(0), reads_max }
    }

    /// Whether the store is spared.
    pub fn is_resting(&self) -> bool {
        self.breaker().is_open()
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Result<Turn<'_>, StoreError> {
        let under_way = self.reads.fetch_add(1, Ordering::Relaxed);
        let mut turn = Turn { store: self, pass: None, begun: (self.stopwatch)() };
        if under_way >= self.reads_max {
            return Err(StoreError::Busy { reads: self.reads_max });
        }
        turn.pass =
            Some(self.breaker().begin((self.stopwatch)()).map_err(|reason| StoreError::Resting { reason })?);
        Ok(turn)
    }

    /// Asks once, unless the store is spared or too many ask.
    async fn call<T>(
        &self,
        asked: BoxFuture<'_, T>,
        failed: impl Fn(&T) -> Option<&StoreError>,
    ) -> Result<T, StoreError> {
        let turn = self.begin()?;
        let answer = asked.await;
        turn.end(failed(&answer).filter(|error| error.is_down()));
        Ok(answer)
    }
}

/// For so long a store may say nothing to whoever gives a read up. Callers wait for less than the store may take to answer,
/// so that a store that hangs would be found out by nobody.
const SILENCE: Duration = Duration::from_millis(250);

/// A read that is under way. One that is given up before long says nothing of the store.
struct Turn<'a> {
    store: &'a GuardedStore,
    pass: Option<Pass>,
    begun: Duration,
}

impl Turn<'_> {
    fn end(mut self, error: Option<&StoreError>) {
        if let Some(pass) = self.pass.take() {
            let mut breaker = self.store.breaker();
            match error {
                Some(error) => breaker.failed(pass, (self.store.stopwatch)(), error),
                None => breaker.succeeded(pass),
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.store.reads.fetch_sub(1, Ordering::Relaxed);
        if let Some(pass) = self.pass.take() {
            let now = (self.store.stopwatch)();
            let silent = now.saturating_sub(self.begun);
            match silent < SILENCE {
                true => self.store.breaker().given_up(pass),
                false => self.store.breaker().failed(
                    pass,
                    now,
                    &StoreError::Silent { millis: silent.as_millis() as u64 },
                ),
            }
        }
    }
}

impl OnlineStore for GuardedStore {
    fn read<'a>(&'a self, state: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        async move { self.call(self.inner.read(state, keys), |read| read.as_ref().err()).await? }.boxed()
    }

    fn read_slots<'a>(
        &'a self,
        state: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>> {
        async move { self.call(self.inner.read_slots(state, queries), |read| read.as_ref().err()).await? }.boxed()
    }

    fn marker(&self, state: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        async move { self.call(self.inner.marker(state), |read| read.as_ref().err()).await? }.boxed()
    }

    fn read_all<'a>(&'a self, asks: &'a [Ask]) -> BoxFuture<'a, Vec<Result<Found, StoreError>>> {
        async move {
            // It is down if nothing was read.
            let down = |all: &[Result<Found, StoreError>]| {
                let is_down = |found: &Result<Found, StoreError>| found.as_ref().is_err_and(StoreError::is_down);
                all.iter().all(is_down).then(|| all.first()?.as_ref().err().cloned()).flatten()
            };
            match self.begin() {
                Err(error) => vec![Err(error); asks.len()],
                Ok(turn) => {
                    let answer = self.inner.read_all(asks).await;
                    turn.end(down(&answer).as_ref());
                    answer
                }
            }
        }
        .boxed()
    }
}
