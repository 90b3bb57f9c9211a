//! A cluster in memory that does to its workers whatever a real one may do, when a seed says so.
//!
//! It keeps to the protocol of transactions and groups where the guarantees rest on it: a transaction is written record
//! by record, fenced by the producer's epoch and by the group's generation, decided, and only later visible; a worker
//! that is taken for dead may be in the midst of anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rdkafka::error::KafkaError;
use trifold_model::{LogId, StateId};
use trifold_store::Entry;
use trifold_stream::FeedId;
use trifold_stream::kafka::{
    Changelog, Cluster, ClusterError, Committed, Decision, Fetch, Fetched, Parcel, Polled, Purpose, Routed,
    TopicNames, TopicPartition, Transaction,
};
use trifold_tests::random::SplitMix64;

/// What the cluster lets pass, or does itself, though it must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Markers and positions are committed before what belongs to them is.
    CommitBeforeFlush,
    /// Markers say that one event more was applied.
    OffByOne,
    /// Whoever lost a partition commits all the same.
    MissedFencing,
}

pub(crate) const GROUP: &str = "group";
pub(crate) const TOPIC: &str = "events";

/// What everybody sees, and what happens to it.
pub(crate) struct World {
    pub(crate) random: SplitMix64,
    pub(crate) trace: Vec<String>,
    /// Faults come until this is turned off.
    pub(crate) is_rough: bool,
    /// How many releases there were.
    pub(crate) release: usize,
    bug: Option<Bug>,
    /// By partition; only so many are there yet.
    events: Vec<Vec<Fetched>>,
    produced: Vec<usize>,
    /// What was partitioned anew.
    routed: BTreeMap<TopicPartition, Vec<Moved>>,
    changes: BTreeMap<(FeedId, u32), Vec<Written>>,
    messages: Vec<(usize, FeedId, u32, Purpose, Vec<u8>)>,
    transactions: Vec<Tx>,
    /// The epoch of each producer's name.
    epochs: BTreeMap<String, u64>,
    generation: u64,
    /// The topics that each member asks for.
    members: BTreeMap<u64, BTreeSet<Arc<str>>>,
    named: u64,
    /// The worker that must die now.
    pub(crate) doomed: Option<String>,
}

/// A record of a topic of changes, or the end of a transaction.
struct Written {
    transaction: usize,
    entry: Option<(Vec<u8>, Option<Vec<u8>>)>,
}

/// An event that was partitioned anew, or the end of a transaction.
struct Moved {
    transaction: usize,
    event: Option<Fetched>,
}

struct Tx {
    producer: String,
    fate: Fate,
    touched: Vec<(FeedId, u32)>,
    routed: BTreeSet<TopicPartition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    /// It will be committed, and is not visible yet.
    Decided,
    Committed,
    Aborted,
}

/// Lets other workers go on while one is in the midst of something.
pub(crate) type Meanwhile = Arc<dyn Fn() + Send + Sync>;

/// The cluster, as one worker sees it.
pub(crate) struct Seen {
    world: Arc<Mutex<World>>,
    name: String,
    epoch: u64,
    member: u64,
    generation: u64,
    topics: BTreeSet<Arc<str>>,
    /// Where the group reads on.
    fetching: BTreeMap<TopicPartition, u64>,
    meanwhile: Meanwhile,
}

fn failed(action: &str) -> ClusterError {
    ClusterError::Client { action: action.to_owned(), source: Box::new(KafkaError::Canceled) }
}

impl World {
    pub(crate) fn new(seed: u64, events: Vec<Vec<Fetched>>, bug: Option<Bug>) -> Self {
        World {
            random: SplitMix64(seed),
            trace: Vec::new(),
            is_rough: true,
            release: 0,
            bug,
            produced: vec![0; events.len()],
            events,
            routed: BTreeMap::new(),
            changes: BTreeMap::new(),
            messages: Vec::new(),
            transactions: Vec::new(),
            epochs: BTreeMap::new(),
            generation: 0,
            members: BTreeMap::new(),
            named: 0,
            doomed: None,
        }
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.is_rough && self.random.between(0, count) == 0
    }

    pub(crate) fn tell(&mut self, what: impl Into<String>) {
        self.trace.push(what.into());
    }

    /// Something that happens without any worker: events come, members expire, transactions end.
    pub(crate) fn tick(&mut self) {
        for partition in 0..self.events.len() {
            let more = self.random.between(0, 5) as usize;
            self.produced[partition] = (self.produced[partition] + more).min(self.events[partition].len());
        }
        if self.one_in(12) {
            self.expire();
        }
        if self.one_in(40) {
            self.release += 1;
            self.tell(format!("release {}", self.release));
        }
        for at in 0..self.transactions.len() {
            if self.transactions[at].fate == Fate::Decided && self.random.between(0, 2) == 0 {
                self.end(at, Fate::Committed);
            }
        }
    }

    /// Everything is there, and nothing fails any more.
    pub(crate) fn calm(&mut self) {
        self.is_rough = false;
        self.release = 0;
        self.produced = self.events.iter().map(Vec::len).collect();
        self.members.clear();
        self.generation += 1;
    }

    /// A member is taken for dead.
    fn expire(&mut self) {
        let members: Vec<u64> = self.members.keys().copied().collect();
        if !members.is_empty() {
            let member = members[self.random.between(0, members.len() as u64) as usize];
            self.tell(format!("member {member} is taken for dead"));
            self.members.remove(&member);
            self.generation += 1;
        }
    }

    fn join(&mut self, name: &str, topics: &BTreeSet<Arc<str>>) -> u64 {
        self.named += 1;
        self.members.insert(self.named, topics.clone());
        self.generation += 1;
        self.tell(format!("{name} joins as member {}", self.named));
        self.named
    }

    /// The partitions of a member, as the group has decided.
    fn share(&self, member: u64) -> Vec<TopicPartition> {
        let mut share = Vec::new();
        for (number, topic) in self.members[&member].iter().enumerate() {
            let who: Vec<_> = self.members.iter().filter(|(_, topics)| topics.contains(topic)).collect();
            let at = who.iter().position(|(other, _)| **other == member);
            let is_its = |partition: &usize| Some((partition + number) % who.len()) == at;
            let own = (0..self.events.len()).filter(is_its).map(|partition| partition as u32);
            share.extend(own.map(|partition| TopicPartition { topic: topic.clone(), partition }));
        }
        share
    }

    /// The events that there are to be read, in their order.
    pub(crate) fn events(&self, place: &TopicPartition) -> Vec<&Fetched> {
        if *place.topic == *TOPIC {
            let partition = place.partition as usize;
            return self.events[partition][..self.produced[partition]].iter().collect();
        }
        let fate = |moved: &&Moved| self.transactions[moved.transaction].fate;
        let all = self.routed.get(place).into_iter().flatten();
        // Nothing is visible behind what may yet be committed.
        let decided = all.take_while(|moved| matches!(fate(moved), Fate::Committed | Fate::Aborted));
        decided.filter(|moved| fate(moved) == Fate::Committed).filter_map(|moved| moved.event.as_ref()).collect()
    }

    fn end(&mut self, at: usize, fate: Fate) {
        self.transactions[at].fate = fate;
        for log in self.transactions[at].touched.clone() {
            self.changes.entry(log).or_default().push(Written { transaction: at, entry: None });
        }
        for place in self.transactions[at].routed.clone() {
            self.routed.entry(place).or_default().push(Moved { transaction: at, event: None });
        }
        self.tell(format!("transaction {at} of {} is {fate:?}", self.transactions[at].producer));
    }

    /// Ends whatever a producer left open.
    fn end_all_of(&mut self, name: &str) {
        for at in 0..self.transactions.len() {
            if self.transactions[at].producer == name {
                self.end_now(at);
            }
        }
    }

    fn end_now(&mut self, at: usize) {
        match self.transactions[at].fate {
            Fate::Open => self.end(at, Fate::Aborted),
            Fate::Decided => self.end(at, Fate::Committed),
            Fate::Committed | Fate::Aborted => {}
        }
    }

    fn open(&mut self, producer: &str) -> usize {
        let (producer, fate) = (producer.to_owned(), Fate::Open);
        self.transactions.push(Tx { producer, fate, touched: Vec::new(), routed: BTreeSet::new() });
        self.transactions.len() - 1
    }

    fn write(&mut self, transaction: usize, feed: &FeedId, partition: u32, parcel: &Parcel) {
        for (purpose, message) in &parcel.messages {
            let value = message.value.clone().unwrap_or_default().to_vec();
            self.messages.push((transaction, feed.clone(), partition, *purpose, value));
        }
        parcel.routed.iter().for_each(|routed| self.route(transaction, feed, routed));
        self.write_changes(transaction, feed, partition, parcel);
    }

    /// The events that were partitioned anew, by where they stood first.
    pub(crate) fn moved(&self) -> Vec<(u32, u64)> {
        let events = self.routed.keys().flat_map(|place| self.events(place));
        let mut moved: Vec<_> =
            events.filter_map(|event| Some((event.origin?.partition, event.origin?.offset?))).collect();
        moved.sort();
        moved
    }

    fn route(&mut self, transaction: usize, feed: &FeedId, routed: &Routed) {
        let topic: Arc<str> = TopicNames::new(GROUP).of(feed, Purpose::Repartition).into();
        let place = TopicPartition { topic, partition: routed.partition };
        let log = self.routed.entry(place.clone()).or_default();
        let event = Fetched {
            offset: log.len() as u64,
            key: routed.record.key.clone(),
            value: routed.record.value.clone().unwrap_or_default().to_vec(),
            problem: routed.problem.clone(),
            append_time: None,
            origin: Some(routed.origin),
        };
        log.push(Moved { transaction, event: Some(event) });
        self.transactions[transaction].routed.insert(place);
    }

    fn write_changes(&mut self, transaction: usize, feed: &FeedId, partition: u32, parcel: &Parcel) {
        let log = (feed.clone(), partition);
        let changes = parcel.changes.iter().map(|(key, value)| (key.clone(), value.clone()));
        let marker = parcel.marker.iter().map(|marker| (marker.key.clone().unwrap(), marker.value.clone()));
        let written = changes
            .chain(marker)
            .map(|(key, value)| Written { transaction, entry: Some((key, value.map(|value| value.to_vec()))) });
        self.changes.entry(log.clone()).or_default().extend(written);
        self.transactions[transaction].touched.push(log);
    }

    /// The committed messages of a feed, by partition.
    pub(crate) fn committed(&self, feed: &FeedId) -> BTreeMap<(u32, Purpose), Vec<String>> {
        let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (transaction, of, partition, purpose, value) in &self.messages {
            if of == feed && self.transactions[*transaction].fate == Fate::Committed {
                let text = String::from_utf8(value.clone()).unwrap();
                found.entry((*partition, *purpose)).or_default().push(text);
            }
        }
        found
    }
}

impl Seen {
    /// A worker's process begins, or begins anew with the cluster.
    pub(crate) fn new(world: &Arc<Mutex<World>>, name: &str, meanwhile: Meanwhile) -> Self {
        let mut locked = world.lock().unwrap();
        let epoch = locked.epochs.get(name).map_or(0, |epoch| epoch + 1);
        locked.epochs.insert(name.to_owned(), epoch);
        locked.end_all_of(name);
        let topics = BTreeSet::from([TOPIC.into()]);
        let member = locked.join(name, &topics);
        drop(locked);
        let (world, name) = (world.clone(), name.to_owned());
        Seen { world, name, epoch, member, generation: 0, topics, fetching: BTreeMap::new(), meanwhile }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// At any point a worker may die, be frozen while others go on, or lose its connection.
    fn trouble(&self, stage: &str) -> Result<(), ClusterError> {
        let mut world = self.world();
        if world.one_in(40) {
            let (name, stage) = (self.name.clone(), stage.to_owned());
            world.tell(format!("{name} dies: {stage}"));
            world.doomed = Some(name);
            return Err(failed("go on"));
        }
        if world.one_in(40) {
            let name = &self.name;
            world.tell(format!("{name} loses its connection: {stage}"));
            return Err(failed(stage));
        }
        let is_frozen = world.one_in(25);
        if is_frozen {
            let name = &self.name;
            world.tell(format!("{name} freezes: {stage}"));
            if world.one_in(2) {
                world.expire();
            }
        }
        drop(world);
        if is_frozen {
            (self.meanwhile)();
        }
        Ok(())
    }

    fn is_fenced(&self, world: &World) -> bool {
        world.bug != Some(Bug::MissedFencing) && world.epochs.get(&self.name) != Some(&self.epoch)
    }

    fn is_current(&self, world: &World) -> bool {
        world.bug == Some(Bug::MissedFencing)
            || (world.members.contains_key(&self.member) && self.generation == world.generation)
    }

    fn commit_all(&self, parcels: &[Sent]) -> Result<(), ClusterError> {
        let transaction = {
            let mut world = self.world();
            if self.is_fenced(&world) {
                return Err(failed("begin"));
            }
            world.open(&self.name)
        };
        for (place, feed, parcel) in parcels {
            self.trouble("writing")?;
            let mut world = self.world();
            if self.is_fenced(&world) || world.transactions[transaction].fate != Fate::Open {
                return Err(failed("write"));
            }
            world.write(transaction, feed, place.partition, parcel);
        }
        self.trouble("naming positions")?;
        if !self.is_current(&self.world()) {
            self.world().tell(format!("{} is of another generation", self.name));
            return Err(failed("add positions"));
        }
        self.trouble("committing")?;
        let mut world = self.world();
        // The cluster may have ended it while the worker was frozen.
        if self.is_fenced(&world) || world.transactions[transaction].fate != Fate::Open {
            return Err(failed("commit"));
        }
        world.transactions[transaction].fate = Fate::Decided;
        if !world.one_in(4) {
            world.end(transaction, Fate::Committed);
        }
        drop(world);
        self.trouble("committed")
    }
}

impl Cluster for Seen {
    fn log(&self, topic: &str) -> LogId {
        LogId(format!("world/{topic}").into())
    }

    fn partition_count(&self) -> u32 {
        self.world().events.len() as u32
    }

    fn ends_of_events(&mut self, place: &TopicPartition) -> Result<(u64, u64), ClusterError> {
        self.trouble("looking at events")?;
        Ok((0, self.world().events(place).last().map_or(0, |last| last.offset + 1)))
    }

    fn events_reader(&mut self, place: &TopicPartition) -> Box<dyn Fetch> {
        Box::new(Reader { world: self.world.clone(), place: place.clone() })
    }

    fn prepare(&mut self, _feed: &FeedId, _purposes: &[Purpose]) -> Result<(), ClusterError> {
        self.trouble("preparing topics")
    }

    fn remove_changes(&mut self, _feed: &FeedId) -> Result<bool, ClusterError> {
        self.trouble("removing changes").map(|()| false)
    }

    fn subscribe(&mut self, topics: BTreeSet<Arc<str>>) -> Result<(), ClusterError> {
        self.trouble("asking for topics")?;
        if self.topics != topics {
            self.topics.clone_from(&topics);
            let mut world = self.world();
            if let Some(asked) = world.members.get_mut(&self.member) {
                *asked = topics;
                world.generation += 1;
            }
        }
        Ok(())
    }

    fn poll(&mut self, rows_max: usize, _wait: Duration) -> Result<Polled, ClusterError> {
        self.trouble("polling")?;
        let shared = self.world.clone();
        let mut world = shared.lock().unwrap();
        let is_member = world.members.contains_key(&self.member);
        if !is_member {
            self.member = world.join(&self.name, &self.topics);
        }
        if self.generation != world.generation {
            self.generation = world.generation;
            let share = world.share(self.member);
            let told: Vec<_> = share.iter().map(ToString::to_string).collect();
            world.tell(format!("{} has {told:?} in generation {}", self.name, self.generation));
            return Ok(Polled::Decided(vec![Decision::Revoked, Decision::Assigned(share)]));
        }
        let mut records = Vec::new();
        for (place, next) in &mut self.fetching {
            let some = world.random.between(0, 7) as usize;
            let there = world.events(place);
            let first = there.partition_point(|event| event.offset < *next);
            let taken = &there[first..(first + some.min(rows_max)).min(there.len())];
            if let Some(last) = taken.last() {
                *next = last.offset + 1;
            }
            records.extend(taken.iter().map(|event| (place.clone(), (*event).clone())));
        }
        Ok(Polled::Records(records))
    }

    fn decisions(&mut self) -> Vec<Decision> {
        Vec::new()
    }

    fn begin(&mut self, positions: &BTreeMap<TopicPartition, u64>) -> Result<(), ClusterError> {
        self.trouble("beginning")?;
        self.fetching.clone_from(positions);
        Ok(())
    }

    fn leave(&mut self) {
        let mut world = self.world();
        world.members.remove(&self.member);
        world.generation += 1;
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<Committed, ClusterError> {
        let bug = self.world().bug;
        match bug {
            Some(Bug::CommitBeforeFlush) => {
                let (markers, others) = transaction.parcels.iter().map(split).unzip::<_, _, Vec<_>, Vec<_>>();
                self.commit_all(&markers)?;
                self.commit_all(&others)?;
            }
            Some(Bug::OffByOne) => {
                self.commit_all(&transaction.parcels.iter().map(one_further).collect::<Vec<_>>())?;
            }
            Some(Bug::MissedFencing) | None => self.commit_all(&transaction.parcels)?,
        }
        let world = self.world();
        // The end of a transaction that is not visible yet is not known.
        let next = |(place, feed, _): &Sent| {
            let written = &world.changes[&(feed.clone(), place.partition)];
            let last = written.last()?;
            last.entry.is_none().then_some(written.len() as u64)
        };
        let written = world.transactions.iter().rfind(|tx| tx.producer == self.name);
        let places = written.into_iter().flat_map(|tx| &tx.routed);
        let last = |place: &TopicPartition| {
            let log = &world.routed[place];
            let event = log.iter().rposition(|moved| moved.event.is_some());
            event.map_or(0, |event| event as u64)
        };
        let routed = places.map(|place| (place.clone(), last(place))).collect();
        Ok(Committed { changed: transaction.parcels.iter().map(next).collect(), routed })
    }

    fn ends_of_changes(&mut self, log: Changelog<'_>) -> Result<(u64, u64), ClusterError> {
        self.trouble("looking at changes")?;
        let mut world = self.world();
        // Time passes until all that is open has ended: what its producer may still commit is ended by the cluster.
        for at in 0..world.transactions.len() {
            let touches =
                world.transactions[at].touched.iter().any(|(feed, of)| (feed, *of) == (log.feed, log.partition));
            if touches {
                world.end_now(at);
            }
        }
        let written = world.changes.get(&(log.feed.clone(), log.partition));
        Ok((0, written.map_or(0, Vec::len) as u64))
    }

    fn changes(&mut self, log: Changelog<'_>, from: u64, end: u64) -> Result<(Vec<Entry>, u64), ClusterError> {
        self.trouble("reading changes")?;
        let mut world = self.world();
        let next = (from + world.random.between(1, 41)).min(end);
        let state: StateId = log.feed.state;
        let written = &world.changes[&(log.feed.clone(), log.partition)][from as usize..next as usize];
        let committed = |written: &&Written| world.transactions[written.transaction].fate == Fate::Committed;
        let entries = written.iter().filter(committed).filter_map(|written| written.entry.as_ref());
        let entries = entries.map(|(key, value)| Entry::decode(state, key, value.as_deref()).unwrap());
        Ok((entries.collect(), next))
    }
}

/// A parcel on its way, of a partition and a feed.
type Sent = (TopicPartition, FeedId, Parcel);

/// A parcel's marker, and the rest of it.
fn split((place, feed, parcel): &Sent) -> (Sent, Sent) {
    let marker = Parcel { marker: parcel.marker.clone(), ..Parcel::default() };
    let (messages, changes, routed) = (parcel.messages.clone(), parcel.changes.clone(), parcel.routed.clone());
    let rest = Parcel { messages, changes, routed, marker: None };
    ((place.clone(), feed.clone(), marker), (place.clone(), feed.clone(), rest))
}

/// A parcel whose marker lies.
fn one_further(sent: &Sent) -> Sent {
    let (_, mut changed) = split(sent);
    let (_, feed, parcel) = sent;
    let marker = parcel.marker.clone().unwrap();
    let value = marker.value.clone();
    let Ok(Entry::Marker(mut decoded)) =
        Entry::decode(feed.state, marker.key.as_deref().unwrap(), value.as_deref())
    else {
        panic!("a marker is a marker");
    };
    decoded.positions.0.values_mut().for_each(|next| *next += 1);
    changed.2.marker = Some(trifold_stream::kafka::Outgoing { value: Entry::Marker(decoded).value(), ..marker });
    changed
}

/// Reads events that the group gave long ago.
struct Reader {
    world: Arc<Mutex<World>>,
    place: TopicPartition,
}

impl Fetch for Reader {
    fn fetch(&mut self, from: u64, rows_max: usize) -> Result<Vec<Fetched>, ClusterError> {
        let mut world = self.world.lock().unwrap();
        let some = world.random.between(0, 7) as usize;
        let there = world.events(&self.place);
        let first = there.partition_point(|event| event.offset < from);
        Ok(there[first..].iter().take(some.min(rows_max)).copied().cloned().collect())
    }

    fn is_at_end(&mut self, from: u64) -> Result<bool, ClusterError> {
        Ok(self.world.lock().unwrap().events(&self.place).last().is_none_or(|last| last.offset < from))
    }

    fn rest(&mut self) {}
}
