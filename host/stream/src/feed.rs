//! Feeds: the state of one view, following the log.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use trifold_eventlog::{ArrivalClock, RawBatch};
use trifold_model::{ArrivalTime, EntityKey, StateId, ViewName};
use trifold_pipeline::{LiveVersion, LiveViews};
use trifold_store::Marker;

/// What tells feeds apart. Two versions of a view with the same state id are one feed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedId {
    /// The view.
    pub view: ViewName,
    /// The view's state.
    pub state: StateId,
}

impl FeedId {
    /// The feed of a version.
    pub fn of(version: &LiveVersion) -> Self {
        FeedId { view: version.view().name.clone(), state: version.state_id() }
    }
}

impl fmt::Display for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (state {})", self.view, self.state)
    }
}

/// The feeds of the versions in force that have a state.
pub(crate) fn wanted(live: &LiveViews) -> BTreeMap<FeedId, &LiveVersion> {
    let stored = live.views.values().filter(|version| version.view().on_demand().is_none());
    stored.map(|version| (FeedId::of(version), version)).collect()
}

/// A feed as the worker holds it between two steps.
pub(crate) struct Feed {
    /// The version in force.
    pub(crate) version: LiveVersion,
    /// The marker after the last step.
    pub(crate) marker: Marker,
    /// The entity after which the next sweep of a window view's state begins.
    pub(crate) swept: Option<EntityKey>,
    /// Why the feed stands still, if it does. A new version of the view sets it going again.
    pub(crate) blocked: bool,
}

impl Feed {
    /// The next offset.
    pub(crate) fn next(&self, partition: u32) -> u64 {
        self.marker.positions.next(partition)
    }

    /// The arrival clock at the feed's position.
    pub(crate) fn clock(&self, partition: u32) -> ArrivalClock {
        ArrivalClock::restore(self.marker.arrivals.get(&partition).copied())
    }

    /// The marker after a batch, and the earliest arrival that an event to come can have, of any of the partitions that
    /// come together in the state.
    pub(crate) fn advanced(
        &self,
        raw: &RawBatch,
        clock: ArrivalClock,
        together: Range<u32>,
    ) -> (Marker, Option<ArrivalTime>) {
        let mut marker = self.marker.clone();
        marker.positions.0.insert(raw.partition, raw.next_offset());
        marker.release = self.version.release;
        let earliest = match raw.carried() {
            Some(carried) => {
                carried.advance(&mut marker.arrivals);
                carried.earliest(&marker.arrivals)
            }
            None => {
                marker.arrivals.extend(clock.state().map(|latest| (raw.partition, latest)));
                together.map(|partition| marker.arrivals.get(&partition).copied()).min().flatten()
            }
        };
        (marker, earliest.map(ArrivalTime))
    }
}
