//! A worker's time with a cluster, from one failure to the next. It knows the cluster by its port alone, and reads no
//! clock but to see when local stores are due.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trifold_pipeline::LiveViews;
use trifold_store::StateStore;

use crate::error::StreamError;
use crate::feed::{FeedId, wanted};
use crate::kafka::cluster::{Changelog, Cluster, Decision, Polled, Transaction};
use crate::kafka::error::ClusterError;
use crate::kafka::fetch::Topic;
use crate::kafka::keying::{Plan, TopicPartition};
use crate::kafka::local::LocalStores;
use crate::kafka::outbox::Outbox;
use crate::kafka::partition::Partition;
use crate::kafka::rekey::Rekey;
use crate::kafka::restore::{clear, last_marker, position, restore};
use crate::kafka::settings::KafkaSettings;
use crate::kafka::topics::Purpose;
use crate::notice::{FeedProgress, Notice, Progress};
use crate::source::Source;
use crate::step::StepReport;
use crate::worker::{Restored, Switch, Worker, WorkerConfig};

/// The state machine of a worker of a group.
pub struct Session<C> {
    settings: Arc<KafkaSettings>,
    config: WorkerConfig,
    cluster: C,
    stores: Arc<dyn LocalStores>,
    plan: Plan,
    held: BTreeMap<TopicPartition, Held>,
    /// Whether the group decided which partitions are held, be it none.
    assigned: bool,
    /// Whether it gives their records.
    begun: bool,
    /// The last event in each partition that this worker partitioned anew.
    routed: BTreeMap<TopicPartition, u64>,
    /// Since when there are committed changes that the local stores do not have.
    unsettled: Option<Instant>,
}

/// A partition that is this worker's.
struct Held {
    worker: Worker<Partition, Outbox>,
    /// Those that take its events to other topics.
    rekeys: BTreeMap<FeedId, Rekey>,
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
    /// How many events were partitioned anew.
    pub rekeyed: u64,
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
        Session {
            settings,
            config,
            cluster,
            stores,
            plan: Plan::default(),
            held: BTreeMap::new(),
            assigned: false,
            begun: false,
            routed: BTreeMap::new(),
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
            for place in &partitions {
                let held = self.take_up(place, partitions.len())?;
                self.held.insert(place.clone(), held);
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
    fn take_up(&mut self, place: &TopicPartition, partition_count: usize) -> Result<Held, ClusterError> {
        let store = self.stores.open(place, partition_count)?;
        let reader = self.cluster.events_reader(place);
        let is_given = self.is_given(place);
        let topic = Topic {
            name: Path::new(&*place.topic).into(),
            checks_keys: !is_given || self.settings.check_keys,
            made_of: (!is_given).then(|| self.cluster.partition_count()),
        };
        let source = Partition::new(self.cluster.log(&place.topic), topic, place.partition, reader);
        let source = match &self.settings.archive {
            Some(dir) if is_given => source.with_archive(dir)?,
            _ => source,
        };
        let outbox = Outbox::new(self.settings.features);
        let resident_bytes = self.config.resident_bytes / partition_count;
        let rows_max = self.config.rows_max.min(self.settings.transaction_rows_max);
        let config = WorkerConfig { resident_bytes, rows_max, ..self.config.clone() };
        let worker = Worker::new(source, store.clone(), outbox, config);
        Ok(Held { worker, rekeys: BTreeMap::new(), store, changed: BTreeMap::new() })
    }

    /// Whether a partition is of the topic that the worker was given.
    fn is_given(&self, place: &TopicPartition) -> bool {
        *place.topic == *self.settings.topic
    }

    /// Puts the versions in force, bringing the states of those that are new up to date.
    pub async fn follow(&mut self, live: &LiveViews, notify: Notify<'_>) -> Result<Restored, ClusterError> {
        let mut all = Restored::default();
        self.prepare(live)?;
        for place in self.held.keys().cloned().collect::<Vec<_>>() {
            self.follow_rekeys(&place)?;
        }
        let nothing = LiveViews::default();
        for (place, held) in &mut self.held {
            let (partition, live) = (place.partition, self.plan.of(&place.topic).unwrap_or(&nothing));
            let wanted = wanted(live);
            let new: Vec<_> = wanted.keys().filter(|feed| !held.worker.follows(feed)).collect();
            for &feed in &new {
                let log = Changelog { feed, partition };
                let begun = Instant::now();
                let entries = restore(&mut self.cluster, log, &*held.store).await?;
                notify(Notice::Restored { feed, partition, entries, took: begun.elapsed() });
            }
            if !new.is_empty() {
                // States that were read before have not applied what came after.
                let (first, known) = self.cluster.ends_of_events(place)?;
                held.worker.source().set_known(first, known);
            }
            let restored = held.worker.restore(live).await?;
            add_switches(&mut all.switched, restored.switched);
            all.problems.extend(restored.problems);
        }
        self.begin()?;
        Ok(all)
    }

    /// Makes the topics of the views in force, and asks the group for a share of those that events are read from.
    fn prepare(&mut self, live: &LiveViews) -> Result<(), ClusterError> {
        self.plan = Plan::new(live, &self.settings, &self.config.source);
        wanted(live).keys().try_for_each(|feed| self.cluster.prepare(feed, &Purpose::OF_VIEW))?;
        let mut keyings = self.plan.rekeyed.values().map(|keying| &keying.feed);
        keyings.try_for_each(|feed| self.cluster.prepare(feed, &Purpose::OF_KEYING))?;
        self.cluster.subscribe(self.plan.topics())
    }

    /// Has the events of a partition taken to the topics that views in force read, and to no others.
    fn follow_rekeys(&mut self, place: &TopicPartition) -> Result<(), ClusterError> {
        let Some(held) = self.held.get_mut(place).filter(|_| *place.topic == *self.settings.topic) else {
            return Ok(());
        };
        let wanted: BTreeMap<_, _> = self.plan.rekeyed.values().map(|keying| (&keying.feed, keying)).collect();
        held.rekeys.retain(|feed, _| wanted.contains_key(feed));
        for (feed, keying) in wanted {
            if held.rekeys.contains_key(feed) {
                continue;
            }
            let log = Changelog { feed, partition: place.partition };
            let (low, end) = self.cluster.ends_of_changes(log)?;
            let marker = last_marker(&mut self.cluster, log, low, end)?;
            let (first, known) = self.cluster.ends_of_events(place)?;
            held.worker.source().set_known(first, known);
            let of = (&self.cluster.log(&place.topic), place.partition, self.cluster.partition_count());
            let rekey = Rekey::begin(keying.clone(), of, marker, known, &self.config)?;
            held.rekeys.insert(feed.clone(), rekey);
        }
        Ok(())
    }

    /// Has the group give records from where the states stand, as soon as there is a view to follow.
    fn begin(&mut self) -> Result<(), ClusterError> {
        if self.begun || !self.assigned || self.held.values().any(Held::is_idle) {
            return Ok(());
        }
        let mut positions = BTreeMap::new();
        for (place, held) in &mut self.held {
            // Where all views stand still, one may go on later, from wherever it stands.
            let next = held.positions().max();
            let next = next.unwrap_or_else(|| held.worker.source().known());
            positions.insert(place.clone(), held.worker.source().begin(next));
        }
        self.cluster.begin(&positions)?;
        self.begun = true;
        Ok(())
    }

    /// Removes the state of a feed that is followed no longer: whether the cluster had any of it.
    ///
    /// Others, and this worker's own stores of other partitions, may still have some of it. Should the state begin again, they
    /// tell its lives apart.
    pub async fn remove(&mut self, feed: &FeedId) -> Result<bool, ClusterError> {
        self.config.incarnation += 1;
        for held in self.held.values_mut() {
            held.worker.begin_other_lives();
            clear(&*held.store, feed.state).await?;
        }
        self.cluster.remove_changes(feed)
    }

    /// Gathers records for a transaction; decisions of the group come first.
    fn gather(&mut self, wait: Duration) -> Result<Vec<Decision>, ClusterError> {
        let held: usize = self.held.values_mut().map(|held| held.worker.source().held()).sum();
        let rows_max = self.settings.transaction_rows_max.saturating_sub(held).max(1);
        let wait = if held > 0 || self.is_behind() { Duration::ZERO } else { wait };
        match self.cluster.poll(rows_max, wait)? {
            Polled::Decided(decisions) => Ok(decisions),
            Polled::Records(records) => {
                for (place, record) in records {
                    if let Some(held) = self.held.get_mut(&place) {
                        held.worker.source().push(record);
                    }
                }
                Ok(Vec::new())
            }
        }
    }

    /// Takes what was gathered through the views and commits what it came to. `None`: there was nothing to do.
    async fn turn(&mut self) -> Result<Option<TurnReport>, ClusterError> {
        let mut report = TurnReport::default();
        let mut rows = 0;
        let mut moved = true;
        let rows_max = self.config.rows_max.min(self.settings.transaction_rows_max);
        while moved && rows < self.settings.transaction_rows_max as u64 {
            moved = false;
            for held in self.held.values_mut() {
                let rekeyed = held.rekey(rows_max)?;
                moved |= rekeyed > 0;
                report.rekeyed += rekeyed;
                rows += rekeyed;
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
        let is_empty = report.steps.is_empty() && report.rekeyed == 0;
        if !is_empty {
            let begun = Instant::now();
            self.commit()?;
            report.committing = begun.elapsed();
            self.unsettled.get_or_insert_with(Instant::now);
        }
        for held in self.held.values_mut() {
            let positions: Vec<u64> = held.positions().collect();
            held.worker.source().forget(positions.into_iter());
        }
        let is_full = self.held.values().any(|held| held.worker.is_full());
        let is_due = self.unsettled.is_some_and(|since| since.elapsed() >= self.settings.local_interval);
        if is_full || is_due {
            self.settle().await?;
        }
        Ok((!is_empty).then_some(report))
    }

    /// Commits what the steps since the last transaction came to.
    fn commit(&mut self) -> Result<(), ClusterError> {
        let mut transaction = Transaction::default();
        for (place, held) in &mut self.held {
            let mut parcels = held.worker.sink().take();
            let routed = held.rekeys.iter_mut();
            parcels.extend(routed.filter_map(|(feed, rekey)| Some((feed.clone(), rekey.parcel()?))));
            if parcels.is_empty() {
                continue;
            }
            // Without a position the cluster would not look whether the partition is still this worker's.
            let next = held.positions().min();
            let next = next.unwrap_or_else(|| held.worker.source().known());
            transaction.positions.push((place.clone(), next));
            let parcels = parcels.into_iter().map(|(feed, parcel)| (place.clone(), feed, parcel));
            transaction.parcels.extend(parcels);
        }
        let committed = self.cluster.commit(&transaction)?;
        self.routed.extend(committed.routed);
        for ((place, feed, _), changed) in transaction.parcels.into_iter().zip(committed.changed) {
            let held = self.held.get_mut(&place).filter(|held| held.worker.follows(&feed));
            if let (Some(held), Some(next)) = (held, changed) {
                held.changed.insert(feed, next);
            }
        }
        Ok(())
    }

    /// Writes to the local stores what was committed.
    pub async fn settle(&mut self) -> Result<(), ClusterError> {
        self.unsettled = None;
        for (place, held) in &mut self.held {
            held.worker.checkpoint().await?;
            let changed = std::mem::take(&mut held.changed);
            let partition = place.partition;
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
    pub fn is_done(&mut self) -> Result<bool, ClusterError> {
        if !self.begun || self.is_behind() {
            return Ok(false);
        }
        for (place, held) in &mut self.held {
            let source = held.worker.source();
            // What this worker itself put there may not be visible yet.
            let is_out = self.routed.get(place).is_some_and(|last| source.given() <= *last);
            if is_out || !source.is_at_end()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a feed has yet to read what the others have.
    fn is_behind(&mut self) -> bool {
        self.held.values_mut().any(|held| {
            let positions: Vec<u64> = held.positions().collect();
            held.worker.source().is_behind(positions.into_iter())
        })
    }

    /// Leaves the group. Others take over at once.
    pub fn leave(&mut self) {
        self.cluster.leave();
    }

    /// How far the worker is: offsets are sums over its partitions. Events that are yet to be partitioned anew count as
    /// those of the views that wait for them.
    pub fn progress(&mut self) -> Progress {
        let mut feeds: BTreeMap<FeedId, FeedProgress> = BTreeMap::new();
        let mut waiting: BTreeMap<FeedId, u64> = BTreeMap::new();
        for held in self.held.values_mut() {
            let known = held.worker.source().known();
            for (keying, rekey) in &held.rekeys {
                *waiting.entry(keying.clone()).or_default() += known.saturating_sub(rekey.next());
            }
            for feed in held.worker.progress(None).feeds {
                match feeds.get_mut(&feed.feed) {
                    None => drop(feeds.insert(feed.feed.clone(), feed)),
                    Some(sum) => {
                        sum.next += feed.next;
                        sum.known += feed.known;
                        sum.blocked |= feed.blocked;
                        sum.counts.add(&feed.counts);
                    }
                }
            }
        }
        for (topic, keying) in &self.plan.rekeyed {
            let waiting = waiting.get(&keying.feed).copied().unwrap_or(0);
            for feed in self.plan.of(topic).into_iter().flat_map(|live| wanted(live).into_keys()) {
                feeds.entry(feed).and_modify(|feed| feed.known += waiting);
            }
        }
        let rows_known = feeds.values().map(|feed| feed.known).max().unwrap_or(0);
        Progress { rows_known, feeds: feeds.into_values().collect() }
    }
}

impl Held {
    fn is_idle(&self) -> bool {
        self.worker.is_idle() && self.rekeys.is_empty()
    }

    /// The next offset of all that reads the partition and can move.
    fn positions(&self) -> impl Iterator<Item = u64> {
        self.worker.positions().chain(self.rekeys.values().map(Rekey::next))
    }

    /// Takes the next events to other topics: how many offsets that moved them on.
    fn rekey(&mut self, rows_max: usize) -> Result<u64, StreamError> {
        let mut moved = 0;
        for rekey in self.rekeys.values_mut() {
            let from = rekey.next();
            if let Some(raw) = self.worker.source().read(from, rows_max).map_err(StreamError::Log)? {
                rekey.take(&raw).map_err(StreamError::Log)?;
                moved += rekey.next() - from;
            }
        }
        Ok(moved)
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
