//! `trifold backfill --materialize`: the states of a recorded log, in the online store.
//!
//! The worker that applies the log is that of `trifold stream`, without a sink. It fills the embedded store itself, or for a
//! Redis one store for each partition, which are brought there as a whole.

mod history;
mod report;
mod workshop;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use trifold_model::{OnDemandSpec, ViewName};
use trifold_pipeline::{ArrivalPolicy, LiveVersion, LiveViews};
use trifold_store::{
    EmbeddedStore, Feeding, Followed, OnlineStore, RedisSettings, RedisStore, StateStore, StoreError,
};
use trifold_stream::{
    Driver, FeedId, Fixed, Load, LoadError, NoSink, Notice, Source, StreamError, Until, Worker, WorkerConfig,
    feed_dir,
};

use self::history::History;
use self::report::{Loaded, Summary, text};
use self::workshop::Workshop;
use crate::args::Backfill;
use crate::clock;
use crate::commands::stream::{stream_failure, verdict, worker_config};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::world::{World, open_redis, redis_exit};
use crate::{output, progress};

const COMMAND: &str = "backfill --materialize";

/// Loads the states of some views as of the end of a log.
pub(super) fn run(world: &World, args: &Backfill) -> Outcome {
    let begun = Instant::now();
    let live = versions(world, args)?;
    let config = WorkerConfig { digest: false, ..worker_config(world, &args.log.source) };
    let history = History::open(&args.log, &config.source, &live, world.config.kafka.check_keys)?;
    let loading = Loading { world, history, live, config, overwrite: args.overwrite, stop: world.stop_signal() };
    let redis = world.redis(&args.redis);
    let views = match &redis {
        Some(redis) => loading.fill_redis(redis)?,
        None => loading.fill_embedded()?,
    };
    let store = if redis.is_some() { "redis" } else { "embedded" };
    let log = loading.history.log().0.to_string();
    output::print(world.format, &Summary::new(log, store, views, begun.elapsed()), text)?;
    loading.history.warn_of_unfinished_line();
    Ok(())
}

/// The versions that are named, each of another view that has a state.
fn versions(world: &World, args: &Backfill) -> Outcome<Arc<LiveViews>> {
    let usage = |message: String| Err(Failure::new(Exit::Usage, message));
    let (source, assume_on_time) = (world.source(&args.log.source), world.assume_on_time(&args.log.source));
    let mut views: BTreeMap<ViewName, LiveVersion> = BTreeMap::new();
    for name in &args.versions {
        let version = world.block_on(world.version(name))?;
        let view = version.view().name.clone();
        if let Some(reads) = version.view().on_demand().map(OnDemandSpec::views) {
            let reads: Vec<_> = reads.into_iter().map(ViewName::as_str).collect();
            return usage(format!(
                "view {view} is an on-demand view, which is computed when it is asked for and has no state: load what it \
                 reads, {}",
                reads.join(" ")
            ));
        }
        ArrivalPolicy::new(version.view(), source.arrival.is_some(), assume_on_time).or_exit(Exit::Usage)?;
        if views.insert(view.clone(), version).is_some() {
            return usage(format!("view {view} is named twice"));
        }
    }
    Ok(Arc::new(LiveViews::new(views)))
}

/// What is loaded, and from where.
struct Loading<'a> {
    world: &'a World,
    history: History,
    live: Arc<LiveViews>,
    config: WorkerConfig,
    overwrite: bool,
    stop: watch::Receiver<bool>,
}

impl Loading<'_> {
    fn feeds(&self) -> impl Iterator<Item = FeedId> {
        self.live.views.values().map(FeedId::of)
    }

    /// Goes on where the states are.
    fn fill_embedded(&self) -> Outcome<Loaded> {
        let store = self.world.store(COMMAND)?;
        if self.overwrite {
            self.clear(&store)?;
        }
        self.check_rows(&store)?;
        let mut loaded = Loaded::default();
        for partition in self.history.partitions() {
            self.fill(self.history.of_all(partition)?, &store, &mut loaded)?;
        }
        self.count(&store, 0, &mut loaded)?;
        loaded.check()?;
        Ok(loaded)
    }

    /// Makes the states beside the data, and then brings them.
    fn fill_redis(&self, settings: &RedisSettings) -> Outcome<Loaded> {
        let redis = self.world.block_on(open_redis(settings))?;
        self.world.block_on(self.check_redis(&redis))?;
        let workshop = Workshop::open(self.world, COMMAND, self.history.partitions())?;
        let mut loaded = Loaded::default();
        for (partition, store) in workshop.stores() {
            // What a load left that was killed.
            self.clear(store)?;
            self.fill(self.history.alone(partition)?, store, &mut loaded)?;
            self.count(store, partition, &mut loaded)?;
        }
        loaded.check()?;
        let bar = progress::rows("load", loaded.entities());
        let brought = self.feeds().try_for_each(|feed| {
            workshop.stores().try_for_each(|(partition, store)| {
                let load = Load { feed: &feed, partition, store: &**store };
                self.world.block_on(async {
                    let feeding = self.way_in(&redis, &feed, partition).await?;
                    let mut tell = |entities| bar.inc(entities);
                    load.bring(feeding, now, &self.stop, &mut tell).await.map_err(load_failure)
                })
            })
        });
        bar.finish_and_clear();
        brought.map(|()| loaded)
    }

    fn clear(&self, store: &EmbeddedStore) -> Outcome {
        self.feeds().try_for_each(|feed| self.world.block_on(store.clear(feed.state)).or_exit(Exit::Io))
    }

    /// Applies what a store does not have yet of a partition.
    fn fill(&self, source: Box<dyn Source>, store: &Arc<EmbeddedStore>, loaded: &mut Loaded) -> Outcome {
        let section = &self.world.config.stream;
        let partition = source.partition();
        let worker = Worker::new(source, store.clone(), NoSink, self.config.clone());
        let interval = Duration::from_millis(section.poll_interval_ms);
        let checkpoints = Duration::from_millis(section.checkpoint_interval_ms);
        let mut driver = Driver::new(worker, Fixed(self.live.clone()), interval).with_checkpoints(checkpoints);
        let bar = progress::rows("materialize", 0);
        let mut notify = |notice: Notice<'_>| match notice {
            Notice::Progress(progress) => {
                bar.set_length(progress.rows_known);
                bar.set_position(progress.rows_done());
            }
            Notice::Applied { feed, counts } => {
                tracing::debug!(view = %feed.view, partition, events = counts.event_count, "applied");
            }
            Notice::Switched(switch) => {
                tracing::info!(view = %switch.feed.view, partition, offset = switch.offset, "begun");
            }
            Notice::Aside { feed, line } => loaded.note(feed, line),
            _ => {}
        };
        let report = self.world.block_on(driver.run(Until::End, &mut notify, self.stop.clone()));
        bar.finish_and_clear();
        let report = report.map_err(unfilled)?;
        loaded.add(partition, &report.progress);
        verdict(&report, Until::End)
    }

    /// Counts the entities of a store, which has those of a partition.
    fn count(&self, store: &EmbeddedStore, partition: u32, loaded: &mut Loaded) -> Outcome {
        self.feeds().try_for_each(|feed| {
            let load = Load { feed: &feed, partition, store };
            loaded.count(&feed, self.world.block_on(load.entities()).map_err(load_failure)?);
            Ok(())
        })
    }

    /// A stream that goes on behind what is loaded would leave a hole in the rows that it emitted before.
    fn check_rows(&self, store: &EmbeddedStore) -> Outcome {
        for feed in self.feeds() {
            let dir = feed_dir(&self.world.data("rows"), &feed);
            let marker = self.world.block_on(store.marker(feed.state)).or_exit(Exit::Io)?;
            let next = |partition| marker.as_ref().map_or(0, |marker| marker.positions.next(partition));
            if dir.exists() && self.history.has_more(next)? {
                let message = format!(
                    "view {}: `trifold stream` has emitted rows of this state, and would leave out those of the events \
                     that are loaded: go on with `trifold stream`, or move {} away",
                    feed.view,
                    dir.display()
                );
                return Err(Failure::new(Exit::Usage, message));
            }
        }
        Ok(())
    }

    /// Refuses what may not be replaced before anything is done.
    async fn check_redis(&self, redis: &RedisStore) -> Outcome {
        redis.check().await.map_err(redis_failure)?;
        for feed in self.feeds() {
            for partition in self.history.partitions() {
                self.way_in(redis, &feed, partition).await?;
            }
            let marker = redis.marker(feed.state).await.map_err(redis_failure)?;
            let marker = marker.filter(|marker| !self.overwrite && marker.log == *self.history.log());
            for (&partition, &next) in marker.iter().flat_map(|marker| &marker.positions.0) {
                let known = self.history.known(partition)?;
                if next > known {
                    let message = format!(
                        "view {}: the Redis has its state {} at offset {next} of partition {partition} of {}, which ends at \
                         {known} here: restore the log, or load what is left of it with `--overwrite`",
                        feed.view,
                        feed.state,
                        self.history.log().0
                    );
                    return Err(Failure::new(Exit::Data, message));
                }
            }
        }
        Ok(())
    }

    async fn way_in(&self, redis: &RedisStore, feed: &FeedId, partition: u32) -> Outcome<Feeding> {
        let followed = Followed::load(self.history.log(), self.history.partitions().end);
        let feeding = match self.overwrite {
            true => redis.replacing(feed.state, partition, followed).await,
            false => redis.feeding(feed.state, partition, followed).await,
        };
        feeding.map_err(|error| match error {
            StoreError::OtherSource { .. } => {
                let message = format!(
                    "view {}: {error}; or replace what is there with `--overwrite`, once nobody feeds it",
                    feed.view
                );
                Failure::new(Exit::Usage, message)
            }
            error => redis_failure(error),
        })
    }
}

/// What was to be filled may have a state from which this log does not go on.
fn unfilled(error: StreamError) -> Failure {
    let is_from_elsewhere = matches!(
        error,
        StreamError::OtherLog { .. }
            | StreamError::OtherSource { .. }
            | StreamError::ChangedLog { .. }
            | StreamError::AheadOfLog { .. }
    );
    let failure = stream_failure(error);
    match is_from_elsewhere {
        true => Failure::new(failure.exit, format!("{}; or replace the state with `--overwrite`", failure.text())),
        false => failure,
    }
}

fn redis_failure(error: StoreError) -> Failure {
    Failure { exit: redis_exit(&error), error: error.into() }
}

fn load_failure(error: LoadError) -> Failure {
    let exit = match &error {
        LoadError::Store { source, .. } => redis_exit(source),
        LoadError::Lost { .. } | LoadError::Interrupted { .. } => Exit::Unavailable,
        _ => Exit::Data,
    };
    Failure { exit, error: error.into() }
}

fn now() -> u64 {
    clock::now().0.unsigned_abs()
}
