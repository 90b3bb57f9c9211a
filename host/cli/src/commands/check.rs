//! `trifold check`: admission and the publish gate.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use trifold_eventlog::{ArrivalClock, FileLog, LogOptions, RawBatch, SourceConfig, decode};
use trifold_model::{ErrorCode, FeatureView, FuelSummary};
use trifold_pipeline::{GateReport, publish_gate, synthetic_samples};
use trifold_registry::{GateRecord, GateSample};
use trifold_sandbox::{Transform, fuel_counted_by};

use super::provenance::Fuel;
use super::stream::log_failure;
use crate::args::{Check, Samples, Source};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::world::{World, named, read_file};

/// Generated rows are always tried, so that a component is never published on friendly samples alone.
pub(super) const GENERATED_ROWS: usize = 256;
/// Decides the generated rows and the shuffles; fixed, so that the gate gives the same verdict every time.
pub(super) const SEED: u64 = 0x7472_6966_6F6C_6431;

/// What the gate found, over generated rows and over the sample that was given.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Checked {
    view: String,
    digest: String,
    passed: bool,
    fuel_counted_by: String,
    samples: Vec<SampleReport>,
}

impl Checked {
    /// Whether the component may be published.
    pub fn passed(&self) -> bool {
        self.passed
    }

    /// What is recorded of it once it passed.
    pub fn record(&self) -> GateRecord {
        let samples = self.samples.iter().map(SampleReport::record).collect();
        GateRecord { fuel_counted_by: self.fuel_counted_by.clone(), samples }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct SampleReport {
    rows_from: String,
    /// The name of the file, where it was one.
    #[serde(skip)]
    file: Option<String>,
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
    fn record(&self) -> GateSample {
        let rows = self.rows as u64;
        let Fuel { median, max, total } = self.fuel;
        GateSample {
            file: self.file.clone(),
            rows,
            errors: self.errors.iter().map(|errors| (ErrorCode(errors.code), errors.rows as u64)).collect(),
            aside: self.aside.iter().map(|(reason, rows)| ((*reason).to_owned(), *rows)).collect(),
            fuel: FuelSummary { rows, median, max, total },
            checks: self.checks.iter().map(|check| (check.name.to_owned(), check.rows as u64)).collect(),
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
    #[serde(skip)]
    advice: &'static str,
}

/// Checks a component file.
pub fn run(world: &World, args: Check) -> Outcome {
    let wasm = read_file(&args.component)?;
    let sandbox = world.sandbox()?;
    let transform = sandbox.admit(&wasm).map_err(named(&args.component))?;
    world.block_on(world.reads(transform.view(), &[]))?;
    let earlier = world.block_on(world.sharing(&sandbox, &transform))?;
    let checked = gate(world, &transform, &earlier, &args.samples, &args.source)?;
    output::print(world.format, &checked, text)?;
    if checked.passed { Ok(()) } else { Err(refusal(&checked)) }
}

/// Runs the publish gate, also against the versions that share the component's state.
pub fn gate(
    world: &World,
    transform: &Transform,
    earlier: &[(u64, Transform)],
    samples: &Samples,
    source: &Source,
) -> Outcome<Checked> {
    let view = transform.view();
    let generated = synthetic_samples(view, SEED, GENERATED_ROWS).or_exit(Exit::Internal)?;
    let report = publish_gate(transform, earlier, &generated, SEED).or_exit(Exit::Internal)?;
    let mut reports = vec![sample_report("generated rows".to_owned(), &report)];
    if let Some(path) = &samples.sample {
        reports.push(try_sample(world, transform, earlier, (path, samples.sample_rows), source)?);
    }
    let passed = reports.iter().flat_map(|report| &report.checks).all(|check| check.failure.is_none());
    Ok(Checked {
        view: view.name.to_string(),
        digest: transform.digest().to_string(),
        passed,
        fuel_counted_by: fuel_counted_by(),
        samples: reports,
    })
}

/// Runs the publish gate over the first rows of a sample that fit the view.
fn try_sample(
    world: &World,
    transform: &Transform,
    earlier: &[(u64, Transform)],
    (path, rows_max): (&Path, usize),
    source: &Source,
) -> Outcome<SampleReport> {
    let (view, source) = (transform.view(), world.source(source));
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
    let report = publish_gate(transform, earlier, &events.inputs, SEED).or_exit(Exit::Internal)?;
    let mut aside = BTreeMap::new();
    for event in &events.aside {
        *aside.entry(event.reason.name()).or_default() += 1;
    }
    let first_aside = events.aside.first().map(|event| format!("row {}: {}", event.offset, event.detail));
    let mut sample = sample_report(path.display().to_string(), &report);
    // Generated rows may all be nonsense to a transform; the author's own are not.
    sample.checks.push(CheckReport {
        name: "a row is computed",
        rows: report.sample_rows,
        failure: report
            .nothing_computed()
            .map(|errors| format!("error {} and the like, {}", errors.code.0, errors.first)),
        advice: "every row of the sample traps or goes beyond a limit, so no lookup would ever have a value",
    });
    // Where it stood says nothing to others.
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(SampleReport { file, aside, first_aside, ..sample })
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

fn sample_report(rows_from: String, report: &GateReport) -> SampleReport {
    let checks = report.checks.iter();
    SampleReport {
        rows_from,
        file: None,
        rows: report.sample_rows,
        error_rows: report.error_rows(),
        errors: report
            .errors
            .iter()
            .map(|errors| ErrorReport { code: errors.code.0, rows: errors.rows, first: errors.first.clone() })
            .collect(),
        aside: BTreeMap::new(),
        first_aside: None,
        fuel: report.fuel.into(),
        checks: checks
            .map(|check| CheckReport {
                name: check.name,
                rows: check.rows,
                failure: check.failure.clone(),
                advice: check.advice(),
            })
            .collect(),
    }
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

/// The error of a component that the gate does not let through.
pub fn refusal(checked: &Checked) -> Failure {
    let failed = checked.samples.iter().flat_map(|report| &report.checks).find_map(|check| {
        check.failure.as_ref().map(|failure| format!("{}: {failure}; {}", check.name, check.advice))
    });
    let message = format!(
        "view {}: the publish gate refuses component {}: {}",
        checked.view,
        checked.digest,
        failed.unwrap_or_default()
    );
    Failure::new(Exit::Refused, message)
}
