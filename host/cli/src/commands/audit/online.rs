//! A running server against a backfill at the positions that it names.

mod answers;
mod questions;

use std::collections::BTreeMap;

use trifold_backfill::{OnDemandReplay, Questions, Replay, ReplayAnswer, ReplayedRows, Requests};
use trifold_model::{ComponentDigest, Cut, FeatureView, Positions, RowDigest};
use trifold_pipeline::{Ask, LiveVersion, RowTableError, Versions};
use trifold_sandbox::Transform;

use self::answers::{LookedUp, State};
use self::questions::Asking;
use super::report::{ComponentRows, Place, ReadState, Report};
use crate::args::Audit;
use crate::commands::backfill::{backfill_failure, job, resources, watch};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::world::{World, version_failure};

/// Looks every entity of the log up, or what the spine asks, and replays the answers.
pub(super) fn audit(world: &World, args: &Audit, version: LiveVersion) -> Outcome<Report> {
    let view = version.view().clone();
    let asking = Asking::new(world, args, &view)?;
    let groups = world.block_on(answers::look_up(world, args, &view, &asking))?;
    let mut report = Report::new(&view, "online answers", args.show);
    let mut components = Components::new(world, version)?;
    for (basis, looked_up) in groups {
        let version = components.version(view.name.as_str(), basis.version, basis.component)?;
        report.components.push(ComponentRows {
            digest: basis.component.to_string(),
            rows: looked_up.len() as u64,
            reads: if view.on_demand().is_some() {
                basis.states.iter().map(read_state).collect()
            } else {
                Vec::new()
            },
        });
        let states = basis.states.into_iter().map(|state| {
            let version = components.version(&state.view, state.version, state.component)?;
            Ok((version, Positions(state.next_offsets)))
        });
        let states = states.collect::<Outcome<Vec<_>>>()?;
        let is_wider = version.view().outputs != view.outputs;
        let comparison =
            Comparison { view: &view, is_wider, looked_up: &looked_up, answered: 0, report: &mut report };
        match view.on_demand() {
            Some(_) => replay_requests(world, args, version, states, &asking, comparison)?,
            None => replay_entities(world, args, states, comparison)?,
        }
    }
    Ok(report)
}

/// The components that answers name, admitted once each.
struct Components<'a> {
    world: &'a World,
    versions: Versions,
    transforms: BTreeMap<ComponentDigest, Transform>,
}

impl<'a> Components<'a> {
    fn new(world: &'a World, known: LiveVersion) -> Outcome<Self> {
        let transforms = [(known.digest(), known.transform)].into();
        Ok(Components { world, versions: world.versions()?, transforms })
    }

    /// A version that the server says has answered.
    fn version(&mut self, view: &str, number: u64, component: ComponentDigest) -> Outcome<LiveVersion> {
        let transform = match self.transforms.get(&component) {
            Some(transform) => transform.clone(),
            None => {
                let name = view.parse().or_exit(Exit::Data)?;
                self.world.block_on(self.versions.transform(&name, number, &component)).map_err(version_failure)?
            }
        };
        let found = &transform.view().name;
        if *found != *view {
            let message = format!("the server names component {component} of view {found} as one of view {view}");
            return Err(Failure::new(Exit::Data, message));
        }
        self.transforms.insert(component, transform.clone());
        Ok(LiveVersion { version: number, release: None, transform })
    }
}

fn read_state(state: &State) -> ReadState {
    ReadState {
        view: state.view.clone(),
        version: state.version,
        digest: state.component.to_string(),
        next_offsets: state.next_offsets.iter().map(|(partition, next)| (partition.to_string(), *next)).collect(),
    }
}

/// Replays answers of a row or window view, whose own state is the only one.
fn replay_entities(
    world: &World,
    args: &Audit,
    states: Vec<(LiveVersion, Positions)>,
    mut comparison: Comparison<'_>,
) -> Outcome {
    let questions = Questions {
        keys: comparison.looked_up.iter().map(|row| row.key.clone()).collect(),
        as_of: comparison.looked_up.iter().map(|row| row.as_of).collect(),
    };
    for (version, positions) in states {
        let replay = Replay {
            job: job(world, version, &args.log, Ask::Spine(Cut::Position(positions)), false)?,
            questions: Some(questions.clone()),
            spill_dir: world.config.data_dir.clone(),
            resources: resources(world, None, None),
            watch: watch(world),
        };
        let mut compare = |answer: ReplayAnswer<'_>| comparison.answer(answer.number, answer.value.ok());
        replay.answers(&mut compare).map_err(backfill_failure)?;
    }
    comparison.finish();
    Ok(())
}

/// Replays answers of an on-demand view, each of the views that it read at its own position.
fn replay_requests(
    world: &World,
    args: &Audit,
    version: LiveVersion,
    states: Vec<(LiveVersion, Positions)>,
    asking: &Asking,
    mut comparison: Comparison<'_>,
) -> Outcome {
    let job = |(version, positions)| job(world, version, &args.log, Ask::Spine(Cut::Position(positions)), false);
    let replay = OnDemandReplay {
        version,
        reads: states.into_iter().map(job).collect::<Outcome<_>>()?,
        requests: Requests {
            fields: asking.rows(comparison.looked_up.iter().map(|row| row.number))?,
            as_of: comparison.looked_up.iter().map(|row| row.as_of).collect(),
        },
        spill_dir: world.config.data_dir.clone(),
        resources: resources(world, None, None),
        watch: watch(world),
    };
    let mut compare = |answers: ReplayedRows<'_>| {
        let canonical = answers.rows.canonical().map_err(RowTableError::from)?;
        for (number, value) in (answers.first..).zip(&canonical) {
            comparison.answer(number, value.as_deref());
        }
        Ok(())
    };
    replay.answers(&mut compare).map_err(backfill_failure)?;
    comparison.finish();
    Ok(())
}

/// Compares answers with the replay of the same questions.
struct Comparison<'a> {
    view: &'a FeatureView,
    /// Whether the version has other features than are answered, as a canary may: then only its digest tells of all.
    is_wider: bool,
    looked_up: &'a [LookedUp],
    answered: u64,
    report: &'a mut Report,
}

impl Comparison<'_> {
    /// `number` is the place of the question among those that were looked up.
    fn answer(&mut self, number: u64, replayed: Option<&[u8]>) {
        self.answered += 1;
        let Some(row) = usize::try_from(number).ok().and_then(|number| self.looked_up.get(number)) else {
            return;
        };
        let place = Place { number: row.number as u64, key: &row.key, as_of: row.as_of };
        let (Some((bytes, digest)), Some(replayed)) = (&row.value, replayed) else {
            self.report.unavailable += 1;
            return;
        };
        let replayed_digest = RowDigest::of(replayed);
        let same = self.is_wider && *digest == Some(replayed_digest);
        let replayed = if same { bytes.as_slice() } else { replayed };
        if self.report.compare(self.view, &place, bytes, replayed) && *digest != Some(replayed_digest) {
            self.report.differing += 1;
            let sent = digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
            self.report.note(self.view, &place, "row digest".to_owned(), sent, replayed_digest.to_string());
        }
    }

    fn finish(self) {
        self.report.extra += self.looked_up.len() as u64 - self.answered;
    }
}
