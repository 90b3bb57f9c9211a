//! Feeds: the state of one view, following the log.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use trifold_eventlog::{ArrivalClock, Events, RawBatch};
use trifold_model::{ArrivalTime, EntityKey, StateId, ViewName};
use trifold_pipeline::ingest::IngestError;
use trifold_pipeline::{Canary, LiveVersion, LiveViews, Role};
use trifold_store::{Marker, RowsUnder};

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

/// What a feed is for.
#[derive(Clone)]
pub(crate) struct Task {
    /// The version whose state it is.
    pub(crate) version: LiveVersion,
    /// What the version is tried out for; `None` for one in force. Only the feed of a version in force emits anything.
    pub(crate) role: Option<Role>,
    /// The canary beside a version in force, which computes the rows of the entities that it takes.
    pub(crate) canary: Option<(LiveVersion, Canary)>,
}

impl Task {
    /// Who folds which events of a batch: a canary that shares the state folds those of its entities.
    pub(crate) fn divide(&self, events: Events) -> Result<Vec<(&LiveVersion, Events)>, IngestError> {
        let Some((version, canary)) = self.canary.as_ref().filter(|(canary, _)| self.shares_state_with(canary))
        else {
            return Ok(vec![(&self.version, events)]);
        };
        let (rest, taken) = canary.divide(self.version.view(), events)?;
        Ok(vec![(&self.version, rest), (version, taken)])
    }

    /// The feed of the canary, and which entities it takes, if it has a state of its own.
    pub(crate) fn canary_feed(&self) -> Option<(FeedId, &Canary)> {
        let (version, canary) = self.canary.as_ref().filter(|(canary, _)| !self.shares_state_with(canary))?;
        Some((FeedId::of(version), canary))
    }

    fn shares_state_with(&self, other: &LiveVersion) -> bool {
        self.version.state_id() == other.state_id()
    }
}

impl PartialEq for Task {
    fn eq(&self, other: &Self) -> bool {
        let id = |version: &LiveVersion| (version.version, version.release, version.digest());
        let ids = |task: &Task| {
            let canary = task.canary.as_ref().map(|(version, canary)| (id(version), *canary));
            (id(&task.version), task.role, canary)
        };
        ids(self) == ids(other)
    }
}

/// The feeds of the versions that have a state: of those in force, and of those that are tried out with one of their own.
pub(crate) fn wanted(live: &LiveViews) -> BTreeMap<FeedId, Task> {
    let tried_out = live.candidates.values().map(|candidate| Task {
        version: candidate.version.clone(),
        role: Some(candidate.role),
        canary: None,
    });
    let in_force = live.views.iter().map(|(name, version)| Task {
        version: version.clone(),
        role: None,
        canary: live.canary(name).map(|(version, canary)| (version.clone(), *canary)),
    });
    // Of two tasks over one state that of the version in force, which comes last, is done.
    let tasks = tried_out.chain(in_force).filter(|task| task.version.view().on_demand().is_none());
    tasks.map(|task| (FeedId::of(&task.version), task)).collect()
}

/// A feed as the worker holds it between two steps.
pub(crate) struct Feed {
    /// What it is for.
    pub(crate) task: Task,
    /// The marker after the last step.
    pub(crate) marker: Marker,
    /// Under what the rows of the last step were computed, as is recorded.
    pub(crate) under: Option<RowsUnder>,
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
        marker.release = self.task.version.release;
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
