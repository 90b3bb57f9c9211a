//! Asking shadows what they would have answered, beside the requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use trifold_model::{EventTime, ViewName};
use trifold_pipeline::{Answer, InHand, LiveVersion, LiveViews, Question, Stopwatch, ViewAnswer, lookup};
use trifold_sandbox::Budget;
use trifold_store::OnlineStore;

use crate::observed::Observed;

/// Asks shadows, so many at once; of questions beyond that it is noted that they were passed over.
#[derive(Clone)]
pub(crate) struct Shadows {
    store: Arc<dyn OnlineStore>,
    observed: Observed,
    stopwatch: Stopwatch,
    budget: Budget,
    permits: Arc<Semaphore>,
}

/// A question that was answered.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) live: Arc<LiveViews>,
    pub(crate) views: Vec<LiveVersion>,
    pub(crate) columns: RecordBatch,
    pub(crate) in_hand: BTreeMap<ViewName, InHand>,
    pub(crate) time: EventTime,
}

impl Shadows {
    /// Shadows that read a store, and may burn so much for a question.
    pub(crate) fn new(
        store: Arc<dyn OnlineStore>,
        observed: Observed,
        stopwatch: Stopwatch,
        budget: Budget,
        at_once: usize,
    ) -> Self {
        Shadows { store, observed, stopwatch, budget, permits: Arc::new(Semaphore::new(at_once)) }
    }

    /// Asks the shadows of the views that a question asked for or read the same, each in its view's place, once there is time for it.
    pub(crate) fn ask(&self, asked: &Asked, answer: &Answer) {
        for given in answer.all() {
            let Some(shadow) = asked.live.shadow(&given.version.view().name) else { continue };
            let takes = asked.in_hand.is_empty() || shadow.view().inputs == given.version.view().inputs;
            match self.permits.clone().try_acquire_owned() {
                Ok(permit) if takes => {
                    let (store, observed) = (self.store.clone(), self.observed.clone());
                    let (asked, given, shadow) = (asked.clone(), given.clone(), shadow.clone());
                    let (stopwatch, budget) = (self.stopwatch, self.budget.clone());
                    spawn_blocking(move || {
                        let answer = asked.answer(&*store, &shadow, stopwatch, budget);
                        observed.compared(shadow.release, &given, Handle::current().block_on(answer).as_ref());
                        drop(permit);
                    });
                }
                _ => self.observed.compared(shadow.release, given, None),
            }
        }
    }
}

impl Asked {
    /// What a shadow answers in its view's place, if it can be asked.
    async fn answer(
        self,
        store: &dyn OnlineStore,
        shadow: &LiveVersion,
        stopwatch: Stopwatch,
        mut budget: Budget,
    ) -> Option<ViewAnswer> {
        let Asked { live, views, columns, in_hand, time } = self;
        let name = &shadow.view().name;
        let mut live = LiveViews::new(live.views.clone());
        live.views.insert(name.clone(), shadow.clone());
        let in_place = |version: LiveVersion| if version.view().name == *name { shadow.clone() } else { version };
        let views = views.into_iter().map(in_place).collect();
        let question = Question { live: &live, views, columns, in_hand, time, stopwatch };
        let answer = lookup(store, question, &mut budget).await.ok()?;
        answer.all().find(|view| view.version.view().name == *name).cloned()
    }
}
