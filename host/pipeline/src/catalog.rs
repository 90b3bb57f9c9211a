//! The versions in force, admitted and ready: registry snapshots turned into runnable views.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trifold_model::{ComponentDigest, StateId, ViewName};
use trifold_registry::{Candidate, Registry, RegistryError, Release, Releases, Watcher};
use trifold_sandbox::{AdmissionError, Sandbox, Transform};

use crate::candidate::{Canary, CandidateError, LiveCandidate, Role, check_candidate};
use crate::version::LiveVersion;

/// The views in force at one moment. A request takes one and keeps it to its end.
#[derive(Clone, Default)]
pub struct LiveViews {
    /// The version in force of each view.
    pub views: BTreeMap<ViewName, LiveVersion>,
    /// The versions that are tried out beside them.
    pub candidates: BTreeMap<ViewName, LiveCandidate>,
}

impl LiveViews {
    /// Views of which nothing is tried out.
    pub fn new(views: BTreeMap<ViewName, LiveVersion>) -> Self {
        LiveViews { views, candidates: BTreeMap::new() }
    }

    /// Whether the same releases of the same versions are in force, and tried out.
    pub fn same_versions(&self, other: &LiveViews) -> bool {
        let key = |(name, version): (&ViewName, &LiveVersion)| (name.clone(), version.release, version.digest());
        let numbers = |live: &LiveViews| -> (Vec<_>, Vec<_>) {
            let candidates = live.candidates.iter().map(|(name, candidate)| (name, &candidate.version));
            (live.views.iter().map(key).collect(), candidates.map(key).collect())
        };
        numbers(self) == numbers(other)
    }

    /// Those of the versions, tried out or not, for which this holds.
    pub fn filtered(&self, keep: impl Fn(&ViewName, &LiveVersion) -> bool) -> LiveViews {
        let mut kept = self.clone();
        kept.views.retain(|name, version| keep(name, version));
        kept.candidates.retain(|name, candidate| keep(name, &candidate.version));
        kept
    }

    /// The version of a view that serves some of its entities, if one does.
    pub fn canary(&self, view: &ViewName) -> Option<(&LiveVersion, &Canary)> {
        match self.candidates.get(view)? {
            LiveCandidate { version, role: Role::Canary(canary) } => Some((version, canary)),
            _ => None,
        }
    }

    /// The version of a view that is compared with the one in force, if one is.
    pub fn shadow(&self, view: &ViewName) -> Option<&LiveVersion> {
        match self.candidates.get(view)? {
            LiveCandidate { version, role: Role::Shadow } => Some(version),
            _ => None,
        }
    }
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
    /// The component may not run here. It may be signed later, without another release.
    #[error("view {view}, release {release}: {source}")]
    Untrusted {
        /// The view.
        view: ViewName,
        /// The release's number.
        release: u64,
        /// Who has signed the component, and what to do.
        source: RegistryError,
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
    /// The version cannot be tried out beside the one in force.
    #[error("view {view}, release {release}: version {version} is not tried out: {source}")]
    Candidate {
        /// The view.
        view: ViewName,
        /// The release's number.
        release: u64,
        /// The version.
        version: u64,
        /// Why not.
        source: CandidateError,
    },
}

impl CatalogProblem {
    fn view(&self) -> &ViewName {
        match self {
            CatalogProblem::Registry { view, .. }
            | CatalogProblem::Untrusted { view, .. }
            | CatalogProblem::Admission { view, .. }
            | CatalogProblem::OtherView { view, .. }
            | CatalogProblem::Candidate { view, .. } => view,
        }
    }

    fn release(&self) -> Option<u64> {
        match self {
            CatalogProblem::Registry { .. } => None,
            CatalogProblem::Untrusted { release, .. }
            | CatalogProblem::Admission { release, .. }
            | CatalogProblem::OtherView { release, .. }
            | CatalogProblem::Candidate { release, .. } => Some(*release),
        }
    }
}

/// A release that is not in force here, though the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its number, where that is known.
    pub release: Option<u64>,
    /// Why it is not in force.
    pub reason: String,
}

/// Follows the registry's releases and admits their components, each once.
pub struct Catalog {
    registry: Registry,
    watcher: Watcher,
    sandbox: Sandbox,
    /// What the registry said last.
    releases: Arc<Releases>,
    live: Arc<LiveViews>,
    /// What was in force of a view before, so that taking a release back needs no admission.
    before: BTreeMap<ViewName, Transform>,
    waiting: BTreeMap<ViewName, Waiting>,
    /// Whether a component could not be read or was not signed, which may be otherwise at the next poll.
    unread: bool,
    /// Releases whose components will never run here; each was reported once.
    refused: BTreeSet<(ViewName, u64)>,
}

impl Catalog {
    /// A catalog with nothing in force yet.
    pub fn new(registry: Registry, sandbox: Sandbox) -> Self {
        let watcher = registry.watcher();
        Catalog {
            registry,
            watcher,
            sandbox,
            releases: Arc::default(),
            live: Arc::default(),
            before: BTreeMap::new(),
            waiting: BTreeMap::new(),
            unread: false,
            refused: BTreeSet::new(),
        }
    }

    /// The views in force as of the last poll.
    pub fn live(&self) -> Arc<LiveViews> {
        self.live.clone()
    }

    /// The releases that could not be put into force as of the last poll, by view.
    pub fn waiting(&self) -> &BTreeMap<ViewName, Waiting> {
        &self.waiting
    }

    /// The states of a view that nobody goes on with, since the versions that they were built for were given up.
    pub async fn given_up(&self, view: &ViewName) -> Result<BTreeSet<StateId>, RegistryError> {
        self.registry.given_up(view).await
    }

    /// Looks for new releases and puts them into force. One view's trouble does not keep the others back: it is
    /// reported, and that view stays as it was.
    pub async fn poll(&mut self) -> Result<Vec<CatalogProblem>, RegistryError> {
        match self.watcher.poll().await? {
            Some(releases) => self.releases = releases,
            None if self.unread => {}
            None => return Ok(Vec::new()),
        }
        self.unread = false;
        let releases = self.releases.clone();
        let mut problems: Vec<_> = releases
            .problems
            .iter()
            .map(|(view, problem)| CatalogProblem::Registry { view: view.clone(), message: problem.to_string() })
            .collect();
        let mut live = LiveViews::clone(&self.live);
        let is_known = |name: &ViewName| releases.views.contains_key(name) || releases.problems.contains_key(name);
        live.views.retain(|name, _| is_known(name));
        live.candidates.retain(|name, _| is_known(name));
        for (name, release) in &releases.views {
            if self.refused.contains(&(name.clone(), release.seq)) {
                continue;
            }
            if let Err(problem) = self.put_into_force(&mut live, name, release).await {
                match problem {
                    CatalogProblem::Registry { .. } | CatalogProblem::Untrusted { .. } => self.unread = true,
                    _ => drop(self.refused.insert((name.clone(), release.seq))),
                }
                problems.push(problem);
            }
        }
        for problem in &problems {
            let waiting = Waiting { release: problem.release(), reason: problem.to_string() };
            self.waiting.insert(problem.view().clone(), waiting);
        }
        self.live = Arc::new(live);
        Ok(problems)
    }

    /// Puts what a release says into force, as far as it can be; what was tried out before is not any more.
    async fn put_into_force(
        &mut self,
        live: &mut LiveViews,
        name: &ViewName,
        release: &Release,
    ) -> Result<(), CatalogProblem> {
        let version = self.load(name, release, (release.version, release.digest)).await?;
        self.waiting.remove(name);
        let before = live.views.insert(name.clone(), version.clone());
        let tried = live.candidates.remove(name).map(|candidate| candidate.version);
        let of_before = before.into_iter().chain(tried).rfind(|before| before.digest() != version.digest());
        self.before.extend(of_before.map(|before| (name.clone(), before.transform)));
        if let Some(candidate) = &release.candidate {
            let candidate = self.load_candidate(name, release, candidate, &version).await?;
            live.candidates.insert(name.clone(), candidate);
        }
        Ok(())
    }

    async fn load_candidate(
        &self,
        name: &ViewName,
        release: &Release,
        candidate: &Candidate,
        serving: &LiveVersion,
    ) -> Result<LiveCandidate, CatalogProblem> {
        let version = self.load(name, release, (candidate.version, candidate.digest)).await?;
        check_candidate((serving.version, serving.view()), version.view(), &candidate.trial).map_err(
            |source| CatalogProblem::Candidate {
                view: name.clone(),
                release: release.seq,
                version: version.version,
                source,
            },
        )?;
        Ok(LiveCandidate { version, role: Role::of(release, &candidate.trial) })
    }

    async fn load(
        &self,
        name: &ViewName,
        release: &Release,
        (version, digest): (u64, ComponentDigest),
    ) -> Result<LiveVersion, CatalogProblem> {
        let transform = match self.admitted(&digest) {
            Some(transform) => transform,
            None => self.admit(name, release, (version, digest)).await?,
        };
        if transform.view().name != *name {
            return Err(CatalogProblem::OtherView {
                view: name.clone(),
                release: release.seq,
                digest,
                declared: transform.view().name.clone(),
            });
        }
        Ok(LiveVersion { version, release: Some(release.seq), transform })
    }

    async fn admit(
        &self,
        name: &ViewName,
        release: &Release,
        (version, digest): (u64, ComponentDigest),
    ) -> Result<Transform, CatalogProblem> {
        let wasm = self.registry.runnable(name, version, &digest).await;
        let wasm = wasm.map_err(|error| match error {
            source @ RegistryError::Untrusted { .. } => {
                CatalogProblem::Untrusted { view: name.clone(), release: release.seq, source }
            }
            error => CatalogProblem::Registry { view: name.clone(), message: error.to_string() },
        })?;
        self.sandbox.admit(&wasm).map_err(|source| CatalogProblem::Admission {
            view: name.clone(),
            release: release.seq,
            source,
        })
    }

    fn admitted(&self, digest: &ComponentDigest) -> Option<Transform> {
        let tried = self.live.candidates.values().map(|candidate| &candidate.version);
        let live = self.live.views.values().chain(tried).map(|version| &version.transform);
        live.chain(self.before.values()).find(|transform| transform.digest() == *digest).cloned()
    }
}
