//! `trifold release` of a version that is to be tried out first.

use serde::Serialize;
use trifold_model::ViewName;
use trifold_pipeline::{LiveVersion, check_candidate, reads};
use trifold_registry::{Act, Candidate, Registry, Release, Trial};

use crate::exit::{Exit, Failure, Outcome};
use crate::world::{World, registry_failure};

/// Tries a version out beside the one in force, if it can be.
pub async fn try_out(
    world: &World,
    registry: &Registry,
    (view, number): (&ViewName, u64),
    trial: Trial,
    act: Act,
) -> Outcome<Release> {
    let candidate = world.version(&format!("{view}@{number}")).await?;
    // Without another version in force there is nothing to compare with, which the registry says in its own words.
    if let Some(serving) = in_force(world, view).await?.filter(|serving| serving.version != number) {
        let refused = |problem: String| Failure::new(Exit::Refused, format!("{view}@{number}: {problem}"));
        check_candidate((serving.version, serving.view()), candidate.view(), &trial)
            .map_err(|error| refused(error.to_string()))?;
        let given = world.reads(candidate.view(), &[]).await?;
        let found = |name: &ViewName| given.iter().map(|version| version.view()).find(|view| view.name == *name);
        reads(candidate.view(), found).map_err(|error| refused(error.to_string()))?;
    }
    registry.try_out(view, number, trial, act).await.map_err(registry_failure)
}

async fn in_force(world: &World, view: &ViewName) -> Outcome<Option<LiveVersion>> {
    match world.version(view.as_str()).await {
        Err(failure) if failure.exit == Exit::NotFound => Ok(None),
        version => version.map(Some),
    }
}

/// What is tried out by a release.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CandidateReport {
    /// The version.
    pub version: u64,
    /// Its component.
    pub digest: String,
    /// `canary`, `shadow` or `bootstrap`.
    pub kind: &'static str,
    /// Of a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// The same in words.
    pub trial: String,
}

impl CandidateReport {
    /// What a record says of it.
    pub fn of(candidate: &Candidate) -> Self {
        CandidateReport {
            version: candidate.version,
            digest: candidate.digest.to_string(),
            kind: candidate.trial.name(),
            share: match &candidate.trial {
                Trial::Canary { share, .. } => Some(share.to_string()),
                Trial::Bootstrap | Trial::Shadow => None,
            },
            trial: describe(&candidate.trial),
        }
    }
}

/// What is tried out of a release, in words.
fn describe(trial: &Trial) -> String {
    match trial {
        Trial::Bootstrap => "its state is built".to_owned(),
        Trial::Shadow => "a shadow, which serves nobody".to_owned(),
        Trial::Canary { share, steps } => {
            let next = steps.next.iter().map(|step| step.share.to_string()).collect::<Vec<_>>().join(", ");
            let next = if next.is_empty() { next } else { format!(", then {next}") };
            let hold = steps.hold.map_or_else(String::new, |seconds| format!(" for {seconds} s"));
            format!("a canary for {share} of the entities{hold}{next}")
        }
    }
}
