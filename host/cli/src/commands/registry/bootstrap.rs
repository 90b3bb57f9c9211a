//! `trifold release --bootstrap`: a state is built beside the one in force, before its version serves anybody.

use futures::future::join_all;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use trifold_model::ViewName;
use trifold_pipeline::LiveVersion;
use trifold_registry::{Act, Registry, Release, Trial};
use trifold_server::admin::api;

use crate::clock;
use crate::commands::status::{ASKED_AGAIN, Audience, ask};
use crate::commands::trial;
use crate::exit::{Exit, Failure, Outcome};
use crate::world::{World, registry_failure};
use crate::{output, progress};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    view: String,
    version: u64,
    release: u64,
    state_id: String,
    /// The events that the state has applied.
    applied: u64,
}

/// Has the workers build the state of a version, and waits until it is where the state in force is.
pub(super) async fn run(
    world: &World,
    audience: &Audience<'_>,
    (view, number): (&ViewName, u64),
    act: Act,
) -> Outcome {
    if audience.urls.is_empty() {
        let message = "`--bootstrap` asks the workers how far the state is: name all of them with `--process`";
        return Err(Failure::new(Exit::Usage, message));
    }
    let registry = world.registry(false)?;
    // From here on an interruption has something to give up.
    let stop = world.stop_signal();
    let release = trial::try_out(world, &registry, (view, number), Trial::Bootstrap, act).await?;
    let version = world.version(&format!("{view}@{number}")).await?;
    tracing::info!(%view, version = number, release = release.seq, "the state is being built");
    let reached = follow(&registry, audience, &release, &version, stop).await?;
    let report = Report {
        view: view.to_string(),
        version: number,
        release: release.seq,
        state_id: version.state_id().to_string(),
        applied: reached.applied,
    };
    output::print(world.format, &report, |report| {
        let Report { view, version, applied, .. } = report;
        format!(
            "the state of {view}@{version} has caught up, {applied} events\nput it into force with `trifold release {view}@{version}`"
        )
    })
}

/// Shows how far the state is until it has caught up.
async fn follow(
    registry: &Registry,
    audience: &Audience<'_>,
    release: &Release,
    version: &LiveVersion,
    stop: watch::Receiver<bool>,
) -> Outcome<Reached> {
    let (view, number) = (&release.view, version.version);
    let deadline = audience.wait.map(|wait| Instant::now() + wait);
    let bar = progress::rows("bootstrap", 0);
    loop {
        let reached = Reached::of(audience, version).await;
        bar.set_length(reached.goal);
        bar.set_position(reached.applied);
        if reached.waits_for.is_none() {
            bar.finish_and_clear();
            return Ok(reached);
        }
        let now = registry.releases().await.map_err(registry_failure)?;
        if now.get(view).is_none_or(|now| now.seq != release.seq) {
            let message =
                format!("the state of {view}@{number} is not built any more: somebody else released {view}");
            return Err(Failure::new(Exit::Unavailable, message));
        }
        if *stop.borrow() {
            let taken = registry.take_back(release, clock::now()).await.map_err(registry_failure)?;
            let message = format!("interrupted: release {} gives the state of {view}@{number} up", taken.seq);
            return Err(Failure::new(Exit::Unavailable, message));
        }
        if deadline.is_some_and(|deadline| Instant::now() + ASKED_AGAIN > deadline) {
            let message = format!(
                "the state of {view}@{number} has not caught up: {reached}; it goes on being built, and `trifold rollback \
                 {view}` gives it up"
            );
            return Err(Failure::new(Exit::Unavailable, message));
        }
        sleep(ASKED_AGAIN).await;
    }
}

/// Refuses to put a version into force while its state is known to be behind.
pub(super) async fn check_level(
    registry: &Registry,
    audience: &Audience<'_>,
    view: &ViewName,
    number: u64,
) -> Outcome {
    let releases = registry.releases().await.map_err(registry_failure)?;
    let is_built = releases
        .get(view)
        .and_then(|release| release.candidate.as_ref())
        .is_some_and(|candidate| candidate.version == number && candidate.trial == Trial::Bootstrap);
    if !is_built || audience.urls.is_empty() {
        return Ok(());
    }
    let record = registry.version(view, number).await.map_err(registry_failure)?;
    let reached = Reached::of_state(audience, view, &record.state_id.to_string()).await;
    match reached.waits_for {
        None => Ok(()),
        Some(_) => {
            let message = format!(
                "the state of {view}@{number} has not caught up: {reached}; wait for it with `trifold release \
                 {view}@{number} --bootstrap`"
            );
            Err(Failure::new(Exit::Unavailable, message))
        }
    }
}

/// How far a state is, over all workers that were asked.
struct Reached {
    applied: u64,
    /// How far the state in force is.
    goal: u64,
    /// Why it has not caught up, if it has not.
    waits_for: Option<String>,
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = (self.applied * 100).checked_div(self.goal).unwrap_or(0);
        write!(f, "{} of {} events applied ({percent} %)", self.applied, self.goal)?;
        self.waits_for.iter().try_for_each(|reason| write!(f, ", {reason}"))
    }
}

impl Reached {
    async fn of(audience: &Audience<'_>, version: &LiveVersion) -> Self {
        Reached::of_state(audience, &version.view().name, &version.state_id().to_string()).await
    }

    async fn of_state(audience: &Audience<'_>, view: &ViewName, state: &str) -> Self {
        let asked = audience.urls.iter().map(|url| async move { (url, ask(url, true).await) });
        let (mut reached, mut is_kept) = (Reached { applied: 0, goal: 0, waits_for: None }, false);
        for (url, told) in join_all(asked).await {
            match told {
                Ok(status) => {
                    let states = status.views.into_iter().filter(|told| told.view == view.as_str());
                    let states: Vec<_> = states.flat_map(|told| told.states).collect();
                    is_kept |= reached.add(url, &states, state);
                }
                Err(problem) => reached.waits_for = Some(problem),
            }
        }
        if !is_kept {
            reached.waits_for.get_or_insert_with(|| {
                format!("no process that was asked keeps it: {}", audience.urls.join(", "))
            });
        }
        reached
    }

    /// Adds what one process keeps: whether the state is among it. A worker does not take a state that is tried out beyond
    /// the one in force in any partition, so that their sums are equal where both are level in all of them.
    fn add(&mut self, url: &str, states: &[api::KeptState], wanted: &str) -> bool {
        let built = states.iter().find(|state| state.state_id == wanted);
        let Some(in_force) = states.iter().find(|state| state.role.is_empty()) else { return built.is_some() };
        self.goal += in_force.applied;
        self.applied += built.map_or(0, |built| built.applied);
        match built {
            Some(built) if built.blocked => {
                self.waits_for = Some(format!("and it stands still at {url}, whose log says why"))
            }
            Some(built) if built.applied >= in_force.applied => {}
            _ => self.waits_for = Some(format!("at {url}")),
        }
        built.is_some()
    }
}
