//! A store in one database file, for one process at a time.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use redb::Builder;
use trifold_model::{EntityKey, StateId};

use crate::api::{OnlineStore, StateStore};
use crate::error::StoreError;
use crate::holder::{Holder, HolderLock};
use crate::record::{Commit, EntityQuery, Marker, Page, RowSwitch, SlotPage, SlotSnapshot, Snapshot};
use crate::tables::{FORMAT, Failure, Tables, contained};

/// Pages kept in memory: the records of some hundred thousand entities. The database's own default of 1 GiB is
/// more than a process that also runs components should keep.
pub const CACHE_BYTES: usize = 256 << 20;

/// A store in one database file of this machine. Clones share the file; it is closed with the last of them.
#[derive(Debug, Clone)]
pub struct EmbeddedStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    // Dropped before the lock, so that whoever gets the lock finds the database closed.
    tables: Tables,
    _lock: HolderLock,
}

impl EmbeddedStore {
    /// Opens a store, and creates it where there is none; its directory must exist. `holder` is what those are
    /// told who find the store in use.
    pub fn open(path: &Path, holder: &Holder) -> Result<Self, StoreError> {
        EmbeddedStore::open_with(path, holder, CACHE_BYTES)
    }

    /// The same with so many bytes of pages in memory.
    pub fn open_with(path: &Path, holder: &Holder, cache_bytes: usize) -> Result<Self, StoreError> {
        let lock = HolderLock::acquire(path, holder)?;
        let open_failed = |reason: String| StoreError::Open { path: path.to_owned(), reason };
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes).set_repair_callback(|repair| {
            tracing::info!(progress = repair.progress(), "the store was not closed properly and is being checked");
        });
        // The holder file is ours, so a locked database is held by somebody who does not write one.
        let opened = contained(|| {
            let tables = Tables::new(builder.create(path)?);
            Ok((tables.format()?, tables))
        });
        let tables = match opened {
            Ok((FORMAT, tables)) => tables,
            Ok((found, _)) => {
                return Err(StoreError::Format { path: path.to_owned(), found, known: FORMAT });
            }
            Err(Failure::Database(redb::Error::DatabaseAlreadyOpen)) => {
                return Err(StoreError::Held { path: path.to_owned(), holder: None });
            }
            Err(Failure::Ours(error)) => return Err(error),
            Err(Failure::Database(error)) => return Err(open_failed(error.to_string())),
            Err(Failure::Panic(message)) => return Err(open_failed(message)),
        };
        Ok(EmbeddedStore(Arc::new(Inner { path: path.to_owned(), tables, _lock: lock })))
    }

    /// Runs work that waits for the disk where it holds up nobody: on a thread for blocking work if there is a
    /// runtime, otherwise right here.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Tables) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return self.0.run(action, work);
        };
        let inner = self.0.clone();
        match runtime.spawn_blocking(move || inner.run(action, work)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(self.0.failed(action, error)),
            },
        }
    }
}

impl Inner {
    fn run<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Tables) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        contained(|| work(&self.tables)).map_err(|failure| match failure {
            Failure::Ours(error) => error,
            Failure::Database(error) => self.failed(action, error),
            Failure::Panic(message) => self.failed(action, message),
        })
    }

    fn failed(&self, action: &'static str, error: impl Display) -> StoreError {
        StoreError::Database { path: self.path.clone(), action, reason: error.to_string() }
    }
}

impl OnlineStore for EmbeddedStore {
    // Reads run where they are called: a lookup in cached pages takes less time than handing it to a thread.
    fn read<'a>(&'a self, state: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        async move { self.0.run("read records", |tables| tables.read(state, keys)) }.boxed()
    }

    fn read_slots<'a>(
        &'a self,
        state: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>> {
        async move { self.0.run("read tiles", |tables| tables.read_slots(state, queries)) }.boxed()
    }

    fn marker(&self, state: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        async move { self.0.run("read a marker", |tables| tables.marker(state)) }.boxed()
    }
}

impl StateStore for EmbeddedStore {
    fn scan(
        &self,
        state: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.blocking("scan a state", move |tables| tables.scan(state, after.as_ref(), limit)).boxed()
    }

    fn scan_slots(
        &self,
        state: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<SlotPage, StoreError>> {
        self.blocking("scan tiles", move |tables| tables.scan_slots(state, after.as_ref(), limit)).boxed()
    }

    fn switches(&self, state: StateId) -> BoxFuture<'_, Result<Vec<RowSwitch>, StoreError>> {
        self.blocking("read who computed rows", move |tables| tables.switches(state)).boxed()
    }

    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.blocking("commit", move |tables| tables.commit(&commits)).boxed()
    }

    fn clear(&self, state: StateId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.blocking("clear a state", move |tables| tables.clear(state)).boxed()
    }
}
