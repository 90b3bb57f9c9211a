//! The versions in force, admitted and ready: registry snapshots turned into runnable views.

use std::collections::BTreeMap;
use std::sync::Arc;

use trifold_model::{ComponentDigest, ViewName};
use trifold_registry::{Registry, RegistryError, Release, Watcher};
use trifold_sandbox::{AdmissionError, Sandbox, Transform};

use crate::version::LiveVersion;

/// The views in force at one moment. A request takes one and keeps it to its end.
#[derive(Clone, Default)]
pub struct LiveViews {
    /// The version in force of each view.
    pub views: BTreeMap<ViewName, LiveVersion>,
}

/// A release that could not be put into force. The version before it stays in force.
#[derive(Debug, thiserror::Error)]
pub enum CatalogProblem {
    /// The registry could not be read.
    #[error("view {view}: {message}")]
    Registry {
        /// The view.
        view: ViewName,
        /// What the registry said.
        message: String,
    },
    /// The component is not admitted.
    #[error("view {view}, release {release}: {source}")]
    Admission {
        /// The view.
        view: ViewName,
        /// The release's number.
        release: u64,
        /// Why not.
        source: AdmissionError,
    },
    /// The component is that of another view.
    #[error("view {view}, release {release}: its component {digest} is one of view {declared}")]
    OtherView {
        /// The view.
        view: ViewName,
        /// The release's number.
        release: u64,
        /// The component.
        digest: ComponentDigest,
        /// The view that the component declares.
        declared: ViewName,
    },
}

/// Follows the registry's releases and admits their components, each once.
pub struct Catalog {
    registry: Registry,
    watcher: Watcher,
    sandbox: Sandbox,
    live: Arc<LiveViews>,
    /// Releases that failed are tried again at the next poll.
    incomplete: bool,
}

impl Catalog {
    /// A catalog with nothing in force yet.
    pub fn new(registry: Registry, sandbox: Sandbox) -> Self {
        let watcher = registry.watcher();
        Catalog { registry, watcher, sandbox, live: Arc::default(), incomplete: false }
    }

    /// The views in force as of the last poll.
    pub fn live(&self) -> Arc<LiveViews> {
        self.live.clone()
    }

    /// Looks for new releases and puts them into force. One view's trouble does not keep the others back: it is
    /// reported, and that view stays as it was.
    pub async fn poll(&mut self) -> Result<Vec<CatalogProblem>, RegistryError> {
        let releases = match self.watcher.poll().await? {
            Some(releases) => releases,
            None if self.incomplete => self.registry.releases().await?,
            None => return Ok(Vec::new()),
        };
        let mut problems = Vec::new();
        let mut views = BTreeMap::new();
        for (name, release) in &releases.views {
            let version = match self.load(name, release).await {
                Ok(version) => Some(version),
                Err(problem) => {
                    problems.push(problem);
                    self.live.views.get(name).cloned()
                }
            };
            views.extend(version.map(|version| (name.clone(), version)));
        }
        for (name, problem) in &releases.problems {
            problems.push(CatalogProblem::Registry { view: name.clone(), message: problem.to_string() });
            if let Some(version) = self.live.views.get(name) {
                views.entry(name.clone()).or_insert_with(|| version.clone());
            }
        }
        self.incomplete = !problems.is_empty();
        self.live = Arc::new(LiveViews { views });
        Ok(problems)
    }

    async fn load(&self, name: &ViewName, release: &Release) -> Result<LiveVersion, CatalogProblem> {
        let transform = match self.admitted(&release.digest) {
            Some(transform) => transform,
            None => self.admit(name, release).await?,
        };
        if transform.view().name != *name {
            return Err(CatalogProblem::OtherView {
                view: name.clone(),
                release: release.seq,
                digest: release.digest,
                declared: transform.view().name.clone(),
            });
        }
        Ok(LiveVersion { version: release.version, release: Some(release.seq), transform })
    }

    async fn admit(&self, name: &ViewName, release: &Release) -> Result<Transform, CatalogProblem> {
        let wasm = self
            .registry
            .component(&release.digest)
            .await
            .map_err(|error| CatalogProblem::Registry { view: name.clone(), message: error.to_string() })?;
        self.sandbox.admit(&wasm).map_err(|source| CatalogProblem::Admission {
            view: name.clone(),
            release: release.seq,
            source,
        })
    }

    fn admitted(&self, digest: &ComponentDigest) -> Option<Transform> {
        let version = self.live.views.values().find(|version| version.digest() == *digest)?;
        Some(version.transform.clone())
    }
}
