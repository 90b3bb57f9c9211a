//! `cargo xtask test`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::workspace::{Workspace, run as run_command, say};
use crate::{demo, needs, python, report, servers};

/// One stage. They stand in the order in which they fail fast: what takes seconds first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stage {
    /// `cargo fmt --check`.
    Fmt,
    /// `cargo clippy`, warnings denied.
    Clippy,
    /// Everything that the later stages run.
    Build,
    /// The components of the workspace, which tests would otherwise build while others wait.
    Guests,
    /// The packages of the examples in Python.
    Python,
    /// `cargo test`.
    Test,
    /// The demo, and its report.
    Demo,
}

impl Stage {
    pub(crate) const ALL: [Stage; 7] =
        [Stage::Fmt, Stage::Clippy, Stage::Build, Stage::Guests, Stage::Python, Stage::Test, Stage::Demo];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Fmt => "fmt",
            Stage::Clippy => "clippy",
            Stage::Build => "build",
            Stage::Guests => "guests",
            Stage::Python => "python",
            Stage::Test => "test",
            Stage::Demo => "demo",
        }
    }

    pub(crate) fn about(self) -> &'static str {
        match self {
            Stage::Fmt => "the sources are formatted",
            Stage::Clippy => "clippy has no warning",
            Stage::Build => "programs and tests compile",
            Stage::Guests => "the transforms compile to components",
            Stage::Python => "the packages of the examples in Python are there",
            Stage::Test => "cargo test",
            Stage::Demo => "the demo runs, and its report has the figures that it must have",
        }
    }

    fn run(self, workspace: &Workspace, arguments: &[String]) -> Result<(), Error> {
        match self {
            Stage::Fmt => run_command(workspace.cargo().args(["fmt", "--all", "--check"])),
            Stage::Clippy => {
                let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
                run_command(workspace.cargo().args(clippy))
            }
            // The same selection of packages and targets as in the stage `test`, so that nothing compiles twice.
            Stage::Build => run_command(workspace.cargo().args(["build", "--all-targets"])),
            Stage::Guests => guests(workspace),
            Stage::Python => python::prepare(workspace),
            Stage::Test => run_command(workspace.cargo().arg("test").args(arguments)),
            Stage::Demo => demo_and_report(workspace),
        }
    }
}

/// Runs all stages, or one.
pub(crate) fn run(workspace: &Workspace, only: Option<Stage>, arguments: &[String]) -> Result<(), Error> {
    needs::tools(&[&[&needs::C_COMPILER, &needs::PYTHON], needs::KAFKA_CLIENT.as_slice()].concat())?;
    needs::wasm_target(workspace)?;
    needs::linters(workspace)?;
    if only.is_none_or(|only| only == Stage::Test) {
        servers::prepare(workspace)?;
    }
    if only == Some(Stage::Test) {
        python::prepare(workspace)?;
    }
    let stages = Stage::ALL.into_iter().filter(|stage| only.is_none_or(|only| only == *stage));
    let mut passed = Vec::new();
    for stage in stages {
        say(format!("\n=== {}: {}", stage.name(), stage.about()));
        let begun = Instant::now();
        let outcome = stage.run(workspace, arguments);
        let word = if outcome.is_ok() { "passed" } else { "FAILED" };
        say(format!("=== {} {word} after {} min", stage.name(), minutes(begun.elapsed())));
        outcome?;
        passed.push((stage.name(), begun.elapsed()));
    }
    let stages = if passed.len() == 1 { "stage" } else { "stages" };
    say(format!("{}\n{} {stages} passed", table(&passed), passed.len()));
    Ok(())
}

/// A time, as it is told.
pub(crate) fn minutes(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() / 60.0)
}

fn table(passed: &[(&str, Duration)]) -> String {
    let total = ("total", passed.iter().map(|(_, time)| *time).sum());
    let lines =
        passed.iter().chain([&total]).map(|(name, time)| format!("\n  {name:<8}{:>6} min", minutes(*time)));
    lines.collect()
}

fn guests(workspace: &Workspace) -> Result<(), Error> {
    workspace.build_programs()?;
    let mut found = Vec::new();
    for folder in ["transforms", "examples/flights", "examples/payments"] {
        found.extend(components_in(&workspace.root.join(folder))?);
    }
    for path in found {
        run_command(workspace.program("trifold").arg("build").arg(path))?;
    }
    Ok(())
}

/// The crates of a folder that are components, in the order of their names.
fn components_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let manifest = path.join("Cargo.toml");
        if manifest.is_file() && fs::read_to_string(&manifest).map_err(failed(&manifest))?.contains("\"cdylib\"") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn demo_and_report(workspace: &Workspace) -> Result<(), Error> {
    workspace.build_programs()?;
    demo::start(workspace, &[])?;
    let path = demo::out(workspace).join("report.json");
    let text = fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    report::problem(&text).map_or(Ok(()), |problem| Err(Error::Report { path, problem }))
}
