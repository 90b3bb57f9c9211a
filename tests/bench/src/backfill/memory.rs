//! How much memory a backfill takes, in a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use trifold_backfill::{Plan, Resources};
use trifold_pipeline::LiveVersion;
use trifold_sandbox::{Sandbox, SandboxConfig};

use crate::backfill::events::{Order, generate};
use crate::backfill::{backfill, check, threads};
use crate::guests::{Guest, component};
use crate::measure::{Effort, MOST_RESIDENT, kibibytes};

/// What sorting may take. Below what the fewer rows need, so that both sort on disk.
const SORT_BYTES: usize = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Child {
    log: PathBuf,
    out: PathBuf,
    component: PathBuf,
    rows: u64,
}

/// The most resident memory of a backfill in mebibytes, over some rows and over ten times as many.
pub(crate) fn most_resident(effort: Effort) -> anyhow::Result<(f64, f64)> {
    let rows = effort.choose(1_000_000, 300_000);
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("component.wasm");
    fs::write(&path, component(Guest::FLIGHT_PROFILE)?)?;
    Ok((in_child(directory.path(), &path, rows)?, in_child(directory.path(), &path, rows * 10)?))
}

fn in_child(directory: &Path, component: &Path, rows: u64) -> anyhow::Result<f64> {
    let (log, out) = (directory.join(format!("log-{rows}")), directory.join(format!("rows-{rows}")));
    generate(&log, rows, Order::Arrival)?;
    let child = Child { log, out, component: component.to_owned(), rows };
    let program = std::env::current_exe()?;
    let output = Command::new(program).arg("--backfill-child").arg(serde_json::to_string(&child)?).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the backfill of {rows} rows failed: {said}");
    let kibibytes: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    fs::remove_dir_all(&child.log)?;
    fs::remove_dir_all(&child.out)?;
    Ok(kibibytes / 1024.0)
}

/// The process of one backfill. Prints the most memory that it had resident, in kibibytes.
pub(crate) fn child(json: &str) -> anyhow::Result<()> {
    let Child { log, out, component, rows } = serde_json::from_str(json)?;
    let transform = Sandbox::new(SandboxConfig::default())?.admit(&fs::read(component)?)?;
    let version = LiveVersion { version: 2, release: None, transform };
    let resources = Resources { threads: threads(), memory_bytes_max: SORT_BYTES, ..Resources::default() };
    let report = backfill(version, &log, &out, resources)?.run()?;
    check(&report, rows, Plan::Sorted)?;
    crate::say(&format!("{}\n", kibibytes("self", MOST_RESIDENT)?))
}
