//! Metrics of a worker, feeder or server, and whether it is ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use trifold_server::Load;
use trifold_server::monitor::{Monitored, monitor};
use trifold_store::{CacheFigures, CachedStore, GuardedStore};
use trifold_stream::kafka::{ArchiveNotice, FeedNotice};
use trifold_stream::{FeedId, Notice, Problem};

use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::world::World;

/// The bounds of histograms of seconds: from a millisecond to what somebody looks into.
const SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Tells what a process does to those who watch it. Without an address nobody does.
#[derive(Clone)]
pub struct Monitor {
    /// Why the process is not ready, by what is not.
    reasons: Arc<Mutex<BTreeMap<String, String>>>,
    /// What a server reads through.
    reads: Arc<OnceLock<Reads>>,
    /// What the process's server takes on, if it has one.
    load: Arc<OnceLock<Load>>,
}

/// What a server reads through, where it does.
#[derive(Default)]
pub struct Reads {
    /// What is kept of what was read.
    pub cached: Option<Arc<CachedStore>>,
    /// What spares a store that is down.
    pub guarded: Option<Arc<GuardedStore>>,
}

impl Reads {
    /// Brings the figures up to now.
    fn note(&self) {
        if let Some(cached) = &self.cached {
            let CacheFigures { hits, misses, joined, stale } = cached.figures();
            for (result, count) in [("hit", hits), ("miss", misses), ("joined", joined), ("stale", stale)] {
                counter!("trifold_cache_entities_total", "result" => result).absolute(count);
            }
            gauge!("trifold_cache_bytes").set(cached.bytes() as f64);
        }
        if let Some(guarded) = &self.guarded {
            gauge!("trifold_store_resting").set(f64::from(u8::from(guarded.is_resting())));
        }
    }
}

/// What stands for the process as a whole among the views for which it may not be ready.
const WHOLE: &str = "";

struct Watched {
    metrics: PrometheusHandle,
    monitor: Monitor,
}

impl Monitored for Watched {
    fn metrics(&self) -> String {
        if let Some(load) = self.monitor.load.get() {
            note_load(load);
        }
        if let Some(reads) = self.monitor.reads.get() {
            reads.note();
        }
        self.metrics.render()
    }

    fn ready(&self) -> Result<(), String> {
        match self.monitor.reasons().first_key_value() {
            Some((_, reason)) => Err(reason.clone()),
            None => Ok(()),
        }
    }
}

impl Monitor {
    /// Listens where the flag or the configuration says, if one does.
    pub fn start(world: &World, flag: Option<&String>) -> Outcome<Self> {
        let begun = (WHOLE.to_owned(), "it has just begun".to_owned());
        let reasons = Arc::new(Mutex::new(BTreeMap::from([begun])));
        let told = Monitor { reasons, reads: Arc::default(), load: Arc::default() };
        let address = flag.unwrap_or(&world.config.metrics.listen);
        if address.is_empty() {
            return Ok(told);
        }
        let builder =
            PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
        let metrics = builder.or_exit(Exit::Internal)?.install_recorder().or_exit(Exit::Internal)?;
        let watched = Arc::new(Watched { metrics, monitor: told.clone() });
        let listener = world.block_on(TcpListener::bind(address)).map_err(|error| {
            Failure::new(
                Exit::Unavailable,
                format!("cannot listen on {address}: {error}; choose another with --metrics"),
            )
        })?;
        let bound = listener.local_addr().or_exit(Exit::Io)?;
        tracing::info!(address = %bound, "metrics at /metrics, health at /health and /ready");
        world.handle().spawn(async move {
            if let Err(error) = monitor(listener, watched).await {
                tracing::error!("nobody can watch this process any more: {error}");
            }
        });
        Ok(told)
    }

    /// Shows what a server takes on. A process has no more than one.
    pub fn watch(&self, load: Load) {
        let _ = self.load.set(load);
    }

    /// Takes note that the process does what it is there for.
    pub fn is_ready(&self) {
        self.goes_on(WHOLE);
    }

    /// Why the process is not ready, by what is not.
    fn reasons(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of what a server reads through. A process has no more than one.
    pub fn serves(&self, reads: Reads) {
        let _ = self.reads.set(reads);
    }

    fn waits(&self, what: impl Into<String>, reason: impl Into<String>) {
        self.reasons().insert(what.into(), reason.into());
    }

    fn goes_on(&self, what: &str) {
        self.reasons().remove(what);
    }

    fn completes(&self, feed: &FeedId, complete: bool) {
        gauge!("trifold_fed_complete", "view" => feed.view.to_string()).set(f64::from(u8::from(complete)));
        match complete {
            true => self.goes_on(feed.view.as_str()),
            false => self.waits(feed.view.as_str(), format!("view {} is not complete", feed.view)),
        }
    }

    /// Counts what a worker says.
    pub fn note(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Applied { feed, counts } => {
                let view = feed.view.to_string();
                counter!("trifold_events_total", "view" => view.clone()).increment(counts.event_count);
                counter!("trifold_rows_total", "view" => view.clone()).increment(counts.row_count);
                counter!("trifold_duplicates_total", "view" => view.clone()).increment(counts.duplicate_count);
                counter!("trifold_fuel_total", "view" => view.clone()).increment(counts.fuel);
                for (kind, count) in &counts.aside {
                    let labels = [("view", view.clone()), ("reason", kind.name().to_owned())];
                    counter!("trifold_set_aside_total", &labels).increment(*count);
                }
            }
            Notice::Rekeyed { count } => counter!("trifold_rekeyed_events_total").increment(*count),
            Notice::Committed { took } => seconds("trifold_transaction_seconds", None, *took),
            Notice::Restored { feed, entries, took, .. } => {
                let view = feed.view.to_string();
                counter!("trifold_restored_changes_total", "view" => view.clone()).increment(*entries);
                seconds("trifold_restore_seconds", Some(view), *took);
            }
            Notice::Progress(progress) => {
                for feed in &progress.feeds {
                    let view = feed.feed.view.to_string();
                    let lag = feed.known.saturating_sub(feed.next) as f64;
                    gauge!("trifold_lag_events", "view" => view.clone()).set(lag);
                    gauge!("trifold_blocked", "view" => view).set(f64::from(u8::from(feed.blocked)));
                }
                self.goes_on(WHOLE);
            }
            Notice::Assigned { partitions } => {
                gauge!("trifold_partitions").set(partitions.len() as f64);
                self.goes_on(WHOLE);
            }
            Notice::Problem(problem) => {
                counter!("trifold_problems_total").increment(1);
                // The others keep one view back, which has a gauge of its own.
                if let Problem::Log(reason) = problem {
                    self.waits(WHOLE, reason);
                }
            }
            _ => {}
        }
    }

    /// Counts what an archiver says.
    pub fn note_archive(&self, notice: &ArchiveNotice<'_>) {
        match notice {
            ArchiveNotice::Found { .. } => self.goes_on(WHOLE),
            ArchiveNotice::Read { records } => counter!("trifold_archive_read_total").increment(*records),
            ArchiveNotice::Added(file) => {
                counter!("trifold_archived_events_total").increment(file.rows);
                counter!("trifold_archived_undecoded_total").increment(file.undecoded);
                counter!("trifold_archived_files_total").increment(1);
                counter!("trifold_archived_bytes_total").increment(file.bytes);
            }
            ArchiveNotice::Problem(error) => {
                counter!("trifold_problems_total").increment(1);
                self.waits(WHOLE, error.to_string());
            }
            ArchiveNotice::Overtaken { .. } | ArchiveNotice::CaughtUp => {}
        }
    }

    /// Counts what a feeder says.
    pub fn note_feed(&self, notice: &FeedNotice<'_>) {
        match notice {
            FeedNotice::Begun { feed } => {
                self.waits(feed.view.as_str(), format!("view {} has just begun", feed.view));
                self.goes_on(WHOLE);
            }
            FeedNotice::Removed { .. } => {}
            FeedNotice::Over { feed } => self.goes_on(feed.view.as_str()),
            FeedNotice::Found { feed, .. } => self.completes(feed, false),
            FeedNotice::Brought { feed, changes, delays } => {
                let view = feed.view.to_string();
                counter!("trifold_fed_changes_total", "view" => view.clone()).increment(*changes);
                let micros = |delay: Option<u64>| delay.map(Duration::from_micros);
                micros(delays.written).into_iter().for_each(|took| {
                    seconds("trifold_feed_delay_seconds", Some(view.clone()), took);
                });
                micros(delays.arrival).into_iter().for_each(|took| {
                    seconds("trifold_freshness_seconds", Some(view.clone()), took);
                });
            }
            FeedNotice::Complete { feed, complete } => self.completes(feed, *complete),
            FeedNotice::Problem { feed, problem } => {
                counter!("trifold_problems_total").increment(1);
                if let Some(feed) = feed {
                    self.waits(feed.view.as_str(), problem);
                }
            }
        }
    }
}

/// What a server takes on and turns away, as it is when somebody asks.
fn note_load(load: &Load) {
    let now = load.now();
    gauge!("trifold_server_requests_computing").set(now.computing as f64);
    gauge!("trifold_server_requests_queued").set(now.queued as f64);
    gauge!("trifold_server_connections").set(now.connections as f64);
    gauge!("trifold_server_requests_bytes").set(now.received_bytes as f64);
    counter!("trifold_server_requests_answered_total").absolute(now.answered);
    counter!("trifold_server_fuel_total").absolute(now.fuel);
    for (reason, count) in now.rejected {
        counter!("trifold_server_rejected_total", "reason" => reason).absolute(count);
    }
}

fn seconds(name: &'static str, view: Option<String>, took: Duration) {
    match view {
        Some(view) => histogram!(name, "view" => view).record(took.as_secs_f64()),
        None => histogram!(name).record(took.as_secs_f64()),
    }
}
