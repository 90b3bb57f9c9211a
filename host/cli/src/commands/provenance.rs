//! How a version was made, tried and pushed, as commands print it.

use std::collections::BTreeMap;

use serde::Serialize;
use trifold_eventlog::time_text;
use trifold_model::{FuelSummary, Tool, ToolRole};
use trifold_registry::{Act, GateRecord, GateSample, VersionRecord};

/// What a version's record says of it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Provenance {
    pub(super) version: u64,
    pub(super) pushed_at: String,
    pub(super) pushed_by: Option<String>,
    pub(super) note: Option<String>,
    pub(super) toolchain: Vec<ToolLine>,
    /// None for a version that was pushed before this was recorded.
    pub(super) gate: Option<Gate>,
}

#[derive(Serialize, Clone, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ToolLine {
    role: &'static str,
    name: String,
    version: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Gate {
    fuel_counted_by: String,
    samples: Vec<Sample>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Sample {
    /// Generated rows stand in no file.
    file: Option<String>,
    rows: u64,
    errors: Vec<Count>,
    aside: BTreeMap<String, u64>,
    fuel: Fuel,
    checks: Vec<Check>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Count {
    code: u16,
    rows: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Check {
    name: String,
    rows: u64,
}

/// What rows burnt, each alone.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Fuel {
    pub(super) median: u64,
    pub(super) max: u64,
    pub(super) total: u64,
}

impl From<FuelSummary> for Fuel {
    fn from(FuelSummary { median, max, total, .. }: FuelSummary) -> Self {
        Fuel { median, max, total }
    }
}

impl Provenance {
    pub(super) fn of(record: VersionRecord) -> Self {
        let Act { at, by, note } = record.pushed;
        Provenance {
            version: record.version,
            pushed_at: time_text(at),
            pushed_by: by,
            note,
            toolchain: tool_lines(&record.tools),
            gate: record.gate.map(Gate::of),
        }
    }

    /// The lines of a table.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let by = self.pushed_by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
        let note = self.note.as_ref().map_or_else(String::new, |note| format!(": {}", note.replace('\n', " ")));
        let mut facts = vec![("pushed", format!("{}{by}{note}", self.pushed_at))];
        facts.extend(self.gate.iter().flat_map(|gate| &gate.samples).map(|sample| ("gate", sample.text())));
        facts
    }
}

impl Gate {
    fn of(gate: GateRecord) -> Self {
        Gate { fuel_counted_by: gate.fuel_counted_by, samples: gate.samples.into_iter().map(Sample::of).collect() }
    }

    /// How many rows were tried.
    pub(super) fn rows(&self) -> u64 {
        self.samples.iter().map(|sample| sample.rows).sum()
    }
}

impl Sample {
    fn of(sample: GateSample) -> Self {
        Sample {
            file: sample.file,
            rows: sample.rows,
            errors: sample.errors.into_iter().map(|(code, rows)| Count { code: code.0, rows }).collect(),
            aside: sample.aside,
            fuel: sample.fuel.into(),
            checks: sample.checks.into_iter().map(|(name, rows)| Check { name, rows }).collect(),
        }
    }

    fn text(&self) -> String {
        let from =
            self.file.as_ref().map_or_else(|| "generated rows".to_owned(), |file| format!("rows of {file}"));
        let errors: u64 = self.errors.iter().map(|error| error.rows).sum();
        let Fuel { median, max, .. } = self.fuel;
        format!(
            "{} checks passed over {} {from}, {errors} of them row errors; fuel of a row: median {median}, most {max}",
            self.checks.len(),
            self.rows
        )
    }
}

/// The tools as they are printed.
pub(super) fn tool_lines(tools: &[Tool]) -> Vec<ToolLine> {
    let line =
        |tool: &Tool| ToolLine { role: tool.role.name(), name: tool.name.clone(), version: tool.version.clone() };
    tools.iter().map(line).collect()
}

/// The tools that processed a component, and the SDK, in one line.
pub(super) fn tools_text(tools: &[ToolLine]) -> String {
    let made_it = tools.iter().filter(|tool| tool.role != ToolRole::Language.name());
    let text: Vec<_> = made_it.map(|tool| format!("{} {}", tool.name, tool.version)).collect();
    if text.is_empty() { "it does not say".to_owned() } else { text.join(", ") }
}

/// What compiled a component, in a word or two: `rustc 1.95.0`.
pub(super) fn compiler(tools: &[ToolLine]) -> String {
    let rustc = tools.iter().find(|tool| tool.name == "rustc");
    let number = |tool: &ToolLine| tool.version.split(' ').next().unwrap_or_default().to_owned();
    rustc.map_or_else(String::new, |tool| format!("{} {}", tool.name, number(tool)))
}
