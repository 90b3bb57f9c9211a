//! The local stores of a worker: one for each partition.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use trifold_store::{CACHE_BYTES, EmbeddedStore, Holder, StateStore, StoreError};

use crate::kafka::error::ClusterError;
use crate::kafka::keying::TopicPartition;
use crate::kafka::settings::{KafkaSettings, LOCAL_AGE_MAX};

/// Where a worker keeps what it need not read from the cluster again.
pub trait LocalStores: Send + Sync {
    /// Opens the store of a partition, which is one of so many that share the worker's memory.
    fn open(&self, place: &TopicPartition, partition_count: usize) -> Result<Arc<dyn StateStore>, ClusterError>;
}

/// Files in a directory of the worker's own.
pub(crate) struct StoreFiles {
    pub settings: Arc<KafkaSettings>,
    pub holder: Holder,
}

impl LocalStores for StoreFiles {
    fn open(&self, place: &TopicPartition, partition_count: usize) -> Result<Arc<dyn StateStore>, ClusterError> {
        let TopicPartition { topic, partition } = place;
        let dir = &self.settings.state_dir;
        let path = match **topic == *self.settings.topic {
            true => dir.join(format!("{partition}.redb")),
            false => dir.join(format!("{topic}.{partition}.redb")),
        };
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| ClusterError::Local { action, path, source }
        };
        fs::create_dir_all(dir).map_err(failed("make", dir))?;
        remove_old(&path).map_err(failed("remove", &path))?;
        let open = || EmbeddedStore::open_with(&path, &self.holder, CACHE_BYTES / partition_count);
        let opened = match open() {
            // All that was in it is in the topics of changes.
            Err(error @ (StoreError::Open { .. } | StoreError::Format { .. })) => {
                tracing::warn!(%error, "the local store is removed and built anew");
                fs::remove_file(&path).map_err(failed("remove", &path))?;
                open()
            }
            opened => opened,
        };
        Ok(Arc::new(opened?))
    }
}

/// Removes a local store of which the topics of changes may have forgotten what was removed since. A file whose age is
/// not known is left to its position in the topic.
fn remove_old(path: &Path) -> io::Result<()> {
    let modified = match fs::metadata(path) {
        Ok(metadata) => metadata.modified()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    match modified.elapsed() {
        Ok(age) if age > LOCAL_AGE_MAX => fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_store_that_was_not_written_for_days_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.redb");
        remove_old(&path).unwrap();
        let file = fs::File::create(&path).unwrap();
        remove_old(&path).unwrap();
        assert!(path.exists());
        let written = file.metadata().unwrap().modified().unwrap();
        file.set_modified(written - LOCAL_AGE_MAX - Duration::from_secs(60)).unwrap();
        remove_old(&path).unwrap();
        assert!(!path.exists());
    }
}
