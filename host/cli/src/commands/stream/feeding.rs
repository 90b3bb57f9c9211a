//! A worker of a group that feeds a Redis with the states of its own partitions.

use std::time::Duration;

use indicatif::ProgressBar;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use trifold_stream::kafka::{ClusterError, ClusterSettings, Materializer, Shares};
use trifold_stream::{Notice, Until};

use super::{chosen, kafka};
use crate::args::Stream;
use crate::commands::materialize::{named, notify, now, reached};
use crate::exit::{Exit, Failure, Outcome};
use crate::monitor::Monitor;
use crate::world::World;

/// A feeder beside a worker.
pub(super) struct Feeding {
    shares: watch::Sender<Shares>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), ClusterError>>,
}

impl Feeding {
    /// Starts feeding, of no partitions yet.
    pub(super) fn start(
        world: &World,
        args: &Stream,
        cluster: ClusterSettings,
        monitor: &Monitor,
    ) -> Outcome<Self> {
        if !args.follow {
            let remedy = "give `--follow`, or run `trifold materialize` afterwards";
            return Err(Failure::new(
                Exit::Usage,
                format!("a worker that ends with the topic feeds no Redis: {remedy}"),
            ));
        }
        let store = world.block_on(reached(&named(world, &args.redis)?))?;
        let interval = Duration::from_millis(world.config.stream.poll_interval_ms);
        let feeder = Materializer::new(cluster, store, chosen(world, &args.views)?, interval, now);
        let (shares, share) = watch::channel(Shares::new());
        let (stop, stopped) = watch::channel(false);
        let (mut feeder, monitor) = (feeder.map_err(kafka::failure)?.with_shares(share), monitor.clone());
        let task = world.handle().spawn(async move {
            let hidden = ProgressBar::hidden();
            let fed = feeder.run(Until::Follow, &mut notify(&hidden, &monitor), stopped).await;
            fed.map(drop).inspect_err(|error| tracing::error!("the Redis is fed no longer: {error}"))
        });
        Ok(Feeding { shares, stop, task })
    }

    /// Hears which partitions the worker has.
    pub(super) fn note(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Assigned { .. } => drop(self.shares.send_replace(Shares::new())),
            Notice::Restored { feed, partition, .. } => self.shares.send_modify(|shares| {
                shares.entry((*feed).clone()).or_default().insert(*partition);
            }),
            _ => {}
        }
    }

    /// Stops once what was begun is in.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        // How it ended was told.
        let _ = self.task.await;
    }
}
