//! Directories whose names last.

use std::fs::{self, File};
use std::path::Path;

use crate::LogError;

/// The directory that holds a file.
pub(crate) fn directory(path: &Path) -> Option<&Path> {
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Makes the names in a directory durable.
pub(crate) fn sync(directory: &Path) -> Result<(), LogError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(LogError::io("sync", directory))
}

/// Makes a directory and those above it that are missing. The name of each is durable, by a sync of the directory
/// above it, before anything is made below it: a file that is durable must not be lost with the way to it.
pub(crate) fn make_directory(
    path: &Path,
    sync: &mut impl FnMut(&Path) -> Result<(), LogError>,
) -> Result<(), LogError> {
    if path.is_dir() {
        return Ok(());
    }
    let above = directory(path);
    above.map_or(Ok(()), |above| make_directory(above, sync))?;
    match fs::create_dir(path) {
        // Another writer was faster.
        Err(_) if path.is_dir() => {}
        made => made.map_err(LogError::io("create", path))?,
    }
    above.map_or(Ok(()), sync)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_new_directory_is_durable() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("view/state");
        let mut synced = Vec::new();
        let mut record = |directory: &Path| {
            // What a sync makes durable is there, and nothing below it yet.
            let made = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
            assert!(made.iter().all(|made| fs::read_dir(made).unwrap().count() == 0), "{made:?}");
            synced.push((directory.to_owned(), made));
            Ok(())
        };
        make_directory(&path, &mut record).unwrap();
        make_directory(&path, &mut record).unwrap();
        let view = root.path().join("view");
        assert_eq!(synced, [(root.path().to_owned(), vec![view.clone()]), (view, vec![path])]);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("taken");
        fs::write(&path, "").unwrap();
        let error = make_directory(&path.join("below"), &mut sync).unwrap_err().to_string();
        assert!(error.contains("create") && error.contains("taken"), "{error}");
    }
}
