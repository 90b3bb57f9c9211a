//! What is said between a process and those who operate it, from and to messages.

use tonic::Status;
use trifold_model::{Share, ViewName};
use trifold_pipeline::trial::FuelSums;
use trifold_pipeline::{Comparison, Role, Tally};
use trifold_registry::{Act, Candidate, Release, Step, Steps, Trial, VersionRecord};

use crate::admin::api;
use crate::admin::desk::{Desk, Kept, Running, Standing};
use crate::observed;

pub(crate) fn view_name(text: &str) -> Result<ViewName, Status> {
    text.parse().map_err(|error| Status::invalid_argument(format!("`{text}` is no view: {error}")))
}

/// What a trial is for, and the first of a canary's steps.
pub(crate) fn trial(kind: &str, steps: &[api::Step]) -> Result<Trial, Status> {
    let steps: Vec<Step> = steps.iter().map(step).collect::<Result<_, _>>()?;
    match (kind, steps.split_first()) {
        ("bootstrap", None) => Ok(Trial::Bootstrap),
        ("shadow", None) => Ok(Trial::Shadow),
        ("canary", Some((first, next))) if first.share != Share::ALL => {
            let steps = Steps { hold: first.hold, next: next.to_vec() };
            Ok(Trial::Canary { share: first.share, steps })
        }
        _ => Err(Status::invalid_argument(format!(
            "`{kind}` with {} steps is no trial: a canary has steps, of which the first is not 100%, a shadow and a \
             bootstrap have none",
            steps.len()
        ))),
    }
}

fn step(step: &api::Step) -> Result<Step, Status> {
    let share =
        step.share.parse().map_err(|error: trifold_model::NoShare| Status::invalid_argument(error.to_string()))?;
    Ok(Step { share, hold: step.hold_seconds })
}

/// The steps of a canary, the one of now first.
pub fn step_messages(share: Share, steps: &Steps) -> Vec<api::Step> {
    let now = Step { share, hold: steps.hold };
    let message = |step: &Step| api::Step { share: step.share.to_string(), hold_seconds: step.hold };
    [now].iter().chain(&steps.next).map(message).collect()
}

pub(crate) fn view_status(view: &ViewName, standing: &Standing, desk: &Desk) -> api::ViewStatus {
    let waiting = standing.waiting.get(view);
    let trial = standing.candidates.get(view);
    api::ViewStatus {
        view: view.to_string(),
        running: standing.running.get(view).map(running),
        waiting: waiting.map(|waiting| api::Waiting { release: waiting.release, reason: waiting.reason.clone() }),
        trial: trial.map(|(running, role)| trial_status(running, role, desk.observed().of(view, running.release))),
        states: desk.kept().get(view).into_iter().flatten().map(kept_state).collect(),
    }
}

fn kept_state(kept: &Kept) -> api::KeptState {
    api::KeptState {
        version: kept.version,
        state_id: kept.state.to_string(),
        role: kept.role.map_or("", |role| role.name()).to_owned(),
        applied: kept.applied,
        known: kept.known,
        blocked: kept.blocked,
    }
}

fn running(running: &Running) -> api::Running {
    api::Running {
        version: running.version,
        component_digest: running.digest.0.to_vec(),
        release: running.release,
        since_micros: running.since.0,
    }
}

fn trial_status(version: &Running, role: &Role, seen: observed::Trial) -> api::Trial {
    api::Trial {
        kind: role.name().to_owned(),
        running: Some(running(version)),
        share: match role {
            Role::Canary(canary) => canary.share.to_string(),
            Role::Bootstrap | Role::Shadow => String::new(),
        },
        serving: Some(tally(&seen.serving)),
        candidate: Some(tally(&seen.candidate)),
        comparison: seen.comparison.as_ref().map(comparison),
    }
}

fn tally(tally: &Tally) -> api::Tally {
    let Tally { rows, errors, features, nulls, fuel, ref times } = *tally;
    let FuelSums { calls, rows: fuel_rows, rows_squared, fuel, rows_fuel } = fuel;
    let fuel = api::FuelSums { calls, rows: fuel_rows, rows_squared, fuel, rows_fuel };
    let times = times.iter().map(|(&size, calls)| {
        let calls = calls.iter().map(|(&bin, &count)| (bin, count)).collect();
        api::Times { size, calls }
    });
    api::Tally { rows, errors, features, nulls, fuel: Some(fuel), times: times.collect() }
}

/// What a process said of a version's rows.
pub fn read_tally(message: &api::Tally) -> Tally {
    let api::Tally { rows, errors, features, nulls, fuel, ref times } = *message;
    let api::FuelSums { calls, rows: fuel_rows, rows_squared, fuel, rows_fuel } = fuel.unwrap_or_default();
    let fuel = FuelSums { calls, rows: fuel_rows, rows_squared, fuel, rows_fuel };
    let times = times.iter().map(|times| {
        let calls = times.calls.iter().map(|(&bin, &count)| (bin, count)).collect();
        (times.size, calls)
    });
    Tally { rows, errors, features, nulls, fuel, times: times.collect() }
}

fn comparison(comparison: &Comparison) -> api::Comparison {
    let Comparison { rows, differing, statuses, ref features, skipped } = *comparison;
    let features = features.iter().map(|(feature, &count)| (feature.to_string(), count)).collect();
    api::Comparison { rows, differing, statuses, features, skipped }
}

fn candidate(candidate: Candidate) -> api::Candidate {
    let (share, hold_seconds, steps) = match &candidate.trial {
        Trial::Bootstrap | Trial::Shadow => (String::new(), None, Vec::new()),
        Trial::Canary { share, steps } => {
            let to_come = step_messages(*share, steps).split_off(1);
            (share.to_string(), steps.hold, to_come)
        }
    };
    api::Candidate {
        version: candidate.version,
        component_digest: candidate.digest.0.to_vec(),
        kind: candidate.trial.name().to_owned(),
        share,
        hold_seconds,
        steps,
    }
}

fn act(act: Act) -> api::Act {
    api::Act { at_micros: act.at.0, by: act.by.unwrap_or_default(), note: act.note.unwrap_or_default() }
}

pub(crate) fn version(record: VersionRecord) -> api::Version {
    api::Version {
        version: record.version,
        component_digest: record.digest.0.to_vec(),
        component_bytes: record.size,
        state_id: record.state_id.to_string(),
        pushed: Some(act(record.pushed)),
        description: record.description,
    }
}

pub(crate) fn release_record(release: Release) -> api::ReleaseRecord {
    api::ReleaseRecord {
        view: release.view.to_string(),
        release: release.seq,
        version: release.version,
        component_digest: release.digest.0.to_vec(),
        takes_back: release.takes_back,
        released: Some(act(release.released)),
        candidate: release.candidate.map(candidate),
        rollout: release.rollout,
    }
}
