//! The releases that a worker or feeder follows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use trifold_model::{StateId, ViewName};
use trifold_pipeline::{Catalog, CatalogProblem, LiveViews};
use trifold_registry::{Registry, RegistryError};
use trifold_server::admin::{Calls, Desk, Looked};
use trifold_stream::ReleaseFeed;

use super::view_names;
use crate::clock;
use crate::exit::Outcome;
use crate::world::{World, registry_failure};

/// The releases of some views only; of all where none are named.
pub struct Chosen {
    catalog: Catalog,
    names: Vec<ViewName>,
    calls: Option<Calls>,
    told: Option<Desk>,
}

/// The releases of the views that are named.
pub fn chosen(world: &World, views: &[String]) -> Outcome<Chosen> {
    let names = view_names(views)?;
    let registry = world.registry(false)?;
    world.block_on(check_names(&registry, &names))?;
    Ok(Chosen { catalog: Catalog::new(registry, world.sandbox()?), names, calls: None, told: None })
}

/// A view that is not in the registry would be left out, or waited for, without a word.
async fn check_names(registry: &Registry, names: &[ViewName]) -> Outcome {
    if names.is_empty() {
        return Ok(());
    }
    let known = registry.views().await.map_err(registry_failure)?;
    match names.iter().find(|name| !known.contains(name)) {
        Some(name) => Err(registry_failure(RegistryError::UnknownView { view: name.clone(), known })),
        None => Ok(()),
    }
}

impl Chosen {
    /// Hears those who operate the process.
    pub fn hears(self, desk: &Desk) -> Self {
        Chosen { calls: Some(desk.calls()), ..self }
    }

    /// Hears those who operate the process, and tells them what runs.
    pub fn hears_and_tells(self, desk: &Desk) -> Self {
        Chosen { told: Some(desk.clone()), ..self.hears(desk) }
    }

    fn is_chosen(&self, view: &ViewName) -> bool {
        self.names.is_empty() || self.names.contains(view)
    }

    async fn look(&mut self) -> Result<Vec<CatalogProblem>, RegistryError> {
        let call = self.calls.as_mut().map(Calls::take);
        let problems = self.catalog.poll().await;
        if let (Some(call), Some(desk)) = (call, &self.told) {
            let live = self.live();
            let live = live.filtered(|_, version| version.view().on_demand().is_none());
            let waiting = self.catalog.waiting().iter().filter(|(view, _)| self.is_chosen(view));
            let waiting: BTreeMap<_, _> = waiting.map(|(view, known)| (view.clone(), known.clone())).collect();
            let registry_problem = problems.as_ref().err().map(ToString::to_string);
            // What is in force after a look is what the next step computes with.
            let looked = Looked { running: &live, waiting, registry_problem };
            desk.tell(call, looked, clock::now());
        }
        problems
    }
}

impl ReleaseFeed for Chosen {
    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<CatalogProblem>, RegistryError>> {
        self.look().boxed()
    }

    fn live(&self) -> Arc<LiveViews> {
        let live = self.catalog.live();
        if self.names.is_empty() {
            return live;
        }
        Arc::new(live.filtered(|name, _| self.is_chosen(name)))
    }

    fn given_up<'a>(&'a self, view: &'a ViewName) -> BoxFuture<'a, Result<BTreeSet<StateId>, RegistryError>> {
        self.catalog.given_up(view).boxed()
    }

    fn is_called(&self) -> bool {
        self.calls.as_ref().is_some_and(Calls::is_called)
    }

    fn called(&self) -> BoxFuture<'_, ()> {
        match &self.calls {
            Some(calls) => calls.called().boxed(),
            None => std::future::pending().boxed(),
        }
    }
}
