//! `trifold check`: admission and the publish gate.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use trifold_eventlog::{ArrivalClock, FileLog, LogOptions, RawBatch, SourceConfig, decode};
use trifold_model::FeatureView;
use trifold_pipeline::{GateRun, TriedSample};
use trifold_sandbox::fuel_counted_by;

use super::provenance::Fuel;
use super::stream::log_failure;
use crate::args::{Check, Samples, Source};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::world::{World, named, read_file};

/// What the gate found, over generated rows and over the sample that was given.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Checked {
    view: String,
    digest: String,
    passed: bool,
    fuel_counted_by: String,
    samples: Vec<SampleReport>,
}

impl Checked {
    fn of(run: &GateRun) -> Self {
        let transform = run.transform();
        Checked {
            view: transform.view().name.to_string(),
            digest: transform.digest().to_string(),
            passed: run.passed(),
            fuel_counted_by: fuel_counted_by(),
            samples: run.samples().iter().map(SampleReport::of).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct SampleReport {
    rows_from: String,
    rows: usize,
    error_rows: usize,
    errors: Vec<ErrorReport>,
    /// Rows of the sample that do not fit the view and were not tried, by reason.
    aside: BTreeMap<&'static str, u64>,
    /// The first of them, and what is wrong with it.
    first_aside: Option<String>,
    fuel: Fuel,
    checks: Vec<CheckReport>,
}

impl SampleReport {
    fn of(sample: &TriedSample) -> Self {
        let TriedSample { file, aside, report } = sample;
        SampleReport {
            rows_from: file
                .as_ref()
                .map_or_else(|| "generated rows".to_owned(), |file| file.display().to_string()),
            rows: report.sample_rows,
            error_rows: report.error_rows(),
            errors: report
                .errors
                .iter()
                .map(|errors| ErrorReport { code: errors.code.0, rows: errors.rows, first: errors.first.clone() })
                .collect(),
            aside: sample.aside_by_reason(),
            first_aside: aside.first().map(|event| format!("row {}: {}", event.offset, event.detail)),
            fuel: report.fuel.into(),
            checks: report
                .checks
                .iter()
                .map(|check| CheckReport { name: check.name, rows: check.rows, failure: check.failure.clone() })
                .collect(),
        }
    }
}

/// The rows that end with one error code.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ErrorReport {
    code: u16,
    rows: usize,
    first: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct CheckReport {
    name: &'static str,
    rows: usize,
    failure: Option<String>,
}

/// Checks a component file.
pub fn run(world: &World, args: Check) -> Outcome {
    let wasm = read_file(&args.component)?;
    let run = world.block_on(gate_run(world, &args.component, &wasm, &args.samples, &args.source))?;
    output::print(world.format, &Checked::of(&run), text)?;
    run.verdict().map(drop).or_exit(Exit::Refused)
}

/// Takes a component's file through the publish gate, also beside the versions that share its state.
pub(super) async fn gate_run(
    world: &World,
    component: &Path,
    wasm: &[u8],
    samples: &Samples,
    source: &Source,
) -> Outcome<GateRun> {
    let sandbox = world.sandbox()?;
    let transform = sandbox.admit(wasm).map_err(named(component))?;
    let beside = world.beside(&sandbox, &transform).await?;
    let mut run = GateRun::begin(transform, beside).or_exit(Exit::Internal)?;
    if let Some(path) = &samples.sample {
        try_sample(world, &mut run, (path, samples.sample_rows), source)?;
    }
    Ok(run)
}

/// Runs the publish gate over the first rows of a sample that fit the view.
fn try_sample(world: &World, run: &mut GateRun, (path, rows_max): (&Path, usize), source: &Source) -> Outcome {
    let (view, source) = (run.transform().view(), world.source(source));
    if view.on_demand().is_some() {
        let message = format!(
            "view {} is an on-demand view, whose inputs stand in no events: leave `--sample` out, generated rows are \
             tried in any case",
            view.name
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    let raw = read_sample(path, rows_max, &source, [view])?;
    let events = decode(&raw, &source, view, &mut ArrivalClock::default()).map_err(log_failure)?;
    if let (true, Some(aside)) = (events.offsets.is_empty(), events.aside.first()) {
        let message = format!("no row of {} fits the view; row 0: {}", path.display(), aside.detail);
        return Err(Failure::new(Exit::Data, message));
    }
    run.try_sample(path, events).or_exit(Exit::Internal)
}

/// The first rows of a sample, with the columns that some views need.
pub(super) fn read_sample<'a>(
    path: &Path,
    rows_max: usize,
    source: &SourceConfig,
    views: impl IntoIterator<Item = &'a FeatureView>,
) -> Outcome<RawBatch> {
    let columns = Some(source.columns(views));
    let mut log = FileLog::open(path, LogOptions { columns, ..LogOptions::default() }).map_err(log_failure)?;
    let raw = log.read(0, rows_max).map_err(log_failure)?;
    raw.ok_or_else(|| Failure::new(Exit::Data, format!("the sample {} has no rows", path.display())))
}

fn text(checked: &Checked) -> String {
    let mut text = format!("view {}, component {}\n", checked.view, checked.digest);
    for report in &checked.samples {
        text.push_str(&format!(
            "\n{}: {} rows, {} of them row errors\n",
            report.rows_from, report.rows, report.error_rows
        ));
        for error in &report.errors {
            text.push_str(&format!("  {} with error {}, the first: {}\n", error.rows, error.code, error.first));
        }
        let Fuel { median, max, .. } = report.fuel;
        text.push_str(&format!("  fuel of a row: median {median}, most {max}\n"));
        if let Some(first) = &report.first_aside {
            let counts: Vec<_> = report.aside.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            text.push_str(&format!("  set aside and not tried: {}; {first}\n", counts.join(", ")));
        }
        let rows: Vec<_> = report
            .checks
            .iter()
            .map(|check| {
                let verdict = check.failure.as_deref().unwrap_or("passed");
                vec![format!("  {}", check.name), verdict.to_owned()]
            })
            .collect();
        text.push_str(&output::table(&rows));
    }
    text
}
