//! `trifold materialize`.

use std::time::Duration;

use indicatif::ProgressBar;
use serde::Serialize;
use trifold_store::{RedisSettings, RedisStore};
use trifold_stream::Until;
use trifold_stream::kafka::{FedView, FeedNotice, Materializer};

use super::stream::{chosen, kafka};
use crate::args::{Materialize, Redis};
use crate::clock;
use crate::exit::{Exit, Failure, Outcome};
use crate::monitor::Monitor;
use crate::world::{World, open_redis, redis_exit};
use crate::{output, progress};

/// Feeds a Redis from the topics of changes of a group.
pub fn run(world: &World, args: Materialize) -> Outcome {
    let redis = named(world, &args.redis)?;
    let until = if args.follow { Until::Follow } else { Until::End };
    let cluster = kafka::cluster(&world.config.kafka, &args.cluster, "materialize");
    let interval = Duration::from_millis(world.config.stream.poll_interval_ms);
    let releases = chosen(world, &args.views)?;
    let stop = world.stop_signal();
    let monitor = Monitor::start(world, args.watch.metrics.as_ref())?;
    let views = world.block_on(async {
        let feeder = Materializer::new(cluster, reached(&redis).await?, releases, interval, now);
        let bar = progress::rows("materialize", 0);
        let views = feeder.map_err(kafka::failure)?.run(until, &mut notify(&bar, &monitor), stop).await;
        bar.finish_and_clear();
        views.map_err(kafka::failure)
    })?;
    let summary = Summary { views: views.into_iter().map(Into::into).collect() };
    output::print(world.format, &summary, text)?;
    match summary.views.iter().find(|view| !view.complete) {
        // Whoever follows and is interrupted was told all along.
        Some(view) if until == Until::End => {
            let message = format!("view {} is not complete: run it again to go on", view.view);
            Err(Failure::new(Exit::Unavailable, message))
        }
        _ => Ok(()),
    }
}

/// The Redis that flags, environment or configuration name.
pub fn named(world: &World, args: &Redis) -> Outcome<RedisSettings> {
    world.redis(args).ok_or_else(|| Failure::new(Exit::Usage, "no Redis is named: give `--redis`"))
}

/// A Redis that answers as it must.
pub async fn reached(settings: &RedisSettings) -> Outcome<RedisStore> {
    let store = open_redis(settings).await?;
    store.check().await.map_err(|error| Failure { exit: redis_exit(&error), error: error.into() })?;
    Ok(store)
}

/// Tells whoever watches what a feeder does.
pub fn notify<'a>(bar: &'a ProgressBar, monitor: &'a Monitor) -> impl FnMut(FeedNotice<'_>) + Send + use<'a> {
    move |notice| {
        monitor.note_feed(&notice);
        tell(bar, notice);
    }
}

fn tell(bar: &ProgressBar, notice: FeedNotice<'_>) {
    match notice {
        FeedNotice::Found { feed, changes } => {
            tracing::info!(view = %feed.view, changes, "changes to catch up with");
            bar.inc_length(changes);
        }
        FeedNotice::Brought { feed, changes, .. } => {
            tracing::debug!(view = %feed.view, changes, "changes brought");
            bar.inc(changes);
        }
        FeedNotice::Complete { feed, complete: true } => {
            tracing::info!(view = %feed.view, state = %feed.state, "complete");
        }
        FeedNotice::Complete { feed, complete: false } => {
            tracing::warn!(view = %feed.view, "lookups wait until it has caught up");
        }
        FeedNotice::Removed { feed } => {
            tracing::info!(view = %feed.view, state = %feed.state, "removed the state of a version that was given up");
        }
        FeedNotice::Problem { problem, .. } => tracing::error!("{problem}"),
        FeedNotice::Begun { .. } | FeedNotice::Over { .. } => {}
    }
}

/// Microseconds since 1970.
pub fn now() -> u64 {
    clock::now().0.unsigned_abs()
}

/// What a run came to, for people and scripts.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    views: Vec<ViewSummary>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ViewSummary {
    view: String,
    state_id: String,
    changes: u64,
    complete: bool,
}

impl From<FedView> for ViewSummary {
    fn from(view: FedView) -> Self {
        ViewSummary {
            view: view.feed.view.to_string(),
            state_id: view.feed.state.to_string(),
            changes: view.changes,
            complete: view.complete,
        }
    }
}

fn text(summary: &Summary) -> String {
    let headings = ["VIEW", "STATE", "CHANGES", "COMPLETE"];
    let lines = summary.views.iter().map(|view| {
        let complete = if view.complete { "yes" } else { "no" };
        [view.view.clone(), view.state_id.clone(), view.changes.to_string(), complete.to_owned()]
    });
    output::listing(headings, lines)
}
