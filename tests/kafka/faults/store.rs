//! What happens to a Redis, and to those that feed it.

use std::ops::Range;
use std::time::{Duration, Instant};

use trifold_store::{RedisSettings, RedisStore};
use trifold_test_servers::{Control, Proxy, Redis, RedisOptions};
use trifold_tests::online::runtime;

use crate::feeding::{next_offsets, wait};
use crate::resp::tell;
use crate::site::Site;
use crate::worker::Worker;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreFault {
    /// A feeder is killed, and starts again.
    KillFeeder,
    /// The Redis is emptied.
    Flush,
    /// The Redis is killed and starts again, with nothing.
    Restart,
    /// The Redis answers so late that nobody waits for it.
    Stall,
    /// The Redis answers late, and is waited for.
    Slow,
    /// The Redis has no memory left and refuses every change.
    Refuse,
    /// All connections to the Redis break.
    Cut,
}

impl StoreFault {
    pub(super) const ALL: [StoreFault; 7] = [
        StoreFault::KillFeeder,
        StoreFault::Flush,
        StoreFault::Restart,
        StoreFault::Stall,
        StoreFault::Slow,
        StoreFault::Refuse,
        StoreFault::Cut,
    ];

    /// What every feeder says of it.
    fn sign(self) -> Option<&'static str> {
        match self {
            StoreFault::KillFeeder | StoreFault::Slow => None,
            StoreFault::Flush => Some(LOOKS),
            StoreFault::Restart | StoreFault::Stall | StoreFault::Cut => Some("the Redis at"),
            StoreFault::Refuse => Some("OOM"),
        }
    }
}

/// What a feeder says when it looks anew what is there.
const LOOKS: &str = "changes to catch up with";
/// How late a slow Redis answers.
const DELAY: Duration = Duration::from_millis(200);

/// A Redis behind a proxy, and two that feed it.
pub(super) struct Store {
    redis: Redis,
    proxy: Proxy,
    pub(super) feeders: Vec<Worker>,
}

impl Store {
    pub(super) fn start(site: &Site) -> Self {
        let redis = Redis::start_with(&RedisOptions::default()).unwrap();
        let proxy = Proxy::start(redis.address()).unwrap();
        let mut store = Store { redis, proxy, feeders: Vec::new() };
        store.feeders = vec![store.feeder(site), store.feeder(site)];
        store
    }

    fn feeder(&self, site: &Site) -> Worker {
        let url = format!("redis://{}", self.proxy.address());
        Worker::start(site.materialize(&["--redis", &url, "--follow"]))
    }

    /// Lets something happen in the midst of some events, and end once it was noticed.
    pub(super) fn inject(&mut self, fault: StoreFault, site: &Site, slice: Range<usize>) {
        let half = slice.start + slice.len() / 2;
        site.produce(slice.start..half);
        self.wait_for_change();
        self.feeders.iter_mut().for_each(Worker::catch_up);
        match fault {
            StoreFault::KillFeeder => self.feeders.remove(0).kill(),
            StoreFault::Flush => drop(tell(self.redis.address(), "FLUSHALL")),
            StoreFault::Restart => self.redis.kill().unwrap(),
            StoreFault::Stall => self.redis.pause().unwrap(),
            StoreFault::Slow => self.proxy.delay(DELAY),
            StoreFault::Refuse => drop(tell(self.redis.address(), "CONFIG SET maxmemory 1")),
            StoreFault::Cut => assert!(self.proxy.cut() > 0, "nobody was connected"),
        }
        site.produce(half..slice.end);
        if let Some(sign) = fault.sign() {
            self.feeders.iter_mut().for_each(|feeder| feeder.wait_for(sign));
        }
        match fault {
            StoreFault::KillFeeder => self.feeders.push(self.feeder(site)),
            StoreFault::Flush => {}
            StoreFault::Restart => self.redis.start_again().unwrap(),
            StoreFault::Stall => self.redis.resume().unwrap(),
            StoreFault::Slow => {
                let begun = Instant::now();
                tell(self.proxy.address(), "PING");
                assert!(begun.elapsed() >= DELAY, "the Redis is not slow");
                self.wait_for_change();
                self.proxy.delay(Duration::ZERO);
            }
            StoreFault::Refuse => drop(tell(self.redis.address(), "CONFIG SET maxmemory 0")),
            StoreFault::Cut => self.proxy.mend().unwrap(),
        }
    }

    fn wait_for_change(&mut self) {
        let is_change = |line: &str| line.contains("changes brought") || line.contains(LOOKS);
        self.feeders[0].wait_until("a change", is_change);
    }

    /// Waits until all events are in, and compares what lookups find.
    pub(super) fn check(self, site: &Site) {
        let (runtime, settings) = (runtime(), RedisSettings::new(self.redis.url()));
        let store = runtime.block_on(RedisStore::open(&settings)).unwrap();
        let all = site.events.len() as u64;
        wait(|| next_offsets(site, &runtime, &store).iter().all(|next| *next == all));
        self.feeders.into_iter().for_each(Worker::terminate);
        site.check_store(&store, &runtime);
    }
}
