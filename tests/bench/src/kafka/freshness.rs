//! How long it takes from a payment's sending until what it changed can be read in a Redis.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use redis::Commands;
use tokio::runtime::Builder;
use trifold_store::{OnlineStore, RedisSettings, RedisStore};
use trifold_stream::kafka::Purpose;
use trifold_test_servers::{Redis, RedisOptions};

use crate::kafka::child::{Running, Task};
use crate::kafka::clients::{create_topic, produce, wait_for_topic};
use crate::kafka::feeder::Feed;
use crate::kafka::load::{Look, Reached, latencies, watch};
use crate::kafka::payments::payments;
use crate::kafka::relay::{POSITIONS, Relay};
use crate::kafka::{PARTITIONS, Site, TOPIC};
use crate::measure::{Effort, quantile};

const GROUP: &str = "workers";
/// The topic of the relay.
const RELAYED: &str = "relayed";
const SHARES: [f64; 2] = [0.5, 0.99];
/// The seconds that do not count, in which a process sees its first load.
const WARM_UP_SECONDS: f64 = 3.0;

/// Quantiles at half of what worker and feeder come to at most on this machine, with the broker and the Redis beside
/// them; and those of a relay without transactions, at the same pace.
pub(crate) fn milliseconds(effort: Effort) -> anyhow::Result<([f64; 2], [f64; 2])> {
    let (site, redis) = (Site::new()?, Redis::start_with(&RedisOptions::default())?);
    let brokers = site.brokers();
    let waiting = effort.choose(200_000, 20_000);
    let (mut all, _) = payments(effort.choose(1_000_000, 200_000))?;
    let mut later = all.split_off(waiting);
    create_topic(&brokers, TOPIC)?;
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let store = runtime.block_on(RedisStore::open(&RedisSettings::new(redis.url())))?;
    let state = site.version.state_id();
    let mut look = || {
        let marker = runtime.block_on(store.marker(state))?;
        let next = |partition| marker.as_ref().map_or(0, |marker| marker.positions.next(partition));
        Ok((0..PARTITIONS).map(next).collect())
    };
    let mut worker = Running::start(&Task::Work(site.worker(GROUP, "a", true)))?;
    // A feeder begins with a state that is there.
    wait_for_topic(&brokers, &site.topic(GROUP, Purpose::Changes), &mut worker)?;
    let mut feeder = Running::start(&Task::Feed(Feed {
        brokers: brokers.clone(),
        group: GROUP.to_owned(),
        redis: redis.url().to_owned(),
        component: site.component.clone(),
    }))?;
    produce(&brokers, TOPIC, &all)?;
    let per_second = saturation(&mut look, waiting as u64)? / 2.0;
    let warm_up = (WARM_UP_SECONDS * per_second) as usize;
    let seconds = effort.choose(20.0, 3.0) + WARM_UP_SECONDS;
    later.truncate((seconds * per_second) as usize);
    ensure!(later.len() > warm_up, "there are too few events for {per_second} in a second");
    let (copies, _) = payments(later.len() as u64)?;
    let ours = latencies((&brokers, TOPIC), later, per_second, warm_up, &mut look)?;
    worker.check()?;
    feeder.check()?;
    drop((worker, feeder));

    create_topic(&brokers, RELAYED)?;
    let (topic, url) = (RELAYED.to_owned(), redis.url().to_owned());
    let mut relay = Running::start(&Task::Relay(Relay { brokers: brokers.clone(), topic, redis: url }))?;
    let mut connection = redis::Client::open(redis.url())?.get_connection()?;
    let mut look = || {
        let positions: BTreeMap<u32, u64> = connection.hgetall(POSITIONS)?;
        Ok((0..PARTITIONS).map(|partition| positions.get(&partition).copied().unwrap_or(0)).collect())
    };
    let baseline = latencies((&brokers, RELAYED), copies, per_second, warm_up, &mut look)?;
    relay.check()?;
    let quantiles = |values: Vec<f64>| SHARES.map(|share| quantile(values.clone(), share));
    Ok((quantiles(ours), quantiles(baseline)))
}

/// Events in a second while more are there than can be taken.
fn saturation(look: Look<'_>, all: u64) -> anyhow::Result<f64> {
    let sum = |reached: &Reached| reached.iter().sum::<u64>();
    let looks = watch(look, |reached| Ok(sum(reached) >= all))?;
    let (Some((begun, first)), Some((ended, last))) = (looks.first(), looks.last()) else {
        bail!("nobody looked");
    };
    ensure!(sum(first) < all, "everything was read before it was looked");
    Ok((sum(last) - sum(first)) as f64 / (*ended - *begun).as_secs_f64())
}
