//! Payments with a spine of a tenth as many rows, beside DataFusion's sort of the same payments.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::ensure;
use payments_generator::{Config, write_log, write_spine};
use serde::{Deserialize, Serialize};
use trifold_backfill::{Backfill, Job, Output, Resources, Spine, Watch};
use trifold_eventlog::{RowFormat, SourceConfig};
use trifold_model::Cut;
use trifold_pipeline::{ArrivalPolicy, Ask, LiveVersion};
use trifold_sandbox::{Sandbox, SandboxConfig};

use crate::backfill::{sort, threads};
use crate::guests::{Guest, component};
use crate::measure::{Effort, MOST_RESIDENT, kibibytes, median};
use crate::report::Entry;

const CARDS: u64 = 100_000;
const EVENTS_PER_QUESTION: u64 = 10;
const FILES: u32 = 4;
const TURNS: usize = 3;
/// What sorting may take on either side: half of the gibibyte that either process may.
const SORT_BYTES: usize = 512 << 20;
const MEMORY: &str = "backfill.point_in_time.memory";
/// The names, and how many events each has.
const SIZES: [(&str, u64); 3] = [
    ("backfill.point_in_time.1M", 1_000_000),
    ("backfill.point_in_time.3M", 3_000_000),
    ("backfill.point_in_time.10M", 10_000_000),
];
/// In a quick run all sizes are so many times smaller.
const QUICK: u64 = 50;

/// The entries of this module.
pub(crate) const NAMES: [&str; 4] = [SIZES[0].0, SIZES[1].0, SIZES[2].0, MEMORY];

#[derive(Clone, Serialize, Deserialize)]
struct Child {
    log: PathBuf,
    spine: PathBuf,
    questions: u64,
    dir: PathBuf,
    /// The component of the backfill; without it the log is sorted and no more.
    component: Option<PathBuf>,
}

/// What a process took.
struct Taken {
    seconds: f64,
    mebibytes: f64,
}

pub(crate) fn run(effort: Effort, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("component.wasm");
    fs::write(&path, component(Guest::CARD_SPEND)?)?;
    let mut entries = Vec::new();
    for (name, events) in SIZES {
        let is_largest = name == SIZES[SIZES.len() - 1].0;
        let is_wanted = wanted(name) || is_largest && wanted(MEMORY);
        if !is_wanted {
            continue;
        }
        let (mut ours, mut baseline) = (Vec::new(), Vec::new());
        let child = generate(dir.path(), events / effort.choose(1, QUICK))?;
        for _ in 0..effort.choose(TURNS, 1) {
            ours.push(in_child(&Child { component: Some(path.clone()), ..child.clone() })?);
            baseline.push(in_child(&child)?);
        }
        fs::remove_dir_all(&child.log)?;
        entries.push(Entry::new(
            name,
            middle(&ours, |taken| taken.seconds),
            middle(&baseline, |taken| taken.seconds),
        )?);
        if is_largest {
            let [ours, baseline] = [&ours, &baseline].map(|all| middle(all, |taken| taken.mebibytes));
            entries.push(Entry::new(MEMORY, ours, baseline)?);
        }
    }
    Ok(entries)
}

fn middle(all: &[Taken], of: fn(&Taken) -> f64) -> f64 {
    median(all.iter().map(of).collect())
}

fn generate(dir: &Path, events: u64) -> anyhow::Result<Child> {
    let config = Config { events, cards: CARDS, ..Config::default() };
    let (log, spine, questions) = (dir.join("log"), dir.join("spine.parquet"), events / EVENTS_PER_QUESTION);
    write_log(&config, &log, RowFormat::Parquet, FILES)?;
    write_spine(&config, &spine, RowFormat::Parquet, questions)?;
    Ok(Child { log, spine, questions, dir: dir.to_owned(), component: None })
}

fn in_child(child: &Child) -> anyhow::Result<Taken> {
    let program = std::env::current_exe()?;
    let output = Command::new(program).arg("--point-in-time-child").arg(serde_json::to_string(child)?).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} questions failed: {said}", child.questions);
    let (seconds, kibibytes): (f64, f64) = serde_json::from_slice(&output.stdout)?;
    Ok(Taken { seconds, mebibytes: kibibytes / 1024.0 })
}

/// The process of one backfill or sort. Prints the seconds that it took, and the most memory that it had resident, in
/// kibibytes.
pub(crate) fn child(json: &str) -> anyhow::Result<()> {
    let child: Child = serde_json::from_str(json)?;
    let seconds = match &child.component {
        Some(component) => {
            let transform = Sandbox::new(SandboxConfig::default())?.admit(&fs::read(component)?)?;
            backfill(&child, LiveVersion { version: 1, release: None, transform })?
        }
        None => {
            let begun = Instant::now();
            sort::run(&child.log, &child.dir, SORT_BYTES, threads())?;
            begun.elapsed().as_secs_f64()
        }
    };
    crate::say(&serde_json::to_string(&(seconds, kibibytes("self", MOST_RESIDENT)?))?)
}

fn backfill(child: &Child, version: LiveVersion) -> anyhow::Result<f64> {
    let source = SourceConfig { arrival: Some("arrived_at".to_owned()), ..SourceConfig::default() };
    let backfill = Backfill {
        job: Job {
            arrivals: ArrivalPolicy::new(version.view(), true, false)?,
            version,
            log: child.log.clone(),
            log_name: None,
            checks_keys: true,
            source,
            ask: Ask::Spine(Cut::Arrival),
            before: false,
            until: None,
        },
        spine: Some(Spine { path: child.spine.clone(), as_of: "as_of".to_owned() }),
        output: Output { dir: child.dir.join("rows"), format: RowFormat::Parquet, digest: false, overwrite: true },
        resources: Resources { threads: threads(), memory_bytes_max: SORT_BYTES, ..Resources::default() },
        watch: Watch::default(),
    };
    let begun = Instant::now();
    let report = backfill.run()?;
    let seconds = begun.elapsed().as_secs_f64();
    let rows: u64 = report.counts.statuses.values().sum();
    ensure!(rows == child.questions, "{rows} of {} questions have an answer", child.questions);
    fs::remove_dir_all(&backfill.output.dir)?;
    Ok(seconds)
}
