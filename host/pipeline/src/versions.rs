//! The versions of a registry, admitted when they are asked for.

use std::collections::BTreeMap;

use trifold_model::{ComponentDigest, FeatureView, OnDemandSpec, ViewName};
use trifold_registry::{Registry, RegistryError};
use trifold_sandbox::{AdmissionError, Sandbox, Transform};

use crate::on_demand::{ReadError, reads};
use crate::version::LiveVersion;

/// Why there is no such version to run.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The registry cannot be read, or has no such version.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The component is not admitted.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// Nothing of the view was released.
    #[error("no version of view {view} is in force; views in force: {}", names(in_force))]
    NotInForce {
        /// The view.
        view: ViewName,
        /// The views that something was released of.
        in_force: Vec<ViewName>,
    },
    /// An on-demand view asks for what the views that it reads do not give.
    #[error(transparent)]
    Reads(#[from] ReadError),
}

impl VersionError {
    /// Whether something was asked for that does not exist.
    pub fn is_unknown(&self) -> bool {
        match self {
            VersionError::Registry(error) => error.is_unknown(),
            VersionError::NotInForce { .. } => true,
            VersionError::Admission(_) | VersionError::Reads(_) => false,
        }
    }
}

fn names(views: &[ViewName]) -> String {
    match views {
        [] => "none".to_owned(),
        views => views.iter().map(ViewName::as_str).collect::<Vec<_>>().join(", "),
    }
}

/// Versions of a registry, ready to run. Clones share the sandbox.
#[derive(Clone)]
pub struct Versions {
    pub(crate) registry: Registry,
    pub(crate) sandbox: Sandbox,
}

impl Versions {
    /// Those of this registry.
    pub fn new(registry: Registry, sandbox: Sandbox) -> Self {
        Versions { registry, sandbox }
    }

    /// The component of a version.
    pub async fn transform(
        &self,
        view: &ViewName,
        version: u64,
        digest: &ComponentDigest,
    ) -> Result<Transform, VersionError> {
        let wasm = self.registry.runnable(view, version, digest).await?;
        Ok(self.sandbox.admit(&wasm)?)
    }

    /// A version of a view; without a number the one in force.
    pub async fn version(&self, view: &ViewName, number: Option<u64>) -> Result<LiveVersion, VersionError> {
        let (version, release, digest) = match number {
            Some(number) => (number, None, self.registry.version(view, number).await?.digest),
            None => {
                let releases = self.registry.releases().await?;
                if let Some(problem) = releases.problems.get(view) {
                    return Err(problem.clone().into());
                }
                let release = releases.get(view).ok_or_else(|| VersionError::NotInForce {
                    view: view.clone(),
                    in_force: releases.views.keys().cloned().collect(),
                })?;
                (release.version, Some(release.seq), release.digest)
            }
        };
        let transform = self.transform(view, version, &digest).await?;
        Ok(LiveVersion { version, release, transform })
    }

    /// The versions that an on-demand view reads, by the name of their view: those that `pinned` names, else those in
    /// force, and of a view that nothing was released of the newest. Refuses a view that asks for what they do not give.
    /// None for a view of another kind.
    pub async fn reads(
        &self,
        view: &FeatureView,
        pinned: &BTreeMap<ViewName, u64>,
    ) -> Result<Vec<LiveVersion>, VersionError> {
        let mut versions = BTreeMap::new();
        for name in view.on_demand().map(OnDemandSpec::views).unwrap_or_default() {
            let known = match pinned.get(name) {
                Some(number) => self.version(name, Some(*number)).await.map(Some),
                None => match self.version(name, None).await {
                    Err(error) if error.is_unknown() => self.newest(name).await,
                    known => known.map(Some),
                },
            };
            versions.extend(known?.map(|version| (name.clone(), version)));
        }
        reads(view, |name| versions.get(name).map(LiveVersion::view))?;
        Ok(versions.into_values().collect())
    }

    /// The version of a view that was pushed last, if there is one.
    async fn newest(&self, view: &ViewName) -> Result<Option<LiveVersion>, VersionError> {
        match self.registry.latest_version(view).await {
            Err(error) if error.is_unknown() => Ok(None),
            record => {
                let record = record?;
                let transform = self.transform(view, record.version, &record.digest).await?;
                Ok(Some(LiveVersion { version: record.version, release: None, transform }))
            }
        }
    }

    /// What a component is tried beside before it is published: the versions that share its state. Refuses one that
    /// cannot read what it asks for.
    pub async fn beside(&self, transform: &Transform) -> Result<Vec<(u64, Transform)>, VersionError> {
        self.reads(transform.view(), &BTreeMap::new()).await?;
        self.sharing(transform).await
    }

    /// The versions, by number, that go on with what a window view has stored, and it with what they have; none where
    /// there is no registry yet.
    async fn sharing(&self, transform: &Transform) -> Result<Vec<(u64, Transform)>, VersionError> {
        let view = transform.view();
        if view.windows().is_none() {
            return Ok(Vec::new());
        }
        let records = match self.registry.sharing(&view.name, view.state_id()).await {
            Err(RegistryError::Missing { .. } | RegistryError::MissingBucket { .. }) => return Ok(Vec::new()),
            records => records?,
        };
        let mut sharing = Vec::new();
        for record in records.iter().filter(|record| record.digest != transform.digest()) {
            match self.transform(&record.view, record.version, &record.digest).await {
                Ok(earlier) => sharing.push((record.version, earlier)),
                // It cannot be put into force either.
                Err(error) if does_not_run(&error) => {
                    let (view, version) = (&record.view, record.version);
                    tracing::warn!(%view, version, "not compared with a version that does not run: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(sharing)
    }
}

fn does_not_run(error: &VersionError) -> bool {
    match error {
        VersionError::Registry(error) => error.is_damage() || matches!(error, RegistryError::Untrusted { .. }),
        VersionError::Admission(_) => true,
        VersionError::NotInForce { .. } | VersionError::Reads(_) => false,
    }
}
