//! A worker's time with a cluster, from one failure to the next: its partitions, its clients and its topics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trifold_eventlog::APPEND_TIME;
use trifold_model::LogId;
use trifold_pipeline::LiveViews;
use trifold_store::{CACHE_BYTES, EmbeddedStore, Holder, OnlineStore};

use crate::feed::{FeedId, wanted};
use crate::kafka::error::ClusterError;
use crate::kafka::group::{Decision, Member, Polled};
use crate::kafka::outbox::{Outbox, Outgoing, Parcel};
use crate::kafka::partition::Partition;
use crate::kafka::restore::{Changelog, Restorer, position};
use crate::kafka::settings::{KafkaSettings, LOCAL_AGE_MAX};
use crate::kafka::topics::{Purpose, Topics};
use crate::kafka::transaction::Writer;
use crate::notice::{FeedProgress, Notice, Progress};
use crate::step::StepReport;
use crate::worker::{Restored, Switch, Worker, WorkerConfig};

/// All that depends on the cluster.
pub(crate) struct Session {
    settings: Arc<KafkaSettings>,
    config: WorkerConfig,
    holder: Holder,
    log: LogId,
    partition_count: u32,
    topics: Topics,
    member: Member,
    writer: Writer,
    restorer: Restorer,
    named: BTreeMap<FeedId, BTreeMap<Purpose, String>>,
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
    store: Arc<EmbeddedStore>,
    /// Up to where each feed's topic of changes is in the worker's memory.
    changed: BTreeMap<FeedId, u64>,
}

/// What was told to whoever watches.
pub(crate) type Notify<'a> = &'a mut (dyn FnMut(Notice<'_>) + Send);

/// A turn that was committed.
#[derive(Debug, Default)]
pub(crate) struct TurnReport {
    pub(crate) steps: Vec<StepReport>,
}

impl Session {
    /// Connects, checks the topic of events, ends what a worker of this name left open, and joins the group.
    pub(crate) fn new(
        settings: Arc<KafkaSettings>,
        config: WorkerConfig,
        holder: Holder,
    ) -> Result<Self, ClusterError> {
        let topics = Topics::new(&settings)?;
        let topic = &settings.topic;
        let partition_count =
            topics.partitions(topic)?.ok_or_else(|| ClusterError::UnknownTopic { topic: topic.clone() })?;
        if config.source.arrival.as_deref() == Some(APPEND_TIME) {
            topics.check_append_times(topic)?;
        }
        let log = LogId(format!("{}/{topic}", topics.cluster_id()?).into());
        Ok(Session {
            writer: Writer::new(&settings)?,
            restorer: Restorer::new(&settings)?,
            member: Member::join(&settings)?,
            settings,
            config,
            holder,
            log,
            partition_count,
            topics,
            named: BTreeMap::new(),
            held: BTreeMap::new(),
            assigned: false,
            begun: false,
            ended: BTreeSet::new(),
            unsettled: None,
        })
    }

    /// Does what the group decided.
    pub(crate) async fn decide(
        &mut self,
        decisions: Vec<Decision>,
        live: &LiveViews,
        notify: Notify<'_>,
    ) -> Result<Restored, ClusterError> {
        let mut restored = Restored::default();
        let mut waiting = std::collections::VecDeque::from(decisions);
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
                Err(ClusterError::Regrouped) => waiting.extend(self.member.decisions()),
                Err(error) => return Err(error),
            }
        }
        Ok(restored)
    }

    /// Opens the local store of a partition, which is one of so many that share the worker's memory.
    fn take_up(&self, partition: u32, partition_count: usize) -> Result<Held, ClusterError> {
        let path = self.settings.state_dir.join(format!("{partition}.redb"));
        let dir = &self.settings.state_dir;
        fs::create_dir_all(dir).map_err(|source| ClusterError::Local {
            action: "make",
            path: dir.clone(),
            source,
        })?;
        remove_old(&path).map_err(|source| ClusterError::Local {
            action: "remove",
            path: path.clone(),
            source,
        })?;
        let store = Arc::new(EmbeddedStore::open_with(&path, &self.holder, CACHE_BYTES / partition_count)?);
        let source = Partition::new(self.log.clone(), partition, self.settings.clone());
        let outbox = Outbox::new(self.settings.features);
        let resident_bytes = self.config.resident_bytes / partition_count;
        let config = WorkerConfig { resident_bytes, ..self.config.clone() };
        let worker = Worker::new(source, store.clone(), outbox, config);
        Ok(Held { worker, store, changed: BTreeMap::new() })
    }

    /// Puts the versions in force, bringing the states of those that are new up to date.
    pub(crate) async fn follow(&mut self, live: &LiveViews, notify: Notify<'_>) -> Result<Restored, ClusterError> {
        let mut all = Restored::default();
        for (feed, _) in wanted(live) {
            if !self.named.contains_key(&feed) {
                let topics = self.topics.of_feed(&feed, self.partition_count)?;
                self.named.insert(feed, topics);
            }
        }
        for (&partition, held) in &mut self.held {
            let known = self.member.committed_end(partition)?;
            held.worker.source().set_known(known);
            for feed in wanted(live).into_keys().filter(|feed| !held.worker.follows(feed)).collect::<Vec<_>>() {
                let topic = &self.named[&feed][&Purpose::Changes];
                let log = Changelog { topic, partition, state: feed.state };
                let (begun, member) = (self.begun, &self.member);
                let mut serve = || if begun { Ok(()) } else { member.serve() };
                let restored = self.restorer.restore(log, &held.store, &mut serve).await?;
                notify(Notice::Restored { feed: &feed, partition, entries: restored.entries });
            }
            let restored = held.worker.restore(live).await?;
            add_switches(&mut all.switched, restored.switched);
            all.problems.extend(restored.problems);
        }
        self.begin()?;
        Ok(all)
    }

    /// Has the group give records from where the states stand.
    fn begin(&mut self) -> Result<(), ClusterError> {
        let positions: BTreeMap<u32, u64> = self
            .held
            .iter()
            .filter_map(|(&partition, held)| Some((partition, held.worker.positions().max()?)))
            .collect();
        if self.begun || !self.assigned || positions.len() < self.held.len() {
            return Ok(());
        }
        for (partition, held) in &mut self.held {
            held.worker.source().begin(positions[partition]);
        }
        self.member.begin(positions)?;
        self.begun = true;
        self.ended.clear();
        Ok(())
    }

    /// Gathers records for a transaction; decisions of the group come first.
    pub(crate) fn gather(&mut self, wait: Duration) -> Result<Vec<Decision>, ClusterError> {
        let held: usize = self.held.values_mut().map(|held| held.worker.source().held()).sum();
        let rows_max = self.settings.transaction_rows_max.saturating_sub(held).max(1);
        let wait = if held > 0 || self.is_behind() { Duration::ZERO } else { wait };
        match self.member.poll(rows_max, wait, self.settings.transaction_interval)? {
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
    pub(crate) async fn turn(&mut self) -> Result<Option<TurnReport>, ClusterError> {
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
            }
        }
        if report.steps.is_empty() {
            return Ok(None);
        }
        self.commit()?;
        for held in self.held.values_mut() {
            let positions: Vec<u64> = held.worker.positions().collect();
            held.worker.source().forget(positions.into_iter());
        }
        let since = *self.unsettled.get_or_insert_with(Instant::now);
        let is_full = self.held.values().any(|held| held.worker.is_full());
        if is_full || since.elapsed() >= self.settings.local_interval {
            self.settle().await?;
        }
        Ok(Some(report))
    }

    /// Commits what the steps since the last transaction came to.
    fn commit(&mut self) -> Result<(), ClusterError> {
        let (mut positions, mut tracked) = (Vec::new(), Vec::new());
        self.writer.begin()?;
        for (&partition, held) in &mut self.held {
            let parcels = held.worker.sink().take();
            if parcels.is_empty() {
                continue;
            }
            positions.extend(held.worker.positions().min().map(|next| (partition, next)));
            for (feed, parcel) in parcels {
                let topics = &self.named[&feed];
                tracked.push((partition, feed));
                send(&self.writer, topics, partition, parcel, tracked.len())?;
            }
        }
        tracing::trace!("transaction has its records");
        let Some(member) = self.member.metadata() else { return Err(ClusterError::Regrouped) };
        let offsets = self.writer.commit(&positions, &member)?;
        for (track, (partition, feed)) in (1..).zip(tracked) {
            if let (Some(held), Some(offset)) = (self.held.get_mut(&partition), offsets.get(&track)) {
                // After the marker comes the record that says that the transaction was committed. Whatever a worker
                // that has lost the partition writes in between is never committed.
                held.changed.insert(feed, offset + 2);
            }
        }
        Ok(())
    }

    /// Writes to the local stores what was committed.
    pub(crate) async fn settle(&mut self) -> Result<(), ClusterError> {
        self.unsettled = None;
        for (&partition, held) in &mut self.held {
            held.worker.checkpoint().await?;
            let changed = std::mem::take(&mut held.changed);
            let at = |(feed, next): (FeedId, u64)| {
                let topic = self.named.get(&feed)?.get(&Purpose::Changes)?;
                Some(position(Changelog { topic, partition, state: feed.state }, next))
            };
            let positions: Vec<_> = changed.into_iter().filter_map(at).collect();
            if !positions.is_empty() {
                held.store.commit(positions).await?;
            }
        }
        tracing::trace!("local stores written");
        Ok(())
    }

    /// Whether everything that there was when it was last looked is done.
    pub(crate) fn is_done(&mut self) -> bool {
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
    pub(crate) fn leave(&self) {
        self.member.leave();
    }

    /// How far the worker is: offsets are sums over its partitions.
    pub(crate) fn progress(&self) -> Progress {
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

/// Removes a local store of which the topics of changes may have forgotten what was removed since. A file whose age is
/// not known is left to its position in the topic.
fn remove_old(path: &Path) -> io::Result<()> {
    let modified = match fs::metadata(path) {
        Ok(metadata) => metadata.modified()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    match modified.elapsed() {
        Ok(age) if age > LOCAL_AGE_MAX => fs::remove_file(path),
        _ => Ok(()),
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

/// Writes what is to be written for one feed; the marker comes last and is tracked.
fn send(
    writer: &Writer,
    topics: &BTreeMap<Purpose, String>,
    partition: u32,
    parcel: Parcel,
    track: usize,
) -> Result<(), ClusterError> {
    let Parcel { messages, changes, marker } = parcel;
    for (purpose, message) in &messages {
        writer.send(&topics[purpose], partition, message, 0)?;
    }
    writer.serve();
    let topic = &topics[&Purpose::Changes];
    for (key, value) in changes {
        writer.send(topic, partition, &Outgoing { key: Some(key), value }, 0)?;
    }
    writer.serve();
    marker.iter().try_for_each(|marker| writer.send(topic, partition, marker, track))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_store_that_was_not_written_for_days_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.redb");
        remove_old(&path).unwrap();
        let file = fs::File::create(&path).unwrap();
        remove_old(&path).unwrap();
        assert!(path.exists());
        let written = file.metadata().unwrap().modified().unwrap();
        let earlier: SystemTime = written - LOCAL_AGE_MAX - Duration::from_secs(60);
        file.set_modified(earlier).unwrap();
        remove_old(&path).unwrap();
        assert!(!path.exists());
    }
}
