//! `trifold clear`.

use serde::Serialize;
use trifold_store::{OnlineStore, StateStore};

use crate::args::Clear;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::world::World;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Cleared {
    view: String,
    state_id: String,
    /// Whether there was anything to clear.
    known: bool,
}

/// Removes the state of a view. Emitted rows stay until the replay replaces them.
pub fn run(world: &World, args: Clear) -> Outcome {
    let version = world.block_on(world.version(&args.version))?;
    if version.view().on_demand().is_some() {
        let message = format!("view {} is an on-demand view, which has no state", version.view().name);
        return Err(Failure::new(Exit::Usage, message));
    }
    let store = world.store("clear")?;
    // A damaged marker is something to clear, and clearing is what helps.
    let known = !matches!(world.block_on(store.marker(version.state_id())), Ok(None));
    world.block_on(store.clear(version.state_id())).or_exit(Exit::Io)?;
    let cleared =
        Cleared { view: version.view().name.to_string(), state_id: version.state_id().to_string(), known };
    output::print(world.format, &cleared, |cleared| {
        let Cleared { view, state_id, known } = cleared;
        if !known {
            return format!("the store holds no state {state_id} of view {view}: there was nothing to clear");
        }
        format!("cleared state {state_id} of view {view}: the next `trifold stream` replays the log and its rows")
    })
}
