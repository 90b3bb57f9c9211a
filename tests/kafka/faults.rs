//! Workers, brokers, feeders and a Redis that die, freeze and come back: each event counts once all the same.

mod store;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use trifold_test_servers::{Control, Kafka, Proxy, variable};
use trifold_tests::random::SplitMix64;

use self::store::{Store, StoreFault};
use crate::data::{Data, FLIGHT_EVENTS, PAYMENTS};
use crate::site::{GROUP, Site};
use crate::worker::{PATIENCE, Worker};

/// So many events come for each fault.
const SLICE: usize = 150;
/// How long a worker may be silent.
const SESSION: Duration = Duration::from_secs(3);

/// What happens while events come.
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
    faults.extend(StoreFault::ALL.map(Fault::Store));
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

    /// Waits until a worker comes to a stage, and takes it out. Any worker is listened to first, and then the others in
    /// turns: after the last fault the group may have left one without the events.
    #[track_caller]
    fn first_at(&mut self, stage: &str, random: &mut SplitMix64) -> (String, Worker) {
        let (begun, first) = (Instant::now(), random.between(0, self.workers.len() as u64) as usize);
        for turn in first.. {
            let (name, mut worker) = self.take(turn % self.workers.len());
            if worker.hears(stage) {
                return (name, worker);
            }
            self.workers.insert(name, worker);
            if begun.elapsed() > PATIENCE {
                break;
            }
        }
        let last: Vec<_> = self.workers.values().map(Worker::last).collect();
        panic!("no worker came to `{stage}`: {last:#?}");
    }

    /// Waits until a worker comes to a stage.
    #[track_caller]
    fn wait_for_any(&mut self, stage: &str, random: &mut SplitMix64) {
        let (name, worker) = self.first_at(stage, random);
        self.workers.insert(name, worker);
    }

    /// Takes any of the workers out.
    fn pick(&mut self, random: &mut SplitMix64) -> (String, Worker) {
        self.take(random.between(0, self.workers.len() as u64) as usize)
    }

    fn take(&mut self, at: usize) -> (String, Worker) {
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
    run(PAYMENTS);
}

#[test]
fn each_flight_counts_once_whatever_fails() {
    run(FLIGHT_EVENTS);
}

/// Lets every fault happen while events come, and compares what came of them with a backfill.
fn run(data: Data) {
    let seed = variable("TRIFOLD_FAULTS_SEED").map_or(11, |seed| seed.to_str().unwrap().parse().unwrap());
    let begun = Instant::now();
    let random = &mut SplitMix64(seed);
    let faults = faults(random);
    let (mut kafka, mut proxy) = Kafka::start_behind_proxy().unwrap();
    let brokers = proxy.address().to_owned();
    let mut site = Site::of(data, &kafka, &brokers, seed, ((faults.len() + 2) * SLICE) as u64);
    let session = SESSION.as_millis();
    site.set(
        "properties",
        &format!("{{ \"session.timeout.ms\" = \"{session}\", \"heartbeat.interval.ms\" = \"500\" }}"),
    );
    site.set("transaction-interval-ms", "20");
    site.set("transaction-rows", "20");
    site.set("local-interval-ms", "0");
    site.release(data.packages);
    let mut store = Store::start(&site);
    let mut crew = Crew { site: &site, workers: BTreeMap::new(), named: 0 };
    crew.hire();
    crew.hire();
    crew.wait_for_all();
    for (at, fault) in faults.iter().enumerate() {
        let begun = Instant::now();
        crew.workers.values_mut().chain(&mut store.feeders).for_each(Worker::catch_up);
        let slice = at * SLICE..(at + 1) * SLICE;
        inject(*fault, slice, &mut crew, &mut store, (&mut kafka, &mut proxy), random);
        eprintln!("{}, seed {seed}, fault {at}: {fault:?} in {:?}", data.topic, begun.elapsed());
    }
    site.produce(faults.len() * SLICE..site.events.len());
    store.check(&site);
    crew.workers.into_values().for_each(Worker::terminate);
    site.check();
    eprintln!("{}, seed {seed}: {} faults in {:?}", data.topic, faults.len(), begun.elapsed());
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
            site.produce(slice);
            let (name, worker) = crew.first_at(stage, random);
            worker.kill();
            match fault {
                Fault::Kill(_) => drop(crew.workers.insert(name.clone(), site.follow(&name))),
                _ => crew.hire(),
            }
            crew.wait_for_all();
        }
        Fault::Freeze => {
            site.produce(slice);
            let (name, mut worker) = crew.first_at("transaction", random);
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
            crew.wait_for_any("transaction", random);
            if fault == Fault::KillBroker {
                kafka.kill().unwrap();
                kafka.start_again().unwrap();
            } else {
                kafka.restart().unwrap();
            }
        }
        Fault::Cut => {
            site.produce(slice);
            crew.wait_for_any("transaction", random);
            assert!(proxy.cut() > 0, "nobody was connected");
            proxy.mend().unwrap();
        }
        Fault::LongCut => {
            site.produce(slice);
            crew.wait_for_any("transaction", random);
            assert!(proxy.cut() > 0, "nobody was connected");
            site.cluster.wait_for_no_member(GROUP);
            proxy.mend().unwrap();
            crew.wait_for_all();
        }
        Fault::Store(fault) => store.inject(fault, site, slice),
    }
}
