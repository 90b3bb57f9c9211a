//! Runs a worker: when to look for releases, when to wait, when to stop.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use trifold_model::ViewName;

use crate::error::{Problem, StreamError};
use crate::feed::FeedId;
use crate::notice::{Notice, Progress};
use crate::releases::ReleaseFeed;
use crate::sink::{AsideKind, Sink};
use crate::source::Source;
use crate::worker::{Restored, Worker};

/// How long steps may be kept in memory by default: as long as a worker that is killed takes to do them again, and as
/// lookups in the store are behind a worker that catches up.
pub const DEFAULT_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);

/// When a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// At the end of the log as it stands when it is reached.
    End,
    /// Exactly before this offset, or at the end of the log if that comes first.
    Offset(u64),
    /// Only when it is told to: the log is followed as it grows.
    Follow,
}

impl Until {
    fn stop_at(self) -> Option<u64> {
        match self {
            Until::Offset(offset) => Some(offset),
            Until::End | Until::Follow => None,
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct RunReport {
    /// How far the worker is.
    pub progress: Progress,
    /// Everything that kept a view or a release back, in the order in which it came up.
    pub problems: Vec<Problem>,
    /// Whether the run ended because it was told to.
    pub interrupted: bool,
}

/// Runs a worker over the releases in force.
pub struct Driver<S, K, R> {
    worker: Worker<S, K>,
    releases: R,
    interval: Duration,
    checkpoint_interval: Duration,
    /// Since when there are steps that are in memory only.
    unwritten: Option<Instant>,
    next_poll: Option<Instant>,
    reported: BTreeSet<String>,
    /// The feeds and reasons of which the first event was told.
    set_aside: BTreeSet<(FeedId, AsideKind)>,
    /// What is wrong with a log that was followed and cannot be at present.
    standing: Option<String>,
}

/// What a turn came to.
enum Turn {
    /// A step was taken.
    Moved,
    /// There is nothing to do at present.
    Waits,
    /// The end was reached, or the worker was told to stop (`true`).
    Over(bool),
}

impl<S: Source, K: Sink, R: ReleaseFeed> Driver<S, K, R> {
    /// A driver that looks for releases, and for new events once there are none, every `interval`.
    pub fn new(worker: Worker<S, K>, releases: R, interval: Duration) -> Self {
        Driver {
            worker,
            releases,
            interval,
            checkpoint_interval: DEFAULT_CHECKPOINT_INTERVAL,
            unwritten: None,
            next_poll: None,
            reported: BTreeSet::new(),
            set_aside: BTreeSet::new(),
            standing: None,
        }
    }

    /// Writes what steps came to with the first step that ends so long after them. At the end of the log it is written at
    /// once.
    pub fn with_checkpoints(mut self, interval: Duration) -> Self {
        self.checkpoint_interval = interval;
        self
    }

    /// The worker.
    pub fn worker(&mut self) -> &mut Worker<S, K> {
        &mut self.worker
    }

    /// Runs until the end that was asked for, or until `stop` turns true; a step under way is finished. Needs a
    /// runtime with timers, and keeps its thread busy while it computes: give it one of its own. After an error
    /// it may be run again, and goes on where it stands.
    pub async fn run(
        &mut self,
        until: Until,
        notify: &mut (dyn FnMut(Notice<'_>) + Send),
        mut stop: watch::Receiver<bool>,
    ) -> Result<RunReport, StreamError> {
        let mut run = Run { until, notify, problems: Vec::new() };
        self.next_poll = None;
        // A log that cannot be read from the start is a mistake of whoever started the worker.
        let mut read = false;
        loop {
            match self.turn(&mut run, &stop).await {
                Ok(Turn::Over(interrupted)) => return Ok(self.report(run, interrupted)),
                Ok(turn) => {
                    read = true;
                    self.standing = None;
                    match turn {
                        Turn::Waits => tokio::select! {
                            () = wait(self.interval, &mut stop) => {}
                            () = self.releases.called() => {}
                        },
                        // Whoever shares the thread gets a turn between two steps.
                        _ => tokio::task::yield_now().await,
                    }
                }
                Err(error) if read && until == Until::Follow && error.is_of_the_log() => {
                    self.checkpoint().await?;
                    self.stand_still(&mut run, &error);
                    wait(self.interval, &mut stop).await;
                    if *stop.borrow() {
                        return Ok(self.report(run, true));
                    }
                }
                Err(error) => {
                    // The steps before it are good; that they cannot be written either is told by the next run.
                    let _ = self.checkpoint().await;
                    return Err(error);
                }
            }
        }
    }

    async fn checkpoint(&mut self) -> Result<(), StreamError> {
        self.unwritten = None;
        self.worker.checkpoint().await
    }

    /// Looks around and takes a step, if there is one to take.
    async fn turn(&mut self, run: &mut Run<'_>, stop: &watch::Receiver<bool>) -> Result<Turn, StreamError> {
        if self.standing.is_some() {
            self.worker.reopen()?;
        }
        self.look(run).await?;
        if *stop.borrow() {
            self.checkpoint().await?;
            return Ok(Turn::Over(true));
        }
        if run.until != Until::Follow && self.worker.is_idle() {
            let problem = run.problems.first();
            return Err(problem.map_or(StreamError::NoViews, |first| StreamError::Releases(first.to_string())));
        }
        Ok(match self.step(run).await? {
            true => Turn::Moved,
            false if run.until == Until::Follow => Turn::Waits,
            false => Turn::Over(false),
        })
    }

    /// Reports what is wrong with the log when it begins, and looks at everything again at the next turn.
    fn stand_still(&mut self, run: &mut Run<'_>, error: &StreamError) {
        self.next_poll = Some(Instant::now());
        let text = error.to_string();
        if self.standing.as_ref() != Some(&text) {
            let problem = Problem::Log(text.clone());
            (run.notify)(Notice::Problem(&problem));
            run.problems.push(problem);
        }
        self.standing = Some(text);
    }

    fn report(&self, run: Run<'_>, interrupted: bool) -> RunReport {
        RunReport { progress: self.worker.progress(run.until.stop_at()), problems: run.problems, interrupted }
    }

    /// One step, if there is one to take.
    async fn step(&mut self, run: &mut Run<'_>) -> Result<bool, StreamError> {
        let Some(polled) = self.worker.poll(run.until.stop_at())? else {
            self.checkpoint().await?;
            return Ok(false);
        };
        let step = self.worker.process(polled).await?;
        let report = self.worker.apply(step)?;
        let since = *self.unwritten.get_or_insert_with(Instant::now);
        if self.worker.is_full() || since.elapsed() >= self.checkpoint_interval {
            self.checkpoint().await?;
        }
        for (feed, counts) in &report.feeds {
            (run.notify)(Notice::Applied { feed, counts });
        }
        for (feed, line) in &report.aside {
            if self.set_aside.insert((feed.clone(), line.kind)) {
                (run.notify)(Notice::Aside { feed, line });
            }
        }
        report.trials.iter().for_each(|trial| (run.notify)(Notice::Tried(trial)));
        for problem in report.problems {
            self.problem(run, problem);
        }
        self.tell_progress(run);
        Ok(true)
    }

    fn tell_progress(&self, run: &mut Run<'_>) {
        (run.notify)(Notice::Progress(&self.worker.progress(run.until.stop_at())));
    }

    /// Looks for releases and for how long the log is, when it is time or somebody asks for it.
    async fn look(&mut self, run: &mut Run<'_>) -> Result<(), StreamError> {
        let first = self.next_poll.is_none();
        if self.next_poll.is_some_and(|due| Instant::now() < due) && !self.releases.is_called() {
            return Ok(());
        }
        match self.releases.poll().await {
            Ok(problems) => problems.into_iter().for_each(|problem| self.problem(run, Problem::Release(problem))),
            Err(error) if first => return Err(StreamError::Registry(error)),
            Err(error) => self.problem(run, Problem::Registry(error)),
        }
        self.next_poll = Some(Instant::now() + self.interval);
        let live = self.releases.live();
        let restored = self.worker.restore(&live).await?;
        let mut views: BTreeSet<_> = restored.left.iter().map(|feed| feed.view.clone()).collect();
        if first {
            // What was given up while no worker ran is left over.
            views.extend(live.views.keys().cloned());
        }
        self.announce(run, restored);
        self.remove_given_up(run, views).await?;
        self.worker.look()?;
        self.tell_progress(run);
        Ok(())
    }

    /// Removes the states of views that were built for versions which were given up before they served.
    async fn remove_given_up(&mut self, run: &mut Run<'_>, views: BTreeSet<ViewName>) -> Result<(), StreamError> {
        for view in views {
            match self.releases.given_up(&view).await {
                Ok(states) => {
                    for feed in states.into_iter().map(|state| FeedId { view: view.clone(), state }) {
                        if self.worker.remove(&feed).await? {
                            (run.notify)(Notice::Removed { feed: &feed });
                        }
                    }
                }
                // They stay until the next worker begins.
                Err(error) => self.problem(run, Problem::Registry(error)),
            }
        }
        Ok(())
    }

    fn announce(&mut self, run: &mut Run<'_>, restored: Restored) {
        for (feed, file_count) in &restored.discarded {
            (run.notify)(Notice::Discarded { feed, file_count: *file_count });
        }
        for switch in &restored.switched {
            (run.notify)(Notice::Switched(switch));
        }
        for problem in restored.problems {
            self.problem(run, problem);
        }
    }

    /// Reports a problem once in the driver's life, however often it comes up.
    fn problem(&mut self, run: &mut Run<'_>, problem: Problem) {
        if self.reported.insert(problem.to_string()) {
            (run.notify)(Notice::Problem(&problem));
            run.problems.push(problem);
        }
    }
}

/// One call of [`Driver::run`].
struct Run<'a> {
    until: Until,
    notify: &'a mut (dyn FnMut(Notice<'_>) + Send),
    problems: Vec<Problem>,
}

/// Waits out the interval, or until `stop` turns true.
pub(crate) async fn wait(interval: Duration, stop: &mut watch::Receiver<bool>) {
    let forgotten = async { stop.wait_for(|stop| *stop).await.is_err() };
    if tokio::time::timeout(interval, forgotten).await == Ok(true) {
        // Nobody is left who could stop it.
        tokio::time::sleep(interval).await;
    }
}
