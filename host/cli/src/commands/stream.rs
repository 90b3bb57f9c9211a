//! `trifold stream`.

mod feeding;
pub mod kafka;
mod releases;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use serde::Serialize;
use tokio::sync::watch;
use trifold_eventlog::{FileLog, LogError, LogOptions, RowFormat};
use trifold_model::ViewName;
use trifold_server::admin::{Desk, Kept};
use trifold_store::{EmbeddedStore, StoreError};
use trifold_stream::{
    AsideKind, Driver, FeedId, FeedProgress, FileSink, Notice, Problem, Progress, RunReport, StreamError, Switch,
    Until, Worker, WorkerConfig, feed_dir,
};

pub use self::releases::{Chosen, chosen};
use super::events::{nothing_read, unreadable, warn_of_unfinished_line};
use crate::admin;
use crate::args::{Source, Stream};
use crate::clock;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::monitor::Monitor;
use crate::world::{World, registry_failure};
use crate::{output, progress};

/// Applies a log to the store.
pub fn run(world: &World, args: Stream) -> Outcome {
    match args.kafka.topic.clone() {
        Some(topic) => kafka::run(world, &args, topic),
        None => run_files(world, &args),
    }
}

fn run_files(world: &World, args: &Stream) -> Outcome {
    let store = world.store("stream")?;
    let until = until(args);
    let desk = admin::start(world, &args.operate, "stream")?;
    let releases = chosen(world, &args.views)?.hears_and_tells(&desk);
    let mut driver = driver(world, args, store, releases)?;
    let stop = world.stop_signal();
    let monitor = Monitor::start(world, args.watch.metrics.as_ref())?;
    let report = world.block_on(drive(&mut driver, until, &monitor, &desk, stop))?;
    output::print(world.format, &summary(&report), text)?;
    if until == Until::End {
        warn_of_unfinished_line(events(args)?);
    }
    if let Some(feed) = report.progress.feeds.iter().find(|feed| nothing_was_read(feed)) {
        let aside = feed_dir(&world.data("aside"), &feed.feed);
        return Err(nothing_read(feed.feed.view.as_str(), feed.counts.event_count, &aside));
    }
    verdict(&report, until)
}

/// What the problems of a run come to.
pub fn verdict(report: &RunReport, until: Until) -> Outcome {
    let kept_back = |problem: &&Problem| problem.blocks() || matches!(problem, Problem::Release(_));
    match report.problems.iter().find(kept_back) {
        Some(_) if until == Until::Follow => Ok(()),
        Some(problem @ Problem::Arrival(_)) => Err(Failure::new(Exit::Usage, problem)),
        Some(problem) => Err(Failure::new(Exit::Data, problem)),
        None if report.interrupted && until != Until::Follow => {
            let (done, known) = (report.progress.rows_done(), report.progress.rows_known);
            let message = format!("interrupted at offset {done} of {known}: run it again to go on");
            Err(Failure::new(Exit::Unavailable, message))
        }
        None => Ok(()),
    }
}

/// Whether a feed began with this run, and all that it was given was unreadable.
fn nothing_was_read(feed: &FeedProgress) -> bool {
    let aside = feed.counts.aside.iter().filter_map(|(kind, count)| match kind {
        AsideKind::Excluded(reason) => Some((*reason, *count)),
        AsideKind::RowError | AsideKind::Unavailable => None,
    });
    feed.next > 0 && feed.counts.event_count == feed.next && unreadable(aside) == feed.next
}

/// The files to read.
fn events(args: &Stream) -> Outcome<&Path> {
    let named = args.log.events.as_deref();
    named.ok_or_else(|| Failure::new(Exit::Usage, "no events are named: give `--events`"))
}

/// When the command is over.
pub fn until(args: &Stream) -> Until {
    match args.stop_at {
        _ if args.follow => Until::Follow,
        Some(offset) => Until::Offset(offset),
        None => Until::End,
    }
}

/// The worker of the embedded defaults: a file log, the embedded store, row files.
pub type FileDriver = Driver<FileLog, FileSink, Chosen>;

/// Puts the worker together.
pub fn driver(world: &World, args: &Stream, store: Arc<EmbeddedStore>, releases: Chosen) -> Outcome<FileDriver> {
    let section = &world.config.stream;
    let log = FileLog::open(events(args)?, LogOptions { name: args.log.log_id.clone(), columns: None });
    let log = log.map_err(log_failure)?;
    let format = match args.rows_format.as_ref().unwrap_or(&section.rows_format).as_str() {
        "jsonl" => RowFormat::JsonLines,
        _ => RowFormat::Parquet,
    };
    let sink = FileSink::new().with_rows(world.data("rows"), format).with_aside(world.data("aside"));
    let interval = Duration::from_millis(section.poll_interval_ms);
    let checkpoints = args.checkpoint_interval_ms.unwrap_or(section.checkpoint_interval_ms);
    let worker = Worker::new(log, store, sink, config(world, args));
    let driver = Driver::new(worker, releases, interval);
    Ok(driver.with_checkpoints(Duration::from_millis(checkpoints)))
}

/// What a worker of `trifold stream` is told, wherever its events come from.
fn config(world: &World, args: &Stream) -> WorkerConfig {
    let section = &world.config.stream;
    WorkerConfig {
        rows_max: args.step_rows.unwrap_or(section.step_rows),
        keep_outputs: args.keep_outputs.unwrap_or(section.keep_outputs),
        ..worker_config(world, &args.log.source)
    }
}

/// What the configuration tells a worker.
pub fn worker_config(world: &World, source: &Source) -> WorkerConfig {
    let section = &world.config.stream;
    // Unlike that of any earlier life of the state, and never read by anybody but for equality.
    let incarnation = clock::now().0.unsigned_abs();
    WorkerConfig {
        source: world.source(source),
        rows_max: section.step_rows,
        resident_bytes: section.resident_mib.saturating_mul(1 << 20),
        assume_on_time: world.assume_on_time(source),
        keep_outputs: section.keep_outputs,
        ..WorkerConfig::new(incarnation)
    }
}

/// Views by their names.
pub fn view_names(views: &[String]) -> Outcome<Vec<ViewName>> {
    views.iter().map(|name| name.parse().or_exit(Exit::Usage)).collect()
}

/// Runs the worker to its end, with progress for whoever watches.
pub async fn drive(
    driver: &mut FileDriver,
    until: Until,
    monitor: &Monitor,
    desk: &Desk,
    stop: watch::Receiver<bool>,
) -> Outcome<RunReport> {
    let bar = progress::rows("stream", 0);
    let mut notify = notify(&bar, until, monitor, desk);
    let report = driver.run(until, &mut notify, stop).await;
    bar.finish_and_clear();
    report.map_err(stream_failure)
}

/// Tells whoever watches what a worker does.
fn notify<'a>(
    bar: &'a ProgressBar,
    until: Until,
    monitor: &'a Monitor,
    desk: &'a Desk,
) -> impl FnMut(Notice<'_>) + Send + use<'a> {
    move |notice| {
        monitor.note(&notice);
        match &notice {
            Notice::Progress(progress) => desk.keeps(kept(progress)),
            Notice::Tried(seen) => {
                desk.observed().folded(&seen.view, seen.release, &seen.serving, &seen.candidate)
            }
            _ => {}
        }
        tell(bar, until, notice);
    }
}

/// How far the states are that a worker maintains, by view.
fn kept(progress: &Progress) -> BTreeMap<ViewName, Vec<Kept>> {
    let mut views: BTreeMap<_, Vec<Kept>> = BTreeMap::new();
    for feed in &progress.feeds {
        let FeedProgress { feed: FeedId { view, state }, version, role, next, known, blocked, .. } = feed;
        let (version, state, role, applied) = (*version, *state, *role, *next);
        let (known, blocked) = (*known, *blocked);
        views.entry(view.clone()).or_default().push(Kept { version, state, role, applied, known, blocked });
    }
    views
}

fn tell(bar: &ProgressBar, until: Until, notice: Notice<'_>) {
    match notice {
        Notice::Progress(progress) => {
            bar.set_length(progress.rows_known);
            bar.set_position(progress.rows_done());
        }
        Notice::Switched(switch) => tell_switch(switch),
        Notice::Removed { feed } => {
            tracing::info!(view = %feed.view, state = %feed.state, "removed the state of a version that was given up");
        }
        Notice::Discarded { feed, file_count } => {
            tracing::warn!(view = %feed.view, file_count, "removed rows beyond what the store has applied");
        }
        // A run that ends tells its problems at the end; one that goes on tells them as they come.
        Notice::Problem(problem) if until == Until::Follow => tracing::error!("{problem}"),
        Notice::Aside { feed, line } if until == Until::Follow => {
            let (view, reason) = (&feed.view, line.kind.name());
            let told = "set an event aside, the first of its reason; the others are counted and not told";
            tracing::warn!(%view, reason, offset = line.offset, "{told}: {}", line.detail);
        }
        Notice::Assigned { partitions } => {
            let mut topics: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
            partitions.iter().for_each(|place| topics.entry(&place.topic).or_default().push(place.partition));
            if topics.is_empty() {
                tracing::info!("no partitions are there for this worker");
            }
            for (topic, partitions) in topics {
                tracing::info!(?partitions, topic, "partitions taken up");
            }
        }
        Notice::Restored { feed, partition, entries, took } => {
            tracing::info!(view = %feed.view, partition, entries, ?took, "state brought up to date");
        }
        _ => {}
    }
}

fn tell_switch(switch: &Switch) {
    let Switch { feed: FeedId { view, .. }, version, release, role, canary, offset } = switch;
    let canary = canary.map(|(version, share)| format!("version {version} for {share}"));
    match role {
        None => tracing::info!(%view, version, release, offset, canary, "version in force"),
        Some(role) => tracing::info!(%view, version, release, offset, role = role.name(), "version tried out"),
    }
}

/// The exit code of a worker that failed.
pub fn stream_failure(error: StreamError) -> Failure {
    let exit = match &error {
        StreamError::Log(error) => return log_failure_ref(error, error.to_string()),
        StreamError::Registry(error) => return registry_failure(error.clone()),
        StreamError::Store { source: StoreError::Held { .. }, .. } => Exit::Unavailable,
        StreamError::NoViews => Exit::NotFound,
        StreamError::Unavailable { .. } => Exit::Unavailable,
        StreamError::OtherSource { .. } => Exit::Usage,
        StreamError::OtherLog { .. }
        | StreamError::ChangedLog { .. }
        | StreamError::AheadOfLog { .. }
        | StreamError::Releases(_)
        | StreamError::Ingest(_) => Exit::Data,
        StreamError::Store { .. } | StreamError::Sink { .. } => Exit::Io,
        _ => Exit::Internal,
    };
    Failure { exit, error: error.into() }
}

/// The exit code of a log that cannot be read.
pub fn log_failure(error: LogError) -> Failure {
    let text = error.to_string();
    log_failure_ref(&error, text)
}

fn log_failure_ref(error: &LogError, text: String) -> Failure {
    let exit = match error {
        LogError::NotFound { .. } => Exit::NotFound,
        LogError::Io { .. } => Exit::Io,
        _ => Exit::Data,
    };
    Failure::new(exit, text)
}

/// What a run came to, for people and scripts.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    interrupted: bool,
    rows_known: u64,
    views: Vec<ViewSummary>,
    problems: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ViewSummary {
    view: String,
    state_id: String,
    version: u64,
    /// What the version is tried out for; null for one in force.
    role: Option<&'static str>,
    next_offset: u64,
    blocked: bool,
    events: u64,
    rows: u64,
    duplicates: u64,
    aside: BTreeMap<&'static str, u64>,
}

/// What a run came to.
pub fn summary(report: &RunReport) -> Summary {
    let views = report.progress.feeds.iter().map(|feed| ViewSummary {
        view: feed.feed.view.to_string(),
        state_id: feed.feed.state.to_string(),
        version: feed.version,
        role: feed.role.map(|role| role.name()),
        next_offset: feed.next,
        blocked: feed.blocked,
        events: feed.counts.event_count,
        rows: feed.counts.row_count,
        duplicates: feed.counts.duplicate_count,
        aside: feed.counts.aside.iter().map(|(kind, count)| (kind.name(), *count)).collect(),
    });
    Summary {
        interrupted: report.interrupted,
        rows_known: report.progress.rows_known,
        views: views.collect(),
        problems: report.problems.iter().map(ToString::to_string).collect(),
    }
}

/// The summary as a table.
pub fn text(summary: &Summary) -> String {
    let headings = ["VIEW", "VERSION", "NEXT OFFSET", "EVENTS", "ROWS", "ASIDE"];
    let lines = summary.views.iter().map(|view| {
        let version = match view.role {
            None => view.version.to_string(),
            Some(role) => format!("{} ({role})", view.version),
        };
        let [next, events, rows] = [view.next_offset, view.events, view.rows].map(|number| number.to_string());
        [view.view.clone(), version, next, events, rows, output::counts(&view.aside)]
    });
    let mut text = output::listing(headings, lines);
    for problem in &summary.problems {
        text.push_str(&format!("\nproblem: {problem}\n"));
    }
    text
}
