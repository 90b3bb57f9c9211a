//! How many requests are computed at once, and who waits.
//!
//! Requests wait in the order in which they came, with one exception: one that waits for a place of its view lets those
//! of other views pass. The queue is bounded, and so is the wait: under overload, what would be answered too late is
//! turned away instead, at once where the queue is full.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use trifold_model::ViewName;

use crate::limits::Rejection;
use crate::load::Load;

/// The share of places that one view may have where nothing else is said, as a fraction.
const VIEW_SHARE: (usize, usize) = (3, 4);

/// Gives out the places in which requests are computed.
#[derive(Debug)]
pub(crate) struct Admission {
    state: Mutex<State>,
    places: usize,
    view_places: usize,
    queue: usize,
    view_queue: usize,
    wait: Duration,
    load: Load,
}

#[derive(Debug, Default)]
struct State {
    computing: usize,
    views: BTreeMap<ViewName, Use>,
    queue: VecDeque<Waiter>,
    next: u64,
}

/// What one view has. A view that has nothing is forgotten.
#[derive(Debug, Default, Clone, Copy)]
struct Use {
    computing: usize,
    queued: usize,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    views: Vec<ViewName>,
    grant: oneshot::Sender<Place>,
}

/// A place in which a request is computed, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    views: Vec<ViewName>,
    is_held: bool,
}

impl Admission {
    pub(crate) fn new(
        places: usize,
        view_places: Option<usize>,
        queue: usize,
        wait: Duration,
        load: Load,
    ) -> Self {
        let share = |of: usize| (of * VIEW_SHARE.0).div_ceil(VIEW_SHARE.1);
        let view_places = view_places.unwrap_or(if places > 1 { share(places).min(places - 1) } else { 1 });
        let view_places = view_places.min(places);
        let view_queue = (queue * view_places).div_ceil(places);
        Admission { state: Mutex::default(), places, view_places, queue, view_queue, wait, load }
    }

    /// Waits for a place for a request of some views, until its deadline at most. `views` has each view once.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        views: Vec<ViewName>,
        deadline: Option<Instant>,
    ) -> Result<Place, Rejection> {
        let (waiting, granted) = match self.try_enter(views)? {
            Ok(place) => return Ok(place),
            Err(waiting) => waiting,
        };
        let last = Instant::now() + self.wait;
        let until = deadline.map_or(last, |deadline| deadline.min(last));
        let granted = tokio::time::timeout_at(until.into(), granted).await;
        drop(waiting);
        match granted {
            Ok(Ok(place)) => Ok(place),
            // Whoever grants keeps the sender until it does.
            Ok(Err(_)) => Err(Rejection::Waited { retry: self.wait }),
            Err(_) if deadline == Some(until) => Err(Rejection::Deadline),
            Err(_) => Err(Rejection::Waited { retry: self.wait }),
        }
    }

    /// Takes a place if there is one, and else one in the queue.
    fn try_enter(
        self: &Arc<Self>,
        views: Vec<ViewName>,
    ) -> Result<Result<Place, (Waiting, oneshot::Receiver<Place>)>, Rejection> {
        let mut state = self.state();
        if self.fits(&state, &views) {
            return Ok(Ok(self.place(&mut state, views)));
        }
        let retry = self.wait;
        if state.queue.len() >= self.queue {
            return Err(Rejection::Queue { computing: state.computing, queued: state.queue.len(), retry });
        }
        let queued = |view: &ViewName| state.views.get(view).map_or(0, |used| used.queued);
        if let Some(view) = views.iter().find(|view| queued(view) >= self.view_queue) {
            return Err(Rejection::ViewQueue { view: view.to_string(), queued: self.view_queue, retry });
        }
        for view in &views {
            state.views.entry(view.clone()).or_default().queued += 1;
        }
        let (grant, granted) = oneshot::channel();
        let id = state.next;
        state.next += 1;
        state.queue.push_back(Waiter { id, views, grant });
        self.tell(&state);
        Ok(Err((Waiting { admission: self.clone(), id }, granted)))
    }

    fn fits(&self, state: &State, views: &[ViewName]) -> bool {
        let has_room = |view| state.views.get(view).is_none_or(|used| used.computing < self.view_places);
        state.computing < self.places && views.iter().all(has_room)
    }

    fn place(self: &Arc<Self>, state: &mut State, views: Vec<ViewName>) -> Place {
        state.computing += 1;
        for view in &views {
            match state.views.get_mut(view) {
                Some(used) => used.computing += 1,
                None => {
                    state.views.insert(view.clone(), Use { computing: 1, queued: 0 });
                }
            }
        }
        self.tell(state);
        Place { admission: self.clone(), views, is_held: true }
    }

    /// Gives free places to those who wait, the first of them first.
    fn grant(self: &Arc<Self>, state: &mut State) {
        let mut next = 0;
        while state.computing < self.places && next < state.queue.len() {
            if !self.fits(state, &state.queue[next].views) {
                next += 1;
                continue;
            }
            let Some(waiter) = self.remove(state, next) else { return };
            let place = self.place(state, waiter.views);
            // Whoever gave up a moment ago has not taken it; given back here, as the lock is held.
            if let Err(mut place) = waiter.grant.send(place) {
                place.is_held = false;
                state.give_back(&place.views);
            }
        }
    }

    fn remove(&self, state: &mut State, place: usize) -> Option<Waiter> {
        let waiter = state.queue.remove(place)?;
        state.release(&waiter.views, |used| used.queued -= 1);
        self.tell(state);
        Some(waiter)
    }

    fn tell(&self, state: &State) {
        self.load.computing(state.computing, state.queue.len());
    }

    // The counts are right even if another thread panicked while it held the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn release(&mut self, views: &[ViewName], change: impl Fn(&mut Use)) {
        for view in views {
            if let Some(used) = self.views.get_mut(view) {
                change(used);
                if used.computing == 0 && used.queued == 0 {
                    self.views.remove(view);
                }
            }
        }
    }

    fn give_back(&mut self, views: &[ViewName]) {
        self.computing -= 1;
        self.release(views, |used| used.computing -= 1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_held {
            return;
        }
        let admission = self.admission.clone();
        let mut state = admission.state();
        state.give_back(&self.views);
        admission.tell(&state);
        admission.grant(&mut state);
    }
}

/// Somebody's place in the queue, given up when dropped.
struct Waiting {
    admission: Arc<Admission>,
    id: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        if let Ok(place) = state.queue.binary_search_by_key(&self.id, |waiter| waiter.id) {
            self.admission.remove(&mut state, place);
        }
    }
}
