//! How many instructions the cases of the sandbox take: figures that a busy machine does not change. They are counted
//! by valgrind's cachegrind over the same case run a few times and some times more, whose difference is the runs alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use trifold_sandbox::{Budget, Sandbox, SandboxConfig};

use crate::guests::{self, Guest, workspace};
use crate::sandbox::{departures, payments, wide_row};
use crate::say;

/// A figure has grown if it is more than this share above the committed one.
const TOLERANCE: f64 = 0.03;

/// What is counted: the instructions of a batch, per row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Case {
    Numeric(usize),
    Text(usize),
    Wide,
    OneRow,
}

const CASES: [(&str, Case); 12] = [
    ("sandbox.apply.numeric.1", Case::Numeric(1)),
    ("sandbox.apply.numeric.16", Case::Numeric(16)),
    ("sandbox.apply.numeric.256", Case::Numeric(256)),
    ("sandbox.apply.numeric.4096", Case::Numeric(4096)),
    ("sandbox.apply.numeric.65536", Case::Numeric(65_536)),
    ("sandbox.apply.text.1", Case::Text(1)),
    ("sandbox.apply.text.16", Case::Text(16)),
    ("sandbox.apply.text.256", Case::Text(256)),
    ("sandbox.apply.text.4096", Case::Text(4096)),
    ("sandbox.apply.text.65536", Case::Text(65_536)),
    ("sandbox.call.one_row", Case::OneRow),
    ("sandbox.call.columns_50", Case::Wide),
];

impl Case {
    fn guest(self) -> Guest {
        match self {
            Case::Numeric(_) | Case::OneRow => Guest::NUMERIC,
            Case::Text(_) => Guest::TEXT,
            Case::Wide => Guest::WIDE,
        }
    }

    fn rows(self) -> usize {
        match self {
            Case::Numeric(rows) | Case::Text(rows) => rows,
            Case::Wide | Case::OneRow => 1,
        }
    }
}

/// What a process under valgrind does.
#[derive(Debug, Serialize, Deserialize)]
struct Errand {
    case: Case,
    component: PathBuf,
    runs: usize,
}

/// The committed figures.
fn table() -> PathBuf {
    workspace().join("tests/bench/instructions.json")
}

/// Counts everything that is wanted, says how it compares with the committed figures, and fails if one has grown.
pub(crate) fn run(wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<()> {
    let known: BTreeMap<String, f64> = match fs::read_to_string(table()) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", table().display()))?,
        Err(_) => BTreeMap::new(),
    };
    let mut counted = known.clone();
    let mut grown = Vec::new();
    say(&format!("{:<28}{:>14}{:>14}\n", "instructions per row", "now", "committed"))?;
    for (name, case) in CASES.into_iter().filter(|(name, _)| wanted(name)) {
        let now = count(case)?.round();
        counted.insert(name.to_owned(), now);
        let before = known.get(name).copied();
        if before.is_some_and(|before| now > before * (1.0 + TOLERANCE)) {
            grown.push(name);
        }
        let before = before.map_or_else(|| "-".to_owned(), |before| format!("{before}"));
        say(&format!("{name:<28}{now:>14}{before:>14}\n"))?;
    }
    let path = workspace().join("target/bench/instructions.json");
    fs::write(&path, serde_json::to_string_pretty(&counted)? + "\n")?;
    say(&format!("written to {}; {} is the committed table\n", path.display(), table().display()))?;
    ensure!(
        grown.is_empty(),
        "more than {:.0} % above the committed figures: {}",
        TOLERANCE * 100.0,
        grown.join(", ")
    );
    Ok(())
}

/// Instructions of one row.
fn count(case: Case) -> anyhow::Result<f64> {
    let component = workspace().join("target/bench/guests/instructions.wasm");
    fs::write(&component, guests::component(case.guest())?)?;
    let (few, many) = if case.rows() > 1000 { (2, 12) } else { (20, 220) };
    let errand = |runs| counted(&Errand { case, component: component.clone(), runs });
    // The first run compiles, which the cache saves the others.
    errand(1)?;
    let (few_counted, many_counted) = (errand(few)?, errand(many)?);
    Ok((many_counted - few_counted) / ((many - few) * case.rows()) as f64)
}

/// The instructions of a whole process.
fn counted(errand: &Errand) -> anyhow::Result<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    valgrind.arg(std::env::current_exe()?).arg("--instructions-child").arg(serde_json::to_string(errand)?);
    let output = valgrind.output().context("valgrind cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind failed: {said}");
    let refs = said.lines().find_map(|line| line.split_once("I refs:").or_else(|| line.split_once("I   refs:")));
    let (_, refs) = refs.with_context(|| format!("valgrind counted nothing: {said}"))?;
    Ok(refs.trim().replace(',', "").parse()?)
}

/// The process under valgrind.
pub(crate) fn child(json: &str) -> anyhow::Result<()> {
    let Errand { case, component, runs } = serde_json::from_str(json)?;
    let cache_dir = Some(Path::new(&component).with_extension("cache"));
    // Valgrind keeps account of every page that is reserved.
    let sandbox = Sandbox::new(SandboxConfig { cache_dir, instances_max: 1, ..SandboxConfig::default() })?;
    let transform = sandbox.admit(&fs::read(&component)?)?;
    let inputs = match case {
        Case::Numeric(rows) => payments(&transform, rows)?,
        Case::OneRow => payments(&transform, 1)?,
        Case::Text(rows) => departures(&transform, rows)?,
        Case::Wide => wide_row(&transform)?,
    };
    let mut warm = transform.warm()?;
    for _ in 0..runs {
        let applied = match case {
            Case::Numeric(_) | Case::Text(_) => transform.apply(&inputs, &mut Budget::unlimited()),
            Case::Wide | Case::OneRow => warm.apply(&inputs),
        };
        ensure!(applied.failures.is_empty(), "the component refused a row");
    }
    Ok(())
}
