//! `trifold clear`.

use serde::Serialize;
use trifold_store::OnlineStore;

use crate::args::Clear;
use crate::exit::{Exit, OrExit, Outcome};
use crate::output;
use crate::world::World;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Cleared {
    view: String,
    state_id: String,
}

/// Removes the state of a view. Emitted rows stay until the replay replaces them.
pub fn run(world: &World, args: Clear) -> Outcome {
    let version = world.block_on(world.version(&args.version))?;
    let store = world.store("clear")?;
    world.block_on(store.clear(version.state_id())).or_exit(Exit::Io)?;
    let cleared = Cleared { view: version.view().name.to_string(), state_id: version.state_id().to_string() };
    output::print(world.format, &cleared, |cleared| {
        format!(
            "cleared state {} of view {}: the next `trifold stream` replays the log",
            cleared.state_id, cleared.view
        )
    })
}
