//! A server whose Redis fails under requests: no wrong value, nothing that waits for ever, memory that is bounded, and a service
//! that resumes by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use trifold_model::{EntityKey, EventTime, Positions};
use trifold_pipeline::{LiveVersion, Outcome};
use trifold_server::client::{Answer, Client};
use trifold_test_servers::{Control, Proxy, Redis, RedisOptions};
use trifold_tests::command::Running;
use trifold_tests::online::{key_columns, runtime};

use crate::materialize::{FILES, Site, VIEWS};
use crate::site::{key, stored};

/// So many requests are in flight.
const IN_FLIGHT: usize = 200;
/// A request may take so long on a machine that does much else. The store has three seconds of it.
const REQUEST: Duration = Duration::from_secs(20);
/// The server may grow by so much, of which the cache has 4 MiB.
const GROWTH_KIB: u64 = 192 << 10;
/// How long the service may take to resume, and a fault to show.
const PATIENCE: Duration = Duration::from_secs(120);
/// As the configuration says.
const NOT_KEPT: &str = "card_recent";
const STALE: Duration = Duration::from_secs(10);

const CONFIG: &str =
    "[redis]\ntimeout-ms = 3000\n[cache]\nmib = 4\nttl-ms = 50\nstale-ms = 10000\nexcept = [\"card_recent\"]
[server]\npoll-interval-ms = 3600000\nconcurrency = 200\nview-concurrency = 200\n[log]\nfilter = \"off\"\n";

/// A connection to a Redis that says what it is told to.
struct Told(BufReader<TcpStream>);

impl Told {
    fn new(redis: &Redis) -> Self {
        Told(BufReader::new(TcpStream::connect(redis.address()).unwrap()))
    }

    fn tell(&mut self, command: &str) -> String {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(!line.starts_with('-'), "{command}: {line}");
        let Some(length) = line.strip_prefix('$') else { return line };
        let mut text = vec![0; length.trim().parse::<usize>().unwrap() + 2];
        self.0.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// A figure of `INFO`.
    fn figure(&mut self, name: &str) -> u64 {
        let info = self.tell("INFO");
        let figure = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        figure.parse().unwrap()
    }
}

/// What came of some requests, in rows.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    known: u64,
    stale: u64,
    unavailable: u64,
    /// Of the view of which nothing is kept.
    not_kept: u64,
}

/// The position and the bytes of each card's row, by view.
type Expected = BTreeMap<(String, EntityKey), (Positions, Option<Vec<u8>>)>;

struct Rig {
    site: Site,
    redis: Redis,
    proxy: Proxy,
    told: Told,
    server: Running,
    client: Client,
    runtime: tokio::runtime::Runtime,
    cards: Vec<EntityKey>,
    expected: Expected,
}

impl Rig {
    fn new(seed: u64) -> Self {
        let (site, redis) = (Site::new(seed), Redis::start_with(&RedisOptions::default()).unwrap());
        site.grow_to(FILES);
        site.load(&VIEWS, &["--redis", redis.url()]).succeeded();
        let proxy = Proxy::start(redis.address()).unwrap();
        let config = site.trifold.path("faults.toml");
        fs::write(&config, CONFIG).unwrap();
        let url = format!("redis://{}", proxy.address());
        let server = site.trifold.start(["--config", config.to_str().unwrap(), "serve", "--redis", &url]);
        let runtime = runtime();
        let client = runtime.block_on(Client::connect(&server.url)).unwrap();
        let cards: BTreeSet<_> = site.log.payments.iter().map(key).collect();
        let (told, cards) = (Told::new(&redis), cards.into_iter().collect());
        let mut rig = Rig { site, redis, proxy, told, server, client, runtime, cards, expected: Expected::new() };
        // What a backfill says, by an audit of every card.
        rig.site.audit(&["serve", "--redis", rig.redis.url()]);
        rig.expected = rig.healthy();
        rig
    }

    /// What the server answers about every card while all is well.
    fn healthy(&self) -> Expected {
        let answer = self.runtime.block_on(ask(self.client.clone(), &self.cards, self.site.end()));
        let mut expected = Expected::new();
        for view in &answer.views {
            for (row, bytes) in view.rows.canonical().unwrap().into_iter().enumerate() {
                assert!(bytes.is_some(), "{}: {:?}", view.view, view.rows.outcomes()[row]);
                let position = view.position.as_ref().unwrap().of_row(row);
                expected.insert((view.view.clone(), self.cards[row].clone()), (position, bytes));
            }
        }
        expected
    }

    /// So many requests at once, each of two cards; `meanwhile` happens while they are in flight.
    fn wave(&mut self, meanwhile: impl FnOnce(&mut Self)) -> Tally {
        let end = self.site.end();
        let requests = (0..IN_FLIGHT).map(|number| {
            let cards = [0, 7].map(|more| self.cards[(number + more) % self.cards.len()].clone());
            let client = self.client.clone();
            self.runtime.spawn(async move {
                let begun = Instant::now();
                let answer = ask(client, &cards, end).await;
                (cards, answer, begun.elapsed())
            })
        });
        let requests: Vec<_> = requests.collect();
        meanwhile(self);
        let mut tally = Tally::default();
        for request in requests {
            let (cards, answer, took) = self.runtime.block_on(request).unwrap();
            assert!(took < REQUEST, "{took:?}");
            self.check(&cards, &answer, &mut tally);
        }
        tally
    }

    fn check(&self, cards: &[EntityKey], answer: &Answer, tally: &mut Tally) {
        for view in &answer.views {
            for (row, bytes) in view.rows.canonical().unwrap().into_iter().enumerate() {
                if let Outcome::Unavailable(_) = view.rows.outcomes()[row] {
                    tally.unavailable += 1;
                    tally.not_kept += u64::from(view.view == NOT_KEPT);
                    continue;
                }
                let position = view.position.as_ref().unwrap();
                let found = (position.of_row(row), bytes);
                assert_eq!(found, self.expected[&(view.view.clone(), cards[row].clone())], "{}", view.view);
                tally.known += 1;
                tally.stale += u64::from(position.stale.contains_key(&row));
                assert!(!position.stale.contains_key(&row) || view.view != NOT_KEPT);
                assert!(position.stale.get(&row).is_none_or(|age| *age < STALE));
            }
        }
    }

    /// Waves, until something holds of one.
    fn until(&mut self, what: &str, holds: impl Fn(&Tally) -> bool) -> Tally {
        let begun = Instant::now();
        loop {
            let tally = self.wave(|_| ());
            if holds(&tally) {
                return tally;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: {tally:?}");
        }
    }

    /// A fault during which the store cannot be asked.
    fn outage(&mut self, name: &str, fails: impl FnOnce(&mut Self), ends: impl FnOnce(&mut Self)) {
        // Everything is kept, and at least one card of what is not.
        self.until(name, |tally| tally.unavailable == 0);
        let first = self.wave(fails);
        let stale = self.until(name, |tally| tally.unavailable > 0 || tally.stale > 0);
        assert!(first.stale + stale.stale > 0, "{name}: nothing that was kept answered: {first:?} {stale:?}");
        // What was kept gets too old.
        self.until(name, |tally| tally.known == 0);
        self.wave(ends);
        self.until(name, |tally| tally.unavailable == 0 && tally.stale == 0);
    }

    fn memory_kib(&self, of: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(of)).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
    }
}

async fn ask(mut client: Client, cards: &[EntityKey], at: i64) -> Answer {
    let views = stored().iter().map(|version| version.view().name.to_string()).collect::<Vec<_>>();
    let columns = key_columns(stored()[0].view(), cards);
    client.get(&views, &columns, Some(EventTime(at))).await.unwrap()
}

#[test]
fn a_server_outlives_its_redis() {
    let mut rig = Rig::new(61);
    rig.until("warm", |tally| tally.unavailable == 0);
    let before = rig.memory_kib("VmRSS:");

    rig.told.tell("SAVE");
    let kill = |rig: &mut Rig| rig.redis.kill().unwrap();
    rig.outage("killed", kill, |rig| rig.redis.start_again().unwrap());
    rig.told = Told::new(&rig.redis);
    rig.outage("paused", |rig| rig.redis.pause().unwrap(), |rig| rig.redis.resume().unwrap());
    let slow = |rig: &mut Rig| rig.proxy.delay(Duration::from_secs(4));
    rig.outage("slow", slow, |rig| rig.proxy.delay(Duration::ZERO));
    rig.outage("closed", |rig| _ = rig.proxy.cut(), |rig| rig.proxy.mend().unwrap());
    let refuse = |rig: &mut Rig| {
        rig.told.tell("CONFIG SET maxclients 1");
        rig.told.tell("CLIENT KILL TYPE normal SKIPME yes");
    };
    rig.outage("refusing", refuse, |rig| drop(rig.told.tell("CONFIG SET maxclients 1000")));

    // Without memory it refuses transactions, those that only read among them.
    let full = |rig: &mut Rig| drop(rig.told.tell("CONFIG SET maxmemory 1"));
    rig.outage("full", full, |rig| drop(rig.told.tell("CONFIG SET maxmemory 0")));

    // It answers, and has nothing: which is not that there was nothing.
    rig.wave(|rig| drop(rig.told.tell("FLUSHALL")));
    let flushed = rig.until("flushed", |tally| tally.known == 0);
    assert_eq!(flushed.unavailable, 2 * 3 * IN_FLIGHT as u64);
    let url = rig.redis.url().to_owned();
    rig.site.load(&VIEWS, &["--redis", &url]).succeeded();
    rig.until("filled again", |tally| tally.unavailable == 0 && tally.stale == 0);

    let (peak, cards) = (rig.memory_kib("VmHWM:"), rig.cards.clone());
    assert!(peak < before + GROWTH_KIB, "{before} KiB before, and {peak} KiB at most");
    assert_eq!(rig.healthy().len(), cards.len() * 3);
}

#[test]
fn a_request_is_one_read_of_the_store() {
    let mut rig = Rig::new(62);
    rig.proxy.cut();
    let config = rig.site.trifold.path("plain.toml");
    fs::write(&config, "[server]\npoll-interval-ms = 3600000\n").unwrap();
    let serve = ["--config", config.to_str().unwrap(), "serve", "--redis", rig.redis.url()];
    let server = rig.site.trifold.start(serve);
    let client = rig.runtime.block_on(Client::connect(&server.url)).unwrap();
    let end = rig.site.end();
    let mut asked = |cards: &[EntityKey]| {
        let before = ["total_reads_processed", "total_commands_processed"].map(|name| rig.told.figure(name));
        let answer = rig.runtime.block_on(ask(client.clone(), cards, end));
        assert!(answer.views.iter().all(|view| view.position.is_some()));
        let after = ["total_reads_processed", "total_commands_processed"].map(|name| rig.told.figure(name));
        // Of each figure the question for the other one comes between.
        [after[0] - before[0] - 2, after[1] - before[1] - 2]
    };
    // Three views, and eight cards in as many buckets or almost.
    let cards = rig.cards[..8].to_vec();
    asked(&cards);
    let [reads, commands] = asked(&cards);
    assert_eq!(reads, 1, "the request went out in {reads} pieces");
    assert!(commands > 3 * 8, "{commands}");
    // Each is read once, however often it is asked for.
    let thrice: Vec<_> = cards.iter().chain(&cards).chain(&cards).cloned().collect();
    assert_eq!(asked(&thrice), [1, commands]);
    assert_eq!(stored().iter().map(LiveVersion::state_id).collect::<BTreeSet<_>>().len(), 3);
}
