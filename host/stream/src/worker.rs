//! The worker: a state machine that takes one step at a time.
//!
//! ```text
//! restore -> poll -> process -> apply -> poll -> ... -> checkpoint -> poll -> ...
//! ```
//!
//! It reads no clock and touches nothing but its source, its store and its sink. One step is in flight at a
//! time, of at most `rows_max` events, and a checkpoint is due when `resident_bytes` are held, so memory is bounded by the
//! configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trifold_eventlog::{LogError, RawBatch, SourceConfig};
use trifold_model::{LogId, Positions, Share, ViewName};
use trifold_pipeline::Parts;
use trifold_pipeline::{LiveVersion, LiveViews, Role, WindowFunctions};
use trifold_store::{Marker, StateStore};

use crate::error::{Problem, StreamError};
use crate::feed::{Feed, FeedId, Task, wanted};
use crate::fingerprint::fingerprint;
use crate::notice::{Counts, FeedProgress, Progress};
use crate::resident::{Resident, StateError};
use crate::sink::Sink;
use crate::source::Source;
use crate::step::{Folded, Part, Polled, Step, StepReport, arrival_policy, emit, fold_feed};

/// The most events of a step by default: so many that an entity has some of them and is read once for all, and so few that
/// a step takes no more than a second or two.
pub const DEFAULT_ROWS_MAX: usize = 65_536;

/// What is held of states in memory by default: some two hundred thousand entities of a few windows each.
pub const DEFAULT_RESIDENT_BYTES: usize = 256 << 20;

/// Makes the functions of a window view.
pub type MakeFunctions = fn(&LiveVersion) -> Box<dyn WindowFunctions>;

/// What a worker is told.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Which columns carry what every event has.
    pub source: SourceConfig,
    /// The most events of a step; 0 counts as 1.
    pub rows_max: usize,
    /// What is held of states in memory before it must be written: a checkpoint is due once there is as much, whatever
    /// the time. A step may go beyond it by what its own entities take.
    pub resident_bytes: usize,
    /// The incarnation of states that do not exist yet.
    pub incarnation: u64,
    /// The operator vouches that no event is late or early, where the source records no arrivals.
    pub assume_on_time: bool,
    /// Whether emitted rows carry their digest.
    pub digest: bool,
    /// Whether records carry the values that were computed from them, so that lookups need not compute them again.
    pub keep_outputs: bool,
    /// What window views are folded with: by default, their components.
    pub functions: MakeFunctions,
    /// Whether the sink is told of every slot by itself.
    pub parts: Parts,
}

impl WorkerConfig {
    /// The defaults, for new states of one incarnation.
    pub fn new(incarnation: u64) -> Self {
        WorkerConfig {
            source: SourceConfig::default(),
            rows_max: DEFAULT_ROWS_MAX,
            resident_bytes: DEFAULT_RESIDENT_BYTES,
            incarnation,
            assume_on_time: false,
            digest: true,
            keep_outputs: true,
            functions: |version| Box::new(version.transform.clone()),
            parts: Parts::Untold,
        }
    }
}

/// Follows one partition of a log for every row view and window view in force, and for what is tried out beside them.
pub struct Worker<S, K> {
    source: S,
    states: Resident,
    sink: K,
    config: WorkerConfig,
    feeds: BTreeMap<FeedId, Feed>,
    counts: BTreeMap<FeedId, Counts>,
    /// The position to which the last step led; feeds elsewhere have the next turn.
    last: Option<u64>,
    /// The rows of the log, as of the last look.
    known: u64,
    /// What was begun has an end that is unknown.
    torn: bool,
}

/// What a restore changed.
#[derive(Debug, Default)]
pub struct Restored {
    /// Feeds that began, or came under another version.
    pub switched: Vec<Switch>,
    /// Feeds that were left.
    pub left: Vec<FeedId>,
    /// Files of steps that never committed, removed.
    pub discarded: Vec<(FeedId, u64)>,
    /// Views that cannot be followed.
    pub problems: Vec<Problem>,
}

/// A feed under a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// The feed.
    pub feed: FeedId,
    /// The version in force from now on, or the one that is tried out.
    pub version: u64,
    /// Its release, if there is one.
    pub release: Option<u64>,
    /// What it is tried out for.
    pub role: Option<Role>,
    /// The canary beside a version in force, and how many entities it takes.
    pub canary: Option<(u64, Share)>,
    /// The first offset that it will see.
    pub offset: u64,
}

impl<S: Source, K: Sink> Worker<S, K> {
    /// A worker that follows nothing yet.
    pub fn new(source: S, store: Arc<dyn StateStore>, sink: K, config: WorkerConfig) -> Self {
        let (feeds, counts) = Default::default();
        let states = Resident::new(store, config.resident_bytes);
        Worker { source, states, sink, config, feeds, counts, last: None, known: 0, torn: false }
    }

    /// Puts the versions in force from the next step on. A state that is new to the worker goes on at the
    /// position that the store has for it, or begins at offset 0; what uncommitted steps emitted there is removed.
    pub async fn restore(&mut self, live: &LiveViews) -> Result<Restored, StreamError> {
        if std::mem::take(&mut self.torn) {
            self.feeds.clear();
            self.states.clear();
        }
        let wanted = wanted(live);
        let left = self.leave(|id| wanted.contains_key(id)).await?;
        let mut restored = Restored { left, ..Restored::default() };
        for (id, task) in wanted {
            match self.feeds.get_mut(&id) {
                Some(feed) if feed.task == task => continue,
                Some(feed) => {
                    feed.task = task.clone();
                    feed.blocked = false;
                }
                None => {
                    let file_count = self.begin(&id, &task).await?;
                    restored.discarded.extend((file_count > 0).then(|| (id.clone(), file_count)));
                }
            }
            restored.switched.push(self.switch(&id, &task));
            restored.problems.extend(self.check_arrivals(&id));
        }
        Ok(restored)
    }

    /// Leaves feeds that are no longer wanted, where they stand.
    async fn leave(&mut self, wanted: impl Fn(&FeedId) -> bool) -> Result<Vec<FeedId>, StreamError> {
        if self.feeds.keys().all(&wanted) {
            return Ok(Vec::new());
        }
        self.checkpoint().await?;
        let left = std::mem::take(&mut self.feeds).into_iter();
        let (kept, left): (BTreeMap<_, _>, BTreeMap<_, _>) = left.partition(|(id, _)| wanted(id));
        self.feeds = kept;
        left.keys().for_each(|id| self.states.forget(id.state));
        Ok(left.into_keys().collect())
    }

    /// Removes a state that nobody goes on with, unless it is followed: whether there was one.
    pub async fn remove(&mut self, feed: &FeedId) -> Result<bool, StreamError> {
        if self.feeds.contains_key(feed) {
            return Ok(false);
        }
        self.counts.remove(feed);
        self.states.remove(feed.state).await.map_err(StreamError::state(feed.view.as_str()))
    }

    /// Reads where a state stands, and removes what was emitted beyond it.
    async fn begin(&mut self, id: &FeedId, task: &Task) -> Result<u64, StreamError> {
        let partition = self.source.partition();
        let stored = self.states.begin(id.state).await.map_err(StreamError::state(id.view.as_str()))?;
        // Without a policy the feed stands still, and what it has stays as it is.
        let policy = arrival_policy(&self.config, &task.version).ok();
        let reading = policy.map(|arrivals| fingerprint(&self.config.source, arrivals));
        if let Some(marker) = &stored {
            self.check_log(id, marker)?;
            reading.as_deref().map_or(Ok(()), |given| check_source(id, marker, given))?;
        }
        let switches = self.states.switches(id.state).await.map_err(StreamError::state(id.view.as_str()))?;
        let last = switches.iter().rfind(|switch| switch.partition == partition);
        let feed = Feed {
            task: task.clone(),
            marker: stored.unwrap_or_else(|| self.first_marker(reading.unwrap_or_default())),
            under: last.and_then(|switch| switch.to),
            swept: None,
            blocked: false,
        };
        let discard =
            self.sink.discard(id, partition, feed.next(partition)).map_err(StreamError::sink(&id.view))?;
        self.feeds.insert(id.clone(), feed);
        Ok(discard.file_count)
    }

    fn first_marker(&self, source: String) -> Marker {
        Marker {
            incarnation: self.config.incarnation,
            log: self.source.log().clone(),
            source,
            positions: Positions::default(),
            consumed: Vec::new(),
            release: None,
            arrivals: BTreeMap::new(),
        }
    }

    fn check_log(&mut self, id: &FeedId, marker: &Marker) -> Result<(), StreamError> {
        let LogId(log) = self.source.log().clone();
        if marker.log.0 != log {
            let (stored, given) = (marker.log.0.to_string(), log.to_string());
            return Err(StreamError::OtherLog { view: id.view.clone(), state: id.state, stored, given });
        }
        let applied = marker.positions.next(self.source.partition());
        let known = self.look()?;
        let changed = match self.source.check_consumed(applied, &marker.consumed) {
            Ok(()) => None,
            Err(LogError::Consumed { change, .. }) => Some(change),
            Err(error) => return Err(StreamError::Log(error)),
        };
        let (view, state, log) = (id.view.clone(), id.state, log.to_string());
        match changed {
            change if applied > known => {
                Err(StreamError::AheadOfLog { view, state, log, applied, known, change: change.map(Box::new) })
            }
            Some(change) => Err(StreamError::ChangedLog { view, state, log, change: Box::new(change) }),
            None => Ok(()),
        }
    }

    fn switch(&self, id: &FeedId, task: &Task) -> Switch {
        let (version, role) = (&task.version, task.role);
        let canary = task.canary.as_ref().map(|(version, canary)| (version.version, canary.share));
        let offset = self.feeds.get(id).map_or(0, |feed| feed.next(self.source.partition()));
        Switch { feed: id.clone(), version: version.version, release: version.release, role, canary, offset }
    }

    /// A view that needs arrivals which nobody recorded stands still.
    fn check_arrivals(&mut self, id: &FeedId) -> Option<Problem> {
        let feed = self.feeds.get_mut(id)?;
        let problem = arrival_policy(&self.config, &feed.task.version).err()?;
        feed.blocked = true;
        Some(Problem::Arrival(problem))
    }

    /// Looks at the log anew after it could not be read: the next restore checks that it is still the one that was
    /// followed.
    pub fn reopen(&mut self) -> Result<(), StreamError> {
        self.torn = true;
        self.source.reopen().map_err(StreamError::Log)
    }

    /// Looks how many rows the log has at present. Feeds that have applied all of them wait behind the others.
    pub fn look(&mut self) -> Result<u64, StreamError> {
        self.known = self.source.rows_known().map_err(StreamError::Log)?;
        Ok(self.known)
    }

    /// Reads the next batch: of the feeds that stand at the next position, in turn. It ends where another feed
    /// stands, so that feeds which meet go on together, and before `stop_at`. `None`: no feed can move at present.
    pub fn poll(&mut self, stop_at: Option<u64>) -> Result<Option<Polled>, StreamError> {
        let mut groups = self.groups();
        let partition = self.source.partition();
        let stands: BTreeSet<_> = self.feeds.values().map(|feed| feed.next(partition)).collect();
        for next in self.turns(&groups) {
            let end = stands.range(next + 1..).next().copied();
            let end = end.into_iter().chain(stop_at).min().unwrap_or(u64::MAX);
            let rows_max = end.saturating_sub(next).min(self.config.rows_max.max(1) as u64) as usize;
            if rows_max == 0 {
                continue;
            }
            let Some(raw) = self.source.read(next, rows_max).map_err(StreamError::Log)? else { continue };
            self.check_batch(&raw, next, rows_max)?;
            self.known = self.known.max(raw.next_offset());
            return Ok(Some(Polled { raw, feeds: groups.remove(&next).unwrap_or_default() }));
        }
        Ok(None)
    }

    /// The positions of feeds in the order of their turns: first where rows are known to wait, and there first
    /// those behind which the last step did not end.
    fn turns(&self, groups: &BTreeMap<u64, Vec<FeedId>>) -> Vec<u64> {
        let mut turns: Vec<_> = groups.keys().copied().collect();
        turns.sort_by_key(|next| (*next >= self.known, self.last.is_some_and(|last| *next <= last)));
        turns
    }

    /// The feeds that can move, by position.
    fn groups(&self) -> BTreeMap<u64, Vec<FeedId>> {
        let mut groups: BTreeMap<u64, Vec<FeedId>> = BTreeMap::new();
        for (id, feed) in self.moving() {
            groups.entry(feed.next(self.source.partition())).or_default().push(id.clone());
        }
        groups
    }

    /// The feeds that can move. That of a version which is tried out does not get ahead of that of the version in force,
    /// which emits the rows: when the first takes the place of the second, no event is without one.
    fn moving(&self) -> impl Iterator<Item = (&FeedId, &Feed)> + Clone {
        let partition = self.source.partition();
        let leads = |id: &FeedId| {
            let in_force = |(other, feed): &(&FeedId, &Feed)| other.view == id.view && feed.task.role.is_none();
            self.feeds.iter().find(in_force).map(|(_, feed)| feed)
        };
        self.feeds.iter().filter(move |(id, feed)| {
            let next = feed.next(partition);
            let is_free =
                |lead: &Feed| next < lead.next(partition) || (next == lead.next(partition) && !lead.blocked);
            !feed.blocked && (feed.task.role.is_none() || leads(id).is_none_or(is_free))
        })
    }

    fn check_batch(&self, raw: &RawBatch, wanted: u64, rows_max: usize) -> Result<(), StreamError> {
        let (given, rows) = (raw.first_offset, raw.rows());
        if given == wanted && rows <= rows_max && raw.next_offset() > wanted {
            return Ok(());
        }
        Err(StreamError::Gap { log: self.source.log().0.to_string(), wanted, rows_max, given, rows })
    }

    /// Takes a batch through its feeds. Nothing is written.
    pub async fn process(&mut self, polled: Polled) -> Result<Step, StreamError> {
        let Polled { raw, feeds } = polled;
        let consumed = self.source.consumed(raw.next_offset()).map_err(StreamError::Log)?;
        let (mut folded, mut blocked) = (Vec::with_capacity(feeds.len()), Vec::new());
        for id in feeds {
            let Some(feed) = self.feeds.get(&id) else { continue };
            let together = self.source.together();
            let taken = fold_feed(&self.config, &self.states, &id, feed, &raw, together).await;
            // What is held is no longer what the store has.
            self.torn |= matches!(taken, Err(StreamError::Overtaken { .. }));
            match taken? {
                Ok(mut part) => {
                    part.commit.marker.consumed.clone_from(&consumed);
                    folded.push(part);
                }
                Err(problem) => blocked.push((id, problem)),
            }
        }
        // What is tried out waits with a version in force that stands still from here on.
        folded.retain(|one: &Folded| {
            one.task.role.is_none() || !blocked.iter().any(|(id, _): &(FeedId, _)| id.view == one.feed.view)
        });
        let parts = emit(&raw, folded, self.config.digest)?;
        Ok(Step { first_offset: raw.first_offset, next_offset: raw.next_offset(), parts, blocked })
    }

    /// Makes a step durable: [`Worker::apply`], and a [checkpoint](Worker::checkpoint) after it.
    pub async fn commit(&mut self, step: Step) -> Result<StepReport, StreamError> {
        let report = self.apply(step)?;
        self.checkpoint().await?;
        Ok(report)
    }

    /// Makes durable what a step emitted, and moves its feeds on. What it came to is in memory until a checkpoint.
    /// After an error the next restore goes back to the last one.
    pub fn apply(&mut self, step: Step) -> Result<StepReport, StreamError> {
        self.torn = true;
        let Step { first_offset, next_offset, mut parts, blocked } = step;
        for part in &parts {
            if let Some(emission) = &part.emission {
                self.sink.write(emission).map_err(StreamError::sink(&part.feed.view))?;
            }
            self.sink.change(&part.feed, &part.commit, &part.parts);
        }
        let aside = parts.iter().flat_map(Part::first_aside).collect();
        let trials = parts.iter_mut().filter_map(|part| part.trial.take()).collect();
        let feeds = parts.into_iter().map(|part| self.move_feed(part)).collect();
        self.torn = false;
        self.last = Some(next_offset);
        let problems = blocked.into_iter().map(|(feed, problem)| self.block(&feed, problem)).collect();
        Ok(StepReport { first_offset, next_offset, feeds, aside, trials, problems })
    }

    fn move_feed(&mut self, part: Part) -> (FeedId, Counts) {
        let Part { feed: id, commit, counts, swept, .. } = part;
        if let Some(feed) = self.feeds.get_mut(&id) {
            feed.marker.clone_from(&commit.marker);
            feed.under = commit.switches.last().map_or(feed.under, |switch| switch.to);
            feed.swept = swept;
        }
        self.states.apply(commit);
        self.counts.entry(id.clone()).or_default().add(&counts);
        (id, counts)
    }

    /// Whether so much is in memory that a checkpoint is due.
    pub fn is_full(&self) -> bool {
        self.states.is_full()
    }

    /// Writes the records and positions of all steps since the last checkpoint in one store transaction. After an error
    /// they may have been committed or not; the next restore finds out.
    pub async fn checkpoint(&mut self) -> Result<(), StreamError> {
        // A step whose rows could not be written is no part of the states.
        let torn = std::mem::replace(&mut self.torn, true);
        self.states.checkpoint().await.map_err(|error| self.unwritten(error))?;
        self.torn = torn;
        Ok(())
    }

    fn unwritten(&self, error: StateError) -> StreamError {
        let is_meant = |id: &&FeedId| match error {
            StateError::Overtaken(state) => id.state == state,
            StateError::Store(_) => true,
        };
        let views: Vec<_> = self.feeds.keys().filter(is_meant).map(|id| id.view.as_str()).collect();
        StreamError::state(views.join(", "))(error)
    }

    fn block(&mut self, id: &FeedId, problem: Problem) -> Problem {
        if let Some(feed) = self.feeds.get_mut(id) {
            feed.blocked = true;
        }
        problem
    }

    /// How far the worker is; `stop_at` as in [`Worker::poll`].
    pub fn progress(&self, stop_at: Option<u64>) -> Progress {
        let partition = self.source.partition();
        let known = stop_at.map_or(self.known, |stop| stop.min(self.known));
        let feeds = self.feeds.iter().map(|(id, feed)| FeedProgress {
            known,
            feed: id.clone(),
            version: feed.task.version.version,
            role: feed.task.role,
            next: feed.next(partition),
            blocked: feed.blocked,
            counts: self.counts.get(id).cloned().unwrap_or_default(),
        });
        Progress { rows_known: known, feeds: feeds.collect() }
    }

    /// Whether a feed is followed.
    pub fn follows(&self, feed: &FeedId) -> bool {
        self.feeds.contains_key(feed)
    }

    /// The next offset of each feed that can move.
    pub fn positions(&self) -> impl Iterator<Item = u64> + Clone {
        let partition = self.source.partition();
        self.moving().map(move |(_, feed)| feed.next(partition))
    }

    /// The source.
    pub fn source(&mut self) -> &mut S {
        &mut self.source
    }

    /// Has states that begin from now on be other lives than those that began before.
    pub(crate) fn begin_other_lives(&mut self) {
        self.config.incarnation += 1;
    }

    /// The sink.
    pub fn sink(&mut self) -> &mut K {
        &mut self.sink
    }

    /// Whether no view is followed.
    pub fn is_idle(&self) -> bool {
        self.feeds.is_empty()
    }

    /// The names of the views that are followed.
    pub fn views(&self) -> impl Iterator<Item = &ViewName> {
        self.feeds.keys().map(|id| &id.view)
    }
}

/// Events that are read in another way than those of the state must not join them.
fn check_source(id: &FeedId, marker: &Marker, given: &str) -> Result<(), StreamError> {
    if marker.source == given {
        return Ok(());
    }
    let (stored, given) = (marker.source.clone(), given.to_owned());
    Err(StreamError::OtherSource { view: id.view.clone(), state: id.state, stored, given })
}
