//! Workers, brokers, feeders and a Redis that die, freeze and come back: each event counts once all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use trifold_store::{RedisSettings, RedisStore};
use trifold_test_servers::{Control, Kafka, Proxy, Redis, RedisOptions};
use trifold_tests::online::runtime;
use trifold_tests::random::SplitMix64;

use crate::feeding::{next_offsets, wait};
use crate::resp::tell;
use crate::site::{GROUP, PACKAGES, Site};
use crate::worker::Worker;

/// So many payments come for each fault.
const SLICE: usize = 150;
/// How long a worker may be silent.
const SESSION: Duration = Duration::from_secs(3);

/// What happens while payments come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A worker is killed once its log says that it is there, and starts again.
    Kill(&'static str),
    /// A worker is killed, and another one takes over for good.
    Replace(&'static str),
    /// A worker is stopped until others have its partitions, and wakes up.
    Freeze,
    /// A worker leaves, and another comes.
    Rescale,
    /// The broker is killed and starts again.
    KillBroker,
    /// The broker stops in good order and starts again.
    RestartBroker,
    /// All connections break.
    Cut,
    /// All connections break, and none can be made until the workers are taken for dead.
    LongCut,
    /// Something happens to the Redis or to those that feed it.
    Store(StoreFault),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StoreFault {
    /// A feeder is killed, and starts again.
    KillFeeder,
    /// The Redis is emptied.
    Flush,
    /// The Redis is killed and starts again, with nothing.
    Restart,
    /// The Redis answers so late that nobody waits for it.
    Slow,
    /// All connections to the Redis break.
    Cut,
}

/// What a worker says when it has partitions, and when it has every one.
const PARTITIONS_OF_A_WORKER: &str = "partitions taken up partitions=[";
const ALL_PARTITIONS: &str = "partitions taken up partitions=[0, 1, 2, 3, 4, 5]";

const STAGES: [&str; 5] = [
    "transaction begun",
    "transaction has its records",
    "transaction has its positions",
    "transaction committed",
    "local stores written",
];

/// Every fault, some more than once, in an order that the seed says.
fn faults(random: &mut SplitMix64) -> Vec<Fault> {
    let mut faults: Vec<Fault> =
        STAGES.iter().flat_map(|stage| [Fault::Kill(stage), Fault::Kill(stage)]).collect();
    faults.extend([STAGES[1], STAGES[2]].map(Fault::Replace));
    faults.extend([Fault::Freeze, Fault::Freeze, Fault::Rescale, Fault::Rescale]);
    faults.extend([Fault::KillBroker, Fault::RestartBroker, Fault::Cut, Fault::LongCut]);
    let of_store =
        [StoreFault::KillFeeder, StoreFault::Flush, StoreFault::Restart, StoreFault::Slow, StoreFault::Cut];
    faults.extend(of_store.map(Fault::Store));
    for last in (1..faults.len()).rev() {
        faults.swap(last, random.between(0, last as u64 + 1) as usize);
    }
    faults
}

/// The workers that are there, by name.
struct Crew<'a> {
    site: &'a Site,
    workers: BTreeMap<String, Worker>,
    named: u32,
}

impl Crew<'_> {
    /// Starts a worker under a new name.
    fn hire(&mut self) {
        self.named += 1;
        let name = format!("w{}", self.named);
        self.workers.insert(name.clone(), self.site.follow(&name));
    }

    /// Takes any of the workers out.
    fn pick(&mut self, random: &mut SplitMix64) -> (String, Worker) {
        let at = random.between(0, self.workers.len() as u64) as usize;
        let name = self.workers.keys().nth(at).unwrap().clone();
        let worker = self.workers.remove(&name).unwrap();
        (name, worker)
    }

    /// Waits until the only worker has all partitions.
    fn wait_for_one(&mut self) {
        assert_eq!(self.workers.len(), 1);
        self.workers.values_mut().for_each(|worker| worker.wait_for(ALL_PARTITIONS));
    }

    /// Waits until every worker has some of the partitions.
    fn wait_for_all(&mut self) {
        let is_shared = |line: &str| line.contains(PARTITIONS_OF_A_WORKER) && !line.contains(ALL_PARTITIONS);
        self.workers.values_mut().for_each(|worker| worker.wait_until("a share of the partitions", is_shared));
    }
}

#[test]
fn each_payment_counts_once_whatever_fails() {
    let seed = 11;
    let random = &mut SplitMix64(seed);
    let faults = faults(random);
    let (mut kafka, mut proxy) = Kafka::start_behind_proxy().unwrap();
    let brokers = proxy.address().to_owned();
    let mut site = Site::new(&kafka, &brokers, seed, ((faults.len() + 2) * SLICE) as u64);
    let session = SESSION.as_millis();
    site.set(
        "properties",
        &format!("{{ \"session.timeout.ms\" = \"{session}\", \"heartbeat.interval.ms\" = \"500\" }}"),
    );
    site.set("transaction-interval-ms", "20");
    site.set("transaction-rows", "20");
    site.set("local-interval-ms", "0");
    site.release(&PACKAGES);
    let mut store = Store::start(&site);
    let mut crew = Crew { site: &site, workers: BTreeMap::new(), named: 0 };
    crew.hire();
    crew.hire();
    crew.wait_for_all();
    for (at, fault) in faults.iter().enumerate() {
        let begun = std::time::Instant::now();
        crew.workers.values_mut().chain(&mut store.feeders).for_each(Worker::catch_up);
        let slice = at * SLICE..(at + 1) * SLICE;
        inject(*fault, slice, &mut crew, &mut store, (&mut kafka, &mut proxy), random);
        eprintln!("seed {seed}, fault {at}: {fault:?} in {:?}", begun.elapsed());
    }
    site.produce(faults.len() * SLICE..site.payments.len());
    store.check(&site);
    crew.workers.into_values().for_each(Worker::terminate);
    site.check();
}

/// A Redis behind a proxy, and two that feed it.
struct Store {
    redis: Redis,
    proxy: Proxy,
    feeders: Vec<Worker>,
}

/// What a feeder says when it cannot reach the Redis, and when it looks anew what is there.
const NO_REDIS: &str = "the Redis at";
const LOOKS: &str = "changes to catch up with";

impl Store {
    fn start(site: &Site) -> Self {
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

    fn inject(&mut self, fault: StoreFault, site: &Site) {
        self.feeders[0].wait_until("a change", |line| line.contains("changes brought") || line.contains(LOOKS));
        self.feeders.iter_mut().for_each(Worker::catch_up);
        match fault {
            StoreFault::KillFeeder => {
                self.feeders.remove(0).kill();
                self.feeders.push(self.feeder(site));
            }
            StoreFault::Flush => {
                tell(self.redis.address(), "FLUSHALL");
                self.feeders.iter_mut().for_each(|feeder| feeder.wait_for(LOOKS));
            }
            StoreFault::Restart => {
                self.redis.kill().unwrap();
                self.feeders.iter_mut().for_each(|feeder| feeder.wait_for(NO_REDIS));
                self.redis.start_again().unwrap();
            }
            StoreFault::Slow => {
                self.redis.pause().unwrap();
                self.feeders.iter_mut().for_each(|feeder| feeder.wait_for(NO_REDIS));
                self.redis.resume().unwrap();
            }
            StoreFault::Cut => {
                self.proxy.cut();
                self.feeders.iter_mut().for_each(|feeder| feeder.wait_for(NO_REDIS));
                self.proxy.mend().unwrap();
            }
        }
    }

    /// Waits until all payments are in, and compares what lookups find.
    fn check(self, site: &Site) {
        let (runtime, settings) = (runtime(), RedisSettings::new(self.redis.url()));
        let store = runtime.block_on(RedisStore::open(&settings)).unwrap();
        let all = site.payments.len() as u64;
        wait(|| next_offsets(&runtime, &store) == [all; 3]);
        self.feeders.into_iter().for_each(Worker::terminate);
        site.check_store(&store, &runtime);
    }
}

fn inject(
    fault: Fault,
    slice: std::ops::Range<usize>,
    crew: &mut Crew<'_>,
    store: &mut Store,
    (kafka, proxy): (&mut Kafka, &mut Proxy),
    random: &mut SplitMix64,
) {
    let site = crew.site;
    match fault {
        Fault::Kill(stage) | Fault::Replace(stage) => {
            let (name, mut worker) = crew.pick(random);
            site.produce(slice);
            worker.wait_for(stage);
            worker.kill();
            match fault {
                Fault::Kill(_) => drop(crew.workers.insert(name.clone(), site.follow(&name))),
                _ => crew.hire(),
            }
            crew.wait_for_all();
        }
        Fault::Freeze => {
            let (name, mut worker) = crew.pick(random);
            site.produce(slice);
            worker.wait_for("transaction");
            worker.signal("-STOP");
            // The other one has its partitions now.
            crew.wait_for_one();
            worker.signal("-CONT");
            crew.workers.insert(name, worker);
            crew.wait_for_all();
        }
        Fault::Rescale => {
            let (_, worker) = crew.pick(random);
            site.produce(slice);
            worker.terminate();
            crew.wait_for_one();
            crew.hire();
            crew.wait_for_all();
        }
        Fault::KillBroker | Fault::RestartBroker => {
            site.produce(slice);
            crew.workers.values_mut().next().unwrap().wait_for("transaction");
            if fault == Fault::KillBroker {
                kafka.kill().unwrap();
                kafka.start_again().unwrap();
            } else {
                kafka.restart().unwrap();
            }
        }
        Fault::Cut => {
            site.produce(slice);
            crew.workers.values_mut().next().unwrap().wait_for("transaction");
            proxy.cut();
            proxy.mend().unwrap();
        }
        Fault::LongCut => {
            site.produce(slice);
            crew.workers.values_mut().next().unwrap().wait_for("transaction");
            proxy.cut();
            site.cluster.wait_for_no_member(GROUP);
            proxy.mend().unwrap();
            crew.wait_for_all();
        }
        Fault::Store(fault) => {
            site.produce(slice);
            store.inject(fault, site);
        }
    }
}
