//! The directory that the demo works in, made anew by each run.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::DemoError;

/// Says that a directory is the demo's, so that it may be cleared.
const MARK: &str = ".flights-demo";

/// The demo's directory.
pub(crate) struct Place(PathBuf);

impl Place {
    /// Makes the directory, or clears what an earlier demo left there.
    pub(crate) fn fresh(dir: &Path) -> Result<Place, DemoError> {
        let is_ours = dir.join(MARK).exists();
        let is_empty = match fs::read_dir(dir) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(DemoError::file("read", dir)(error)),
        };
        if is_ours {
            fs::remove_dir_all(dir).map_err(DemoError::file("clear", dir))?;
        } else if !is_empty {
            let message = format!("{} holds files that are no demo's: name another with --out", dir.display());
            return Err(DemoError::Usage(message));
        }
        let place = Place(dir.to_owned());
        make(dir)?;
        let mark = dir.join(MARK);
        fs::write(&mark, "The demo of the flights removes this directory when it runs again.\n")
            .map_err(DemoError::file("write", &mark))?;
        Ok(place)
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// A directory in the directory, which is made.
    pub(crate) fn dir(&self, name: impl AsRef<Path>) -> Result<PathBuf, DemoError> {
        let dir = self.path(name);
        make(&dir)?;
        Ok(dir)
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    /// The log: a directory with the recorded events as its one segment.
    pub(crate) fn log_of(&self, recorded: &Path) -> Result<PathBuf, DemoError> {
        let log = self.dir("departures")?;
        let segment = log.join(recorded.file_name().unwrap_or_default());
        fs::copy(recorded, &segment).map_err(DemoError::file("copy", recorded))?;
        Ok(log)
    }
}

fn make(dir: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(dir).map_err(DemoError::file("make", dir))
}
