//! `trifold clear`.

use serde::Serialize;
use trifold_stream::FeedId;

use super::state::Places;
use super::stream::kafka;
use crate::args::Clear;
use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use crate::world::World;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Cleared {
    view: String,
    state_id: String,
    /// Whether there was anything to clear.
    known: bool,
    /// Where it was.
    removed: Vec<String>,
}

/// Removes the state of a view. Emitted rows stay until the replay replaces them.
pub fn run(world: &World, args: Clear) -> Outcome {
    let version = world.block_on(world.version(&args.version))?;
    if version.view().on_demand().is_some() {
        let message = format!("view {} is an on-demand view, which has no state", version.view().name);
        return Err(Failure::new(Exit::Usage, message));
    }
    // A Redis that is only in the configuration file is fed anew by whoever feeds it.
    let redis = (!args.redis.redis.is_empty()).then(|| world.redis(&args.redis)).flatten();
    let cluster = args.topics.then(|| kafka::cluster(&world.config.kafka, &args.cluster, "clear"));
    let removed = Places { command: "clear", redis, cluster }.remove(world, &FeedId::of(&version))?;
    let (view, state_id) = (version.view().name.to_string(), version.state_id().to_string());
    let cleared = Cleared { view, state_id, known: !removed.is_empty(), removed };
    output::print(world.format, &cleared, |cleared| {
        let Cleared { view, state_id, removed, .. } = cleared;
        if removed.is_empty() {
            return format!("there is no state {state_id} of view {view}: there was nothing to clear");
        }
        let places = removed.join(", ");
        format!(
            "cleared state {state_id} of view {view}, from {places}: the next `trifold stream` replays the log and its rows"
        )
    })
}
