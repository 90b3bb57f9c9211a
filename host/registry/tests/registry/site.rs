//! Where the tests have registries: in a directory of this machine, and in a bucket.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use trifold_registry::{Location, Registry, RegistryId, S3Settings};
use trifold_test_servers::S3;

const BUCKET: &str = "registries";

/// A place for one registry. The objects of a bucket are files, too, in a directory of the store.
pub(crate) struct Site {
    pub(crate) files: PathBuf,
    pub(crate) location: Location,
    pub(crate) settings: S3Settings,
    /// Removes the directory in the end.
    _dir: Option<TempDir>,
}

/// The object store of all tests.
pub(crate) fn s3() -> &'static S3 {
    static STORE: OnceLock<S3> = OnceLock::new();
    STORE.get_or_init(|| S3::start().unwrap())
}

/// How it is reached.
pub(crate) fn settings(endpoint: &str) -> S3Settings {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    S3Settings {
        endpoint: Some(endpoint.to_owned()),
        allow_http: true,
        environment: vec![
            variable("AWS_ACCESS_KEY_ID", S3::ACCESS_KEY_ID),
            variable("AWS_SECRET_ACCESS_KEY", S3::SECRET_ACCESS_KEY),
        ],
        ..S3Settings::default()
    }
}

pub(crate) fn id(text: &str) -> RegistryId {
    text.parse().unwrap()
}

impl Site {
    pub(crate) fn directory() -> Self {
        let dir = TempDir::new().unwrap();
        let files = dir.path().join("registry");
        Site { location: files.clone().into(), files, settings: S3Settings::default(), _dir: Some(dir) }
    }

    pub(crate) fn bucket() -> Self {
        Site::of(s3())
    }

    /// A place that no other test has.
    pub(crate) fn of(s3: &S3) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("tests/{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let files = s3.bucket(BUCKET).unwrap().join(&prefix);
        let location = Location::S3 { bucket: BUCKET.into(), key: prefix.into() };
        Site { files, location, settings: settings(s3.endpoint()), _dir: None }
    }

    /// Another place of the same kind.
    pub(crate) fn another(&self) -> Self {
        match self.location {
            Location::Path(_) => Site::directory(),
            Location::S3 { .. } => Site::bucket(),
        }
    }

    /// A registry that may be made.
    pub(crate) fn create(&self) -> Registry {
        Registry::open(&self.location, &self.settings, Some(id("of-tests"))).unwrap()
    }

    /// An empty registry.
    pub(crate) async fn make(&self) -> Registry {
        let registry = self.create();
        registry.id(&id("of-tests")).await.unwrap();
        registry
    }

    /// The registry as another process opens it.
    pub(crate) fn open(&self) -> Registry {
        Registry::open(&self.location, &self.settings, None).unwrap()
    }

    /// The file that an object is.
    pub(crate) fn file(&self, object: impl AsRef<Path>) -> PathBuf {
        self.files.join(object)
    }

    /// What errors call an object.
    pub(crate) fn place(&self, object: &str) -> Location {
        match &self.location {
            Location::Path(path) => path.join(object).into(),
            Location::S3 { bucket, key } => {
                Location::S3 { bucket: bucket.clone(), key: format!("{key}/{object}").into() }
            }
        }
    }
}

/// Tests that hold for a directory and for a bucket.
macro_rules! over_both {
    ($($test:ident)*) => {
        mod directory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test(&$crate::site::Site::directory()).await;
            })*
        }

        mod bucket {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test(&$crate::site::Site::bucket()).await;
            })*
        }
    };
}

pub(crate) use over_both;
