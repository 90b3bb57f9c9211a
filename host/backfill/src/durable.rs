//! Small files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::BackfillError;

/// Writes a value as JSON under a hidden name, makes it durable and renames it.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), BackfillError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = path.with_file_name(format!(".{name}.tmp"));
    let write = || -> io::Result<()> {
        let mut file = File::create(&hidden)?;
        serde_json::to_writer_pretty(&mut file, value)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        rename(&hidden, path)
    };
    write().map_err(BackfillError::io("write", path))
}

/// Gives a file its name, durably. What the file holds must be durable already.
pub(crate) fn rename(hidden: &Path, path: &Path) -> io::Result<()> {
    fs::rename(hidden, path)?;
    sync_dir(path)
}

/// Makes the names in a file's directory durable.
fn sync_dir(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) if cfg!(unix) => File::open(dir)?.sync_all(),
        _ => Ok(()),
    }
}

/// Reads a value that [`write_json`] wrote; `None` if there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, BackfillError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BackfillError::io("read", path)(error)),
    };
    let damaged =
        |error: serde_json::Error| BackfillError::Record { file: path.to_owned(), problem: error.to_string() };
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}
