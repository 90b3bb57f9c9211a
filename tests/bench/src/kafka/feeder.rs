//! The feeder of a Redis, with the settings that the command has by default.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::bail;
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;
use tokio::sync::watch;
use trifold_store::{RedisSettings, RedisStore};
use trifold_stream::Until;
use trifold_stream::kafka::{FeedNotice, Materializer};

use crate::kafka::worker::{cluster, live};

/// A feeder of a group's states, which follows them.
#[derive(Serialize, Deserialize)]
pub(crate) struct Feed {
    pub(crate) brokers: String,
    pub(crate) group: String,
    pub(crate) redis: String,
    pub(crate) component: PathBuf,
}

pub(crate) fn run(feed: Feed) -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let releases = live(&feed.component)?;
    let cluster = cluster(feed.brokers, feed.group, "feeder".to_owned());
    let mut problems = Vec::new();
    let mut notify = |notice: FeedNotice<'_>| {
        if let FeedNotice::Problem { problem, .. } = notice {
            problems.push(problem);
        }
    };
    let (_running, stop) = watch::channel(false);
    runtime.block_on(async {
        let store = RedisStore::open(&RedisSettings::new(feed.redis)).await?;
        let mut feeder = Materializer::new(cluster, store, releases, Duration::from_secs(1), now)?;
        feeder.run(Until::Follow, &mut notify, stop).await?;
        anyhow::Ok(())
    })?;
    bail!("the feeder ended by itself: {problems:?}");
}

#[expect(clippy::disallowed_methods, reason = "a feeder judges by the clock how old changes are")]
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as u64
}
