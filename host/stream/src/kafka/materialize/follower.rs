//! One state's changes, of all partitions, on their way into a Redis.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use tokio::runtime::Handle;
use tokio::sync::watch;
use trifold_store::{Entry, Followed, RedisStore};

use crate::feed::FeedId;
use crate::kafka::error::ClusterError;
use crate::kafka::materialize::Shares;
use crate::kafka::materialize::lane::{Delays, Lane, Turn};
use crate::kafka::reader::{Reader, ends, read_from, reader};
use crate::kafka::settings::ClusterSettings;
use crate::kafka::topics::Topics;

/// How long it waits for a change before it looks whether it is told to stop.
const POLL_WAIT: Duration = Duration::from_millis(50);
/// So much is fetched ahead for each state.
const PREFETCH_KIB: usize = 16 << 10;
/// So many bytes of changes are read before they are brought.
const STEP_BYTES: usize = 4 << 20;
/// A follower that ends at the end of what there is gives up after so many failures.
const FAILURES_MAX: u32 = 6;
/// The longest wait between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// What a follower tells.
pub(super) enum Told {
    /// It found so many changes to catch up with.
    Found(u64),
    /// So many changes are in, and how long the last of them took.
    Brought(u64, Delays),
    /// Lookups are answered from here on, or are not any more.
    Complete(bool),
    /// It waits for something to pass.
    Problem(ClusterError),
    /// It is over.
    Ended(Result<(), ClusterError>),
    /// It panicked.
    Panicked,
}

/// Follows the changes of one state, on a thread of its own.
pub(super) struct Follower {
    pub(super) cluster: ClusterSettings,
    pub(super) store: RedisStore,
    pub(super) feed: FeedId,
    /// The partitions that are followed; all without it.
    pub(super) shares: Option<watch::Receiver<Shares>>,
    /// What drives the connections to the Redis.
    pub(super) runtime: Handle,
    /// Microseconds since 1970.
    pub(super) clock: fn() -> u64,
    /// Whether it is over once all that there is is in.
    pub(super) ends: bool,
}

impl Follower {
    /// Follows until it is told to stop, or to the end of what there is.
    pub(super) fn run(self, stop: &AtomicBool, tell: impl Fn(Told)) {
        // What can be known at the start ends it; what goes wrong later may be put right by somebody.
        let (mut following, mut failures, mut begun) = (None, 0_u32, false);
        while !stop.load(Ordering::Relaxed) {
            match self.turn(&mut following, &tell) {
                Ok(true) if self.ends => return tell(Told::Ended(Ok(()))),
                Ok(_) => (failures, begun) = (0, true),
                Err(error) if self.may_go_on(&error, begun, failures) => {
                    tell(Told::Problem(error));
                    following = None;
                    let wait = (POLL_WAIT * 2_u32.pow(failures.min(7))).min(BACKOFF_MAX);
                    failures += 1;
                    let until = Instant::now() + wait;
                    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                        thread::sleep(POLL_WAIT);
                    }
                }
                Err(error) => return tell(Told::Ended(Err(error))),
            }
        }
        tell(Told::Ended(Ok(())));
    }

    fn may_go_on(&self, error: &ClusterError, begun: bool, failures: u32) -> bool {
        if self.ends { error.may_pass() && failures < FAILURES_MAX } else { begun || error.may_pass() }
    }

    /// Reads and brings some changes: whether all that there was at the beginning is in.
    fn turn(&self, following: &mut Option<Following>, tell: &impl Fn(Told)) -> Result<bool, ClusterError> {
        let share = self.share();
        let mut now = match following.take().filter(|now| now.share == share) {
            Some(now) => now,
            None => self.open(share, tell)?,
        };
        now.gather(&self.feed)?;
        let turns = now.lanes.values_mut().map(|lane| lane.turn(self.clock));
        let turns = self.runtime.block_on(try_join_all(turns))?;
        let brought = turns.iter().map(|turn| if let Turn::Brought(count) = turn { *count } else { 0 }).sum();
        if brought > 0 {
            let delays = now.lanes.values().map(Lane::delays);
            let delays = delays.fold(Delays::default(), |most, next| Delays {
                written: most.written.max(next.written),
                arrival: most.arrival.max(next.arrival),
            });
            tell(Told::Brought(brought, delays));
        }
        if turns.contains(&Turn::Again) {
            // What was read goes with the lanes.
            thread::sleep(POLL_WAIT);
            return Ok(false);
        }
        let is_complete = now.lanes.values().all(Lane::is_complete);
        if is_complete != std::mem::replace(&mut now.is_complete, is_complete) {
            tell(Told::Complete(is_complete));
        }
        let is_done = now.lanes.values().all(Lane::has_caught_up);
        *following = Some(now);
        Ok(is_done)
    }

    /// The partitions that are followed at present.
    fn share(&self) -> Option<BTreeSet<u32>> {
        let shares = self.shares.as_ref()?;
        Some(shares.borrow().get(&self.feed).cloned().unwrap_or_default())
    }

    /// Finds the log and what is there of it.
    fn open(&self, share: Option<BTreeSet<u32>>, tell: &impl Fn(Told)) -> Result<Following, ClusterError> {
        let topics = Topics::new(&self.cluster)?;
        let (topic, partitions) = topics.changes_of(&self.feed)?;
        let followed = &Followed { source: topics.log_id(&topic)?.0.to_string(), partitions };
        let mut config = self.cluster.reader();
        self.cluster.default(&mut config, "queued.max.messages.kbytes", PREFETCH_KIB);
        let consumer = reader(&config)?;
        self.runtime.block_on(self.store.check())?;
        let (mut lanes, mut found) = (BTreeMap::new(), 0);
        let is_followed = |partition: &u32| share.as_ref().is_none_or(|share| share.contains(partition));
        for partition in (0..partitions).filter(is_followed) {
            let of = (self.feed.state, partition);
            let lane = Lane::open(&self.store, of, followed, || ends(&consumer, &topic, partition), self.clock);
            let lane = self.runtime.block_on(lane)?;
            found += lane.found();
            lanes.insert(partition, lane);
        }
        read_from(&consumer, lanes.iter().map(|(&partition, lane)| (topic.as_str(), partition, lane.next())))?;
        tell(Told::Found(found));
        Ok(Following { topic, consumer, share, lanes, is_complete: false })
    }
}

/// A log that is followed.
struct Following {
    topic: String,
    consumer: Reader,
    share: Option<BTreeSet<u32>>,
    lanes: BTreeMap<u32, Lane>,
    /// Whether lookups are answered.
    is_complete: bool,
}

impl Following {
    /// Reads what there is at present, or as much as is brought at once.
    fn gather(&mut self, feed: &FeedId) -> Result<(), ClusterError> {
        let (mut wait, mut bytes) = (POLL_WAIT, 0);
        while bytes < STEP_BYTES {
            match self.consumer.poll(wait) {
                None => return Ok(()),
                Some(Ok(message)) => {
                    let (key, value) = (message.key().unwrap_or_default(), message.payload());
                    bytes += key.len() + value.map_or(0, <[u8]>::len);
                    let partition = message.partition().unsigned_abs();
                    let entry = Entry::decode(feed.state, key, value);
                    let entry = entry.map_err(|source| ClusterError::Entry {
                        topic: self.topic.clone(),
                        partition,
                        offset: message.offset(),
                        source,
                    })?;
                    let written =
                        message.timestamp().to_millis().unwrap_or_default().max(0).unsigned_abs() * 1_000;
                    if let Some(lane) = self.lanes.get_mut(&partition) {
                        lane.push(entry, message.offset().unsigned_abs(), written);
                    }
                    wait = Duration::ZERO;
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(lane) = self.lanes.get_mut(&partition.unsigned_abs()) {
                        lane.end();
                    }
                    wait = Duration::ZERO;
                }
                Some(Err(error)) => {
                    return Err(ClusterError::client(format!("read the topic {}", self.topic))(error));
                }
            }
        }
        Ok(())
    }
}
