//! From topics of changes to a Redis: what workers committed, for servers to look up.
//!
//! ```text
//! topic of changes ──> lane of each partition ──> buckets of the Redis, each with a marker
//! ```
//!
//! Each state has a follower with a thread of its own, and in it a lane for each partition. None of them keeps anything:
//! how far a state is, the Redis itself says, and it takes only what goes on from there. So feeders may be killed, run
//! twice, or meet a Redis that lost all or a part of what it had.
//!
//! Reading order: [`lane`], `follower`.

mod follower;
pub mod lane;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;
use trifold_store::RedisStore;

use self::follower::{Follower, Told};
use self::lane::Delays;
use crate::driver::Until;
use crate::error::{Problem, StreamError};
use crate::feed::{FeedId, wanted};
use crate::kafka::error::ClusterError;
use crate::kafka::leftovers::{Left, Leftovers};
use crate::kafka::settings::ClusterSettings;
use crate::kafka::topics::{Purpose, Topics};
use crate::releases::ReleaseFeed;

/// What whoever watches is told.
#[derive(Debug)]
pub enum FeedNotice<'a> {
    /// A state is followed from now on.
    Begun {
        /// The state.
        feed: &'a FeedId,
    },
    /// A state is followed no longer.
    Over {
        /// The state.
        feed: &'a FeedId,
    },
    /// So many changes of a state are to be caught up with.
    Found {
        /// The state.
        feed: &'a FeedId,
        /// How many; records that say how transactions ended count as well.
        changes: u64,
    },
    /// Changes of a state are in.
    Brought {
        /// The state.
        feed: &'a FeedId,
        /// How many.
        changes: u64,
        /// How long the last of them took.
        delays: Delays,
    },
    /// Lookups of a state are answered from here on, or are not any more, until it has caught up.
    Complete {
        /// The state.
        feed: &'a FeedId,
        /// Whether they are.
        complete: bool,
    },
    /// The state of a version that was given up is gone.
    Removed {
        /// The state.
        feed: &'a FeedId,
    },
    /// Something is wrong. It is tried again.
    Problem {
        /// The state that waits, if it is one.
        feed: Option<&'a FeedId>,
        /// What.
        problem: String,
    },
}

/// What came of one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FedView {
    /// The state.
    pub feed: FeedId,
    /// How many changes came in.
    pub changes: u64,
    /// Whether lookups were answered in the end.
    pub complete: bool,
}

/// The partitions that somebody feeds of each state.
pub type Shares = BTreeMap<FeedId, BTreeSet<u32>>;

/// Feeds a Redis with the states of the releases in force.
pub struct Materializer<R> {
    cluster: ClusterSettings,
    store: RedisStore,
    releases: R,
    /// All partitions without it.
    shares: Option<watch::Receiver<Shares>>,
    interval: Duration,
    clock: fn() -> u64,
    leftovers: Leftovers,
    /// Why the releases could not be read at the last look, if that was so.
    unread: Option<String>,
    running: BTreeMap<FeedId, Running>,
    /// What came of those that are over.
    done: BTreeMap<FeedId, FedView>,
}

struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    view: FedView,
    /// What it waits for.
    problem: Option<String>,
}

/// What the state of a feed says that it comes from.
fn source_of(cluster: &ClusterSettings, feed: &FeedId) -> Result<String, ClusterError> {
    let topics = Topics::new(cluster)?;
    Ok(topics.log_id(&topics.names().of(feed, Purpose::Changes))?.0.to_string())
}

/// Waits until it is told to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever could tell it being gone is as good as being told.
    let _ = stop.wait_for(|stop| *stop).await;
}

type Channel = (UnboundedSender<(FeedId, Told)>, UnboundedReceiver<(FeedId, Told)>);

impl<R: ReleaseFeed> Materializer<R> {
    /// A feeder that looks for releases every `interval`. `clock` gives microseconds since 1970.
    pub fn new(
        cluster: ClusterSettings,
        store: RedisStore,
        releases: R,
        interval: Duration,
        clock: fn() -> u64,
    ) -> Result<Self, ClusterError> {
        cluster.check()?;
        Ok(Materializer {
            cluster,
            store,
            releases,
            shares: None,
            interval,
            clock,
            leftovers: Leftovers::new(interval),
            unread: None,
            running: BTreeMap::new(),
            done: BTreeMap::new(),
        })
    }

    /// Feeds these partitions alone, whichever they are at any time. Others must feed the rest: until all are fed, nothing
    /// is answered.
    pub fn with_shares(self, shares: watch::Receiver<Shares>) -> Self {
        Materializer { shares: Some(shares), ..self }
    }

    /// Feeds until all that there is is in, or until `stop` turns true: what came of each state. [`Until::Offset`] counts
    /// as [`Until::End`]. It needs a runtime of several threads, since it waits for followers that use it.
    pub async fn run(
        &mut self,
        until: Until,
        notify: &mut (dyn FnMut(FeedNotice<'_>) + Send),
        mut stop: watch::Receiver<bool>,
    ) -> Result<Vec<FedView>, ClusterError> {
        let mut channel = unbounded_channel();
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut first = true;
        let outcome = loop {
            tokio::select! {
                _ = ticks.tick() => {
                    if let Err(error) = self.look(until, first, notify, &channel).await {
                        break Err(error);
                    }
                    first = false;
                }
                Some((feed, told)) = channel.1.recv() => {
                    if let Err(error) = self.hear(&feed, told, notify) {
                        break Err(error);
                    }
                    if until != Until::Follow && !first && self.running.is_empty() {
                        break Ok(());
                    }
                }
                () = stopped(&mut stop) => break Ok(()),
            }
        };
        self.stop_all();
        outcome?;
        if until != Until::Follow && !*stop.borrow() {
            let left = self.leftovers.rest(&self.releases).await;
            self.remove(left, notify).await;
        }
        Ok(std::mem::take(&mut self.done).into_values().collect())
    }

    /// Looks for releases, and follows the states of those in force alone.
    async fn look(
        &mut self,
        until: Until,
        first: bool,
        notify: &mut (dyn FnMut(FeedNotice<'_>) + Send),
        channel: &Channel,
    ) -> Result<(), ClusterError> {
        match self.releases.poll().await {
            Ok(problems) => {
                self.unread = None;
                for problem in problems {
                    notify(FeedNotice::Problem { feed: None, problem: problem.to_string() });
                }
            }
            Err(error) if first => return Err(StreamError::Registry(error).into()),
            Err(error) => {
                let problem = error.to_string();
                if self.unread.as_ref() != Some(&problem) {
                    notify(FeedNotice::Problem { feed: None, problem: problem.clone() });
                }
                self.unread = Some(problem);
            }
        }
        let live = self.releases.live();
        let wanted = wanted(&live);
        if until != Until::Follow && wanted.is_empty() {
            return Err(StreamError::NoViews.into());
        }
        let over: Vec<_> = self.running.keys().filter(|feed| !wanted.contains_key(feed)).cloned().collect();
        for feed in over {
            self.stop(&feed);
            notify(FeedNotice::Over { feed: &feed });
        }
        if self.unread.is_none() {
            let left = self.leftovers.look(&self.releases, wanted.keys().cloned().collect()).await;
            self.remove(left, notify).await;
        }
        if first || until == Until::Follow {
            for feed in wanted.into_keys() {
                if !self.running.contains_key(&feed) {
                    notify(FeedNotice::Begun { feed: &feed });
                    self.start(feed, until, channel.0.clone());
                }
            }
        }
        Ok(())
    }

    /// Removes states that were given up.
    async fn remove(&self, left: Left, notify: &mut (dyn FnMut(FeedNotice<'_>) + Send)) {
        let feeds = left.unwrap_or_else(|error| {
            notify(FeedNotice::Problem { feed: None, problem: error.to_string() });
            Vec::new()
        });
        for feed in feeds {
            match self.remove_one(&feed).await {
                Ok(true) => notify(FeedNotice::Removed { feed: &feed }),
                Ok(false) => {}
                Err(error) => {
                    let problem = Problem::Leftover { feed, reason: error.to_string() }.to_string();
                    notify(FeedNotice::Problem { feed: None, problem });
                }
            }
        }
    }

    /// Removes a state that came from the group: whether there was one.
    async fn remove_one(&self, feed: &FeedId) -> Result<bool, ClusterError> {
        let (cluster, of) = (self.cluster.clone(), feed.clone());
        let source = spawn_blocking(move || source_of(&cluster, &of)).await;
        let source = source.map_err(|_| ClusterError::Panicked { feed: feed.to_string() })??;
        Ok(self.store.remove_of(feed.state, &source).await?)
    }

    fn start(&mut self, feed: FeedId, until: Until, tell: UnboundedSender<(FeedId, Told)>) {
        let follower = Follower {
            cluster: self.cluster.clone(),
            store: self.store.clone(),
            feed: feed.clone(),
            shares: self.shares.clone(),
            runtime: Handle::current(),
            clock: self.clock,
            ends: until != Until::Follow,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (told, stopped) = (feed.clone(), stop.clone());
        let thread = thread::spawn(move || {
            // Nobody hears of what comes after the end.
            let tell = |what| drop(tell.send((told.clone(), what)));
            if catch_unwind(AssertUnwindSafe(|| follower.run(&stopped, tell))).is_err() {
                tell(Told::Panicked);
            }
        });
        let view = FedView { feed: feed.clone(), changes: 0, complete: false };
        self.running.insert(feed, Running { stop, thread, view, problem: None });
    }

    fn hear(
        &mut self,
        feed: &FeedId,
        told: Told,
        notify: &mut (dyn FnMut(FeedNotice<'_>) + Send),
    ) -> Result<(), ClusterError> {
        let Some(running) = self.running.get_mut(feed) else { return Ok(()) };
        match told {
            Told::Found(changes) => {
                running.view.complete = false;
                notify(FeedNotice::Found { feed, changes });
            }
            Told::Brought(changes, delays) => {
                running.view.changes += changes;
                running.problem = None;
                notify(FeedNotice::Brought { feed, changes, delays });
            }
            Told::Complete(complete) => {
                running.view.complete = complete;
                running.problem = None;
                notify(FeedNotice::Complete { feed, complete });
            }
            Told::Problem(error) => {
                running.view.complete = false;
                let problem = format!("{feed}: {error}");
                // What goes on is told once.
                if running.problem.as_ref() != Some(&problem) {
                    notify(FeedNotice::Problem { feed: Some(feed), problem: problem.clone() });
                    running.problem = Some(problem);
                }
            }
            Told::Panicked => return Err(ClusterError::Panicked { feed: feed.to_string() }),
            Told::Ended(outcome) => {
                self.stop(feed);
                outcome?;
            }
        }
        Ok(())
    }

    /// Stops following a state, and waits until it is.
    fn stop(&mut self, feed: &FeedId) {
        let Some(running) = self.running.remove(feed) else { return };
        running.stop.store(true, Ordering::Relaxed);
        // Panics were caught and told.
        let _ = running.thread.join();
        self.done.insert(feed.clone(), running.view);
    }

    fn stop_all(&mut self) {
        // All are told before any is waited for.
        self.running.values().for_each(|running| running.stop.store(true, Ordering::Relaxed));
        let feeds: Vec<_> = self.running.keys().cloned().collect();
        feeds.iter().for_each(|feed| self.stop(feed));
    }
}
