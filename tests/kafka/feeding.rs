//! What workers commit, in a Redis, where servers look it up.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::Runtime;
use trifold_cli::exit::Exit;
use trifold_model::StateId;
use trifold_store::{OnlineStore, RedisSettings, RedisStore, StoreError};
use trifold_stream::FeedId;
use trifold_stream::kafka::{ClusterSettings, Purpose, TopicNames, remove_changes};
use trifold_test_servers::{Control, Kafka, Redis, RedisCluster, RedisOptions};
use trifold_tests::command::Ran;
use trifold_tests::online::runtime;

use crate::resp::{Answer, ask, tell};
use crate::site::{GROUP, PACKAGES, Site};
use crate::worker::Worker;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn an_event_in_the_topic_is_seen_by_a_lookup_and_a_redis_that_was_emptied_is_filled_again() {
    let (kafka, mut redis) = (Kafka::start().unwrap(), Redis::start_with(&RedisOptions::default()).unwrap());
    let site = Site::new(&kafka, kafka.bootstrap(), 17, 1_500);
    site.release(PACKAGES);
    let url = redis.url().to_owned();
    let mut worker = Worker::start(site.command("a", &["--follow", "--metrics", "127.0.0.1:0"]));
    let of_worker = worker.watched_at();
    // Before any topic is there; two of them, which is as good as one.
    let options = ["--redis", &url, "--follow", "--metrics", "127.0.0.1:0"];
    let mut feeders = [0, 1].map(|_| Worker::start(site.materialize(&options)));
    let of_feeders = feeders.each_mut().map(Worker::watched_at);
    let of_feeder = &of_feeders[0];
    feeders.iter_mut().for_each(|feeder| feeder.wait_for("has no topic"));
    assert_eq!(get(of_feeder, "/health"), (200, "ok\n".to_owned()));
    // The first view that it names may have just begun.
    wait(|| matches!(get(of_feeder, "/ready"), (503, reason) if reason.contains("has no topic")));
    site.produce(0..500);
    feeders.iter_mut().for_each(|feeder| (0..3).for_each(|_| feeder.wait_for("complete")));
    let server = site.trifold.start(["serve", "--redis", &url]);
    let asked = || {
        let get = ["get", "card_spend", "card_profile", "--server", &server.url, "--format", "json"];
        let (card, last) = (format!("card={}", site.events[499].key), site.end().0.to_string());
        let ran = site.trifold.run(get.iter().copied().chain(["--key", &card, "--as-of", &last]));
        serde_json::from_str(&ran.stdout).unwrap_or(Value::Null)
    };
    wait(|| applied(&asked()) >= 500);
    check_metrics(&of_worker, &of_feeders);

    // Live: one payment more is seen.
    site.produce(500..501);
    wait(|| applied(&asked()) >= 501);

    // Emptied while payments come.
    site.produce(501..700);
    tell(redis.address(), "FLUSHALL");
    site.produce(700..900);
    let (runtime, settings) = (runtime(), RedisSettings::new(&url));
    let store = runtime.block_on(RedisStore::open(&settings)).unwrap();
    wait(|| next_offsets(&site, &runtime, &store) == [900; 3]);
    // Gone for a while, and back with nothing in it; the workers go on.
    redis.kill().unwrap();
    site.produce(900..1_200);
    feeders.iter_mut().for_each(|feeder| feeder.wait_for("the Redis at"));
    redis.start_again().unwrap();
    site.produce(1_200..1_500);
    wait(|| next_offsets(&site, &runtime, &store) == [1_500; 3]);
    site.check_store(&store, &runtime);
    wait(|| applied(&asked()) == 1_500);
    feeders.into_iter().for_each(Worker::terminate);
    worker.terminate();
    site.check();
}

#[test]
fn workers_feed_a_redis_with_their_own_partitions_whoever_has_them() {
    let (kafka, redis) = (Kafka::start().unwrap(), Redis::start_with(&RedisOptions::default()).unwrap());
    let mut site = Site::new(&kafka, kafka.bootstrap(), 23, 900);
    site.set("properties", "{ \"session.timeout.ms\" = \"6000\", \"heartbeat.interval.ms\" = \"500\" }");
    site.release(PACKAGES);
    let url = redis.url().to_owned();
    let options = ["--follow", "--materialize", "--redis", &url];
    let start = |name| Worker::start(site.command(name, &options));
    let (mut first, mut second) = (start("a"), start("b"));
    for worker in [&mut first, &mut second] {
        worker.wait_until("a share of the partitions", |line| {
            line.contains("partitions taken up partitions=[") && !line.contains("[0, 1, 2, 3, 4, 5]")
        });
    }
    let (runtime, settings) = (runtime(), RedisSettings::new(&url));
    let store = runtime.block_on(RedisStore::open(&settings)).unwrap();
    site.produce(0..300);
    wait(|| next_offsets(&site, &runtime, &store) == [300; 3]);
    // The other one takes over what the first had, with what it had not brought yet.
    site.produce(300..600);
    first.kill();
    second.wait_for("partitions taken up partitions=[0, 1, 2, 3, 4, 5]");
    site.produce(600..700);
    wait(|| next_offsets(&site, &runtime, &store) == [700; 3]);
    tell(redis.address(), "FLUSHALL");
    let third = start("c");
    site.produce(700..900);
    wait(|| next_offsets(&site, &runtime, &store) == [900; 3]);
    site.check_store(&store, &runtime);
    [second, third].into_iter().for_each(Worker::terminate);
    let ran = Ran::of(&mut site.command("d", &["--materialize", "--redis", &url]));
    ran.refused(Exit::Usage, &["--follow", "trifold materialize"]);
}

#[test]
fn a_cluster_and_a_redis_behind_tls_and_a_password_hold_the_same() {
    let kafka = Kafka::start().unwrap();
    let site = Site::new(&kafka, kafka.bootstrap(), 19, 1_200);
    site.release(PACKAGES);
    site.produce(0..1_000);
    site.run_to_end("a");
    let runtime = runtime();

    let options = RedisOptions::default().tls().user("feeder", "it's a secret");
    let locked = Redis::start_with(&options).unwrap();
    let ca = locked.ca_file().unwrap().to_path_buf();
    let file = site.trifold.path("redis.toml");
    std::fs::write(&file, format!("[redis]\nca = \"{}\"\n", ca.display())).unwrap();
    let file = file.to_str().unwrap();
    let summary = complete(site.materialize(&["--redis", locked.url(), "--config", file]));
    assert_eq!(summary["views"].as_array().unwrap().len(), 3, "{summary}");

    let mut cluster = RedisCluster::start(3).unwrap();
    let urls = cluster.urls().join(",");
    let of_cluster = ["--redis", &urls, "--redis-cluster"];
    complete(site.materialize(&of_cluster));
    // What was there is gone on with: the rest, and nothing but the rest.
    site.produce(1_000..1_200);
    site.run_to_end("a");
    let again = complete(site.materialize(&of_cluster));
    let changes = |summary: &Value| summary["views"][2]["changes"].as_u64().unwrap();
    assert!(changes(&again) < changes(&summary) / 2, "{again}, after {summary}");
    assert_eq!(changes(&complete(site.materialize(&of_cluster))), 0);
    let settings = RedisSettings { urls: cluster.urls(), cluster: true, ..RedisSettings::new("") };
    let store = runtime.block_on(RedisStore::open(&settings)).unwrap();
    site.check_store(&store, &runtime);

    // What lies on another node than before is found there, by whoever knew the old place.
    (0..4).for_each(|bucket| move_bucket(&mut cluster, site.versions()[0].state_id(), bucket));
    site.check_store(&store, &runtime);

    // A node that lost what it had is found out, and filled.
    cluster.node(1).kill().unwrap();
    cluster.node(1).start_again().unwrap();
    cluster.wait_until_whole().unwrap();
    let state = site.versions()[0].state_id();
    wait(|| matches!(runtime.block_on(store.marker(state)), Ok(None)));
    complete(site.materialize(&of_cluster));
    site.check_store(&store, &runtime);

    complete(site.materialize(&["--redis", locked.url(), "--config", file]));
    let settings = RedisSettings { ca_file: Some(ca), ..RedisSettings::new(locked.url()) };
    site.check_store(&runtime.block_on(RedisStore::open(&settings)).unwrap(), &runtime);

    // A state goes from all nodes, and from the cluster; who follows it begins it anew.
    let version = &site.versions()[0];
    assert!(runtime.block_on(store.remove(version.state_id())).unwrap() > 32);
    assert_eq!(runtime.block_on(store.remove(version.state_id())).unwrap(), 0);
    let cluster_settings = ClusterSettings {
        brokers: kafka.bootstrap().to_owned(),
        group: GROUP.to_owned(),
        worker: "retire".to_owned(),
        properties: BTreeMap::new(),
    };
    let topic = remove_changes(&cluster_settings, &FeedId::of(version)).unwrap();
    assert_eq!(topic, Some(TopicNames::new(GROUP).of(&FeedId::of(version), Purpose::Changes)));
    wait(|| remove_changes(&cluster_settings, &FeedId::of(version)).unwrap().is_none());
    site.run_to_end("b");
    complete(site.materialize(&of_cluster));
    site.check_store(&store, &runtime);
}

#[test]
fn what_a_feeder_cannot_do_is_said_at_the_start() {
    let (kafka, redis) = (Kafka::start().unwrap(), Redis::start_with(&RedisOptions::default()).unwrap());
    let site = Site::new(&kafka, kafka.bootstrap(), 23, 60);
    let refused = |more: &[&str], exit, parts: &[&str]| Ran::of(&mut site.materialize(more)).refused(exit, parts);
    let url = redis.url();
    refused(&[], Exit::Usage, &["no Redis is named", "--redis"]);
    refused(&["--redis", url], Exit::NotFound, &["no row view is in force"]);
    site.release(PACKAGES);
    refused(&["--redis", "no address"], Exit::Usage, &["an address of a Redis cannot be used"]);
    refused(&["--redis", "redis://127.0.0.1:9"], Exit::Unavailable, &["127.0.0.1:9", "could not connect"]);
    let two = format!("{url},{url}");
    refused(&["--redis", &two], Exit::Usage, &["only a cluster"]);
    refused(&["--redis", url, "--views", "nothing"], Exit::NotFound, &["nothing"]);
    refused(&["--redis", url], Exit::NotFound, &["no topic scoring.card", "trifold stream --topic"]);
    let locked = Redis::start_with(&RedisOptions::default().user("me", "sesame-1")).unwrap();
    let wrong = locked.url().replace("sesame-1", "sesame-2");
    let ran = refused(&["--redis", &wrong], Exit::Unavailable, &["could not connect"]);
    assert!(!ran.stderr.contains("sesame"), "a password is told: {ran:#?}");
    let evicting = RedisOptions::default().setting("maxmemory-policy", "allkeys-lru");
    let evicting = Redis::start_with(&evicting).unwrap();
    refused(&["--redis", evicting.url()], Exit::Usage, &["maxmemory-policy allkeys-lru", "noeviction"]);

    site.produce(0..60);
    site.run_to_end("a");
    complete(site.materialize(&["--redis", url]));
    // Another group's changes are another life of the same states.
    let brokers = ["--brokers", kafka.bootstrap(), "--group", "other"];
    let topic = ["stream", "--topic", "payments", "--arrival", "arrived_at"];
    site.trifold.run(topic.iter().chain(&brokers)).succeeded();
    let feed = ["materialize", "--redis", url];
    let ran = site.trifold.run(feed.iter().chain(&brokers));
    ran.refused(Exit::Usage, &["scoring.card", "other.card", "redis.prefix"]);
}

/// What a worker and two feeders tell once 500 payments are in.
fn check_metrics(of_worker: &str, of_feeders: &[String; 2]) {
    let value = |address: &str, metric: &str| -> Option<f64> {
        let (status, metrics) = get(address, "/metrics");
        assert_eq!(status, 200);
        let line = metrics.lines().find_map(|line| line.strip_prefix(metric));
        line.map(|value| value.trim().parse().unwrap())
    };
    let has = |address: &str, metric: &str, is_it: fn(f64) -> bool| value(address, metric).is_some_and(is_it);
    let view = "{view=\"card_spend\"}";
    wait(|| has(of_worker, &format!("trifold_lag_events{view}"), |lag| lag == 0.0));
    assert!(has(of_worker, &format!("trifold_events_total{view}"), |events| events == 500.0));
    assert!(has(of_worker, &format!("trifold_rows_total{view}"), |rows| rows > 250.0 && rows < 500.0));
    assert!(has(of_worker, &format!("trifold_fuel_total{view}"), |fuel| fuel > 100_000.0));
    assert!(has(of_worker, "trifold_set_aside_total{view=\"card_spend\",reason=\"late\"}", |late| late > 0.0));
    assert!(has(of_worker, "trifold_partitions", |partitions| partitions == 6.0));
    assert!(has(of_worker, "trifold_transaction_seconds_count", |count| count > 0.0));
    assert!(has(of_worker, &format!("trifold_restore_seconds_count{view}"), |count| count == 6.0));
    assert_eq!(get(of_worker, "/ready").0, 200);
    let of_feeder = &of_feeders[0];
    wait(|| has(of_feeder, &format!("trifold_fed_complete{view}"), |complete| complete == 1.0));
    // Which of them is first with what is not said.
    let of_both = |metric: &str| {
        let metric = format!("{metric}{view}");
        of_feeders.iter().filter_map(|address| value(address, &metric)).sum::<f64>()
    };
    wait(|| of_both("trifold_fed_changes_total") > 500.0);
    assert!(of_both("trifold_feed_delay_seconds_count") > 0.0);
    assert!(of_both("trifold_freshness_seconds_count") > 0.0);
    wait(|| get(of_feeder, "/ready").0 == 200);
    assert_eq!(get(of_feeder, "/other").0, 404);
}

/// Asks over HTTP: the status and the body.
fn get(address: &str, path: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    connection.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// How many events the states of an answer had included.
fn applied(answer: &Value) -> u64 {
    // A server that cannot reach its store says so, and prints nothing else.
    let views = answer["rows"][0]["views"].as_array().cloned().unwrap_or_default();
    let sums = views.iter().map(|view| {
        let next = view["next-offsets"].as_object().unwrap();
        next.values().map(|next| next.as_u64().unwrap()).sum::<u64>()
    });
    sums.min().unwrap_or(0)
}

/// How many events of each view are in a Redis.
pub(crate) fn next_offsets(site: &Site, runtime: &Runtime, store: &RedisStore) -> Vec<u64> {
    let applied = |marker: Result<_, StoreError>| {
        let marker: Option<trifold_store::Marker> = marker.ok().flatten();
        marker.map_or(0, |marker| marker.positions.0.values().sum())
    };
    site.versions().iter().map(|version| applied(runtime.block_on(store.marker(version.state_id())))).collect()
}

/// Runs a feeder to the end of what there is.
#[track_caller]
fn complete(mut command: Command) -> Value {
    let summary = Ran::of(command.args(["--format", "json"])).succeeded().json();
    for view in summary["views"].as_array().unwrap() {
        assert_eq!(view["complete"], true, "{summary}");
    }
    summary
}

/// Moves a bucket of a state to another node of a cluster, with all that is in it.
fn move_bucket(cluster: &mut RedisCluster, state: StateId, bucket: usize) {
    let marker = format!("trifold:{{{state}.{bucket}}}:marker");
    let addresses: Vec<_> = (0..3).map(|node| cluster.node(node).address().to_owned()).collect();
    let slot = tell(&addresses[0], &format!("CLUSTER KEYSLOT {marker}")).text();
    let is_owner = |address: &&String| !matches!(ask(address, &[b"HLEN", marker.as_bytes()]), Answer::Error(_));
    let from = addresses.iter().find(is_owner).unwrap();
    let to = addresses.iter().find(|address| *address != from).unwrap();
    let [of_from, of_to] = [from, to].map(|address| tell(address, "CLUSTER MYID").text());
    tell(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {of_from}"));
    tell(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {of_to}"));
    let Answer::Several(keys) = tell(from, &format!("CLUSTER GETKEYSINSLOT {slot} 10000")) else {
        panic!("no keys")
    };
    assert!(!keys.is_empty());
    let (host, port) = to.split_once(':').unwrap();
    for key in keys {
        let Answer::Text(key) = key else { panic!("{key:?}") };
        let moved = ask(from, &[b"MIGRATE", host.as_bytes(), port.as_bytes(), &key, b"0", b"5000"]);
        assert_eq!(moved, Answer::Text(b"OK".to_vec()));
    }
    for address in [to, from] {
        tell(address, &format!("CLUSTER SETSLOT {slot} NODE {of_to}"));
    }
}

/// Asks again and again: each condition waits for a server's answer.
#[track_caller]
pub(crate) fn wait(is_it: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_it() {
        assert!(begun.elapsed() < PATIENCE, "it does not come about");
    }
}
