//! Components as the command line names them: a file, or a version of the registry.

use std::path::PathBuf;

use trifold_model::ViewName;
use trifold_pipeline::LiveVersion;
use trifold_registry::VersionRecord;

use crate::exit::Outcome;
use crate::world::{World, named, read_file, registry_failure};

/// A component that was named, ready to run.
pub(super) struct Component {
    /// How it is called: the file, or `view@3`.
    pub(super) name: String,
    /// The file that it was read from.
    pub(super) file: Option<PathBuf>,
    /// What the registry has recorded of it.
    pub(super) record: Option<VersionRecord>,
    /// Its size.
    pub(super) bytes: u64,
    /// The component. A file has the version 0.
    pub(super) live: LiveVersion,
}

impl Component {
    /// What has the form `view` or `view@3` names a version, anything else a file.
    pub(super) async fn load(world: &World, name: &str) -> Outcome<Component> {
        let view = name.split('@').next().unwrap_or_default();
        if view.parse::<ViewName>().is_err() {
            return Component::read(world, name);
        }
        let live = world.version(name).await?;
        let record =
            world.registry(false)?.version(&live.view().name, live.version).await.map_err(registry_failure)?;
        Ok(Component {
            name: format!("{}@{}", record.view, record.version),
            file: None,
            bytes: record.size,
            record: Some(record),
            live,
        })
    }

    fn read(world: &World, name: &str) -> Outcome<Component> {
        let file = PathBuf::from(name);
        let wasm = read_file(&file)?;
        let transform = world.sandbox()?.admit(&wasm).map_err(named(&file))?;
        let live = LiveVersion { version: 0, release: None, transform };
        Ok(Component { name: name.to_owned(), file: Some(file), record: None, bytes: wasm.len() as u64, live })
    }
}
