//! Emitted rows against a backfill at each event's own position.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use trifold_backfill::{Replay, ReplayAnswer};
use trifold_eventlog::log::PARTITION;
use trifold_eventlog::{FileLog, LogOptions, time_text};
use trifold_model::{ComponentDigest, EntityKey, FeatureView, Positions, RowDigest, StateId};
use trifold_pipeline::row_table::column;
use trifold_pipeline::{ArrivalPolicy, Ask, LiveVersion, Versions};
use trifold_registry::{Release, VersionRecord};
use trifold_store::{Marker, OnlineStore};
use trifold_stream::{FeedId, feed_dir};

use self::files::{Emitted, StepFile, StepFiles};
use super::report::{ComponentRows, Place, Report, key_difference};
use super::same_log;
use crate::args::Audit;
use crate::commands::backfill::{backfill_failure, job, resources, watch};
use crate::commands::stream::log_failure;
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::world::{World, registry_failure, version_failure};

/// Replays every emitted row with the component that it names.
pub(super) fn audit(world: &World, args: &Audit, version: LiveVersion) -> Outcome<Report> {
    let own_dir = feed_dir(&world.data("rows"), &FeedId::of(&version));
    let dir = args.rows.as_ref().unwrap_or(&own_dir);
    let files = StepFiles::list(dir)?;
    let is_own = args.rows.is_none() || is_same(dir, &own_dir);
    if files.0.is_empty() {
        return Err(no_rows(world, args, &version, dir, is_own)?);
    }
    let applied = if is_own { check_log(world, args, &version)? } else { None };
    let registry = world.registry(false)?;
    let known = Versions::new(registry.clone(), world.sandbox()?);
    let view = &version.view().name;
    let records = world.block_on(registry.versions(view)).map_err(registry_failure)?;
    let numbers: BTreeMap<_, _> = records.iter().map(|record| (record.digest, record.version)).collect();
    let history = world.block_on(registry.history(view)).map_err(registry_failure)?;
    let from_first = !was_tried_out_first(&history, &records, version.state_id());
    let mut versions = BTreeMap::new();
    for component in files.components() {
        let number = numbers.get(&component).copied().unwrap_or_default();
        let transform = match component == version.digest() {
            true => version.transform.clone(),
            false => world
                .block_on(known.transform(&version.view().name, number, &component))
                .map_err(version_failure)?,
        };
        versions.insert(component, LiveVersion { transform, version: number, release: None });
    }
    // Without the store's word, rows that are missing behind the last file cannot be told from rows to come.
    let end = files.end(&versions)?.max(applied.unwrap_or(0));
    let mut report = Report::new(version.view(), "emitted rows", args.show);
    for (component, version) in versions {
        replay(world, args, &files, (component, version), (from_first, end), &mut report)?;
    }
    Ok(report)
}

/// Why there is nothing to audit, and what helps.
fn no_rows(world: &World, args: &Audit, version: &LiveVersion, dir: &Path, is_own: bool) -> Outcome<Failure> {
    let applied = if is_own { check_log(world, args, version)? } else { None };
    let advice = match (StepFiles::below(dir), applied) {
        (Some(below), _) => {
            format!("name one of the directories in it with `--rows`, such as {}", below.display())
        }
        // The next step would go on behind the rows that are gone.
        (None, Some(applied)) if applied > 0 => format!(
            "the store has applied {applied} events, so `trifold clear {}`, and `trifold stream` will replay them",
            args.view
        ),
        _ => "run `trifold stream`".to_owned(),
    };
    Ok(Failure::new(Exit::NotFound, format!("{} holds no rows: {advice}", dir.display())))
}

/// Whether two paths lead to one directory.
fn is_same(left: &Path, right: &Path) -> bool {
    left.canonicalize().is_ok_and(|left| right.canonicalize().is_ok_and(|right| left == right))
}

/// Compares the log that the rows' state follows with the one to be replayed, and says up to which offset the state
/// has applied it, if that can be known.
fn check_log(world: &World, args: &Audit, version: &LiveVersion) -> Outcome<Option<u64>> {
    let Some(marker) = marker(world, version.state_id())? else { return Ok(None) };
    let options = LogOptions { name: args.log.log_id.clone(), columns: None };
    let log = FileLog::open(&args.log.events, options).map_err(log_failure)?;
    same_log(version.view().name.as_str(), &marker.log, log.id())?;
    Ok(Some(marker.positions.next(PARTITION)))
}

/// The marker of a state; `None` where there is none, or another process holds the store.
fn marker(world: &World, state: StateId) -> Outcome<Option<Marker>> {
    if !world.data("store.redb").exists() {
        return Ok(None);
    }
    match world.store("audit") {
        Ok(store) => world.block_on(store.marker(state)).or_exit(Exit::Io),
        // The rows can be audited all the same, beside a worker that goes on.
        Err(failure) if failure.exit == Exit::Unavailable => {
            let unchecked = "which log the rows belong to, and whether the newest are all there, is not checked";
            tracing::warn!("{unchecked}: {}", failure.error);
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Whether a state was built beside the one in force before it served: its rows begin where that ended.
fn was_tried_out_first(history: &[Release], records: &[VersionRecord], state: StateId) -> bool {
    let is_of_state =
        |number: u64| records.iter().any(|record| (record.version, record.state_id) == (number, state));
    let is_tried =
        |release: &&Release| release.candidate.as_ref().is_some_and(|candidate| is_of_state(candidate.version));
    let mut uses = history.iter().filter(|release| is_of_state(release.version) || is_tried(release));
    uses.next().is_some_and(|first| !is_of_state(first.version))
}

fn replay(
    world: &World,
    args: &Audit,
    files: &StepFiles,
    (component, version): (ComponentDigest, LiveVersion),
    (from_first, end): (bool, u64),
    report: &mut Report,
) -> Outcome {
    let (view, number) = (version.view().clone(), version.version);
    let mut job = job(world, version, &args.log, Ask::OwnPosition, false)?;
    job.until = Some(Positions(BTreeMap::from([(0, end)])));
    let mut comparison = Comparison::new(&view, (component, number), job.arrivals, files, report);
    comparison.lacks_first &= from_first;
    let replay = Replay {
        job,
        questions: None,
        spill_dir: world.config.data_dir.clone(),
        resources: resources(world, None, None),
        watch: watch(world),
    };
    replay.answers(&mut |answer| comparison.answer(answer)).map_err(backfill_failure)?;
    comparison.finish()
}

/// Walks the files of steps and the replayed answers side by side, both in the order of offsets. A file is the work of one
/// version, so that each answer is looked for in one pass only; where a canary did a part of a step, in the pass of the
/// version whose file has its row.
struct Comparison<'a> {
    view: &'a FeatureView,
    component: ComponentDigest,
    /// The component's number in the registry; 0 where the view has none with these bytes.
    number: u64,
    arrivals: ArrivalPolicy,
    /// Steps that begin further on.
    files: std::iter::Peekable<std::slice::Iter<'a, StepFile>>,
    /// The rest of the step's rows, or `None` where the step is another component's.
    step: Option<std::iter::Peekable<std::vec::IntoIter<Emitted>>>,
    /// The first offset of the step.
    begun: Option<u64>,
    /// Rows of the step that another component computed.
    others: BTreeSet<u64>,
    /// Whether rows that nobody computed are counted in this pass, and not in that of another component of the step.
    counts_missing: bool,
    /// Whether rows before the first step are lost, rather than those of a version that served before.
    lacks_first: bool,
    compared: u64,
    report: &'a mut Report,
    failure: Option<Failure>,
}

impl<'a> Comparison<'a> {
    fn new(
        view: &'a FeatureView,
        (component, number): (ComponentDigest, u64),
        arrivals: ArrivalPolicy,
        files: &'a StepFiles,
        report: &'a mut Report,
    ) -> Self {
        let lacks_first = files.0.first().is_some_and(|first| first.component == component);
        let files = files.0.iter().peekable();
        Comparison {
            view,
            component,
            number,
            arrivals,
            files,
            step: None,
            begun: None,
            others: BTreeSet::new(),
            counts_missing: false,
            lacks_first,
            compared: 0,
            report,
            failure: None,
        }
    }

    fn answer(&mut self, answer: ReplayAnswer<'_>) {
        while let Some(file) = self.files.next_if(|file| file.first_offset <= answer.number) {
            self.open(file);
        }
        while self.next_is(|row| row.number < answer.number) {
            self.extra();
        }
        if self.step.is_none() && !self.is_before_first_step() {
            return;
        }
        let key = EntityKey(answer.key.into());
        let place = Place { number: answer.number, key: &key, as_of: answer.as_of };
        match self.step.as_mut().and_then(|step| step.next_if(|row| row.number == answer.number)) {
            Some(row) => self.compare(&place, &row, &answer),
            None if self.others.contains(&answer.number) => {}
            None if self.step.is_some() && !self.counts_missing => {}
            None => {
                self.report.missing += 1;
                self.report.note(self.view, &place, "row".to_owned(), "missing".to_owned(), "present".to_owned());
            }
        }
    }

    /// Rows before the first step are looked for in the pass of that step's component.
    fn is_before_first_step(&self) -> bool {
        self.begun.is_none() && self.lacks_first
    }

    /// Goes on to the next file; rows of the last step that no answer asked for are too many.
    fn open(&mut self, file: &StepFile) {
        let is_own = file.component == self.component;
        if self.begun != Some(file.first_offset) {
            while self.next_is(|_| true) {
                self.extra();
            }
            (self.begun, self.step, self.counts_missing) = (Some(file.first_offset), None, is_own);
            self.others.clear();
        }
        let read = match is_own {
            true => file.rows(self.view, self.arrivals).map(|rows| self.step = Some(rows.into_iter().peekable())),
            false if file.is_divided => file.offsets().map(|offsets| self.others.extend(offsets)),
            false => Ok(()),
        };
        if let Err(failure) = read {
            self.failure.get_or_insert(failure);
        }
    }

    fn next_is(&mut self, is: impl Fn(&Emitted) -> bool) -> bool {
        self.step.as_mut().and_then(|step| step.peek()).is_some_and(is)
    }

    /// A row counts as differing once, whatever else is wrong with it.
    fn compare(&mut self, place: &Place<'_>, row: &Emitted, answer: &ReplayAnswer<'_>) {
        self.compared += 1;
        let mut difference = self.identity(place, row, answer);
        match (&row.value, answer.value) {
            (Some((emitted, digest)), Ok(replayed)) => {
                if !self.report.compare(self.view, place, emitted, replayed) {
                    return;
                }
                let replayed = RowDigest::of(replayed);
                if row.is_digested && *digest != Some(replayed) {
                    let emitted = shown(digest.as_ref());
                    difference = Some((column::ROW_DIGEST.to_owned(), emitted, replayed.to_string()));
                }
            }
            _ => self.report.unavailable += 1,
        }
        if let Some((field, emitted, replayed)) = difference {
            self.report.differing += 1;
            self.report.note(self.view, place, field, emitted, replayed);
        }
    }

    /// The first column besides the value that is not what the log and the registry say, and both sides of it.
    fn identity(
        &self,
        place: &Place<'_>,
        row: &Emitted,
        answer: &ReplayAnswer<'_>,
    ) -> Option<(String, String, String)> {
        if row.key != *place.key {
            return Some(key_difference(self.view, &row.key, place.key));
        }
        let mut columns = vec![(column::AS_OF, time_text(row.as_of), time_text(place.as_of))];
        if let Some((time, id)) = answer.event {
            columns.push((column::EVENT_TIME, time_text(row.event_time), time_text(time)));
            columns.push((column::EVENT_ID, row.event_id.clone(), id.to_owned()));
        }
        if self.number > 0 {
            columns.push((column::VERSION, shown(row.version.as_ref()), self.number.to_string()));
        }
        let differing = columns.into_iter().find(|(_, emitted, expected)| emitted != expected);
        differing.map(|(field, emitted, expected)| (field.to_owned(), emitted, expected))
    }

    /// An emitted row that no answer belongs to.
    fn extra(&mut self) {
        if let Some(row) = self.step.as_mut().and_then(Iterator::next) {
            self.report.extra += 1;
            let place = Place { number: row.number, key: &row.key, as_of: row.as_of };
            self.report.note(self.view, &place, "row".to_owned(), "present".to_owned(), "missing".to_owned());
        }
    }

    fn finish(mut self) -> Outcome {
        while let Some(file) = self.files.next() {
            self.open(file);
        }
        while self.next_is(|_| true) {
            self.extra();
        }
        self.report.components.push(ComponentRows {
            digest: self.component.to_string(),
            rows: self.compared,
            reads: Vec::new(),
        });
        self.failure.map_or(Ok(()), Err)
    }
}

fn shown(value: Option<&impl ToString>) -> String {
    value.map_or_else(|| "none".to_owned(), ToString::to_string)
}
