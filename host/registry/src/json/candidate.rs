//! The JSON of a version that is tried out.

use serde::{Deserialize, Serialize};
use trifold_model::Share;

use super::{KINDS, parse, unknown_kind, wrong_kind};
use crate::error::RecordDamage;
use crate::record::{Candidate, Step, Steps, Trial};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct CandidateJson {
    version: u64,
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct StepJson {
    share: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold_seconds: Option<u64>,
}

impl CandidateJson {
    pub(super) fn of(candidate: &Candidate) -> Self {
        let (version, digest) = (candidate.version, candidate.digest.to_string());
        let (share, steps) = match &candidate.trial {
            Trial::Bootstrap | Trial::Shadow => (None, Steps::default()),
            Trial::Canary { share, steps } => (Some(share.to_string()), steps.clone()),
        };
        let step = |step: &Step| StepJson { share: step.share.to_string(), hold_seconds: step.hold };
        let next = steps.next.iter().map(step).collect();
        CandidateJson { version, digest, share, hold_seconds: steps.hold, steps: next }
    }

    /// The candidate, of a record of this kind.
    pub(super) fn read(self, kind: &str) -> Result<Candidate, RecordDamage> {
        let step = |step: StepJson| Ok(Step { share: parse("share", &step.share)?, hold: step.hold_seconds });
        let next: Vec<_> = self.steps.into_iter().map(step).collect::<Result<_, RecordDamage>>()?;
        let steps = Steps { hold: self.hold_seconds, next };
        let trial = match (kind, self.share) {
            ("bootstrap", None) if steps == Steps::default() => Trial::Bootstrap,
            ("shadow", None) if steps == Steps::default() => Trial::Shadow,
            ("canary", Some(share)) => {
                let share: Share = parse("share", &share)?;
                if share == Share::ALL {
                    let reason = "a canary leaves somebody to the version in force".to_owned();
                    return Err(RecordDamage::Value { field: "share", value: share.to_string(), reason });
                }
                Trial::Canary { share, steps }
            }
            (kind, _) if KINDS.contains(&kind) => {
                return Err(wrong_kind(
                    kind.to_owned(),
                    "a canary has a share and may have steps, and nothing else has",
                ));
            }
            (kind, _) => return Err(unknown_kind(kind.to_owned())),
        };
        Ok(Candidate { version: self.version, digest: parse("digest", &self.digest)?, trial })
    }
}
