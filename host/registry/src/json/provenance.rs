//! How a version was made and tried, in its record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trifold_model::{ErrorCode, FuelSummary, Tool, ToolRole};

use crate::error::RecordDamage;
use crate::record::{GateRecord, GateSample};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ToolJson {
    role: String,
    name: String,
    version: String,
}

impl ToolJson {
    pub(super) fn of(tool: &Tool) -> Self {
        ToolJson { role: tool.role.name().to_owned(), name: tool.name.clone(), version: tool.version.clone() }
    }

    pub(super) fn read(self) -> Result<Tool, RecordDamage> {
        let ToolJson { role: value, name, version } = self;
        match ToolRole::from_name(&value) {
            Some(role) => Ok(Tool { role, name, version }),
            None => {
                let reason = format!("the roles are {}", ToolRole::ALL.map(ToolRole::name).join(", "));
                Err(RecordDamage::Value { field: "role", value, reason })
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct GateJson {
    fuel_counted_by: String,
    samples: Vec<SampleJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SampleJson {
    /// Generated rows stand in no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    rows: u64,
    errors: BTreeMap<u16, u64>,
    aside: BTreeMap<String, u64>,
    fuel: FuelJson,
    checks: Vec<CheckJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FuelJson {
    median: u64,
    max: u64,
    total: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct CheckJson {
    name: String,
    rows: u64,
}

impl GateJson {
    pub(super) fn of(gate: &GateRecord) -> Self {
        GateJson {
            fuel_counted_by: gate.fuel_counted_by.clone(),
            samples: gate.samples.iter().map(SampleJson::of).collect(),
        }
    }

    pub(super) fn read(self) -> GateRecord {
        let samples = self.samples.into_iter().map(SampleJson::read).collect();
        GateRecord { fuel_counted_by: self.fuel_counted_by, samples }
    }
}

impl SampleJson {
    fn of(sample: &GateSample) -> Self {
        let FuelSummary { median, max, total, .. } = sample.fuel;
        SampleJson {
            file: sample.file.clone(),
            rows: sample.rows,
            errors: sample.errors.iter().map(|(code, rows)| (code.0, *rows)).collect(),
            aside: sample.aside.clone(),
            fuel: FuelJson { median, max, total },
            checks: sample
                .checks
                .iter()
                .map(|(name, rows)| CheckJson { name: name.clone(), rows: *rows })
                .collect(),
        }
    }

    fn read(self) -> GateSample {
        let FuelJson { median, max, total } = self.fuel;
        GateSample {
            file: self.file,
            rows: self.rows,
            errors: self.errors.into_iter().map(|(code, rows)| (ErrorCode(code), rows)).collect(),
            aside: self.aside,
            fuel: FuelSummary { rows: self.rows, median, max, total },
            checks: self.checks.into_iter().map(|CheckJson { name, rows }| (name, rows)).collect(),
        }
    }
}
