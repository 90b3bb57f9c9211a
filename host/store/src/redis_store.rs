//! A store in a Redis, or a cluster of them, that follows logs of changes.
//!
//! It is written by whoever reads the logs, and only by them: what a Redis loses is read again. So it takes changes from
//! where the last ones ended and refuses others, which makes it all the same how often and by how many they are brought.
//! What a bucket has of one partition is changed at once, together with its marker, and read together with it. So each
//! bucket is as it was at the positions that its marker names; only buckets may differ in how far they are.
//!
//! Reading order: [`settings`], `connection`, [`layout`] (what lies where), `read` (as an [`OnlineStore`](crate::OnlineStore)), [`feeding`]
//! (how changes come in), `runs` (what they are cut into), `removal`, and the scripts, which run within the Redis.

mod connection;
pub mod feeding;
pub mod layout;
mod read;
mod removal;
mod runs;
pub mod settings;

use std::sync::Arc;
use std::time::Duration;

use crate::error::StoreError;
use crate::redis_store::connection::Connection;
use crate::redis_store::feeding::Scripts;
use crate::redis_store::layout::Names;
use crate::redis_store::settings::RedisSettings;
use trifold_model::StateId;

/// A store in a Redis. Clones share its connections.
#[derive(Debug, Clone)]
pub struct RedisStore {
    connection: Connection,
    prefix: String,
    scripts: Arc<Scripts>,
    /// How long a read may take as a whole.
    timeout: Duration,
}

impl RedisStore {
    /// Connects.
    pub async fn open(settings: &RedisSettings) -> Result<Self, StoreError> {
        let connection = Connection::open(settings).await?;
        let (prefix, timeout) = (settings.prefix.clone(), settings.timeout);
        Ok(RedisStore { connection, prefix, scripts: Arc::new(Scripts::new()), timeout })
    }

    fn names(&self, state: StateId) -> Names<'_> {
        Names { prefix: &self.prefix, state }
    }
}
