//! Stores in which states are made that go elsewhere.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use trifold_store::{CACHE_BYTES, EmbeddedStore};

use crate::exit::{Exit, Failure, Outcome};
use crate::world::{World, open_store};

/// One store for each partition, in a directory that is removed afterwards. What a process left that was killed is found
/// in them by the next.
pub(super) struct Workshop {
    dir: PathBuf,
    stores: Vec<Arc<EmbeddedStore>>,
}

impl Workshop {
    pub(super) fn open(world: &World, command: &str, partitions: Range<u32>) -> Outcome<Self> {
        let dir = world.data("load");
        fs::create_dir_all(&dir)
            .map_err(|error| Failure::new(Exit::Io, format!("cannot make {}: {error}", dir.display())))?;
        let cache_bytes = CACHE_BYTES / partitions.len().max(1);
        let open = |partition| open_store(&dir.join(format!("{partition}.redb")), command, cache_bytes);
        let stores = partitions.map(open).collect::<Outcome<_>>()?;
        Ok(Workshop { dir, stores })
    }

    pub(super) fn stores(&self) -> impl Iterator<Item = (u32, &Arc<EmbeddedStore>)> {
        (0..).zip(&self.stores)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        self.stores.clear();
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), "cannot be removed: {error}");
        }
    }
}
