//! `trifold retire`.

use serde::Serialize;
use trifold_model::{StateId, ViewName};
use trifold_registry::{Horizon, Registry};
use trifold_stream::FeedId;

use super::registry::act;
use super::state::Places;
use super::stream::kafka;
use crate::args::Retire;
use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use crate::world::{World, parse_version, registry_failure};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RetireReport {
    view: String,
    version: u64,
    state_id: String,
    /// The versions that go on with the state, which therefore stays.
    shared_with: Vec<u64>,
    /// Where the state was removed from.
    removed: Vec<String>,
}

/// Retires a version, and removes its state from wherever it is.
pub fn run(world: &World, args: &Retire) -> Outcome {
    let (view, number) = parse_version(&args.version)?;
    let number = number.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("name the version to retire: write VIEW@N, as in `{view}@1`"))
    })?;
    let horizon = if args.give_up_rollback { Horizon::GivenUp } else { Horizon::Kept };
    let registry = world.registry(false)?;
    let (state, shared_with) = world.block_on(retire(&registry, args, (&view, number), horizon))?;
    let mut report = RetireReport {
        view: view.to_string(),
        version: number,
        state_id: state.to_string(),
        shared_with,
        removed: Vec::new(),
    };
    if report.shared_with.is_empty() {
        let cluster = args.topics.then(|| kafka::cluster(&world.config.kafka, &args.cluster, "retire"));
        let places = Places { command: "retire", redis: world.redis(&args.redis), cluster };
        report.removed = places.remove(world, &FeedId { view, state })?;
    }
    output::print(world.format, &report, text)
}

/// Records it, and says which versions that are not retired go on with the state.
async fn retire(
    registry: &Registry,
    args: &Retire,
    (view, number): (&ViewName, u64),
    horizon: Horizon,
) -> Outcome<(StateId, Vec<u64>)> {
    let state = registry.version(view, number).await.map_err(registry_failure)?.state_id;
    registry.retire(view, number, horizon, act(&args.signature)).await.map_err(registry_failure)?;
    // Somebody may have released it at the same moment.
    registry.check_unused(view, number, horizon).await.map_err(registry_failure)?;
    let retired = registry.retired(view).await.map_err(registry_failure)?;
    let sharing = registry.sharing(view, state).await.map_err(registry_failure)?;
    let numbers = sharing.into_iter().map(|version| version.version);
    let goes_on = |number: &u64| retired.iter().all(|retired| retired.version != *number);
    Ok((state, numbers.filter(goes_on).collect()))
}

fn text(report: &RetireReport) -> String {
    let RetireReport { view, version, state_id, shared_with, removed } = report;
    let state = match (&shared_with[..], &removed[..]) {
        ([], []) => format!("nothing was there of its state {state_id}"),
        ([], removed) => format!("its state {state_id} is removed from {}", removed.join(", ")),
        (shared, _) => {
            let shared: Vec<_> = shared.iter().map(|version| format!("{view}@{version}")).collect();
            format!("its state {state_id} stays, for {} goes on with it", shared.join(", "))
        }
    };
    format!("{view}@{version} is retired; {state}")
}
