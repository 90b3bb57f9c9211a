//! Where those who operate a process and what follows the releases in it meet.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use trifold_model::{ComponentDigest, EventTime, StateId, ViewName};
use trifold_pipeline::{LiveVersion, LiveViews, Role, Waiting};

use crate::observed::Observed;

/// What a process runs, and what keeps releases from being run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The number of the last call that was answered with a look.
    pub answered: u64,
    /// What runs of each view, by name.
    pub running: BTreeMap<ViewName, Running>,
    /// What is tried out beside it, by name.
    pub candidates: BTreeMap<ViewName, (Running, Role)>,
    /// The releases that do not run as they say, by view.
    pub waiting: BTreeMap<ViewName, Waiting>,
    /// Why the registry could not be read at the last look; what ran goes on.
    pub registry_problem: Option<String>,
}

/// The version of a view that a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Its number.
    pub version: u64,
    /// Its component.
    pub digest: ComponentDigest,
    /// The release that put it into force, if one did.
    pub release: Option<u64>,
    /// Since when this process runs it.
    pub since: EventTime,
}

impl Running {
    fn new(version: &LiveVersion, since: EventTime) -> Self {
        Running { version: version.version, digest: version.digest(), release: version.release, since }
    }
}

/// How far a state is that a process maintains, counted over the partitions that the process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The version whose state it is.
    pub version: u64,
    /// The state.
    pub state: StateId,
    /// What the version is tried out for; `None` for one in force.
    pub role: Option<Role>,
    /// The events that it has applied.
    pub applied: u64,
    /// The events that the log is known to have.
    pub known: u64,
    /// Whether it stands still.
    pub blocked: bool,
}

/// What a look at the releases came to.
pub struct Looked<'a> {
    /// The views that run from now on.
    pub running: &'a LiveViews,
    /// The releases that do not run here as they say, by view.
    pub waiting: BTreeMap<ViewName, Waiting>,
    /// Why the registry could not be read.
    pub registry_problem: Option<String>,
}

/// Takes the calls of those who operate a process, and tells them what it runs. Clones are the same desk.
#[derive(Clone)]
pub struct Desk {
    calls: watch::Sender<u64>,
    standing: watch::Sender<Arc<Standing>>,
    observed: Observed,
    kept: watch::Sender<Arc<BTreeMap<ViewName, Vec<Kept>>>>,
}

impl Desk {
    /// A desk of a process that runs nothing yet.
    #[expect(clippy::new_without_default, reason = "two desks of one process would not hear each other's calls")]
    pub fn new() -> Self {
        let (standing, kept) = (watch::channel(Arc::default()).0, watch::channel(Arc::default()).0);
        Desk { calls: watch::channel(0).0, standing, observed: Observed::default(), kept }
    }

    /// What the process sees of versions that are tried out.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Asks for a look at the releases before it is time, and returns the call's number.
    pub fn call(&self) -> u64 {
        let mut number = 0;
        self.calls.send_modify(|calls| {
            *calls += 1;
            number = *calls;
        });
        number
    }

    /// What the process runs.
    pub fn standing(&self) -> Arc<Standing> {
        self.standing.borrow().clone()
    }

    /// The states that the process maintains.
    pub fn kept(&self) -> Arc<BTreeMap<ViewName, Vec<Kept>>> {
        self.kept.borrow().clone()
    }

    /// Tells how far the states are that the process maintains.
    pub fn keeps(&self, kept: BTreeMap<ViewName, Vec<Kept>>) {
        self.kept.send_replace(Arc::new(kept));
    }

    /// What the process runs after a look that began after a call.
    pub async fn answered(&self, call: u64) -> Arc<Standing> {
        let mut standing = self.standing.subscribe();
        // The sender lives as long as this desk.
        let _ = standing.wait_for(|standing| standing.answered >= call).await;
        self.standing()
    }

    /// The calls, for somebody who follows the releases. Each who does hears all of them.
    pub fn calls(&self) -> Calls {
        Calls { calls: self.calls.subscribe(), taken: 0 }
    }

    /// Tells what a look came to that answers the calls up to a number, at the time `now`.
    pub fn tell(&self, answered: u64, looked: Looked<'_>, now: EventTime) {
        let before = self.standing();
        let since = |known: Option<&Running>, version: &LiveVersion| {
            let anew = Running::new(version, now);
            known.filter(|known| Running { since: now, ..**known } == anew).copied().unwrap_or(anew)
        };
        let running = looked.running.views.iter();
        let running = running.map(|(name, version)| (name.clone(), since(before.running.get(name), version)));
        let candidates = looked.running.candidates.iter().map(|(name, candidate)| {
            let known = before.candidates.get(name).map(|(known, _)| known);
            (name.clone(), (since(known, &candidate.version), candidate.role))
        });
        self.standing.send_replace(Arc::new(Standing {
            answered,
            running: running.collect(),
            candidates: candidates.collect(),
            waiting: looked.waiting,
            registry_problem: looked.registry_problem,
        }));
    }
}

/// The calls of those who operate a process, for one who follows the releases.
pub struct Calls {
    calls: watch::Receiver<u64>,
    taken: u64,
}

impl Calls {
    /// Whether somebody called since the calls were taken.
    pub fn is_called(&self) -> bool {
        *self.calls.borrow() > self.taken
    }

    /// Waits until somebody calls.
    pub async fn called(&self) {
        let taken = self.taken;
        if self.calls.clone().wait_for(|calls| *calls > taken).await.is_err() {
            // Nobody is left who could call.
            std::future::pending::<()>().await;
        }
    }

    /// Takes the calls until now, which a look that begins now answers: the number of the last.
    pub fn take(&mut self) -> u64 {
        self.taken = *self.calls.borrow();
        self.taken
    }
}
