//! Reads that are under way, which others who ask for the same join.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use trifold_model::EventTime;

use super::entry::{Entry, Name, covers};
use crate::api::Found;
use crate::error::StoreError;

/// What a read of several views came to, one for each.
pub(super) type Landed = Arc<Vec<OfView>>;

/// What a read came to for one view.
pub(super) enum OfView {
    /// It is not kept.
    Through(Result<Found, StoreError>),
    /// What is kept of each entity; nothing, if the store holds no complete state.
    Kept(Result<Option<Vec<Arc<Entry>>>, StoreError>),
}

/// A read that is under way. It goes on for as long as anybody waits for it.
pub(super) type Flight = Shared<BoxFuture<'static, Landed>>;

/// The reads that are under way, by what they read.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<BTreeMap<Name, Seat>>>);

/// Where a read has one entity.
pub(super) struct Seat {
    pub(super) flight: WeakShared<BoxFuture<'static, Landed>>,
    /// Which view of the read, and which of its entities.
    pub(super) place: (usize, usize),
    /// The times of the events that are read of it.
    pub(super) events: Vec<Range<EventTime>>,
    /// Tells reads apart.
    pub(super) number: u64,
}

impl Flights {
    pub(super) fn table(&self) -> MutexGuard<'_, BTreeMap<Name, Seat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a read's entities off the table once it is over, or nobody waits for it any more.
    pub(super) fn leave(&self, names: Vec<Name>, number: u64) -> Leave {
        Leave { flights: self.clone(), names, number }
    }
}

/// The read that has an entity, if what it reads of it is enough.
pub(super) fn seat(
    table: &BTreeMap<Name, Seat>,
    name: &Name,
    events: &[Range<EventTime>],
) -> Option<(Flight, (usize, usize))> {
    // Whoever upgrades may be the last to hold the read, whose end looks at the table: it must be taken along.
    let seat = table.get(name).filter(|seat| covers(&seat.events, events))?;
    Some((seat.flight.upgrade()?, seat.place))
}

pub(super) struct Leave {
    flights: Flights,
    names: Vec<Name>,
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut table = self.flights.table();
        for name in &self.names {
            if table.get(name).is_some_and(|seat| seat.number == self.number) {
                table.remove(name);
            }
        }
    }
}

/// A read that others can join.
pub(super) fn flight(read: impl Future<Output = Landed> + Send + 'static) -> Flight {
    read.boxed().shared()
}
