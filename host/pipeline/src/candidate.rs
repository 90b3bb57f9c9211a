//! Versions that are tried out beside the ones in force, and what they may be tried out for.

use arrow_array::RecordBatch;
use trifold_eventlog::Events;
use trifold_model::canonical::ForeignType;
use trifold_model::{CanonicalRows, EntityKey, FeatureView, Salt, Share, ViewName};
use trifold_registry::{Release, Trial};

use crate::admission::select;
use crate::diff::{Break, compare_declarations};
use crate::ingest::IngestError;
use crate::version::LiveVersion;

/// A version that is tried out beside the one in force.
#[derive(Clone)]
pub struct LiveCandidate {
    /// The version; its release is the one that says what it is tried out for.
    pub version: LiveVersion,
    /// What it is for.
    pub role: Role,
}

/// What a candidate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its state is built, and nothing else.
    Bootstrap,
    /// It is computed beside the version in force and compared with it, and never served.
    Shadow,
    /// It serves some of the entities.
    Canary(Canary),
}

/// Which entities a canary serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    /// How many of them.
    pub share: Share,
    /// The release with which its rollout began.
    pub rollout: u64,
    salt: Salt,
}

impl Canary {
    /// The share of a view's entities, drawn anew for each rollout.
    pub fn new(view: &ViewName, rollout: u64, share: Share) -> Self {
        Canary { share, rollout, salt: Salt::new(view, rollout) }
    }

    /// Whether the canary serves an entity.
    pub fn takes(&self, key: &EntityKey) -> bool {
        self.salt.takes(self.share, key)
    }

    /// Of each event, whether the canary serves its entity.
    pub fn taken(&self, view: &FeatureView, inputs: &RecordBatch) -> Result<Vec<bool>, ForeignType> {
        let keys = CanonicalRows::of_columns(inputs, view.key_columns().iter().copied())?;
        let mut scratch = Vec::new();
        Ok((0..inputs.num_rows()).map(|row| self.takes(&keys.key(row, &mut scratch))).collect())
    }

    /// Divides events between the version in force, which is told of what was set aside too, and a canary of the same
    /// state.
    pub fn divide(&self, view: &FeatureView, events: Events) -> Result<(Events, Events), IngestError> {
        let taken = self.taken(view, &events.inputs)?;
        let rows = |wanted| {
            let rows = (0..).zip(&taken).filter(move |(_, taken)| **taken == wanted);
            rows.map(|(row, _)| row).collect::<Vec<u32>>()
        };
        let mut canary = select(&events, &rows(true))?;
        canary.aside.clear();
        Ok((select(&events, &rows(false))?, canary))
    }
}

/// Some of a view's entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entities {
    /// All of them.
    All,
    /// Those that a canary takes.
    Taken(Canary),
    /// Those that it leaves.
    Left(Canary),
}

impl Entities {
    /// Whether an entity is one of them.
    pub fn has(&self, key: &EntityKey) -> bool {
        match self {
            Entities::All => true,
            Entities::Taken(canary) => canary.takes(key),
            Entities::Left(canary) => !canary.takes(key),
        }
    }
}

impl Role {
    /// What the candidate of a release is for.
    pub fn of(release: &Release, trial: &Trial) -> Self {
        match trial {
            Trial::Bootstrap => Role::Bootstrap,
            Trial::Shadow => Role::Shadow,
            Trial::Canary { share, .. } => Role::Canary(Canary::new(&release.view, release.rollout, *share)),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Role::Bootstrap => "bootstrap",
            Role::Shadow => "shadow",
            Role::Canary(_) => "canary",
        }
    }
}

/// Why a version cannot be tried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CandidateError {
    /// Those who ask for the version in force could not go on.
    #[error(
        "it cannot be a {trial}: those who use version {serving} could not go on: {}; a release for everybody can put it \
         into force",
        list(.breaks)
    )]
    Breaks {
        /// What it was to be tried out for.
        trial: &'static str,
        /// The version in force.
        serving: u64,
        /// What they could not go on with.
        breaks: Vec<Break>,
    },
    /// There is no state of its own to build.
    #[error("it has no state of its own to build: {reason}; release it, or try it out as a canary or a shadow")]
    NoState {
        /// Why not.
        reason: String,
    },
}

fn list(breaks: &[Break]) -> String {
    breaks.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Whether a version can be tried out beside the one in force. Both answer the same questions, and what a canary serves has
/// all features of the version in force; whether they may be null is what a trial is to show.
pub fn check_candidate(
    serving: (u64, &FeatureView),
    candidate: &FeatureView,
    trial: &Trial,
) -> Result<(), CandidateError> {
    let (number, serving) = serving;
    if *trial == Trial::Bootstrap {
        let reason = match candidate.on_demand() {
            Some(_) => "nothing is stored of an on-demand view".to_owned(),
            None if candidate.state_id() == serving.state_id() => {
                format!("it goes on with the state of version {number}, which is in force")
            }
            None => return Ok(()),
        };
        return Err(CandidateError::NoState { reason });
    }
    let mut breaks = compare_declarations(serving, candidate).breaks;
    breaks.retain(|found| match found {
        Break::Nullable(_) => false,
        Break::Removed(_) | Break::Retyped(..) => matches!(trial, Trial::Canary { .. }),
        Break::Kind | Break::Entity | Break::RequestNeeds(_) | Break::RequestBrings(_) => true,
    });
    match breaks.is_empty() {
        true => Ok(()),
        false => Err(CandidateError::Breaks { trial: trial.name(), serving: number, breaks }),
    }
}
