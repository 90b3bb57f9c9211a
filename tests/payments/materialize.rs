//! `trifold backfill --materialize`: whatever a server answers from a state that was loaded, it answers from one that a
//! stream filled with the same payments.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use payments_generator::write_log;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use trifold_cli::exit::Exit;
use trifold_eventlog::RowFormat;
use trifold_model::{EntityKey, EventTime, LogId, Positions, StateId};
use trifold_oracle::{Value as Coded, coded};
use trifold_pipeline::LiveVersion;
use trifold_server::client::StatePosition;
use trifold_store::{Fed, Followed, Marker, OnlineStore, RedisSettings, RedisStore, Step};
use trifold_test_servers::{Redis, RedisOptions};
use trifold_tests::command::{Ran, Trifold};
use trifold_tests::guests::component;
use trifold_tests::live::views;
use trifold_tests::online::{Online, runtime};
use trifold_tests::rows::{Row, answered};
use trifold_tests::stores;

use crate::log::Log;
use crate::site::{ARRIVAL, RISK, STORED, in_hand, key, stored};

pub(crate) const FILES: usize = 3;
pub(crate) const VIEWS: [&str; 3] = ["card_spend", "card_recent", "card_profile"];
pub(crate) const HOUR: i64 = 3_600_000_000;

/// Up to where the answers are, and the rows.
pub(crate) type Answered = (Option<StatePosition>, Vec<Row>);

/// A data directory with the views in force, and a log beside it that grows.
pub(crate) struct Site {
    pub(crate) trifold: Trifold,
    pub(crate) log: Log,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) dir: PathBuf,
}

impl Site {
    pub(crate) fn new(seed: u64) -> Self {
        let trifold = Trifold::new(env!("CARGO_BIN_EXE_trifold-under-test"));
        for package in STORED.iter().chain([&RISK]) {
            trifold.run(["push", text(&component(package, &[]).path), "--release"]).succeeded();
        }
        let (log, dir, all) = (Log::new(seed), trifold.path("payments"), trifold.path("all"));
        let (_, files) = write_log(&log.config, &all, RowFormat::JsonLines, FILES as u32).unwrap();
        let mut files: Vec<_> = files.into_iter().map(|file| file.path).collect();
        files.sort();
        assert_eq!(files.len(), FILES);
        fs::create_dir(&dir).unwrap();
        Site { trifold, log, files, dir }
    }

    /// So many files of the log are there, and no others.
    pub(crate) fn grow_to(&self, files: usize) {
        fs::remove_dir_all(&self.dir).unwrap();
        fs::create_dir(&self.dir).unwrap();
        for file in &self.files[..files] {
            fs::copy(file, self.dir.join(file.file_name().unwrap())).unwrap();
        }
    }

    pub(crate) fn arguments<'a>(&'a self, first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
        let log = ["--events", text(&self.dir), "--arrival", ARRIVAL, "--format", "json"];
        [first, &log, more].concat()
    }

    pub(crate) fn stream(&self, more: &[&str]) -> Ran {
        self.trifold.run(self.arguments(&["stream"], more))
    }

    pub(crate) fn load(&self, views: &[&str], more: &[&str]) -> Ran {
        self.trifold.run(self.arguments(&[&["backfill", "--materialize"], views].concat(), more))
    }

    /// Kills a load once it has said something so often.
    fn kill(&self, more: &[&str], part: &str, times: usize) {
        let config = self.trifold.path("slow.toml");
        fs::write(&config, "[stream]\nstep-rows = 40\ncheckpoint-interval-ms = 0\n").unwrap();
        let slow = ["--config", text(&config), "--log", "trifold_cli=debug"];
        let load = self.arguments(&[&["backfill", "--materialize"], &VIEWS[..]].concat(), &slow);
        let mut command = self.trifold.command(load.iter().chain(more));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let heard = lines.filter(|line| line.contains(part)).take(times).count();
        child.kill().unwrap();
        assert_eq!((heard, child.wait().unwrap().code()), (times, None), "it ended by itself");
    }

    pub(crate) fn embedded(&self) -> Arc<dyn OnlineStore> {
        Arc::new(stores::open(&self.trifold.data("")))
    }

    /// What a server answers: every card and one that nobody knows, at some times, and with a payment in hand.
    fn answers(&self, store: Arc<dyn OnlineStore>) -> Vec<Answered> {
        let online = Online::fixed(store, views(stored().to_vec()));
        let mut answers = self.looked_up(&online);
        for version in stored() {
            for payment in self.log.payments.iter().rev().step_by(7).take(30) {
                let held = in_hand(version, payment);
                let at = EventTime(payment.arrived_at);
                let rows = online.look_up(version.view(), &[key(payment)], at, &[held]);
                answers.push((rows.position, answered(&rows.rows)));
            }
        }
        answers
    }

    /// The same without payments in hand.
    pub(crate) fn values(&self, store: Arc<dyn OnlineStore>) -> Vec<Answered> {
        self.looked_up(&Online::fixed(store, views(stored().to_vec())))
    }

    fn looked_up(&self, online: &Online) -> Vec<Answered> {
        let nobody = EntityKey(coded(&[Coded::Text("nobody".to_owned())]).into());
        let cards: BTreeSet<_> = self.log.payments.iter().map(key).chain([nobody]).collect();
        let cards: Vec<_> = cards.into_iter().collect();
        let mut answers = Vec::new();
        for version in stored() {
            for later in [0, HOUR / 7, HOUR, 11 * HOUR, 25 * HOUR, 24 * 40 * HOUR] {
                let rows = online.look_up(version.view(), &cards, EventTime(self.end() + later), &[]);
                answers.push((rows.position, answered(&rows.rows)));
            }
        }
        assert!(answers.iter().flat_map(|(_, rows)| rows).filter(|row| row.is_ok()).count() > 300);
        answers
    }

    /// A time at which all has happened and arrived. Before, some states have forgotten what others have not.
    pub(crate) fn end(&self) -> i64 {
        self.log.payments.iter().map(|payment| payment.event_time.max(payment.arrived_at)).max().unwrap()
    }

    /// Holds what a server answers about every card against a backfill.
    #[track_caller]
    pub(crate) fn audit(&self, serve: &[&str]) {
        let (server, end) = (self.trifold.start(serve), self.end().to_string());
        for view in VIEWS {
            let online = ["--online", "--server", &server.url, "--as-of", &end];
            let report = self.trifold.run(self.arguments(&["audit", view], &online)).succeeded().json();
            let counts = ["differing", "missing", "unavailable"].map(|name| report[name].clone());
            assert_eq!(counts, [json!(0), json!(0), json!(0)], "{report}");
            assert!(report["compared"].as_u64().unwrap() > 30, "{report}");
        }
    }

    /// The markers of the embedded store, whatever lives they are of.
    fn markers(&self) -> Vec<Option<Marker>> {
        let (store, runtime) = (stores::open(&self.trifold.data("")), runtime());
        let marker = |state| runtime.block_on(store.marker(state)).unwrap();
        stored().iter().map(|version| Some(Marker { incarnation: 0, ..marker(version.state_id())? })).collect()
    }
}

/// Fails unless answers are the same, and names the first that is not.
#[track_caller]
pub(crate) fn check_equal(found: &[Answered], expected: &[Answered]) {
    assert_eq!(found.len(), expected.len());
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.0, expected.0, "answer {place}");
        for (row, pair) in found.1.iter().zip(&expected.1).enumerate() {
            assert_eq!(pair.0, pair.1, "row {row} of answer {place}");
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A Redis and a connection to it.
pub(crate) struct Remote {
    pub(crate) redis: Redis,
    runtime: Runtime,
    store: RedisStore,
}

impl Remote {
    pub(crate) fn start() -> Self {
        let (redis, runtime) = (Redis::start_with(&RedisOptions::default()).unwrap(), runtime());
        let store = runtime.block_on(RedisStore::open(&RedisSettings::new(redis.url()))).unwrap();
        Remote { redis, runtime, store }
    }

    pub(crate) fn named(&self) -> [&str; 2] {
        ["--redis", self.redis.url()]
    }

    pub(crate) fn store(&self) -> Arc<dyn OnlineStore> {
        Arc::new(self.store.clone())
    }

    fn marker(&self, state: StateId) -> Option<Marker> {
        self.runtime.block_on(self.store.marker(state)).unwrap()
    }

    /// Brings of each partition of a log of changes a transaction that says nothing but how far it is.
    fn feed(&self, state: StateId, followed: &Followed, log: &str, next: u64) {
        for partition in 0..followed.partitions {
            let marker = Marker {
                incarnation: 77,
                log: LogId(log.into()),
                source: String::new(),
                positions: Positions(BTreeMap::from([(partition, next)])),
                consumed: Vec::new(),
                release: None,
                arrivals: BTreeMap::new(),
            };
            let fed = self.runtime.block_on(async {
                let mut feeding = self.store.feeding(state, partition, followed.clone()).await.unwrap();
                assert_eq!(feeding.begin(true, 77, 77).await.unwrap(), Fed::In);
                let step = Step { entries: &[], next: 1, marker: Some(&marker), complete: true, now: 78 };
                feeding.apply(&step).await.unwrap()
            });
            assert_eq!(fed, Fed::In);
        }
    }
}

#[test]
fn a_server_answers_from_a_load_as_from_a_stream_and_a_stream_goes_on_behind_it() {
    let (streamed, loaded, remote) = (Site::new(11), Site::new(11), Remote::start());
    for site in [&streamed, &loaded] {
        site.grow_to(2);
    }
    let told = streamed.stream(&[]).succeeded().json();
    let expected = streamed.answers(streamed.embedded());
    let counts = |of: &Value, rows: &str| -> Vec<Value> {
        let of = of["views"].as_array().unwrap().iter();
        of.map(|of| json!([of["view"], of["events"], of[rows], of["duplicates"], of["aside"]])).collect()
    };
    // Without a word of the embedded store, and into it.
    let into_redis = loaded.load(&VIEWS, &remote.named()).succeeded().json();
    assert!(!loaded.trifold.data("store.redb").exists() && !loaded.trifold.data("load").exists());
    assert_eq!(counts(&into_redis, "counted"), counts(&told, "rows"));
    assert_eq!((&into_redis["store"], &into_redis["log"]), (&json!("redis"), &json!("payments")));
    let embedded = loaded.load(&VIEWS, &[]).succeeded().json();
    assert_eq!(embedded["store"], "embedded");
    assert_eq!(counts(&embedded, "counted"), counts(&told, "rows"));
    for (view, of_redis) in
        embedded["views"].as_array().unwrap().iter().zip(into_redis["views"].as_array().unwrap())
    {
        assert_eq!(view["entities"], of_redis["entities"]);
        assert!(view["entities"].as_u64().unwrap() > 30, "{view}");
    }
    assert!(embedded["seconds"].as_f64().unwrap() > 0.0);
    assert!(!loaded.trifold.data("rows").exists() && !loaded.trifold.data("aside").exists());
    check_equal(&loaded.answers(loaded.embedded()), &expected);
    check_equal(&loaded.answers(remote.store()), &expected);
    assert_eq!(loaded.markers(), streamed.markers());

    // There is nothing more to load, and a Redis takes the same anew.
    let again = loaded.load(&VIEWS, &[]).succeeded().json();
    assert!(again["views"].as_array().unwrap().iter().all(|view| view["events"] == 0), "{again}");
    loaded.load(&VIEWS, &remote.named()).succeeded();
    check_equal(&loaded.answers(remote.store()), &expected);
    loaded.audit(&["serve"]);
    loaded.audit(&["serve", "--redis", remote.redis.url()]);

    // The log grows: a load goes on, and then a stream does.
    let events_of = |ran: Ran| ran.json()["views"][0]["events"].as_u64().unwrap();
    let before = into_redis["views"][0]["events"].as_u64().unwrap();
    for site in [&streamed, &loaded] {
        site.grow_to(FILES);
    }
    let all = loaded.log.payments.len() as u64;
    streamed.stream(&[]).succeeded();
    assert_eq!(events_of(loaded.stream(&["--stop-at", &(before + 100).to_string()]).succeeded()), 100);
    let rows = loaded.trifold.data("rows");
    let refused = loaded.load(&VIEWS, &[]).refused(Exit::Usage, &["card_", "has emitted rows", "trifold stream"]);
    assert!(refused.stderr.contains(text(&rows)), "{refused:#?}");
    // Once they are elsewhere they have no hole.
    fs::rename(&rows, loaded.trifold.path("rows")).unwrap();
    assert_eq!(events_of(loaded.load(&VIEWS, &[]).succeeded()), all - before - 100);
    assert_eq!(loaded.markers(), streamed.markers());
    check_equal(&loaded.answers(loaded.embedded()), &streamed.answers(streamed.embedded()));
    assert_eq!(events_of(loaded.load(&VIEWS, &remote.named()).succeeded()), all);
    check_equal(&loaded.answers(remote.store()), &streamed.answers(streamed.embedded()));
}

#[test]
fn a_load_that_was_killed_is_done_again() {
    let (site, remote) = (Site::new(12), Remote::start());
    site.grow_to(FILES);
    let all = site.log.payments.len() as u64;
    site.kill(&remote.named(), "applied", 5);
    assert!(site.trifold.data("load").exists());
    assert_eq!(stored().iter().filter_map(|version| remote.marker(version.state_id())).count(), 0);
    let ran = site.load(&VIEWS, &remote.named()).succeeded().json();
    assert_eq!(ran["views"][0]["events"], all);
    assert!(!site.trifold.data("load").exists());

    site.kill(&[], "applied", 5);
    let marker = site.markers().swap_remove(0).unwrap();
    let done = marker.positions.next(0);
    assert!(done > 0 && done < all, "{done}");
    let ran = site.load(&VIEWS, &[]).succeeded().json();
    let read: u64 = ran["views"].as_array().unwrap().iter().map(|view| view["events"].as_u64().unwrap()).sum();
    assert!(read < 3 * all, "{ran}");
    let expected = site.answers(site.embedded());
    check_equal(&site.answers(remote.store()), &expected);

    // While a part of it is in, nothing is answered.
    let state = stored()[0].state_id();
    remote.runtime.block_on(async {
        let followed = Followed::load(&LogId("payments".into()), 1);
        let mut feeding = remote.store.feeding(state, 0, followed).await.unwrap();
        assert_eq!(feeding.begin(true, 5, 5).await.unwrap(), Fed::In);
        let step = Step { entries: &[], next: 7, marker: None, complete: false, now: 6 };
        assert_eq!(feeding.apply(&step).await.unwrap(), Fed::In);
    });
    assert_eq!(remote.marker(state), None);
    site.load(&VIEWS[..1], &remote.named()).succeeded();
    check_equal(&site.answers(remote.store()), &expected);
}

#[test]
fn what_a_group_feeds_is_left_alone_and_a_log_of_changes_takes_the_place_of_a_load() {
    let (site, remote) = (Site::new(13), Remote::start());
    site.grow_to(2);
    site.load(&VIEWS, &remote.named()).succeeded();
    let of_view = |version: &&LiveVersion| version.view().name.as_str() == VIEWS[0];
    let state = stored().iter().find(of_view).unwrap().state_id();
    let positions = || remote.marker(state).unwrap().positions;
    let loaded = positions();
    let expected = site.answers(remote.store());
    // Of another log, or of more than there is.
    let refused = |more: &[&str], exit, parts: &[&str]| {
        site.load(&VIEWS[..1], &[&remote.named()[..], more].concat()).refused(exit, parts);
    };
    let elsewhere = ["--log-id", "elsewhere"];
    refused(
        &elsewhere,
        Exit::Usage,
        &["a load of payments", "a load of elsewhere", "redis.prefix", "--overwrite"],
    );
    site.grow_to(1);
    refused(&[], Exit::Data, &["partition 0 of payments", "--overwrite"]);
    site.grow_to(2);

    // More partitions, and fewer again.
    let followed = Followed { source: "cluster/scoring.card_spend.changes".to_owned(), partitions: 3 };
    remote.feed(state, &followed, "cluster/payments", 5);
    assert_eq!(positions().0, BTreeMap::from([(0, 5), (1, 5), (2, 5)]));
    refused(&[], Exit::Usage, &["cluster/scoring.card_spend.changes", "a load of payments", "--overwrite"]);
    site.load(&VIEWS[1..], &remote.named()).succeeded();
    site.load(&VIEWS[..1], &[&remote.named()[..], &["--overwrite"]].concat()).succeeded();
    assert_eq!(positions(), loaded);
    check_equal(&site.answers(remote.store()), &expected);
}

#[test]
fn a_state_that_is_removed_leaves_the_others_whole() {
    let (site, remote) = (Site::new(15), Remote::start());
    site.grow_to(1);
    site.load(&VIEWS, &remote.named()).succeeded();
    let states: Vec<_> = stored().iter().map(LiveVersion::state_id).collect();
    let markers = || states.iter().map(|state| remote.marker(*state)).collect::<Vec<_>>();
    let (before, expected) = (markers(), site.answers(remote.store()));
    let remove = |state| remote.runtime.block_on(remote.store.remove(state)).unwrap();
    // The markers of all buckets, and a key or two for each of some thirty entities.
    assert!(remove(states[0]) > 60);
    assert_eq!(remove(states[0]), 0, "all of it is gone");
    assert_eq!((&markers()[0], &markers()[1..]), (&None, &before[1..]));
    site.load(&VIEWS, &remote.named()).succeeded();
    check_equal(&site.answers(remote.store()), &expected);
}

#[test]
fn what_cannot_be_loaded_is_refused_by_name() {
    let site = Site::new(14);
    site.grow_to(2);
    let refused =
        |views: &[&str], more: &[&str], exit, parts: &[&str]| site.load(views, more).refused(exit, parts);
    refused(
        &["payment_risk"],
        &[],
        Exit::Usage,
        &["payment_risk", "on-demand", "card_spend", "load what it reads"],
    );
    refused(&["card_spend", "card_spend@1"], &[], Exit::Usage, &["card_spend is named twice"]);
    refused(&["card_spend"], &["--out", "rows"], Exit::Usage, &["--out", "cannot be used with"]);
    refused(&["card_spend"], &["--cut", "all"], Exit::Usage, &["--cut", "cannot be used with"]);
    refused(&["nothing"], &[], Exit::NotFound, &["nothing"]);
    refused(&["card_spend"], &["--redis", "redis://127.0.0.1:9"], Exit::Unavailable, &["127.0.0.1:9"]);
    let trifold = &site.trifold;
    let log = ["--events", text(&site.dir)];
    trifold.run(["backfill", "card_spend"].iter().chain(&log)).refused(Exit::Usage, &["--out"]);
    let two = ["backfill", "card_spend", "card_profile", "--out", "rows"];
    trifold.run(two.iter().chain(&log)).refused(Exit::Usage, &["one view at a time", "--materialize"]);
    let without = ["backfill", "card_spend", "--materialize"];
    trifold.run(without.iter().chain(&log)).refused(Exit::Usage, &["card_spend", "lateness", "--assume-on-time"]);

    // Nothing of it is an event: the columns have other names.
    let other = ["--event-time", "paid_at"];
    refused(&["card_spend"], &other, Exit::Data, &["card_spend", "not one of the", "null-time"]);
    trifold.run(["clear", "card_spend"]).succeeded();

    site.load(&VIEWS, &[]).succeeded();
    let server = trifold.start(["serve"]);
    refused(&["card_spend"], &[], Exit::Unavailable, &["in use by", "trifold serve"]);
    drop(server);
    let elsewhere = ["--log-id", "elsewhere"];
    refused(&["card_spend"], &elsewhere, Exit::Data, &["payments", "elsewhere", "`--overwrite`"]);
    refused(&["card_spend"], &["--event-id", "merchant"], Exit::Usage, &["merchant", "`--overwrite`"]);
    site.grow_to(1);
    refused(&["card_spend"], &[], Exit::Data, &["card_spend", "`--overwrite`"]);
    // Unless that is what is wanted.
    site.load(&["card_spend"], &["--overwrite", "--log-id", "elsewhere"]).succeeded();
    let marker = site.markers().into_iter().flatten().find(|marker| *marker.log.0 == *"elsewhere");
    assert!(marker.is_some());
}
