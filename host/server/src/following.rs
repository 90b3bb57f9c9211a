//! Follows the releases while a server answers.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, spawn_blocking};
use trifold_model::ViewName;
use trifold_pipeline::{Catalog, CatalogProblem, LiveViews, TakenOver, Waiting, take_over};
use trifold_registry::RegistryError;
use trifold_store::{OnlineStore, StoreError};

use crate::admin::{Calls, Desk, Looked};
use crate::service::Clock;

/// What keeps releases from being served.
pub enum News<'a> {
    /// A release cannot be put into force. Told once, as long as it stays so.
    Problem(&'a CatalogProblem),
    /// The releases cannot be read; those of before stay in force. Told once, as long as it stays so.
    Unread(&'a RegistryError),
    /// The releases can be read again.
    Read,
    /// What the store has of them cannot be read.
    Store(&'a StoreError),
}

/// Keeps the views that a server answers with up to date.
pub struct Following {
    catalog: Catalog,
    store: Arc<dyn OnlineStore>,
    publish: watch::Sender<Arc<LiveViews>>,
    desk: Desk,
    calls: Calls,
    clock: Clock,
    tell: fn(News<'_>),
    /// What is released and does not answer yet.
    held_back: BTreeMap<ViewName, Waiting>,
    /// The problems of the last look.
    told: BTreeSet<String>,
    /// Why the last look could not read the releases.
    unread: Option<RegistryError>,
}

impl Following {
    /// Looks for the first time. All versions in force are served then, whatever the store has.
    pub async fn begin(
        mut catalog: Catalog,
        store: Arc<dyn OnlineStore>,
        desk: Desk,
        clock: Clock,
        tell: fn(News<'_>),
    ) -> Result<Self, RegistryError> {
        let mut calls = desk.calls();
        let call = calls.take();
        let problems = catalog.poll().await?;
        let publish = watch::channel(Arc::default()).0;
        let (held_back, told, unread) = Default::default();
        let mut following =
            Following { catalog, store, publish, desk, calls, clock, tell, held_back, told, unread };
        following.tell_problems(&problems);
        if !following.take_over().await {
            let in_force = LiveViews::new(following.catalog.live().views.clone());
            following.publish.send_replace(Arc::new(in_force));
        }
        following.tell_desk(call);
        Ok(following)
    }

    /// The views that are served, as they change.
    pub fn live(&self) -> watch::Receiver<Arc<LiveViews>> {
        self.publish.subscribe()
    }

    /// Looks for releases every `interval`, and whenever somebody calls at the desk. Ends only if a look panics.
    pub async fn follow(mut self, interval: Duration) -> JoinError {
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = self.calls.called() => {}
            }
            match self.look().await {
                Ok(back) => self = back,
                Err(panicked) => return panicked,
            }
        }
    }

    /// Publishes a new set of versions, if there is one. Admission compiles, so it must not hold up the requests' threads.
    async fn look(mut self) -> Result<Self, JoinError> {
        let call = self.calls.take();
        let handle = Handle::current();
        // Whoever no longer waits for the look, as the process ends, does not let it go on without a runtime either.
        let (waits, gone) = oneshot::channel::<()>();
        let (mut back, polled) = spawn_blocking(move || {
            let polled = handle.block_on(async {
                tokio::select! {
                    biased;
                    _ = gone => Ok(Vec::new()),
                    polled = self.catalog.poll() => polled,
                }
            });
            (self, polled)
        })
        .await?;
        drop(waits);
        match &polled {
            Ok(problems) => back.tell_problems(problems),
            // What a connection ends with differs from look to look.
            Err(error) if back.unread.as_ref().map(discriminant) != Some(discriminant(error)) => {
                (back.tell)(News::Unread(error));
            }
            Err(_) => {}
        }
        let unread = polled.err();
        if back.unread.is_some() && unread.is_none() {
            (back.tell)(News::Read);
        }
        back.unread = unread;
        back.take_over().await;
        back.tell_desk(call);
        Ok(back)
    }

    /// Serves what is released, as far as the store has it; whether it could be asked.
    async fn take_over(&mut self) -> bool {
        let serving = self.publish.borrow().clone();
        match take_over(&*self.store, &serving, &self.catalog.live()).await {
            Ok(TakenOver { live, waiting }) => {
                self.held_back = waiting;
                if !live.same_versions(&serving) {
                    self.publish.send_replace(Arc::new(live));
                }
                true
            }
            Err(error) => {
                (self.tell)(News::Store(&error));
                false
            }
        }
    }

    fn tell_problems(&mut self, problems: &[CatalogProblem]) {
        let now = |problem: &CatalogProblem| problem.to_string();
        for problem in problems.iter().filter(|problem| !self.told.contains(&now(problem))) {
            (self.tell)(News::Problem(problem));
        }
        self.told = problems.iter().map(now).collect();
    }

    fn tell_desk(&self, call: u64) {
        let registry_problem = self.unread.as_ref().map(ToString::to_string);
        let running = self.publish.borrow().clone();
        let mut waiting = self.held_back.clone();
        waiting.extend(self.catalog.waiting().iter().map(|(name, waiting)| (name.clone(), waiting.clone())));
        let looked = Looked { running: &running, waiting, registry_problem };
        self.desk.tell(call, looked, (self.clock)());
    }
}
