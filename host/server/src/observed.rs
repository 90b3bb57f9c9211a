//! What is seen of versions that are tried out, for those who decide about them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trifold_model::ViewName;
use trifold_pipeline::trial::common_features;
use trifold_pipeline::{Comparison, LiveViews, Role, Tally, ViewAnswer};

/// What was seen of each trial that is under way. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    trials: Arc<Mutex<BTreeMap<ViewName, Trial>>>,
}

/// What was seen of one trial.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// The release that says what is tried out.
    pub release: Option<u64>,
    /// Of the version in force.
    pub serving: Tally,
    /// Of the version that is tried out.
    pub candidate: Tally,
    /// Of a shadow: how its answers compare with those that were given.
    pub comparison: Option<Comparison>,
}

impl Observed {
    /// What was seen of a view's trial since its last release.
    pub fn of(&self, view: &ViewName, release: Option<u64>) -> Trial {
        let known = self.trials().get(view).filter(|trial| trial.release == release).cloned();
        known.unwrap_or(Trial { release, ..Trial::default() })
    }

    /// Takes note of an answer that was given.
    pub(crate) fn answered(&self, live: &LiveViews, answer: &ViewAnswer) {
        let name = &answer.version.view().name;
        let Some(candidate) = live.candidates.get(name).filter(|candidate| candidate.role != Role::Bootstrap)
        else {
            return;
        };
        let features = common_features(&answer.version, &candidate.version);
        let mut trials = self.trials();
        let trial = begun(&mut trials, name, candidate.version.release);
        match &answer.canary {
            None => trial.serving.add(&answer.rows, &features, answer.cost),
            Some(canary) => {
                let left = (0..answer.rows.len() as u32).filter(|row| canary.places.binary_search(row).is_err());
                let left: Vec<u32> = left.collect();
                if let Ok(rows) = answer.rows.take(&left) {
                    trial.serving.add(&rows, &features, answer.cost);
                }
                trial.candidate.add(&canary.rows, &features, canary.cost);
            }
        }
    }

    /// Takes note of what a shadow would have answered; `None` if that was not found out.
    pub(crate) fn compared(&self, release: Option<u64>, given: &ViewAnswer, shadow: Option<&ViewAnswer>) {
        let mut trials = self.trials();
        let trial = begun(&mut trials, &given.version.view().name, release);
        let comparison = trial.comparison.get_or_insert_default();
        let compared = shadow.map(|shadow| {
            let features = common_features(&given.version, &shadow.version);
            trial.candidate.add(&shadow.rows, &features, shadow.cost);
            comparison.add(given, shadow)
        });
        if !matches!(compared, Some(Ok(()))) {
            comparison.skipped += given.rows.len() as u64;
        }
    }

    /// Takes note of what a worker saw when it folded events.
    pub fn folded(&self, view: &ViewName, release: Option<u64>, serving: &Tally, candidate: &Tally) {
        let mut trials = self.trials();
        let trial = begun(&mut trials, view, release);
        trial.serving.append(serving);
        trial.candidate.append(candidate);
    }

    fn trials(&self) -> MutexGuard<'_, BTreeMap<ViewName, Trial>> {
        // Whoever panicked has left sums that are a little too small at worst.
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The trial of a release; what was seen of the one before says nothing of it.
fn begun<'a>(trials: &'a mut BTreeMap<ViewName, Trial>, view: &ViewName, release: Option<u64>) -> &'a mut Trial {
    let trial = trials.entry(view.clone()).or_default();
    if trial.release != release {
        *trial = Trial { release, ..Trial::default() };
    }
    trial
}
