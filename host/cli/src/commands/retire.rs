//! `trifold retire`.

use serde::Serialize;
use trifold_model::{StateId, ViewName};
use trifold_registry::{Horizon, Registry};
use trifold_store::{OnlineStore, StateStore};
use trifold_stream::FeedId;
use trifold_stream::kafka::remove_changes;

use super::materialize::reached;
use super::registry::act;
use super::stream::kafka;
use crate::args::Retire;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::world::{World, parse_version, redis_exit, registry_failure};

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
        report.removed = remove(world, args, &FeedId { view, state })?;
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

/// Removes a state from every place that is named, and says from which.
fn remove(world: &World, args: &Retire, feed: &FeedId) -> Outcome<Vec<String>> {
    let mut removed = Vec::new();
    if world.data("store.redb").exists() {
        let store = world.store("retire")?;
        let known = !matches!(world.block_on(store.marker(feed.state)), Ok(None));
        world.block_on(store.clear(feed.state)).or_exit(Exit::Io)?;
        removed.extend(known.then(|| format!("the store {}", world.data("store.redb").display())));
    }
    if let Some(redis) = world.redis(&args.redis) {
        let keys = world.block_on(async {
            let store = reached(&redis).await?;
            let removed = store.remove(feed.state).await;
            removed.map_err(|error| Failure { exit: redis_exit(&error), error: error.into() })
        })?;
        removed.extend((keys > 0).then(|| format!("the Redis ({keys} keys)")));
    }
    if args.topics {
        let cluster = kafka::cluster(&world.config.kafka, &args.cluster, "retire");
        let topic = remove_changes(&cluster, feed).map_err(kafka::failure)?;
        removed.extend(topic.map(|topic| format!("the topic {topic}")));
    }
    Ok(removed)
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
