//! Removing a state from wherever it is.

use trifold_store::{OnlineStore, RedisSettings, StateStore};
use trifold_stream::FeedId;
use trifold_stream::kafka::{ClusterSettings, remove_changes};

use super::materialize::reached;
use super::stream::kafka;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::world::{World, redis_exit};

/// Where a state may be, beside the data directory's store.
pub(super) struct Places {
    /// The command that removes it.
    pub(super) command: &'static str,
    /// A Redis that is fed with it.
    pub(super) redis: Option<RedisSettings>,
    /// The cluster where a group has its topic of changes.
    pub(super) cluster: Option<ClusterSettings>,
}

impl Places {
    /// Removes a state, and says from where, of the places that had it. After an error some may have it no more, and the same
    /// once more removes the rest.
    pub(super) fn remove(&self, world: &World, feed: &FeedId) -> Outcome<Vec<String>> {
        let mut removed = Vec::new();
        if world.data("store.redb").exists() {
            let store = world.store(self.command)?;
            // A damaged marker is something to remove, and removing is what helps.
            let known = !matches!(world.block_on(store.marker(feed.state)), Ok(None));
            world.block_on(store.clear(feed.state)).or_exit(Exit::Io)?;
            removed.extend(known.then(|| format!("the store {}", world.data("store.redb").display())));
        }
        if let Some(redis) = &self.redis {
            let keys = world.block_on(async {
                let removed = reached(redis).await?.remove(feed.state).await;
                removed.map_err(|error| Failure { exit: redis_exit(&error), error: error.into() })
            })?;
            removed.extend((keys > 0).then(|| format!("the Redis ({keys} keys)")));
        }
        if let Some(cluster) = &self.cluster {
            let topic = remove_changes(cluster, feed).map_err(kafka::failure)?;
            removed.extend(topic.map(|topic| format!("the topic {topic}")));
        }
        Ok(removed)
    }
}
