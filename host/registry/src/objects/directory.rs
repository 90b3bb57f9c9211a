//! A directory of this machine.

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, PutMode, PutOptions};
use tokio::runtime::Handle;

use super::{Listing, Read, chain, read, reason};
use crate::error::RegistryError;
use crate::location::Location;

/// A directory of objects on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    store: Arc<LocalFileSystem>,
    root: PathBuf,
}

impl Directory {
    pub(super) fn open(dir: &Path, create: bool) -> Result<Self, RegistryError> {
        if create {
            std::fs::create_dir_all(dir).map_err(|error| write_failed(dir.to_owned(), &error))?;
        }
        check_directory(dir)?;
        let store = LocalFileSystem::new_with_prefix(dir)
            .map_err(|error| RegistryError::Open { place: dir.to_owned().into(), reason: reason(&error) })?;
        Ok(Directory { store: Arc::new(store), root: dir.to_owned() })
    }

    pub(super) fn check(&self) -> Result<(), RegistryError> {
        check_directory(&self.root)
    }

    pub(super) fn place(&self, object: &str) -> Location {
        self.path(object).into()
    }

    fn path(&self, object: &str) -> PathBuf {
        self.root.join(object)
    }

    pub(super) async fn get(&self, object: &str, bytes_max: u64) -> Result<Option<Read>, RegistryError> {
        match read(&*self.store, object, bytes_max).await {
            Ok(read) => Ok(Some(read)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => {
                Err(RegistryError::Io { action: "read", place: self.place(object), reason: reason(&error) })
            }
        }
    }

    pub(super) async fn create(&self, object: &str, bytes: Bytes) -> Result<bool, RegistryError> {
        match self.put(object, bytes, PutMode::Create).await {
            Ok(()) => self.sync(object).await.map(|()| true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(write_failed(self.path(object), &error)),
        }
    }

    pub(super) async fn replace(&self, object: &str, bytes: Bytes) -> Result<(), RegistryError> {
        let put = self.put(object, bytes, PutMode::Overwrite).await;
        put.map_err(|error| write_failed(self.path(object), &error))?;
        self.sync(object).await
    }

    async fn put(&self, object: &str, bytes: Bytes, mode: PutMode) -> object_store::Result<()> {
        let options = PutOptions { mode, ..Default::default() };
        self.store.put_opts(&ObjectPath::from(object), bytes.into(), options).await.map(drop)
    }

    /// The client library does not wait for the disk, so this does, for the file and the directories above it; on a
    /// thread of its own, for whoever releases may share one with the requests of a server.
    async fn sync(&self, object: &str) -> Result<(), RegistryError> {
        let path = self.path(object);
        let places = path.ancestors().take_while(|place| place.starts_with(&self.root));
        let places: Vec<PathBuf> = places.map(Path::to_owned).collect();
        let sync = move || places.into_iter().try_for_each(|place| File::open(place)?.sync_all());
        let synced = match Handle::try_current() {
            Ok(runtime) => runtime.spawn_blocking(sync).await.unwrap_or_else(|panicked| Err(panicked.into())),
            Err(_) => sync(),
        };
        synced.map_err(|error: io::Error| write_failed(path, &error))
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Listing, RegistryError> {
        let listed = self.store.list_with_delimiter(Some(&ObjectPath::from(prefix))).await;
        listed.map(Listing::from).map_err(|error| RegistryError::Io {
            action: "list",
            place: self.place(prefix),
            reason: reason(&error),
        })
    }
}

fn check_directory(path: &Path) -> Result<(), RegistryError> {
    let place = || Location::from(path.to_owned());
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(RegistryError::Open { place: place(), reason: "it is not a directory".to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(RegistryError::Missing { place: place() }),
        Err(error) => Err(RegistryError::Open { place: place(), reason: error.to_string() }),
    }
}

/// Tells a place where nothing may be written from other failures to write.
fn write_failed(path: PathBuf, error: &(dyn Error + 'static)) -> RegistryError {
    let kind = chain(error).filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind).next();
    let (place, reason) = (path.into(), reason(error));
    match kind {
        Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            RegistryError::ReadOnly { place, reason }
        }
        _ => RegistryError::Io { action: "write", place, reason },
    }
}
