//! Versions of views, ready to run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use trifold_model::ViewName;
use trifold_pipeline::{LiveVersion, LiveViews};
use trifold_sandbox::{Sandbox, SandboxConfig, Transform};

use crate::guests::component;

/// The sandbox whose calls take at most so many rows. One engine each for the whole process, as every engine
/// reserves address space for all its instances.
pub fn sandbox(batch_rows_max: usize) -> Sandbox {
    static SANDBOXES: Mutex<BTreeMap<usize, Sandbox>> = Mutex::new(BTreeMap::new());
    let mut sandboxes = SANDBOXES.lock().unwrap_or_else(PoisonError::into_inner);
    let sandbox = sandboxes
        .entry(batch_rows_max)
        .or_insert_with(|| Sandbox::new(SandboxConfig { batch_rows_max, ..SandboxConfig::default() }).unwrap());
    sandbox.clone()
}

/// A component admitted into the default sandbox.
#[track_caller]
pub fn admit(wasm: &[u8]) -> Transform {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    let sandbox = SANDBOX.get_or_init(|| sandbox(SandboxConfig::default().batch_rows_max));
    sandbox.admit(wasm).unwrap()
}

/// The component of a package, admitted into the default sandbox.
#[track_caller]
pub fn transform(package: &str, features: &[&str]) -> Transform {
    admit(&component(package, features).component)
}

/// A version under a number, released under the same.
pub fn version(number: u64, transform: Transform) -> LiveVersion {
    LiveVersion { version: number, release: Some(number), transform }
}

/// Versions in force together.
pub fn views(versions: impl IntoIterator<Item = LiveVersion>) -> Arc<LiveViews> {
    let named = versions.into_iter().map(|version| (version.view().name.clone(), version));
    Arc::new(LiveViews::new(named.collect::<BTreeMap<ViewName, _>>()))
}
