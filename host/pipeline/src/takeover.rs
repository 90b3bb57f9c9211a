//! When what is released may answer: once its state has caught up with the state that answers now, and once the views that
//! read each other fit.

use std::collections::{BTreeMap, BTreeSet};

use trifold_model::ViewName;
use trifold_store::{Marker, OnlineStore, StoreError};

use crate::candidate::Role;
use crate::catalog::{LiveViews, Waiting};
use crate::on_demand::reads;
use crate::version::LiveVersion;

/// What may answer, and what waits.
#[derive(Clone, Default)]
pub struct TakenOver {
    /// The views that answer from now on.
    pub live: LiveViews,
    /// The releases that do not answer as they say, and why, by view.
    pub waiting: BTreeMap<ViewName, Waiting>,
}

/// The released views, with each one held back whose state lies behind the state of the version that serves now, or with
/// which an on-demand view could not be computed any more: what serves goes on until then. A view that nothing serves yet is
/// not held back. A canary whose state lies behind serves nobody yet.
pub async fn take_over(
    store: &dyn OnlineStore,
    serving: &LiveViews,
    released: &LiveViews,
) -> Result<TakenOver, StoreError> {
    let mut taken = TakenOver { live: released.clone(), waiting: BTreeMap::new() };
    for (name, version) in &released.views {
        if let Some(current) = serving.views.get(name)
            && !has_caught_up(store, version, current).await?
        {
            taken.hold_back(name, serving, "its state has not caught up with the state of the version that runs");
        }
    }
    taken.keep_whole(serving);
    taken.hold_back_canaries(store, serving).await?;
    Ok(taken)
}

impl TakenOver {
    /// Lets what serves of a view go on, in place of what is released.
    fn hold_back(&mut self, name: &ViewName, serving: &LiveViews, reason: &str) {
        let Some(current) = serving.views.get(name) else { return };
        let released = self.live.views.insert(name.clone(), current.clone());
        self.live.candidates.remove(name);
        if let Some(candidate) = serving.candidates.get(name) {
            self.live.candidates.insert(name.clone(), candidate.clone());
        }
        let release = released.and_then(|version| version.release);
        self.waiting.insert(name.clone(), Waiting { release, reason: reason.to_owned() });
    }

    /// Holds back what would tear an on-demand view from the views that it reads: they take over together, once all of them
    /// are released. What did not fit before holds nobody back.
    fn keep_whole(&mut self, serving: &LiveViews) {
        while let Some((changed, reason)) = self.torn(serving) {
            for name in changed {
                self.hold_back(&name, serving, &reason);
            }
        }
    }

    /// The views that changed around an on-demand view that does not fit what it reads any more, and what does not fit.
    fn torn(&self, serving: &LiveViews) -> Option<(Vec<ViewName>, String)> {
        let is_changed = |name: &ViewName| {
            let release =
                |live: &LiveViews| live.views.get(name).map(|version| (version.release, version.digest()));
            release(serving).is_some_and(|serving| release(&self.live).is_some_and(|next| next != serving))
        };
        self.live.views.iter().find_map(|(name, version)| {
            let read: BTreeSet<&ViewName> = version.view().on_demand()?.views();
            let fitted = serving.views.get(name).is_some_and(|before| fit(before, serving).is_ok());
            let error = fit(version, &self.live).err().filter(|_| fitted)?;
            let changed: Vec<_> =
                read.into_iter().chain([name]).filter(|name| is_changed(name)).cloned().collect();
            (!changed.is_empty()).then_some((changed, error))
        })
    }

    /// Lets canaries wait whose state lies behind that of the version in force, or that do not fit what they read.
    async fn hold_back_canaries(
        &mut self,
        store: &dyn OnlineStore,
        serving: &LiveViews,
    ) -> Result<(), StoreError> {
        let mut waiting = BTreeMap::new();
        for (name, candidate) in &self.live.candidates {
            let (Role::Canary(_), Some(current)) = (candidate.role, self.live.views.get(name)) else { continue };
            let serves =
                serving.canary(name).is_some_and(|(known, _)| known.digest() == candidate.version.digest());
            let reason = match fit(&candidate.version, &self.live) {
                Err(error) => error,
                // States move on one after the other, so that the one that serves may lie behind for a moment.
                Ok(()) if serves || has_caught_up(store, &candidate.version, current).await? => continue,
                Ok(()) => "the canary's state has not caught up with the state of the version in force".to_owned(),
            };
            waiting.insert(name.clone(), Waiting { release: candidate.version.release, reason });
        }
        self.live.candidates.retain(|name, _| !waiting.contains_key(name));
        self.waiting.append(&mut waiting);
        Ok(())
    }
}

/// Whether a version's reads, if it has any, are given by the versions in force.
fn fit(version: &LiveVersion, live: &LiveViews) -> Result<(), String> {
    if version.view().on_demand().is_none() {
        return Ok(());
    }
    let found = reads(version.view(), |name| live.views.get(name).map(LiveVersion::view));
    found.map(drop).map_err(|error| error.to_string())
}

/// Whether the state of a version has read as much as that of another one.
pub async fn has_caught_up(
    store: &dyn OnlineStore,
    version: &LiveVersion,
    other: &LiveVersion,
) -> Result<bool, StoreError> {
    if version.view().on_demand().is_some() || version.state_id() == other.state_id() {
        return Ok(true);
    }
    let Some(reached) = store.marker(other.state_id()).await? else { return Ok(true) };
    Ok(store.marker(version.state_id()).await?.is_some_and(|own| covers(&own, &reached)))
}

fn covers(own: &Marker, reached: &Marker) -> bool {
    own.log == reached.log
        && reached.positions.0.iter().all(|(&partition, &next)| own.positions.next(partition) >= next)
}
