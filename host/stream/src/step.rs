//! A step on its way: a batch that was read, what it came to, and what was applied.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use trifold_eventlog::{Events, RawBatch, decode};
use trifold_model::{ArrivalTime, EntityKey, ViewKind, ViewName};
use trifold_pipeline::ingest::IngestError;
use trifold_pipeline::trial::common_features;
use trifold_pipeline::windows::sweep;
use trifold_pipeline::{
    ArrivalPolicy, ArrivalPolicyError, Changes, Cost, Ingest, Ingested, LiveVersion, Outcome, Role, SlotChanges,
    Tally, WindowIngest,
};
use trifold_sandbox::{Budget, Cause};
use trifold_store::{Commit, RowSwitch, RowsUnder, SlotChange};

use crate::emission::emission;
use crate::error::{Problem, RecordProblem, StreamError};
use crate::feed::{Feed, FeedId, Task};
use crate::notice::Counts;
use crate::resident::{Resident, StateError};
use crate::sink::{AsideKind, AsideLine, Emission};
use crate::worker::WorkerConfig;

/// A batch of the log, and the feeds that stand at its beginning.
pub struct Polled {
    pub(crate) raw: RawBatch,
    pub(crate) feeds: Vec<FeedId>,
}

/// A batch taken through its feeds, not yet applied.
pub struct Step {
    pub(crate) first_offset: u64,
    pub(crate) next_offset: u64,
    pub(crate) parts: Vec<Part>,
    pub(crate) blocked: Vec<(FeedId, Problem)>,
}

/// A step's result for one feed.
pub(crate) struct Part {
    pub(crate) feed: FeedId,
    /// What it emits, unless that is nothing whatever comes.
    pub(crate) emission: Option<Emission>,
    pub(crate) commit: Commit,
    /// The slots of the commit, each by itself, if the sink wants them.
    pub(crate) parts: Vec<SlotChange>,
    pub(crate) counts: Counts,
    /// Where the next sweep begins.
    pub(crate) swept: Option<EntityKey>,
    /// What was seen of a version that is tried out beside the feed's own.
    pub(crate) trial: Option<TrialSeen>,
}

/// What the rows of a batch came to by a version that is tried out, and by the one in force.
#[derive(Debug)]
pub struct TrialSeen {
    /// The view.
    pub view: ViewName,
    /// The release that says what is tried out.
    pub release: Option<u64>,
    /// Of the version in force.
    pub serving: Tally,
    /// Of the version that is tried out.
    pub candidate: Tally,
}

impl TrialSeen {
    /// What was seen beside a version in force: over its entities by a canary of the same state, and otherwise over all
    /// events, if both feeds have taken them together.
    fn beside(folded: &Folded, all: &[Folded]) -> Option<Self> {
        let (None, Some(own)) = (folded.task.role, folded.computed.first()) else { return None };
        let is_tried = |other: &&Folded| {
            other.feed.view == folded.feed.view && matches!(other.task.role, Some(Role::Canary(_) | Role::Shadow))
        };
        let apart = || all.iter().find(is_tried).and_then(|other| other.computed.first());
        let tried = folded.computed.get(1).or_else(apart)?;
        let features = common_features(&own.version, &tried.version);
        let tally = |computed: &Computed| {
            let (rows, mut tally) = (&computed.ingested.rows, Tally::default());
            tally.add(
                rows,
                &features,
                Cost { computed: rows.computed(), fuel: computed.fuel, time: Duration::ZERO },
            );
            tally
        };
        let (view, release) = (folded.feed.view.clone(), tried.version.release);
        Some(TrialSeen { view, release, serving: tally(own), candidate: tally(tried) })
    }
}

/// A batch folded for one feed.
pub(crate) struct Folded {
    pub(crate) feed: FeedId,
    pub(crate) task: Task,
    /// What the feed's version made of it, and then what a canary of the same state did.
    pub(crate) computed: Vec<Computed>,
    pub(crate) commit: Commit,
    /// Under what the rows of the step before were computed.
    under: Option<RowsUnder>,
    parts: Vec<SlotChange>,
    swept: Option<EntityKey>,
}

/// What a version made of events.
pub(crate) struct Computed {
    pub(crate) version: LiveVersion,
    pub(crate) arrivals: ArrivalPolicy,
    /// Its changes are in the commit.
    pub(crate) ingested: Ingested,
    /// What that burnt.
    fuel: u64,
}

/// A step that was applied.
#[derive(Debug)]
pub struct StepReport {
    /// The first offset of the step.
    pub first_offset: u64,
    /// The offset after its last event.
    pub next_offset: u64,
    /// The feeds that it moved, and what it came to for each.
    pub feeds: Vec<(FeedId, Counts)>,
    /// The first event that was set aside of each feed and reason.
    pub aside: Vec<(FeedId, AsideLine)>,
    /// What was seen of versions that are tried out.
    pub trials: Vec<TrialSeen>,
    /// Views that could not follow and stand still from now on.
    pub problems: Vec<Problem>,
}

impl Part {
    /// The first event of each reason for which events do not count.
    pub(crate) fn first_aside(&self) -> impl Iterator<Item = (FeedId, AsideLine)> {
        let mut seen = BTreeSet::new();
        let lines = self.emission.iter().flat_map(|emission| &emission.aside);
        let lines =
            lines.filter(move |line| matches!(line.kind, AsideKind::Excluded(_)) && seen.insert(line.kind));
        lines.map(|line| (self.feed.clone(), line.clone()))
    }
}

/// Says what is emitted of a batch, once all of its feeds have folded it.
pub(crate) fn emit(raw: &RawBatch, folded: Vec<Folded>, digest: bool) -> Result<Vec<Part>, StreamError> {
    let emissions = folded.iter().map(|one| emission(raw, one, &folded, digest));
    let emissions = emissions.collect::<Result<Vec<_>, _>>()?;
    let trials: Vec<_> = folded.iter().map(|one| TrialSeen::beside(one, &folded)).collect();
    let parts = folded.into_iter().zip(emissions).zip(trials).map(|((folded, emission), trial)| {
        let duplicates = folded.computed.iter().map(|computed| computed.ingested.duplicate_count);
        let mut counts = Counts {
            event_count: raw.rows() as u64,
            duplicate_count: duplicates.sum(),
            fuel: folded.computed.iter().map(|computed| computed.fuel).sum(),
            ..Counts::default()
        };
        if let Some(emission) = &emission {
            counts.row_count = emission.tables().map(|rows| rows.num_rows() as u64).sum();
            for line in &emission.aside {
                *counts.aside.entry(line.kind).or_default() += 1;
            }
        }
        let under = emission.as_ref().and_then(|emission| {
            Some(RowsUnder { release: folded.task.version.release?, canary: emission.canary.is_some() })
        });
        let Folded { feed, mut commit, parts, swept, under: before, .. } = folded;
        let switch = RowSwitch { partition: raw.partition, offset: raw.first_offset, to: under };
        commit.switches.extend((under != before).then_some(switch));
        Part { feed, emission, commit, parts, counts, swept, trial }
    });
    Ok(parts.collect())
}

/// Decodes, admits and folds a batch for one feed; the inner error keeps this feed back and no other.
pub(crate) async fn fold_feed(
    config: &WorkerConfig,
    states: &Resident,
    id: &FeedId,
    feed: &Feed,
    raw: &RawBatch,
    together: Range<u32>,
) -> Result<Result<Folded, Problem>, StreamError> {
    let (task, view) = (&feed.task, feed.task.version.view());
    let arrivals = match arrival_policy(config, &task.version) {
        Ok(arrivals) => arrivals,
        Err(problem) => return Ok(Err(Problem::Arrival(problem))),
    };
    let mut clock = feed.clock(raw.partition);
    let events = match decode(raw, &config.source, view, &mut clock) {
        Ok(events) => events,
        Err(source) => {
            let (view, offset) = (id.view.clone(), raw.first_offset);
            return Ok(Err(Problem::Decode { view, offset, source }));
        }
    };
    let (marker, clock) = feed.advanced(raw, clock, together);
    let shares = task.divide(events)?;
    let versions: Vec<_> = shares.iter().map(|(version, _)| (*version).clone()).collect();
    let folded = match view.kind {
        ViewKind::Window(_) => fold_windows(config, states, id, feed, shares, clock).await,
        ViewKind::Row | ViewKind::OnDemand(_) => {
            fold_records(config, states, id, shares).await.map(|ingested| (ingested, None))
        }
    };
    let (ingested, swept) = match folded {
        Ok(folded) => folded,
        Err(Unfolded::State(StateError::Store(error))) if error.is_damage() => {
            let source = RecordProblem::Store(error);
            return Ok(Err(Problem::Record { view: id.view.clone(), offset: raw.first_offset, source }));
        }
        Err(Unfolded::State(error)) => return Err(StreamError::state(id.view.as_str())(error)),
        Err(Unfolded::Ingest(error @ (IngestError::Record { .. } | IngestError::Tiles { .. }))) => {
            let source = RecordProblem::Fields(error);
            return Ok(Err(Problem::Record { view: id.view.clone(), offset: raw.first_offset, source }));
        }
        Err(Unfolded::Ingest(error)) => return Err(error.into()),
    };
    let (mut puts, mut slots, mut computed) = (Vec::new(), SlotChanges::default(), Vec::new());
    for (version, (mut ingested, fuel)) in versions.into_iter().zip(ingested) {
        match std::mem::replace(&mut ingested.changes, Changes::Slots(Default::default())) {
            Changes::Records(changed) => puts.extend(changed),
            Changes::Slots(changed) => slots.append(changed),
        }
        computed.push(Computed { version, arrivals, ingested, fuel });
    }
    let commit = Commit { state: id.state, marker, puts, slots: slots.stored, switches: Vec::new() };
    let (under, task) = (feed.under, task.clone());
    Ok(Ok(Folded { feed: id.clone(), task, computed, commit, under, parts: slots.parts, swept }))
}

/// Why events were not folded.
enum Unfolded {
    State(StateError),
    Ingest(IngestError),
}

impl From<IngestError> for Unfolded {
    fn from(error: IngestError) -> Self {
        Unfolded::Ingest(error)
    }
}

impl From<StateError> for Unfolded {
    fn from(error: StateError) -> Self {
        Unfolded::State(error)
    }
}

async fn fold_records(
    config: &WorkerConfig,
    states: &Resident,
    id: &FeedId,
    shares: Vec<(&LiveVersion, Events)>,
) -> Result<Vec<(Ingested, u64)>, Unfolded> {
    let mut ingested = Vec::with_capacity(shares.len());
    for (version, events) in shares {
        let mut budget = Budget::unlimited();
        let ingest = Ingest::new(version.view(), events)?;
        let records = states.read(id.state, ingest.entities()).await?;
        ingested.push((ingest.fold(&records, version, config.keep_outputs, &mut budget)?, budget.spent()));
    }
    Ok(ingested)
}

/// For each entity that is new in a step, two are looked at, whether they can be forgotten: before a state has doubled,
/// all of it was looked at, so that it holds some twice the entities that it needs at most.
const SWEPT_PER_NEW: usize = 2;
/// One more for so many events, so that entities go away where no new ones come.
const EVENTS_PER_SWEPT: usize = 4;
/// So many are in memory at a time.
const SWEPT_AT_ONCE: usize = 1024;

async fn fold_windows(
    config: &WorkerConfig,
    states: &Resident,
    id: &FeedId,
    feed: &Feed,
    shares: Vec<(&LiveVersion, Events)>,
    clock: Option<ArrivalTime>,
) -> Result<(Vec<(Ingested, u64)>, Option<EntityKey>), Unfolded> {
    let event_count: usize = shares.iter().map(|(_, events)| events.times.len()).sum();
    let functions: Vec<_> = shares.iter().map(|(version, _)| (config.functions)(version)).collect();
    let (mut ingests, mut new) = (Vec::with_capacity(shares.len()), 0);
    for ((version, events), functions) in shares.into_iter().zip(&functions) {
        let mut budget = Budget::unlimited();
        let ingest = WindowIngest::new(version, &**functions, events, &mut budget)?.with_parts(config.parts);
        let entities = states.read_slots(id.state, ingest.queries()).await?;
        new += entities.iter().filter(|slots| slots.is_empty()).count();
        ingests.push((ingest, entities, budget));
    }
    let version = &feed.task.version;
    let (mut swept, mut next) = (SlotChanges::default(), None);
    if clock.is_some() && version.view().lateness_limit().is_some() {
        let mut left = new * SWEPT_PER_NEW + event_count.div_ceil(EVENTS_PER_SWEPT);
        next = feed.swept.clone();
        while left > 0 {
            let mut page = states.scan_slots(id.state, next, left.min(SWEPT_AT_ONCE)).await?;
            left -= page.entities.len();
            next = page.next.take();
            let has = |key: &EntityKey| ingests.iter().any(|(ingest, ..)| ingest.has(key));
            swept.append(sweep(version, page, has, clock, config.parts)?);
            if next.is_none() {
                break;
            }
        }
    }
    let folded = ingests.into_iter().map(|(ingest, entities, mut budget)| {
        Ok::<_, IngestError>((ingest.fold(entities, clock, &mut budget)?, budget.spent()))
    });
    let mut ingested = folded.collect::<Result<Vec<_>, _>>()?;
    if let Some((Ingested { changes: Changes::Slots(changes), .. }, _)) = ingested.first_mut() {
        changes.append(swept);
    }
    Ok((ingested, next))
}

/// Fails if a row has no answer because of something that may pass. A guest that needs more than the native stack
/// needs it again the next time; such a row is emitted as unavailable, or the feed would stand still for good.
pub(crate) fn check_answered(id: &FeedId, ingested: &Ingested) -> Result<(), StreamError> {
    let passing = ingested.rows.causes().find(|(_, cause)| *cause != Cause::NativeStack);
    let Some((row, cause)) = passing else { return Ok(()) };
    let reason = match &ingested.rows.outcomes()[row] {
        Outcome::Unavailable(reason) => reason.clone(),
        Outcome::Known(status) => status.name().to_owned(),
    };
    Err(StreamError::Unavailable { view: id.view.clone(), offset: ingested.events.offsets[row], cause, reason })
}

/// Where arrivals come from for a view, if it can be fed at all.
pub(crate) fn arrival_policy(
    config: &WorkerConfig,
    version: &LiveVersion,
) -> Result<ArrivalPolicy, ArrivalPolicyError> {
    ArrivalPolicy::new(version.view(), config.source.arrival.is_some(), config.assume_on_time)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use trifold_eventlog::{FileLog, LogOptions, SourceConfig};
    use trifold_sandbox::{Sandbox, SandboxConfig};
    use trifold_wat_guest::unruly;

    use super::*;

    /// What one event comes to under a budget.
    fn ingested(dir: &Path, budget: &mut Budget) -> (FeedId, Ingested) {
        let line = r#"{"event_id":"a","event_time":"2013-01-01T00:00:00Z","key":1,"act":0,"n":1}"#;
        std::fs::write(dir.join("0.jsonl"), format!("{line}\n")).unwrap();
        let raw = FileLog::open(dir, LogOptions::default()).unwrap().read(0, 8).unwrap().unwrap();
        let sandbox = Sandbox::new(SandboxConfig { instances_max: 1, ..SandboxConfig::default() }).unwrap();
        let transform = sandbox.admit(&unruly("strict", |_| {}).build().unwrap()).unwrap();
        let version = LiveVersion { version: 1, release: None, transform };
        let events = decode(&raw, &SourceConfig::default(), version.view(), &mut Default::default()).unwrap();
        let ingest = Ingest::new(version.view(), events).unwrap();
        (FeedId::of(&version), ingest.fold(&[None], &version, true, budget).unwrap())
    }

    #[test]
    fn a_row_that_another_try_may_answer_fails_the_step() {
        let dir = tempfile::tempdir().unwrap();
        let (id, answered) = ingested(dir.path(), &mut Budget::unlimited());
        check_answered(&id, &answered).unwrap();
        let (id, unanswered) = ingested(dir.path(), &mut Budget::fuel(1));
        let error = check_answered(&id, &unanswered).unwrap_err();
        assert!(matches!(error, StreamError::Unavailable { offset: 0, cause: Cause::Budget, .. }), "{error}");
        assert!(error.to_string().starts_with("view strict: the row at offset 0 could not be computed (budget: "));
    }
}
