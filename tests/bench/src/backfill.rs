//! Backfills of generated events, beside the reading, writing and sorting that they cannot do without.

mod bare;
mod events;
pub(crate) mod memory;
pub(crate) mod point_in_time;
mod sort;

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use trifold_backfill::{Backfill, Job, Output, Plan, Report, Resources, Watch};
use trifold_eventlog::{RowFormat, SourceConfig};
use trifold_model::Cut;
use trifold_pipeline::{ArrivalPolicy, Ask, LiveVersion};

use crate::backfill::bare::Bare;
use crate::backfill::events::{Order, generate};
use crate::guests::{Guest, transform};
use crate::measure::{Effort, median};
use crate::report::Entry;

const ROWS: &str = "backfill.rows";
const SORTED: &str = "backfill.rows.sorted";
const MEMORY: &str = "backfill.memory";

/// The entries of this module.
pub(crate) const NAMES: &[&str] = &[
    ROWS,
    SORTED,
    MEMORY,
    point_in_time::NAMES[0],
    point_in_time::NAMES[1],
    point_in_time::NAMES[2],
    point_in_time::NAMES[3],
];

pub(crate) fn run(effort: Effort, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (name, order, plan) in [(ROWS, Order::Time, Plan::Streamed), (SORTED, Order::Arrival, Plan::Sorted)] {
        if wanted(name) {
            entries.push(rows(name, order, plan, effort)?);
        }
    }
    if wanted(MEMORY) {
        let (once, ten_times) = memory::most_resident(effort)?;
        entries.push(Entry::new(MEMORY, ten_times, once)?);
    }
    entries.extend(point_in_time::run(effort, wanted)?);
    Ok(entries)
}

/// As many threads as the machine runs at once.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn rows(name: &'static str, order: Order, plan: Plan, effort: Effort) -> anyhow::Result<Entry> {
    let directory = tempfile::tempdir()?;
    let (log, out) = (directory.path().join("log"), directory.path().join("rows"));
    let count = effort.choose(1_000_000, 100_000);
    generate(&log, count, order)?;
    let version = LiveVersion { version: 2, release: None, transform: transform(Guest::FLIGHT_PROFILE)? };
    let resources = Resources { threads: threads(), ..Resources::default() };
    let backfill = backfill(version, &log, &out, resources)?;
    let report = backfill.run()?;
    check(&report, count, plan)?;
    let bare = Bare::new(&backfill, &report, directory.path().join("bare"))?;
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for turn in 0..effort.choose(7, 1) {
        // Whoever goes first finds the disk as the other left it.
        if turn % 2 == 0 {
            ours.push(per_second(count, || backfill.run().map(drop).map_err(Into::into))?);
            baseline.push(per_second(count, || bare.run())?);
        } else {
            baseline.push(per_second(count, || bare.run())?);
            ours.push(per_second(count, || backfill.run().map(drop).map_err(Into::into))?);
        }
    }
    Entry::new(name, median(ours), median(baseline))
}

/// Every event at its own time. What an earlier run wrote is removed, so that nothing is resumed.
fn backfill(version: LiveVersion, log: &Path, out: &Path, resources: Resources) -> anyhow::Result<Backfill> {
    let arrivals = ArrivalPolicy::new(version.view(), false, false)?;
    Ok(Backfill {
        job: Job {
            version,
            log: log.to_owned(),
            log_name: None,
            checks_keys: true,
            source: SourceConfig::default(),
            ask: Ask::EveryEvent(Cut::All),
            before: false,
            arrivals,
            until: None,
        },
        spine: None,
        output: Output { dir: out.to_owned(), format: RowFormat::Parquet, digest: false, overwrite: true },
        resources,
        watch: Watch::default(),
    })
}

fn check(report: &Report, rows: u64, plan: Plan) -> anyhow::Result<()> {
    let values = report.counts.statuses.get("value").copied().unwrap_or(0);
    ensure!(values == rows, "{values} of {rows} rows have a value: {:?}", report.counts);
    ensure!(report.plan == plan, "the backfill went by the plan `{}`, not `{}`", report.plan.name(), plan.name());
    Ok(())
}

fn per_second(rows: u64, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(rows as f64 / start.elapsed().as_secs_f64())
}
