//! What a server has taken on, and whom it turned away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts what a server takes on and turns away. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Load(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    computing: AtomicUsize,
    queued: AtomicUsize,
    connections: AtomicUsize,
    received_bytes: AtomicUsize,
    fuel: AtomicU64,
    answered: AtomicU64,
    rejected: Mutex<BTreeMap<&'static str, u64>>,
}

/// What a server has taken on at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadNow {
    /// The requests that are computed.
    pub computing: usize,
    /// The requests that wait for that.
    pub queued: usize,
    /// The connections.
    pub connections: usize,
    /// The bytes of requests on their way in and being answered.
    pub received_bytes: usize,
    /// The fuel that all requests so far have burnt, those that were given up included.
    pub fuel: u64,
    /// The requests that were answered.
    pub answered: u64,
    /// The requests and connections that were turned away, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
}

impl Load {
    /// What it is now.
    pub fn now(&self) -> LoadNow {
        let Counts { computing, queued, connections, received_bytes, fuel, answered, .. } = &*self.0;
        LoadNow {
            computing: computing.load(Ordering::Relaxed),
            queued: queued.load(Ordering::Relaxed),
            connections: connections.load(Ordering::Relaxed),
            received_bytes: received_bytes.load(Ordering::Relaxed),
            fuel: fuel.load(Ordering::Relaxed),
            answered: answered.load(Ordering::Relaxed),
            rejected: self.counted().clone(),
        }
    }

    pub(crate) fn computing(&self, computing: usize, queued: usize) {
        self.0.computing.store(computing, Ordering::Relaxed);
        self.0.queued.store(queued, Ordering::Relaxed);
    }

    pub(crate) fn connected(&self, connections: usize) {
        self.0.connections.store(connections, Ordering::Relaxed);
    }

    pub(crate) fn burnt(&self, fuel: u64) {
        self.0.fuel.fetch_add(fuel, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn rejected(&self, reason: &'static str) {
        *self.counted().entry(reason).or_default() += 1;
    }

    /// Takes bytes on, unless that would be more than `most`.
    pub(crate) fn receive(&self, bytes: usize, most: usize) -> bool {
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= most);
        self.0.received_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Takes note that bytes are not held any more.
    pub(crate) fn let_go(&self, bytes: usize) {
        self.0.received_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn counted(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.rejected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
