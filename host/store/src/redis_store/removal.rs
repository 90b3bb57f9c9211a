//! Removing a state.

use trifold_model::StateId;

use crate::error::StoreError;
use crate::redis_store::RedisStore;
use crate::redis_store::layout::{BUCKETS, Held};

impl RedisStore {
    /// Removes all that is kept of a state if the marker of any bucket says that it comes from this source, and returns whether
    /// one did. What comes from elsewhere is somebody else's. What has no marker is never read, and looking for it walks
    /// through all keys that there are.
    pub async fn remove_of(&self, state: StateId, source: &str) -> Result<bool, StoreError> {
        let (names, mut connection) = (self.names(state), self.connection.clone());
        let failed = self.connection.failed("look for a state");
        for bucket in 0..BUCKETS {
            let mut held = redis::cmd("HVALS");
            let held: Vec<Vec<u8>> =
                held.arg(names.marker(bucket)).query_async(&mut connection).await.map_err(&failed)?;
            if held.iter().any(|held| Held::decode(held).is_ok_and(|held| held.source == source)) {
                return Ok(self.remove(state).await? > 0);
            }
        }
        Ok(false)
    }

    /// Removes all that is kept of a state, and returns how many keys that was. Whoever feeds it meanwhile begins anew, so that
    /// something may be left: nobody should. After an error some may be gone, and the same once more removes the rest.
    pub async fn remove(&self, state: StateId) -> Result<u64, StoreError> {
        let names = self.names(state);
        let (mut connection, mut removed) = (self.connection.clone(), 0);
        let failed = self.connection.failed("remove a state");
        // Without its marker nothing of a bucket is read any more.
        for bucket in 0..BUCKETS {
            let mut unlink = redis::cmd("UNLINK");
            removed +=
                unlink.arg(names.marker(bucket)).query_async::<u64>(&mut connection).await.map_err(&failed)?;
        }
        // The nodes of a cluster have some buckets each, which are looked for one by one.
        let buckets: Vec<Option<usize>> = match self.connection.is_cluster() {
            true => (0..BUCKETS).map(Some).collect(),
            false => vec![None],
        };
        for bucket in buckets {
            let mut cursor = b"0".to_vec();
            loop {
                let mut call = self.scripts.remove.key(names.marker(bucket.unwrap_or(0)));
                call.arg(&cursor).arg(names.pattern(bucket));
                let page: (Vec<u8>, u64) = call.invoke_async(&mut connection).await.map_err(&failed)?;
                removed += page.1;
                cursor = page.0;
                if cursor == b"0" {
                    break;
                }
            }
        }
        Ok(removed)
    }
}
