//! How many instances may exist at once.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A counter of free slots. Whoever holds a slot runs one bounded call and never waits for another slot, so
/// waiting ends without a time limit.
#[derive(Clone, Debug)]
pub(crate) struct Permits(Arc<Slots>);

#[derive(Debug)]
struct Slots {
    free: Mutex<u32>,
    freed: Condvar,
}

/// One slot, given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Permits);

impl Permits {
    pub(crate) fn new(count: u32) -> Self {
        Permits(Arc::new(Slots { free: Mutex::new(count), freed: Condvar::new() }))
    }

    /// Waits for a slot.
    pub(crate) fn acquire(&self) -> Permit {
        let free = self.free();
        let waited = self.0.freed.wait_while(free, |free| *free == 0);
        *waited.unwrap_or_else(PoisonError::into_inner) -= 1;
        Permit(self.clone())
    }

    /// Takes a slot if one is free.
    pub(crate) fn try_acquire(&self) -> Option<Permit> {
        let mut free = self.free();
        *free = free.checked_sub(1)?;
        Some(Permit(self.clone()))
    }

    // The counter is right even if another thread panicked while it held the lock.
    fn free(&self) -> MutexGuard<'_, u32> {
        self.0.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.free() += 1;
        self.0.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_given_back() {
        let permits = Permits::new(1);
        let held = permits.try_acquire();
        assert!(held.is_some() && permits.try_acquire().is_none());
        let waiting = std::thread::spawn({
            let permits = permits.clone();
            move || drop(permits.acquire())
        });
        drop(held);
        waiting.join().unwrap();
        assert!(permits.try_acquire().is_some());
    }
}
