//! A worker's time with a cluster, from one failure to the next. It knows the cluster by its port alone, and reads no
//! clock but to see when local stores are due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use trifold_model::LogId;
use trifold_pipeline::LiveViews;
use trifold_store::StateStore;

use crate::feed::{FeedId, wanted};
use crate::kafka::cluster::{Changelog, Cluster, Decision, Polled, Transaction};
use crate::kafka::error::ClusterError;
use crate::kafka::local::LocalStores;
use crate::kafka::outbox::Outbox;
use crate::kafka::partition::Partition;
use crate::kafka::restore::{position, restore};
use crate::kafka::settings::KafkaSettings;
use crate::notice::{FeedProgress, Notice, Progress};
use crate::step::StepReport;
use crate::worker::{Restored, Switch, Worker, WorkerConfig};

/// The state machine of a worker of a group.
pub struct Session<C> {
    settings: Arc<KafkaSettings>,
    config: WorkerConfig,
    cluster: C,
    stores: Arc<dyn LocalStores>,
    log: LogId,
    held: BTreeMap<u32, Held>,
    /// Whether the group decided which partitions are held, be it none.
    assigned: bool,
    /// Whether it gives their records.
    begun: bool,
    /// The partitions of which the group gave all that there was.
    ended: BTreeSet<u32>,
    /// Since when there are committed changes that the local stores do not have.
    unsettled: Option<Instant>,
}

/// A partition that is this worker's.
struct Held {
    worker: Worker<Partition, Outbox>,
    store: Arc<dyn StateStore>,
    /// Up to where each feed's topic of changes is in the worker's memory.
    changed: BTreeMap<FeedId, u64>,
}

/// What was told to whoever watches.
pub type Notify<'a> = &'a mut (dyn FnMut(Notice<'_>) + Send);

/// A turn that was committed.
#[derive(Debug, Default)]
pub struct TurnReport {
    /// The steps that it was made of.
    pub steps: Vec<StepReport>,
    /// How long the transaction took.
    pub committing: Duration,
}

impl<C: Cluster> Session<C> {
    /// A worker that has no partitions yet.
    pub fn new(
        settings: Arc<KafkaSettings>,
        config: WorkerConfig,
        cluster: C,
        stores: Arc<dyn LocalStores>,
    ) -> Self {
        let log = cluster.log();
        Session {
            settings,
            config,
            cluster,
            stores,
            log,
            held: BTreeMap::new(),
            assigned: false,
            begun: false,
            ended: BTreeSet::new(),
            unsettled: None,
        }
    }

    /// One look at the group, and what came of it: what began, and the turn, if there was anything to do.
    pub async fn round(
        &mut self,
        live: &LiveViews,
        wait: Duration,
        notify: Notify<'_>,
    ) -> Result<(Restored, Option<TurnReport>), ClusterError> {
        let decisions = self.gather(wait)?;
        let restored = self.decide(decisions, live, notify).await?;
        Ok((restored, self.turn().await?))
    }

    /// Does what the group decided.
    async fn decide(
        &mut self,
        decisions: Vec<Decision>,
        live: &LiveViews,
        notify: Notify<'_>,
    ) -> Result<Restored, ClusterError> {
        let mut restored = Restored::default();
        let mut waiting = VecDeque::from(decisions);
        while let Some(decision) = waiting.pop_front() {
            self.settle().await?;
            self.held.clear();
            self.begun = false;
            self.assigned = matches!(decision, Decision::Assigned(_));
            let Decision::Assigned(partitions) = decision else { continue };
            notify(Notice::Assigned { partitions: &partitions });
            for &partition in &partitions {
                let held = self.take_up(partition, partitions.len())?;
                self.held.insert(partition, held);
            }
            match self.follow(live, notify).await {
                Ok(began) => restored = began,
                Err(ClusterError::Regrouped) => waiting.extend(self.cluster.decisions()),
                Err(error) => return Err(error),
            }
        }
        Ok(restored)
    }

    /// Opens the local store of a partition, which is one of so many that share the worker's memory.
    fn take_up(&mut self, partition: u32, partition_count: usize) -> Result<Held, ClusterError> {
        let store = self.stores.open(partition, partition_count)?;
        let reader = self.cluster.events_reader(partition);
        let source = Partition::new(self.log.clone(), partition, &self.settings, reader);
        let source = source.with_archive(&self.settings)?;
        let outbox = Outbox::new(self.settings.features);
        let resident_bytes = self.config.resident_bytes / partition_count;
        let rows_max = self.config.rows_max.min(self.settings.transaction_rows_max);
        let config = WorkerConfig { resident_bytes, rows_max, ..self.config.clone() };
        let worker = Worker::new(source, store.clone(), outbox, config);
        Ok(Held { worker, store, changed: BTreeMap::new() })
    }

    /// Puts the versions in force, bringing the states of those that are new up to date.
    pub async fn follow(&mut self, live: &LiveViews, notify: Notify<'_>) -> Result<Restored, ClusterError> {
        let mut all = Restored::default();
        let wanted = wanted(live);
        wanted.keys().try_for_each(|feed| self.cluster.prepare(feed))?;
        for (&partition, held) in &mut self.held {
            let new: Vec<_> = wanted.keys().filter(|feed| !held.worker.follows(feed)).collect();
            for &feed in &new {
                let log = Changelog { feed, partition };
                let begun = Instant::now();
                let entries = restore(&mut self.cluster, log, &*held.store).await?;
                notify(Notice::Restored { feed, partition, entries, took: begun.elapsed() });
            }
            if !new.is_empty() {
                // States that were read before have not applied what came after.
                let (first, known) = self.cluster.ends_of_events(partition)?;
                held.worker.source().set_known(first, known);
            }
            let restored = held.worker.restore(live).await?;
            add_switches(&mut all.switched, restored.switched);
            all.problems.extend(restored.problems);
        }
        self.begin()?;
        Ok(all)
    }

    /// Has the group give records from where the states stand, as soon as there is a view to follow.
    fn begin(&mut self) -> Result<(), ClusterError> {
        if self.begun || !self.assigned || self.held.values().any(|held| held.worker.is_idle()) {
            return Ok(());
        }
        let mut positions = BTreeMap::new();
        for (&partition, held) in &mut self.held {
            // Where all views stand still, one may go on later, from wherever it stands.
            let next = held.worker.positions().max();
            let next = next.unwrap_or_else(|| held.worker.source().known());
            positions.insert(partition, held.worker.source().begin(next));
        }
        self.cluster.begin(&positions)?;
        self.begun = true;
        self.ended.clear();
        Ok(())
    }

    /// Gathers records for a transaction; decisions of the group come first.
    fn gather(&mut self, wait: Duration) -> Result<Vec<Decision>, ClusterError> {
        let held: usize = self.held.values_mut().map(|held| held.worker.source().held()).sum();
        let rows_max = self.settings.transaction_rows_max.saturating_sub(held).max(1);
        let wait = if held > 0 || self.is_behind() { Duration::ZERO } else { wait };
        match self.cluster.poll(rows_max, wait)? {
            Polled::Decided(decisions) => Ok(decisions),
            Polled::Records { records, ended } => {
                for (partition, record) in records {
                    self.ended.remove(&partition);
                    if let Some(held) = self.held.get_mut(&partition) {
                        held.worker.source().push(record);
                    }
                }
                self.ended.extend(ended);
                Ok(Vec::new())
            }
        }
    }

    /// Takes what was gathered through the views and commits what it came to. `None`: there was nothing to do.
    async fn turn(&mut self) -> Result<Option<TurnReport>, ClusterError> {
        let mut report = TurnReport::default();
        let mut rows = 0;
        let mut moved = true;
        while moved && rows < self.settings.transaction_rows_max as u64 {
            moved = false;
            for held in self.held.values_mut() {
                let Some(polled) = held.worker.poll(None)? else { continue };
                let step = held.worker.process(polled).await?;
                let step = held.worker.apply(step)?;
                rows += step.next_offset - step.first_offset;
                report.steps.push(step);
                moved = true;
                if rows >= self.settings.transaction_rows_max as u64 {
                    break;
                }
            }
        }
        if !report.steps.is_empty() {
            let begun = Instant::now();
            self.commit()?;
            report.committing = begun.elapsed();
            self.unsettled.get_or_insert_with(Instant::now);
        }
        for held in self.held.values_mut() {
            let positions: Vec<u64> = held.worker.positions().collect();
            held.worker.source().forget(positions.into_iter());
        }
        let is_full = self.held.values().any(|held| held.worker.is_full());
        let is_due = self.unsettled.is_some_and(|since| since.elapsed() >= self.settings.local_interval);
        if is_full || is_due {
            self.settle().await?;
        }
        Ok((!report.steps.is_empty()).then_some(report))
    }

    /// Commits what the steps since the last transaction came to.
    fn commit(&mut self) -> Result<(), ClusterError> {
        let mut transaction = Transaction::default();
        for (&partition, held) in &mut self.held {
            let parcels = held.worker.sink().take();
            if parcels.is_empty() {
                continue;
            }
            // Without a position the cluster would not look whether the partition is still this worker's.
            let next = held.worker.positions().min();
            let next = next.unwrap_or_else(|| held.worker.source().known());
            transaction.positions.push((partition, next));
            transaction.parcels.extend(parcels.into_iter().map(|(feed, parcel)| (partition, feed, parcel)));
        }
        let changed = self.cluster.commit(&transaction)?;
        for ((partition, feed, _), changed) in transaction.parcels.into_iter().zip(changed) {
            if let (Some(held), Some(next)) = (self.held.get_mut(&partition), changed) {
                held.changed.insert(feed, next);
            }
        }
        Ok(())
    }

    /// Writes to the local stores what was committed.
    pub async fn settle(&mut self) -> Result<(), ClusterError> {
        self.unsettled = None;
        for (&partition, held) in &mut self.held {
            held.worker.checkpoint().await?;
            let changed = std::mem::take(&mut held.changed);
            let at = |(feed, next): (FeedId, u64)| position(Changelog { feed: &feed, partition }, next);
            let positions: Vec<_> = changed.into_iter().map(at).collect();
            if !positions.is_empty() {
                held.store.commit(positions).await?;
            }
        }
        tracing::trace!("local stores written");
        Ok(())
    }

    /// Whether everything that there was when it was last looked is done.
    pub fn is_done(&mut self) -> bool {
        self.begun && self.held.keys().all(|partition| self.ended.contains(partition)) && !self.is_behind()
    }

    /// Whether a feed has yet to read what the others have.
    fn is_behind(&mut self) -> bool {
        self.held.values_mut().any(|held| {
            let positions: Vec<u64> = held.worker.positions().collect();
            held.worker.source().is_behind(positions.into_iter())
        })
    }

    /// Leaves the group. Others take over at once.
    pub fn leave(&mut self) {
        self.cluster.leave();
    }

    /// How far the worker is: offsets are sums over its partitions.
    pub fn progress(&self) -> Progress {
        let mut rows_known = 0;
        let mut feeds: BTreeMap<FeedId, FeedProgress> = BTreeMap::new();
        for held in self.held.values() {
            let progress = held.worker.progress(None);
            rows_known += progress.rows_known;
            for feed in progress.feeds {
                match feeds.get_mut(&feed.feed) {
                    None => drop(feeds.insert(feed.feed.clone(), feed)),
                    Some(sum) => {
                        sum.next += feed.next;
                        sum.blocked |= feed.blocked;
                        sum.counts.add(&feed.counts);
                    }
                }
            }
        }
        Progress { rows_known, feeds: feeds.into_values().collect() }
    }
}

/// Tells of a feed once: its offsets are added up over the partitions.
fn add_switches(all: &mut Vec<Switch>, of_partition: Vec<Switch>) {
    for switch in of_partition {
        match all.iter_mut().find(|other| other.feed == switch.feed) {
            Some(told) => told.offset += switch.offset,
            None => all.push(switch),
        }
    }
}
