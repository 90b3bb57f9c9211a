//! The little that a registry asks of an object store. Only this module knows the client library.

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, ObjectStore, PutMode, PutOptions};

use crate::error::RegistryError;

/// A directory of objects on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    root: PathBuf,
}

/// The names directly below a prefix, each in ascending order.
pub(crate) struct Listing {
    pub(crate) directories: Vec<String>,
    pub(crate) files: Vec<String>,
}

impl Objects {
    /// Opens a directory. A missing one is made if `create` says so.
    pub(crate) fn local(dir: &Path, create: bool) -> Result<Self, RegistryError> {
        if create {
            std::fs::create_dir_all(dir).map_err(|error| write_failed(dir.to_owned(), &error))?;
        }
        check_directory(dir)?;
        let store = LocalFileSystem::new_with_prefix(dir)
            .map_err(|error| RegistryError::Open { path: dir.to_owned(), reason: reason(&error) })?;
        Ok(Objects { store: Arc::new(store), root: dir.to_owned() })
    }

    /// Checks that the directory is still there: without it every listing would be empty.
    pub(crate) fn check(&self) -> Result<(), RegistryError> {
        check_directory(&self.root)
    }

    /// Where an object lies, for messages.
    pub(crate) fn path(&self, object: &str) -> PathBuf {
        self.root.join(object)
    }

    /// Reads an object, or `None` when there is none.
    pub(crate) async fn get(&self, object: &str, bytes_max: u64) -> Result<Option<Bytes>, RegistryError> {
        let failed = |error| RegistryError::Io { action: "read", path: self.path(object), reason: reason(&error) };
        let found = match self.store.get_opts(&ObjectPath::from(object), GetOptions::default()).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let bytes = found.meta.size;
        if bytes > bytes_max {
            return Err(RegistryError::TooLarge { path: self.path(object), bytes, bytes_max });
        }
        found.bytes().await.map(Some).map_err(failed)
    }

    /// Writes an object that is not there yet and returns whether it did: `false` means that it exists. A written
    /// object survives a loss of power.
    pub(crate) async fn create(&self, object: &str, bytes: Bytes) -> Result<bool, RegistryError> {
        match self.put(object, bytes, PutMode::Create).await {
            Ok(()) => self.sync(object).map(|()| true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(write_failed(self.path(object), &error)),
        }
    }

    /// Writes an object whatever is there.
    pub(crate) async fn replace(&self, object: &str, bytes: Bytes) -> Result<(), RegistryError> {
        let put = self.put(object, bytes, PutMode::Overwrite).await;
        put.map_err(|error| write_failed(self.path(object), &error))?;
        self.sync(object)
    }

    async fn put(&self, object: &str, bytes: Bytes, mode: PutMode) -> object_store::Result<()> {
        let options = PutOptions { mode, ..Default::default() };
        self.store.put_opts(&ObjectPath::from(object), bytes.into(), options).await.map(drop)
    }

    /// The client library does not wait for the disk, so this does, for the file and the directories above it.
    /// It blocks its thread for a moment; objects are written by hand, a few a day.
    fn sync(&self, object: &str) -> Result<(), RegistryError> {
        let path = self.path(object);
        let failed = |error: io::Error| write_failed(path.clone(), &error);
        let places = path.ancestors().take_while(|place| place.starts_with(&self.root));
        places.into_iter().try_for_each(|place| File::open(place)?.sync_all()).map_err(failed)
    }

    /// Lists what lies directly below a prefix; nothing when the prefix does not exist.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Listing, RegistryError> {
        let failed = |error| RegistryError::Io { action: "list", path: self.path(prefix), reason: reason(&error) };
        let listed = self.store.list_with_delimiter(Some(&ObjectPath::from(prefix))).await.map_err(failed)?;
        let name = |path: &ObjectPath| path.filename().map(str::to_owned);
        let mut directories: Vec<_> = listed.common_prefixes.iter().filter_map(name).collect();
        let mut files: Vec<_> = listed.objects.iter().filter_map(|object| name(&object.location)).collect();
        directories.sort();
        files.sort();
        Ok(Listing { directories, files })
    }
}

fn check_directory(path: &Path) -> Result<(), RegistryError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(RegistryError::Open { path: path.to_owned(), reason: "it is not a directory".to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(RegistryError::Missing { path: path.to_owned() }),
        Err(error) => Err(RegistryError::Open { path: path.to_owned(), reason: error.to_string() }),
    }
}

/// Tells a place where nothing may be written from other failures to write.
fn write_failed(path: PathBuf, error: &(dyn Error + 'static)) -> RegistryError {
    let kind = chain(error).filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind).next();
    let reason = reason(error);
    match kind {
        Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            RegistryError::ReadOnly { path, reason }
        }
        _ => RegistryError::Io { action: "write", path, reason },
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| Error::source(*error))
}

/// The innermost cause; what stands around it repeats the path and the client library's name.
fn reason(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map_or_else(String::new, ToString::to_string)
}
