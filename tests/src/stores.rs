//! The embedded store.

use std::path::Path;

use trifold_model::EventTime;
use trifold_store::{EmbeddedStore, Holder, StoreError};

/// Opens the store of a data directory.
#[track_caller]
pub fn open(dir: &Path) -> EmbeddedStore {
    let holder = Holder { pid: std::process::id(), command: "a test".to_owned(), since: EventTime(0) };
    loop {
        match EmbeddedStore::open(&dir.join("store.redb"), &holder) {
            // Another test of this process started a child a moment ago, which inherited the lock of a store that
            // was closed meanwhile. It gives the lock up when it becomes another program.
            Err(StoreError::Held { holder: None, .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}
