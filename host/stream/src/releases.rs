//! Which versions are in force.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use trifold_model::{StateId, ViewName};
use trifold_pipeline::{Catalog, CatalogProblem, LiveViews};
use trifold_registry::RegistryError;

/// Where the worker learns of releases.
pub trait ReleaseFeed: Send {
    /// Looks for new releases: what could not be put into force.
    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<CatalogProblem>, RegistryError>>;

    /// The views in force as of the last poll.
    fn live(&self) -> Arc<LiveViews>;

    /// The states of a view that nobody goes on with, since the versions that they were built for were given up.
    fn given_up<'a>(&'a self, _view: &'a ViewName) -> BoxFuture<'a, Result<BTreeSet<StateId>, RegistryError>> {
        async { Ok(BTreeSet::new()) }.boxed()
    }

    /// Whether somebody asks for a poll before it is time.
    fn is_called(&self) -> bool {
        false
    }

    /// Waits until somebody asks for a poll before it is time.
    fn called(&self) -> BoxFuture<'_, ()> {
        std::future::pending().boxed()
    }
}

impl ReleaseFeed for Catalog {
    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<CatalogProblem>, RegistryError>> {
        Catalog::poll(self).boxed()
    }

    fn live(&self) -> Arc<LiveViews> {
        Catalog::live(self)
    }

    fn given_up<'a>(&'a self, view: &'a ViewName) -> BoxFuture<'a, Result<BTreeSet<StateId>, RegistryError>> {
        Catalog::given_up(self, view).boxed()
    }
}

/// Versions that stay in force, for a worker without a registry.
#[derive(Clone)]
pub struct Fixed(pub Arc<LiveViews>);

impl ReleaseFeed for Fixed {
    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<CatalogProblem>, RegistryError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn live(&self) -> Arc<LiveViews> {
        self.0.clone()
    }
}
