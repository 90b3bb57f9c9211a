//! The report: a table for people and JSON for scripts.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;

use crate::catalog;
use crate::guests::workspace;

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) baseline: f64,
    pub(crate) ratio: f64,
}

impl Entry {
    /// An entry of the catalog.
    pub(crate) fn new(name: &'static str, value: f64, baseline: f64) -> anyhow::Result<Self> {
        let measured = catalog::find(name).with_context(|| format!("{name} is not in the catalog"))?;
        Ok(Entry { name: measured.name, value, unit: measured.unit, baseline, ratio: value / baseline })
    }
}

/// Writes target/bench/report.json.
pub(crate) fn write(entries: &[Entry]) -> anyhow::Result<PathBuf> {
    let path = workspace().join("target/bench/report.json");
    let text = serde_json::to_string_pretty(entries)?;
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Absolute figures beside the ratios.
pub(crate) fn table(entries: &[Entry]) -> String {
    let head = ["entry", "value", "baseline", "unit", "ratio", "goal"].map(str::to_owned);
    let rows: Vec<[String; 6]> = [head].into_iter().chain(entries.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |[name, value, baseline, unit, ratio, goal]: &[String; 6]| {
        let [w0, w1, w2, w3, w4, _] = widths;
        let line = format!("{name:w0$}  {value:>w1$}  {baseline:>w2$}  {unit:w3$}  {ratio:>w4$}  {goal}");
        line.trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn row(entry: &Entry) -> [String; 6] {
    let goal = catalog::find(entry.name).and_then(|measured| measured.goal);
    let goal = goal.map_or_else(String::new, |goal| {
        let verdict = if goal.is_met(entry) { "met" } else { "MISSED" };
        format!("{goal} {verdict}")
    });
    [
        entry.name.to_owned(),
        figure(entry.value),
        figure(entry.baseline),
        entry.unit.to_owned(),
        format!("{:.2}", entry.ratio),
        goal,
    ]
}

/// Three digits that matter.
fn figure(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_judges() {
        let entries = [
            Entry::new("online.lookup", 7_000.0, 10_000.0).unwrap(),
            Entry::new("backfill.memory", 30.0, 20.0).unwrap(),
            Entry::new("sandbox.call.one_row", 0.8, 0.2).unwrap(),
        ];
        let expected = "\
entry                 value  baseline  unit        ratio  goal
online.lookup          7000     10000  requests/s   0.70  ratio >= 0.6 met
backfill.memory        30.0      20.0  MiB          1.50  ratio <= 1.2 MISSED
sandbox.call.one_row   0.80      0.20  us           4.00  value < 1 met
";
        assert_eq!(table(&entries), expected);
    }
}
