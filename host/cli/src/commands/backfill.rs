//! `trifold backfill`.

mod follow;
mod materialize;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use trifold_backfill::{
    Backfill as Run, BackfillError, Job, OnDemandBackfill, Output, Phase, Progress, Report, Resources, Spine,
    Watch,
};
use trifold_eventlog::{Archive, RowFormat};
use trifold_model::{Cut, Positions};
use trifold_pipeline::{ArrivalPolicy, Ask, LiveVersion, TimelineError};

use super::events::{nothing_read, unreadable, warn_of_unfinished_line};
use super::stream::log_failure;
use crate::args::{Backfill, CutName, Log};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::world::World;
use crate::{output, progress};

/// Computes a view over recorded events, or loads the states of some into the online store.
pub fn run(world: &World, args: Backfill) -> Outcome {
    let Some(out) = args.out.clone() else { return materialize::run(world, &args) };
    let [name] = args.versions.as_slice() else {
        return Err(Failure::new(
            Exit::Usage,
            "one view at a time has rows: name one, or load them with `--materialize`",
        ));
    };
    if args.follow_releases {
        return follow::run(world, &args, name, &out);
    }
    let version = world.block_on(world.version(name))?;
    let ask = ask(&args, world.source(&args.log.source).arrival.is_some())?;
    if version.view().on_demand().is_some() {
        return requests(world, version, args, out, &ask);
    }
    // Any other view reads no view, so that whatever is named is refused.
    world.block_on(world.reads(version.view(), &args.reads))?;
    let job = job(world, version, &args.log, ask, args.before)?;
    let format = if args.rows_format == "jsonl" { RowFormat::JsonLines } else { RowFormat::Parquet };
    let backfill = Run {
        job,
        spine: args.spine.map(|path| Spine { path, as_of: args.as_of_column }),
        output: Output { dir: out, format, digest: args.digest, overwrite: args.overwrite },
        resources: Resources { shards: args.shards, ..resources(world, args.memory_mib, args.threads) },
        watch: watch(world),
    };
    let report = backfill.run().map_err(backfill_failure)?;
    let Run { job, output: written, watch, .. } = backfill;
    // The last bar goes with it, and would else stand in the line of what is printed.
    drop(watch);
    output::print(world.format, &summary(&report), text)?;
    warn_of_unfinished_line(&job.log);
    if report.events_read > 0 && unreadable(report.aside.clone()) == report.events_read {
        let view = job.version.view().name.as_str();
        return Err(nothing_read(view, report.events_read, &written.dir.join("_aside")));
    }
    match &report.counts.unavailable {
        Some(reason) => Err(unavailable(report.counts.unavailable_count(), reason)),
        None => Ok(()),
    }
}

/// Computes an on-demand view at the requests of a spine.
fn requests(world: &World, version: LiveVersion, args: Backfill, out: PathBuf, ask: &Ask) -> Outcome {
    let view = version.view().clone();
    let Some(path) = args.spine else {
        let fields: Vec<_> = view.request_fields().map(|field| field.name.as_str()).collect();
        let message = format!(
            "view {} is an on-demand view, whose values belong to requests: name a file of them with `--spine`, with \
             the columns {} and {}",
            view.name,
            fields.join(", "),
            args.as_of_column
        );
        return Err(Failure::new(Exit::Usage, message));
    };
    let reads = world.block_on(world.reads(&view, &args.reads))?.into_iter();
    let reads = reads.map(|version| job(world, version, &args.log, ask.clone(), args.before));
    let format = if args.rows_format == "jsonl" { RowFormat::JsonLines } else { RowFormat::Parquet };
    let backfill = OnDemandBackfill {
        version,
        reads: reads.collect::<Outcome<_>>()?,
        spine: Spine { path, as_of: args.as_of_column },
        output: Output { dir: out, format, digest: args.digest, overwrite: args.overwrite },
        resources: Resources { shards: args.shards, ..resources(world, args.memory_mib, args.threads) },
        watch: watch(world),
    };
    let report = backfill.run().map_err(backfill_failure)?;
    let OnDemandBackfill { reads, watch, .. } = backfill;
    // The last bar goes with it, and would else stand in the line of what is printed.
    drop(watch);
    let read = reads.iter().map(|job| format!("{}@{}", job.version.view().name, job.version.version)).collect();
    output::print(world.format, &Summary { reads: read, ..summary(&report) }, text)?;
    warn_of_unfinished_line(&args.log.events);
    match &report.counts.unavailable {
        Some(reason) => Err(unavailable(report.counts.unavailable_count(), reason)),
        None => Ok(()),
    }
}

fn unavailable(rows: u64, reason: &str) -> Failure {
    let message = format!(
        "{rows} rows are unavailable ({reason}): run the same backfill again, it computes the files that hold them \
         anew"
    );
    Failure::new(Exit::Unavailable, message)
}

fn ask(args: &Backfill, arrivals_recorded: bool) -> Outcome<Ask> {
    let position = args.position.as_ref();
    match (args.cut, position) {
        _ if args.spine.is_some() => cut_of_spine(args.cut, position, arrivals_recorded).map(Ask::Spine),
        (Some(CutName::Position), None) if !args.before => Ok(Ask::OwnPosition),
        (cut, position) => cut_of(cut.unwrap_or(CutName::All), position).map(Ask::EveryEvent),
    }
}

/// The cut of questions that stand at no event.
pub fn cut_of_spine(cut: Option<CutName>, position: Option<&Positions>, arrivals_recorded: bool) -> Outcome<Cut> {
    // Where arrivals are known, nothing may leak into training from later unless it is asked for.
    let default = if arrivals_recorded { CutName::Arrival } else { CutName::All };
    cut_of(cut.unwrap_or(default), position)
}

fn cut_of(cut: CutName, position: Option<&Positions>) -> Outcome<Cut> {
    match (cut, position) {
        (CutName::Position, Some(position)) => Ok(Cut::Position(position.clone())),
        (CutName::Position, None) => {
            let message = "`--cut position` needs the position here: add `--position OFFSET`";
            Err(Failure::new(Exit::Usage, message))
        }
        (_, Some(_)) => {
            Err(Failure::new(Exit::Usage, "`--position` goes with `--cut position`: add that, or leave it out"))
        }
        (CutName::All, None) => Ok(Cut::All),
        (CutName::Arrival, None) => Ok(Cut::Arrival),
    }
}

/// A job over a log.
pub fn job(world: &World, version: LiveVersion, log: &Log, ask: Ask, before: bool) -> Outcome<Job> {
    if let Ask::EveryEvent(Cut::Position(position)) | Ask::Spine(Cut::Position(position)) = &ask {
        check_partitions(log, position)?;
    }
    let source = world.source(&log.source);
    let assume_on_time = world.assume_on_time(&log.source);
    let arrivals =
        ArrivalPolicy::new(version.view(), source.arrival.is_some(), assume_on_time).or_exit(Exit::Usage)?;
    Ok(Job {
        version,
        log: log.events.clone(),
        log_name: log.log_id.clone(),
        checks_keys: world.config.kafka.check_keys,
        source,
        ask,
        before,
        arrivals,
        until: None,
    })
}

/// An archive has more partitions than one: a position in some of them would leave out the others without a word.
fn check_partitions(log: &Log, position: &Positions) -> Outcome {
    if !Archive::is_at(&log.events) {
        return Ok(());
    }
    let archive = Archive::open(&log.events).map_err(log_failure)?;
    let wanted = archive.partitions();
    let problem = match ((0..wanted).find(|at| !position.0.contains_key(at)), position.0.last_key_value()) {
        (Some(missing), _) => format!("partition {missing} has no position"),
        (None, Some((last, _))) if *last >= wanted => format!("there is no partition {last}"),
        _ => return Ok(()),
    };
    let all: Vec<_> = (0..wanted).map(|partition| format!("{partition}:OFFSET")).collect();
    let message = format!("{}: {problem}: write `--position {}`", archive.dir().display(), all.join(","));
    Err(Failure::new(Exit::Usage, message))
}

/// What a backfill may use: flags go before the configuration.
pub fn resources(world: &World, memory_mib: Option<u64>, threads: Option<usize>) -> Resources {
    let section = &world.config.backfill;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = match threads.unwrap_or(section.threads) {
        0 => processors,
        threads => threads,
    };
    let mebibytes = usize::try_from(memory_mib.unwrap_or(section.memory_mib)).unwrap_or(usize::MAX);
    Resources { threads, memory_bytes_max: mebibytes.saturating_mul(1 << 20), ..Resources::default() }
}

/// A progress bar per phase, and cancellation by signal.
pub fn watch(world: &World) -> Watch {
    let cancelled = Arc::new(AtomicBool::new(false));
    let (flag, mut stop) = (cancelled.clone(), world.stop_signal());
    world.handle().spawn(async move {
        if stop.wait_for(|stop| *stop).await.is_ok() {
            flag.store(true, Ordering::Relaxed);
        }
    });
    Watch { progress: Arc::new(Bars::default()), cancelled }
}

#[derive(Default)]
struct Bars(Mutex<Option<(Phase, indicatif::ProgressBar)>>);

impl Progress for Bars {
    fn report(&self, phase: Phase, done: u64, total: u64) {
        let Ok(mut current) = self.0.lock() else { return };
        if current.as_ref().is_none_or(|(shown, _)| *shown != phase) {
            if let Some((_, bar)) = current.take() {
                bar.finish_and_clear();
            }
            *current = Some((phase, progress::rows(phase.name(), total)));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_length(total);
            bar.set_position(done);
        }
    }
}

/// The exit code of a backfill that failed.
pub fn backfill_failure(error: BackfillError) -> Failure {
    let exit = match error {
        BackfillError::Log(error) => return log_failure(error),
        BackfillError::Usage(_)
        | BackfillError::Read(_)
        | BackfillError::Explain(_)
        | BackfillError::OtherBackfill { .. }
        | BackfillError::ForeignDirectory { .. } => Exit::Usage,
        BackfillError::NoSpine { .. } => Exit::NotFound,
        BackfillError::Timeline(TimelineError::NoArrival { .. }) => Exit::Usage,
        BackfillError::Busy { .. } | BackfillError::Cancelled { .. } => Exit::Unavailable,
        BackfillError::Io { .. } => Exit::Io,
        _ => Exit::Data,
    };
    Failure { exit, error: error.into() }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    plan: &'static str,
    /// The versions of the views that an on-demand view read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reads: Vec<String>,
    events: u64,
    rows: u64,
    statuses: BTreeMap<String, u64>,
    /// Why rows were unavailable, for one of them; `statuses` says how many.
    unavailable: Option<String>,
    errors: BTreeMap<u16, trifold_backfill::ErrorCount>,
    aside: BTreeMap<&'static str, u64>,
    files: Vec<PathBuf>,
    resumed_files: u32,
}

fn summary(report: &Report) -> Summary {
    Summary {
        plan: report.plan.name(),
        reads: Vec::new(),
        events: report.events_read,
        rows: report.counts.rows,
        statuses: report.counts.statuses.clone(),
        unavailable: report.counts.unavailable.clone(),
        errors: report.counts.errors.clone(),
        aside: report.aside.iter().map(|(reason, count)| (reason.name(), *count)).collect(),
        files: report.files.iter().map(|file| file.path.clone()).collect(),
        resumed_files: report.resumed_count,
    }
}

fn text(summary: &Summary) -> String {
    let mut text = format!("{} rows from {} events ({})\n", summary.rows, summary.events, summary.plan);
    if !summary.reads.is_empty() {
        text.push_str(&format!("  read: {}\n", summary.reads.join(", ")));
    }
    let counts = summary.statuses.iter().map(|(status, count)| vec![format!("  {status}"), count.to_string()]);
    let aside = summary.aside.iter().map(|(reason, count)| vec![format!("  aside: {reason}"), count.to_string()]);
    text.push_str(&output::table(&counts.chain(aside).collect::<Vec<_>>()));
    for (code, error) in &summary.errors {
        text.push_str(&format!(
            "  error {code} in {} rows, as in row {}: {}\n",
            error.rows, error.number, error.message
        ));
    }
    if let Some(reason) = &summary.unavailable {
        text.push_str(&format!("  unavailable, one of them because {reason}\n"));
    }
    if summary.resumed_files > 0 {
        text.push_str(&format!("  {} files were there already\n", summary.resumed_files));
    }
    for file in &summary.files {
        text.push_str(&format!("  {}\n", file.display()));
    }
    text
}
