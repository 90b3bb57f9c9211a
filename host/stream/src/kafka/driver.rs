//! Runs a worker of a group: when to look for releases, when to write, what to do when the cluster is gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use trifold_store::Holder;

use crate::driver::{RunReport, Until, wait};
use crate::error::{Problem, StreamError};
use crate::feed::{FeedId, wanted};
use crate::kafka::connected::Connected;
use crate::kafka::deployment::Deployment;
use crate::kafka::error::ClusterError;
use crate::kafka::leftovers::{Left, Leftovers};
use crate::kafka::local::{LocalStores, StoreFiles};
use crate::kafka::patience::Patience;
use crate::kafka::session::{Notify, Session, TurnReport};
use crate::kafka::settings::KafkaSettings;
use crate::notice::{Notice, Progress};
use crate::releases::ReleaseFeed;
use crate::sink::AsideKind;
use crate::worker::{Restored, WorkerConfig};

/// How soon a worker that waits for records hears those who operate it: the client waits for records alone.
const HEARS_WITHIN: Duration = Duration::from_millis(50);

/// Runs a worker of a group over the releases in force.
pub struct KafkaDriver<R> {
    settings: Arc<KafkaSettings>,
    config: WorkerConfig,
    deployment: Deployment,
    releases: R,
    interval: Duration,
    stores: Arc<dyn LocalStores>,
    session: Option<Session<Connected>>,
    next_look: Option<Instant>,
    leftovers: Leftovers,
    progress: Progress,
    problems: Vec<Problem>,
    reported: BTreeSet<String>,
    /// The feeds and reasons of which the first event was told.
    set_aside: BTreeSet<(FeedId, AsideKind)>,
}

impl<R: ReleaseFeed> KafkaDriver<R> {
    /// A driver that looks for releases every `interval`, and again for a cluster that is gone.
    pub fn new(
        settings: KafkaSettings,
        config: WorkerConfig,
        holder: Holder,
        releases: R,
        interval: Duration,
    ) -> Result<Self, ClusterError> {
        settings.check()?;
        let settings = Arc::new(settings);
        Ok(KafkaDriver {
            stores: Arc::new(StoreFiles { settings: settings.clone(), holder }),
            deployment: Deployment::of(&settings, &config),
            settings,
            config: WorkerConfig { parts: trifold_pipeline::Parts::Told, ..config },
            releases,
            interval,
            session: None,
            next_look: None,
            leftovers: Leftovers::new(interval),
            progress: Progress::default(),
            problems: Vec::new(),
            reported: BTreeSet::new(),
            set_aside: BTreeSet::new(),
        })
    }

    /// Runs until the end of what there is, or until `stop` turns true; a turn under way is finished, and the group is
    /// left in good order. It keeps its thread busy and waits for the cluster on it: give it one of its own.
    ///
    /// A worker of a group cannot stop before an offset, of which each partition has its own: [`Until::Offset`] counts
    /// as [`Until::End`].
    pub async fn run(
        &mut self,
        until: Until,
        notify: Notify<'_>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<RunReport, ClusterError> {
        let mut patience = Patience::new(self.interval, until);
        loop {
            if *stop.borrow() {
                return self.finish(true, notify).await;
            }
            match self.turn(until, notify).await {
                Ok(true) => return self.finish(false, notify).await,
                Ok(false) => {
                    patience.went_well();
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    // What is in memory may have been committed or not.
                    self.session = None;
                    let pause = patience.bears(error)?;
                    if let Some(text) = pause.news {
                        let problem = Problem::Log(text);
                        notify(Notice::Problem(&problem));
                        self.problems.push(problem);
                    }
                    // Each time the group hands out its partitions anew, so that others wait too.
                    wait(pause.wait, &mut stop).await;
                }
            }
        }
    }

    /// One look at the group, and what came of it: whether the run is over.
    async fn turn(&mut self, until: Until, notify: Notify<'_>) -> Result<bool, ClusterError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => {
                self.next_look = None;
                let arrival = self.config.source.arrival.as_deref();
                let cluster = Connected::new(self.settings.clone(), &self.deployment, arrival)?;
                Session::new(self.settings.clone(), self.config.clone(), cluster, self.stores.clone())
            }
        };
        self.look(&mut session, notify).await?;
        if until != Until::Follow && wanted(&self.releases.live()).is_empty() {
            let problem = self.problems.first();
            let none = problem.map_or(StreamError::NoViews, |first| StreamError::Releases(first.to_string()));
            return Err(none.into());
        }
        let wait = if until == Until::Follow { self.interval.min(HEARS_WITHIN) } else { self.interval };
        let (restored, report) = session.round(&self.releases.live(), wait, notify).await?;
        self.announce(notify, restored);
        let is_over = report.is_none() && until != Until::Follow && session.is_done()?;
        self.progress = session.progress();
        self.session = Some(session);
        if let Some(report) = report {
            self.tell(notify, report);
        }
        Ok(is_over)
    }

    /// Looks for releases when it is time or somebody asks for it.
    async fn look(&mut self, session: &mut Session<Connected>, notify: Notify<'_>) -> Result<(), ClusterError> {
        let first = self.next_look.is_none();
        if self.next_look.is_some_and(|due| Instant::now() < due) && !self.releases.is_called() {
            return Ok(());
        }
        match self.releases.poll().await {
            Ok(problems) => {
                problems.into_iter().for_each(|problem| self.problem(notify, Problem::Release(problem)));
            }
            Err(error) if first => return Err(StreamError::Registry(error).into()),
            Err(error) => self.problem(notify, Problem::Registry(error)),
        }
        self.next_look = Some(Instant::now() + self.interval);
        let restored = session.follow(&self.releases.live(), notify).await?;
        self.announce(notify, restored);
        let wanted = wanted(&self.releases.live()).into_keys().collect();
        let left = self.leftovers.look(&self.releases, wanted).await;
        self.remove(session, left, notify).await;
        self.progress = session.progress();
        notify(Notice::Progress(&self.progress));
        Ok(())
    }

    /// Removes states that were given up.
    async fn remove(&mut self, session: &mut Session<Connected>, left: Left, notify: Notify<'_>) {
        let feeds = left.unwrap_or_else(|error| {
            self.problem(notify, Problem::Registry(error));
            Vec::new()
        });
        for feed in feeds {
            match session.remove(&feed).await {
                Ok(true) => notify(Notice::Removed { feed: &feed }),
                Ok(false) => {}
                Err(error) => self.problem(notify, Problem::Leftover { feed, reason: error.to_string() }),
            }
        }
    }

    fn announce(&mut self, notify: Notify<'_>, restored: Restored) {
        for switch in &restored.switched {
            notify(Notice::Switched(switch));
        }
        for problem in restored.problems {
            self.problem(notify, problem);
        }
    }

    fn tell(&mut self, notify: Notify<'_>, report: TurnReport) {
        notify(Notice::Committed { took: report.committing });
        if report.rekeyed > 0 {
            notify(Notice::Rekeyed { count: report.rekeyed });
        }
        for step in report.steps {
            for (feed, counts) in &step.feeds {
                notify(Notice::Applied { feed, counts });
            }
            for (feed, line) in &step.aside {
                if self.set_aside.insert((feed.clone(), line.kind)) {
                    notify(Notice::Aside { feed, line });
                }
            }
            step.trials.iter().for_each(|trial| notify(Notice::Tried(trial)));
            for problem in step.problems {
                self.problem(notify, problem);
            }
        }
        notify(Notice::Progress(&self.progress));
    }

    /// Reports a problem once in the driver's life, however often it comes up.
    fn problem(&mut self, notify: Notify<'_>, problem: Problem) {
        if self.reported.insert(problem.to_string()) {
            notify(Notice::Problem(&problem));
            self.problems.push(problem);
        }
    }

    /// Leaves in good order.
    async fn finish(&mut self, interrupted: bool, notify: Notify<'_>) -> Result<RunReport, ClusterError> {
        if let Some(mut session) = self.session.take() {
            session.settle().await?;
            // Others may not have looked yet. What is left is found by whoever begins next.
            if !interrupted {
                let left = self.leftovers.rest(&self.releases).await;
                self.remove(&mut session, left, notify).await;
            }
            session.leave();
        }
        let problems = std::mem::take(&mut self.problems);
        Ok(RunReport { progress: self.progress.clone(), problems, interrupted })
    }
}
