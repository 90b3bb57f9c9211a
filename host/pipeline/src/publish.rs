//! From a component to a version: the publish gate over samples, what is recorded of it, and the push.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use trifold_eventlog::{Aside, Events};
use trifold_model::{ComponentDigest, ViewName};
use trifold_registry::{Act, GateRecord, GateSample, Provenance, Pushed, Registry, RegistryError, Signature};
use trifold_sandbox::{AdmissionError, Transform, fuel_counted_by};

use crate::gate::{GENERATED_ROWS, GateError, GateReport, SEED, publish_gate};
use crate::samples::synthetic_samples;
use crate::versions::{VersionError, Versions};

/// A component in the publish gate.
pub struct GateRun {
    transform: Transform,
    beside: Vec<(u64, Transform)>,
    samples: Vec<TriedSample>,
}

/// Rows that a component was tried on.
pub struct TriedSample {
    /// The file that they stood in; `None` for generated rows.
    pub file: Option<PathBuf>,
    /// The rows of the file that do not fit the view and were not tried.
    pub aside: Vec<Aside>,
    /// What the gate found.
    pub report: GateReport,
}

/// A component that the gate does not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("view {view}: the publish gate refuses component {digest}: {check}: {failure}; {advice}")]
pub struct Refusal {
    /// The view.
    pub view: ViewName,
    /// The component.
    pub digest: ComponentDigest,
    /// What was tried.
    pub check: &'static str,
    /// The first row that was wrong.
    pub failure: String,
    /// What its author may do.
    pub advice: &'static str,
}

/// Why a component was not pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// It is not admitted.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// What it is tried beside is not there or does not run, or does not give what it asks for.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// The gate could not be run to its end.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The gate refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The registry does not take it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl GateRun {
    /// Tries a component on generated rows, beside the versions that share its state.
    pub fn begin(transform: Transform, beside: Vec<(u64, Transform)>) -> Result<Self, GateError> {
        let generated = synthetic_samples(transform.view(), SEED, GENERATED_ROWS)?;
        let report = publish_gate(&transform, &beside, &generated, SEED)?;
        let samples = vec![TriedSample { file: None, aside: Vec::new(), report }];
        Ok(GateRun { transform, beside, samples })
    }

    /// Tries the component on rows of its author's, too.
    pub fn try_sample(&mut self, file: &Path, events: Events) -> Result<(), GateError> {
        let mut report = publish_gate(&self.transform, &self.beside, &events.inputs, SEED)?;
        report.check_computed();
        self.samples.push(TriedSample { file: Some(file.to_owned()), aside: events.aside, report });
        Ok(())
    }

    /// The component.
    pub fn transform(&self) -> &Transform {
        &self.transform
    }

    /// What was tried.
    pub fn samples(&self) -> &[TriedSample] {
        &self.samples
    }

    /// Whether the component may be published.
    pub fn passed(&self) -> bool {
        self.samples.iter().all(|sample| sample.report.passed())
    }

    /// The component, if it may be published.
    pub fn verdict(self) -> Result<Accepted, Refusal> {
        let mut checks = self.samples.iter().flat_map(|sample| &sample.report.checks);
        let failed = checks.find_map(|check| check.failure.clone().map(|failure| (check, failure)));
        if let Some((check, failure)) = failed {
            return Err(Refusal {
                view: self.transform.view().name.clone(),
                digest: self.transform.digest(),
                check: check.name,
                failure,
                advice: check.advice(),
            });
        }
        let samples = self.samples.iter().map(TriedSample::record).collect();
        let gate = GateRecord { fuel_counted_by: fuel_counted_by(), samples };
        Ok(Accepted { transform: self.transform, gate })
    }
}

impl TriedSample {
    /// How many rows were not tried, by reason.
    pub fn aside_by_reason(&self) -> BTreeMap<&'static str, u64> {
        let mut aside = BTreeMap::new();
        for event in &self.aside {
            *aside.entry(event.reason.name()).or_default() += 1;
        }
        aside
    }

    fn record(&self) -> GateSample {
        let TriedSample { file, report, .. } = self;
        let aside = self.aside_by_reason().into_iter();
        GateSample {
            // Where it stood says nothing to others.
            file: file.as_ref().and_then(|file| Some(file.file_name()?.to_string_lossy().into_owned())),
            rows: report.sample_rows as u64,
            errors: report.errors.iter().map(|errors| (errors.code, errors.rows as u64)).collect(),
            aside: aside.map(|(reason, rows)| (reason.to_owned(), rows)).collect(),
            fuel: report.fuel,
            checks: report.checks.iter().map(|check| (check.name.to_owned(), check.rows as u64)).collect(),
        }
    }
}

/// A component that the gate let through.
pub struct Accepted {
    transform: Transform,
    gate: GateRecord,
}

impl Accepted {
    /// Registers the component, whose bytes these are, and puts a signature beside it.
    pub async fn push(
        self,
        registry: &Registry,
        wasm: &[u8],
        pushed: Act,
        signature: Option<&Signature>,
    ) -> Result<Pushed, RegistryError> {
        let digest = self.transform.digest();
        if let Some(signature) = signature.filter(|signature| !signature.holds_for(&digest)) {
            return Err(RegistryError::WrongSignature { digest, key: signature.key.id() });
        }
        let provenance = Provenance { pushed, tools: self.transform.tools().to_vec(), gate: Some(self.gate) };
        let (view, description) = (self.transform.view(), self.transform.description());
        let pushed = registry.push(wasm, view, description, provenance).await?;
        if let Some(signature) = signature {
            registry.sign(&digest, signature).await?;
        }
        Ok(pushed)
    }
}

/// Publishes the components that a process is given.
pub struct Publisher {
    versions: Versions,
    bytes_max: usize,
}

impl Publisher {
    /// Into the registry of these versions, components of at most so many bytes.
    pub fn new(versions: Versions, bytes_max: usize) -> Self {
        Publisher { versions, bytes_max }
    }

    /// The most bytes of a component.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Takes a component through the publish gate into the registry. It compiles and computes, so it is for a thread that
    /// may be held up.
    pub async fn push(
        &self,
        wasm: &[u8],
        pushed: Act,
        signature: Option<&Signature>,
    ) -> Result<Pushed, PushError> {
        let transform = self.versions.sandbox.admit(wasm)?;
        let beside = self.versions.beside(&transform).await?;
        let accepted = GateRun::begin(transform, beside)?.verdict()?;
        Ok(accepted.push(&self.versions.registry, wasm, pushed, signature).await?)
    }
}
