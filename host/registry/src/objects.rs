//! The little that a registry asks of an object store. Only this module knows the client library.

mod bucket;
mod directory;
mod fault;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, ListResult, ObjectStore};

use crate::error::RegistryError;
use crate::id::RegistryId;
use crate::location::Location;
use crate::objects::bucket::Bucket;
use crate::objects::directory::Directory;
use crate::s3::S3Settings;

/// The objects of a registry.
#[derive(Debug, Clone)]
pub(crate) enum Objects {
    Directory(Directory),
    Bucket(Arc<Bucket>),
}

/// The names directly below a prefix, each in ascending order.
pub(crate) struct Listing {
    pub(crate) directories: Vec<String>,
    pub(crate) files: Vec<String>,
}

impl Objects {
    /// Opens a directory of this machine. A missing one is made if `create` says so.
    pub(crate) fn local(dir: &Path, create: bool) -> Result<Self, RegistryError> {
        Directory::open(dir, create).map(Objects::Directory)
    }

    /// Opens a place in a bucket, without asking for anything. With an id, the first write makes a registry that
    /// is not there.
    pub(crate) fn s3(
        bucket: &str,
        prefix: &str,
        settings: &S3Settings,
        create: Option<RegistryId>,
    ) -> Result<Self, RegistryError> {
        Bucket::open(bucket, prefix, settings, create).map(|bucket| Objects::Bucket(Arc::new(bucket)))
    }

    /// Checks that a directory is still there: without it every listing would be empty. A bucket says so of
    /// itself.
    pub(crate) fn check(&self) -> Result<(), RegistryError> {
        match self {
            Objects::Directory(directory) => directory.check(),
            Objects::Bucket(_) => Ok(()),
        }
    }

    /// Where an object lies, for messages.
    pub(crate) fn place(&self, object: &str) -> Location {
        match self {
            Objects::Directory(directory) => directory.place(object),
            Objects::Bucket(bucket) => bucket.place(object),
        }
    }

    /// Reads an object, or `None` when there is none.
    pub(crate) async fn get(&self, object: &str, bytes_max: u64) -> Result<Option<Bytes>, RegistryError> {
        let read = match self {
            Objects::Directory(directory) => directory.get(object, bytes_max).await?,
            Objects::Bucket(bucket) => bucket.get(object, bytes_max).await?,
        };
        match read {
            None => Ok(None),
            Some(Read::Whole(bytes)) => Ok(Some(bytes)),
            Some(Read::TooLarge { bytes }) => {
                Err(RegistryError::TooLarge { place: self.place(object), bytes, bytes_max })
            }
        }
    }

    /// Writes an object that is not there yet and returns whether it did: `false` means that it exists. A written
    /// object survives a loss of power.
    pub(crate) async fn create(&self, object: &str, bytes: Bytes) -> Result<bool, RegistryError> {
        match self {
            Objects::Directory(directory) => directory.create(object, bytes).await,
            Objects::Bucket(bucket) => bucket.create(object, bytes).await,
        }
    }

    /// Writes an object whatever is there.
    pub(crate) async fn replace(&self, object: &str, bytes: Bytes) -> Result<(), RegistryError> {
        match self {
            Objects::Directory(directory) => directory.replace(object, bytes).await,
            Objects::Bucket(bucket) => bucket.replace(object, bytes).await,
        }
    }

    /// Lists what lies directly below a prefix; nothing when the prefix does not exist.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Listing, RegistryError> {
        match self {
            Objects::Directory(directory) => directory.list(prefix).await,
            Objects::Bucket(bucket) => bucket.list(prefix).await,
        }
    }
}

/// An object that was read.
enum Read {
    Whole(Bytes),
    TooLarge { bytes: u64 },
}

async fn read(store: &dyn ObjectStore, object: &str, bytes_max: u64) -> object_store::Result<Read> {
    let found = store.get_opts(&ObjectPath::from(object), GetOptions::default()).await?;
    match found.meta.size {
        bytes if bytes > bytes_max => Ok(Read::TooLarge { bytes }),
        _ => found.bytes().await.map(Read::Whole),
    }
}

impl From<ListResult> for Listing {
    fn from(listed: ListResult) -> Self {
        let name = |path: &ObjectPath| path.filename().map(str::to_owned);
        let mut directories: Vec<_> = listed.common_prefixes.iter().filter_map(name).collect();
        let mut files: Vec<_> = listed.objects.iter().filter_map(|object| name(&object.location)).collect();
        directories.sort();
        files.sort();
        Listing { directories, files }
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| Error::source(*error))
}

/// The innermost cause; what stands around it repeats the path and the client library's name.
fn reason(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map_or_else(String::new, ToString::to_string)
}
