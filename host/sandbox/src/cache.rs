//! Compiled components on the local disk.
//!
//! Compiled code is trusted as much as this program itself, so the directory belongs to its user alone and is
//! never shared between machines. An entry is named after everything that the code depends on, carries a hash of
//! its content, and is recompiled when either does not fit.

use std::fs::{self, DirBuilder};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use trifold_model::ComponentDigest;
use wasmtime::Engine;

use crate::config::Semantics;
use crate::error::CacheError;

const HEADER: &[u8; 16] = b"trifold-code-1\0\n";
const HASH_BYTES: usize = 32;

/// A directory of compiled components.
#[derive(Debug)]
pub(crate) struct CompileCache {
    directory: PathBuf,
    settings: String,
}

impl CompileCache {
    /// Opens or makes the directory and checks that nobody else may write to it.
    pub(crate) fn open(directory: &Path, engine: &Engine) -> Result<Self, CacheError> {
        let io = |source| CacheError::Io { path: directory.to_owned(), source };
        create_private(directory).map_err(io)?;
        let cache = CompileCache { directory: directory.to_owned(), settings: settings_hash(engine) };
        cache.check_private()?;
        Ok(cache)
    }

    /// The code of a component, if there is a sound entry for it.
    pub(crate) fn load(&self, digest: ComponentDigest) -> Option<Vec<u8>> {
        let path = self.path(digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "compile cache entry cannot be read; recompiling");
                return None;
            }
        };
        let code = checked(&bytes);
        if code.is_none() {
            tracing::warn!(path = %path.display(), "compile cache entry is damaged; recompiling");
        }
        code.map(<[u8]>::to_vec)
    }

    /// Keeps the code of a component. A cache that cannot be written to costs time and nothing else.
    pub(crate) fn store(&self, digest: ComponentDigest, code: &[u8]) {
        if let Err(error) = self.write(digest, code) {
            tracing::warn!(path = %self.directory.display(), %error, "compile cache entry cannot be written");
        }
    }

    fn write(&self, digest: ComponentDigest, code: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.directory)?;
        file.write_all(HEADER)?;
        file.write_all(blake3::hash(code).as_bytes())?;
        file.write_all(code)?;
        file.persist(self.path(digest))?;
        Ok(())
    }

    fn path(&self, digest: ComponentDigest) -> PathBuf {
        self.directory.join(format!("{digest}-{}.code", self.settings))
    }

    /// A file made here tells who this process is, and that the directory can be written to.
    #[cfg(unix)]
    fn check_private(&self) -> Result<(), CacheError> {
        use std::os::unix::fs::MetadataExt;

        let io = |source| CacheError::Io { path: self.directory.clone(), source };
        let directory = fs::metadata(&self.directory).map_err(io)?;
        let not_private =
            || CacheError::NotPrivate { path: self.directory.clone(), mode: directory.mode() & 0o7777 };
        if !directory.is_dir() || directory.mode() & 0o022 != 0 {
            return Err(not_private());
        }
        let made = NamedTempFile::new_in(&self.directory).and_then(|file| file.as_file().metadata());
        let owner = made.map(|made| made.uid());
        if owner.map_err(io)? == directory.uid() { Ok(()) } else { Err(not_private()) }
    }

    #[cfg(not(unix))]
    fn check_private(&self) -> Result<(), CacheError> {
        Ok(())
    }
}

fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent)?;
    }
    match builder.create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// The code of an entry, if header and hash fit.
fn checked(entry: &[u8]) -> Option<&[u8]> {
    let (hash, code) = entry.strip_prefix(HEADER)?.split_first_chunk::<HASH_BYTES>()?;
    (blake3::hash(code) == blake3::Hash::from_bytes(*hash)).then_some(code)
}

/// The engine's own idea of compatibility does not cover all that decides what code does (NaN canonicalization,
/// for one), so ours is added.
fn settings_hash(engine: &Engine) -> String {
    let mut hasher = StableHasher(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.write(Semantics::named().as_bytes());
    hasher.0.finalize().to_hex()[..32].to_owned()
}

/// A hasher whose result is the same in every process.
struct StableHasher(blake3::Hasher);

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finalize().as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}
