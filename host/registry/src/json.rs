//! The JSON of the records. A field that is not known is refused rather than passed over, because a newer version
//! of Trifold may mean something by it that changes what serves.

mod candidate;
mod provenance;

use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trifold_model::{EventTime, ViewName};

use crate::error::RecordDamage;
use crate::record::{Act, Release, Retirement, VersionRecord};
use candidate::CandidateJson;
use provenance::{GateJson, ToolJson};

const FULL: &str = "full";
/// The kinds of releases that have a candidate.
const KINDS: [&str; 3] = ["bootstrap", "shadow", "canary"];

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct VersionJson {
    view: String,
    version: u64,
    digest: String,
    size: u64,
    state_id: String,
    pushed_at_micros: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pushed_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    toolchain: Vec<ToolJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gate: Option<GateJson>,
    description: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ReleaseJson {
    view: String,
    seq: u64,
    version: u64,
    digest: String,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    candidate: Option<CandidateJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollout: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    takes_back: Option<u64>,
    released_at_micros: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    released_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RetirementJson {
    view: String,
    version: u64,
    retired_at_micros: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retired_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// A description without its spaces and line breaks.
pub(crate) fn compact(description: &str) -> Result<String, serde_json::Error> {
    serde_json::from_str::<Value>(description).map(|value| value.to_string())
}

/// A record that lies under its view's name and its own number.
pub(crate) trait Recorded: Sized {
    /// The JSON text of the record.
    fn to_json(&self) -> Result<Bytes, serde_json::Error>;

    /// Reads the record that lies at this place.
    fn from_json(json: &[u8], view: &ViewName, number: u64) -> Result<Self, RecordDamage>;
}

impl Recorded for VersionRecord {
    fn to_json(&self) -> Result<Bytes, serde_json::Error> {
        write(&VersionJson {
            view: self.view.to_string(),
            version: self.version,
            digest: self.digest.to_string(),
            size: self.size,
            state_id: self.state_id.to_string(),
            pushed_at_micros: self.pushed.at.0,
            pushed_by: self.pushed.by.clone(),
            note: self.pushed.note.clone(),
            toolchain: self.tools.iter().map(ToolJson::of).collect(),
            gate: self.gate.as_ref().map(GateJson::of),
            description: serde_json::from_str(&self.description)?,
        })
    }

    fn from_json(json: &[u8], view: &ViewName, number: u64) -> Result<Self, RecordDamage> {
        let json: VersionJson = read(json)?;
        check_place("view", &json.view, view)?;
        check_place("version", json.version, number)?;
        Ok(VersionRecord {
            view: view.clone(),
            version: number,
            digest: parse("digest", &json.digest)?,
            size: json.size,
            state_id: parse("state-id", &json.state_id)?,
            pushed: Act { at: EventTime(json.pushed_at_micros), by: json.pushed_by, note: json.note },
            tools: json.toolchain.into_iter().map(ToolJson::read).collect::<Result<_, _>>()?,
            gate: json.gate.map(GateJson::read),
            description: json.description.to_string(),
        })
    }
}

impl Recorded for Release {
    fn to_json(&self) -> Result<Bytes, serde_json::Error> {
        let candidate = self.candidate.as_ref();
        write(&ReleaseJson {
            view: self.view.to_string(),
            seq: self.seq,
            version: self.version,
            digest: self.digest.to_string(),
            kind: candidate.map_or(FULL, |candidate| candidate.trial.name()).to_owned(),
            candidate: candidate.map(CandidateJson::of),
            rollout: (self.rollout != self.seq).then_some(self.rollout),
            takes_back: self.takes_back,
            released_at_micros: self.released.at.0,
            released_by: self.released.by.clone(),
            note: self.released.note.clone(),
        })
    }

    fn from_json(json: &[u8], view: &ViewName, number: u64) -> Result<Self, RecordDamage> {
        let json: ReleaseJson = read(json)?;
        check_place("view", &json.view, view)?;
        check_place("seq", json.seq, number)?;
        let candidate = match json.candidate {
            None if json.kind == FULL => None,
            Some(candidate) if json.kind != FULL => Some(candidate.read(&json.kind)?),
            Some(_) => return Err(wrong_kind(json.kind, "`full` has no candidate")),
            None if KINDS.contains(&json.kind.as_str()) => {
                return Err(wrong_kind(json.kind, "its candidate is missing"));
            }
            None => return Err(unknown_kind(json.kind)),
        };
        Ok(Release {
            view: view.clone(),
            seq: number,
            version: json.version,
            digest: parse("digest", &json.digest)?,
            candidate,
            rollout: json.rollout.unwrap_or(number),
            takes_back: json.takes_back,
            released: Act { at: EventTime(json.released_at_micros), by: json.released_by, note: json.note },
        })
    }
}

impl Recorded for Retirement {
    fn to_json(&self) -> Result<Bytes, serde_json::Error> {
        write(&RetirementJson {
            view: self.view.to_string(),
            version: self.version,
            retired_at_micros: self.retired.at.0,
            retired_by: self.retired.by.clone(),
            note: self.retired.note.clone(),
        })
    }

    fn from_json(json: &[u8], view: &ViewName, number: u64) -> Result<Self, RecordDamage> {
        let json: RetirementJson = read(json)?;
        check_place("view", &json.view, view)?;
        check_place("version", json.version, number)?;
        let retired = Act { at: EventTime(json.retired_at_micros), by: json.retired_by, note: json.note };
        Ok(Retirement { view: view.clone(), version: number, retired })
    }
}

fn write(record: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    let mut json = serde_json::to_vec_pretty(record)?;
    json.push(b'\n');
    Ok(json.into())
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, RecordDamage> {
    serde_json::from_slice(json).map_err(|error| RecordDamage::Json(error.to_string()))
}

fn check_place(field: &'static str, found: impl Display, expected: impl Display) -> Result<(), RecordDamage> {
    let (found, expected) = (found.to_string(), expected.to_string());
    if found == expected { Ok(()) } else { Err(RecordDamage::Misplaced { field, found, expected }) }
}

fn wrong_kind(kind: String, reason: impl Into<String>) -> RecordDamage {
    RecordDamage::Value { field: "kind", value: kind, reason: reason.into() }
}

fn unknown_kind(kind: String) -> RecordDamage {
    let known = [FULL].iter().chain(&KINDS).map(|kind| format!("`{kind}`")).collect::<Vec<_>>();
    wrong_kind(kind, format!("this version of trifold knows {}", known.join(", ")))
}

fn parse<T: FromStr<Err: Display>>(field: &'static str, value: &str) -> Result<T, RecordDamage> {
    value.parse().map_err(|error: T::Err| RecordDamage::Value {
        field,
        value: value.to_owned(),
        reason: error.to_string(),
    })
}
