//! Archives of the payments' topic: they hold each of its records once, and whatever is made of them is what was made of
//! the topic.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use trifold_cli::exit::Exit;
use trifold_eventlog::{Archive, RawRows};
use trifold_store::{Followed, OnlineStore, RedisSettings, RedisStore, StoreError};
use trifold_test_servers::{Kafka, Redis, RedisOptions};
use trifold_tests::command::Ran;
use trifold_tests::online::runtime;
use trifold_tests::stores;

use crate::encodings;
use crate::feeding::{next_offsets, wait};
use crate::site::{GROUP, PACKAGES, PARTITIONS, Site, TOPIC};
use crate::worker::Worker;

const ARRIVAL: &str = "arrived_at";

/// A record's offset, key and value.
type Placed = (u64, Vec<u8>, Vec<u8>);

/// The archive of a site.
struct Kept<'a> {
    site: &'a Site,
    dir: PathBuf,
    config: PathBuf,
}

impl<'a> Kept<'a> {
    /// An archive whose files are small.
    fn new(site: &'a Site, name: &str, interval_ms: u64) -> Self {
        let config = site.trifold.path(format!("{name}.toml"));
        fs::write(&config, format!("[archive]\nfile-rows = 40\ninterval-ms = {interval_ms}\n")).unwrap();
        Kept { site, dir: site.trifold.path(name), config }
    }

    fn dir(&self) -> &str {
        self.dir.to_str().unwrap()
    }

    fn command(&self, more: &[&str]) -> Command {
        let base = ["archive", "--topic", TOPIC, "--brokers", &self.site.brokers, "--archive", self.dir()];
        let others = ["--arrival", ARRIVAL, "--config", self.config.to_str().unwrap()];
        self.site.trifold.command(base.iter().chain(&others).chain(more))
    }

    /// Archives what there is: what the command said.
    #[track_caller]
    fn run(&self) -> Value {
        Ran::of(&mut self.command(&["--format", "json"])).succeeded().json()
    }

    fn follow(&self) -> Worker {
        Worker::start(self.command(&["--follow"]))
    }

    /// The archived records of each partition: their offsets, keys, and values as JSON or as they are.
    fn records(&self) -> Vec<Vec<Placed>> {
        let archive = Archive::open(&self.dir).unwrap();
        let read = |partition: u32| {
            let (mut reader, mut next, mut records) = (archive.partition(partition, true), 0, Vec::new());
            while let Some(raw) = reader.read(next, 17).unwrap() {
                assert_eq!((raw.partition, raw.first_offset), (partition, next));
                let RawRows::Lines(lines) = &raw.rows else { panic!("records are lines") };
                let keys = raw.places.as_ref().unwrap().keys.clone().unwrap();
                let rows = lines.iter().zip(keys).enumerate();
                records.extend(rows.map(|(row, (line, key))| (raw.offset(row), key.unwrap(), line.to_vec())));
                next = raw.next_offset();
            }
            records
        };
        (0..PARTITIONS as u32).map(read).collect()
    }

    /// The files of the archive, below it.
    fn files(&self) -> Vec<PathBuf> {
        let days = fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path());
        let days = days.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("day="));
        let files = days.flat_map(|day| fs::read_dir(day).unwrap().map(|entry| entry.unwrap().path()));
        let mut files: Vec<_> = files.collect();
        files.sort();
        files
    }

    /// Fails unless the archive has each record of the topic once, in its place.
    #[track_caller]
    fn check(&self) {
        let topic = self.site.cluster.read(TOPIC);
        for (partition, (kept, records)) in self.records().into_iter().zip(topic).enumerate() {
            let records =
                (0..).zip(records).map(|(offset, (key, value))| (offset, key, value.unwrap_or_default()));
            assert_eq!(kept, records.collect::<Vec<_>>(), "partition {partition}");
        }
    }

    fn rows(&self) -> usize {
        self.records().iter().map(Vec::len).sum()
    }

    /// Compares what a backfill makes of the archive with what workers committed: every row, byte for byte, and every event
    /// that does not count, with the reason. Tells those.
    #[track_caller]
    fn compare_with_topics(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let read = ["--events", self.dir(), "--arrival", ARRIVAL];
        for package in PACKAGES {
            let view = package.replace('-', "_");
            let out = self.site.trifold.path(format!("rows-{view}"));
            let backfill =
                ["backfill", &view, "--cut", "position", "--digest", "--rows-format", "jsonl", "--shards", "3"];
            let to = ["--out", out.to_str().unwrap()];
            self.site.trifold.run(backfill.iter().chain(&read).chain(&to)).succeeded();
            let texts = |topic: &str| -> Vec<String> {
                let records = self.site.cluster.read(&format!("{GROUP}.{view}.{topic}")).into_iter().flatten();
                records.map(|(_, value)| String::from_utf8(value.unwrap()).unwrap()).collect()
            };
            let emitted = in_place(texts("features"));
            assert!(emitted.len() > self.site.events.len() / 2, "{view}: {} rows", emitted.len());
            assert_eq!(in_place(lines(&out)), emitted, "{view}");
            // The same events do not count, for the same reasons.
            let reasons = |lines: Vec<String>| -> BTreeSet<String> {
                let reason = |line: String| {
                    let line: Value = serde_json::from_str(&line).unwrap();
                    ["partition", "offset", "reason", "detail"].map(|name| line[name].to_string()).join(" ")
                };
                lines.into_iter().map(reason).collect()
            };
            let aside = reasons(lines(&out.join("_aside")));
            let mut told = reasons([texts("dead-letters"), texts("late")].concat());
            // Events that differ from a first one are told by the stream alone.
            told.retain(|told| !told.contains("\"conflict\""));
            assert_eq!(aside, told, "{view}");
            all.extend(told);
        }
        all
    }
}

/// Values that no view can read, under the key of a card.
const POISON: [&[u8]; 4] = [b"{}", b"no JSON", b"\xff\xfe", b""];

fn poison(site: &Site) {
    let card = site.events[0].key.as_str();
    site.cluster.write(TOPIC, POISON.map(|value| (card, value)));
}

#[test]
fn archivers_keep_each_record_once_whatever_becomes_of_them() {
    let kafka = Kafka::start().unwrap();
    let site = Site::new(&kafka, kafka.bootstrap(), 23, 1_500);
    let kept = Kept::new(&site, "kept", 0);
    site.produce(0..300);
    poison(&site);
    let first = kept.run();
    assert_eq!((&first["events"], &first["interrupted"]), (&304.into(), &false.into()), "{first}");
    kept.check();
    assert_eq!(kept.run()["files"], 0);

    // One that is killed again and again, and at last two at once.
    for slice in 0..4 {
        let mut archiver = kept.follow();
        archiver.wait_for("caught up");
        site.produce(300 + slice * 100..400 + slice * 100);
        archiver.wait_for("file added");
        archiver.kill();
    }
    let mut archivers = [kept.follow(), kept.follow()];
    archivers.iter_mut().for_each(|archiver| archiver.wait_for("caught up"));
    for slice in 0..8 {
        site.produce(700 + slice * 100..800 + slice * 100);
    }
    wait(|| kept.rows() == 1_504);
    archivers.into_iter().for_each(Worker::terminate);
    kept.check();

    // Another day, an arrival that lies before it, and none.
    let later = [r#"{"arrived_at": "2026-03-01T00:00:00Z"}"#, r#"{"arrived_at": "2026-02-28T23:59:59Z"}"#, "{}"];
    for value in later {
        site.cluster
            .write(TOPIC, site.events[..60].iter().map(|payment| (payment.key.as_str(), value.as_bytes())));
    }
    kept.run();
    kept.check();
    // The days are those of the clock of arrivals, which never goes back.
    let day_of = |file: &PathBuf| file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    let mut days: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in kept.files() {
        let partition = file.file_name().unwrap().to_str().unwrap()[..5].to_owned();
        days.entry(partition).or_default().push(day_of(&file));
    }
    let mut expected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (partition, records) in kept.records().into_iter().enumerate() {
        let mut clock = String::new();
        for (_, _, event) in records {
            let arrival = serde_json::from_slice::<Value>(&event).ok();
            let arrival = arrival.and_then(|event| Some(event.get(ARRIVAL)?.as_str()?.to_owned()));
            clock = clock.max(arrival.unwrap_or_default());
            expected.entry(format!("{partition:05}")).or_default().insert(format!("day={}", &clock[..10]));
        }
    }
    let found: BTreeMap<_, BTreeSet<_>> =
        days.iter().map(|(partition, days)| (partition.clone(), days.iter().cloned().collect())).collect();
    assert_eq!(found, expected);
    assert!(expected.values().all(|days| days.len() == 2), "{expected:?}");
}

#[test]
fn what_is_computed_from_an_archive_is_what_workers_committed() {
    let (kafka, redis) = (Kafka::start().unwrap(), Redis::start_with(&RedisOptions::default()).unwrap());
    let site = Site::new(&kafka, kafka.bootstrap(), 29, 900);
    site.release(PACKAGES);
    let kept = Kept::new(&site, "kept", 0);
    site.produce(0..500);
    poison(&site);
    let other_key = site.events[1].json.as_bytes();
    site.cluster.write(TOPIC, [("nobody", other_key)]);
    kept.run();
    site.produce(500..900);
    kept.run();
    kept.check();
    site.run_to_end("a");
    let read = ["--events", kept.dir(), "--arrival", ARRIVAL];

    let told = kept.compare_with_topics();
    for reason in ["null-time", "no JSON object", "not UTF-8", "is blank", "other-key", "late"] {
        assert!(told.iter().any(|told| told.contains(reason)), "{reason}: {told:#?}");
    }

    // The cuts of training data are those of the same payments in files.
    let spine = site.trifold.path("spine.jsonl");
    let rows = site.events.iter().step_by(7).map(|payment| {
        let event: Value = serde_json::from_str(&payment.json).unwrap();
        format!("{}\n", serde_json::json!({ "card": payment.key, "as_of": event["event_time"] }))
    });
    fs::write(&spine, rows.collect::<String>()).unwrap();
    let files = site.trifold.path("payments");
    let logs = [kept.dir(), files.to_str().unwrap()];
    for cut in ["all", "arrival"] {
        let [archived, filed] = logs.map(|log| {
            let out = site.trifold.path(format!("cut-{cut}-{}", Path::new(log).file_name().unwrap().display()));
            let spine = ["--spine", spine.to_str().unwrap(), "--cut", cut, "--rows-format", "jsonl"];
            let to = ["--out", out.to_str().unwrap(), "--events", log, "--arrival", ARRIVAL, "--digest"];
            site.trifold.run(["backfill", "card_spend"].iter().chain(&spine).chain(&to)).succeeded();
            lines(&out)
        });
        assert!(archived.len() > 100);
        assert_eq!(archived, filed, "{cut}");
    }
    let explained = logs.map(|log| {
        let asked = ["explain", "card_spend", &site.events[0].key, "--as-of", "2030-01-01T00:00:00Z"];
        let from = ["--events", log, "--arrival", ARRIVAL, "--format", "json"];
        site.trifold.run(asked.iter().chain(&from)).succeeded().json()["value"].clone()
    });
    assert_eq!(explained[0], explained[1]);

    // What a server answers from a Redis is what the archive gives up to the positions that it names.
    Ran::of(&mut site.materialize(&["--redis", redis.url()])).succeeded();
    let server = site.trifold.start(["serve", "--redis", redis.url()]);
    let last = site.end().0.to_string();
    for package in PACKAGES {
        let view = package.replace('-', "_");
        let audit = ["audit", &view, "--online", "--server", &server.url, "--as-of", &last, "--format", "json"];
        let report = site.trifold.run(audit.iter().chain(&read)).succeeded().json();
        assert_eq!(
            (&report["differing"], &report["missing"], &report["unavailable"]),
            (&0.into(), &0.into(), &0.into())
        );
        assert!(report["compared"].as_u64().unwrap() >= 50, "{report}");
    }
    site.trifold.run(["audit", "card_spend"].iter().chain(&read)).refused(Exit::Usage, &["--online"]);
    let position = ["backfill", "card_spend", "--cut", "position", "--position", "7", "--out", "x"];
    site.trifold
        .run(position.iter().chain(&read))
        .refused(Exit::Usage, &["partition 1 has no position", "5:OFFSET"]);
}

#[test]
fn a_load_of_an_archive_answers_as_workers_and_a_feeder_do_and_a_feeder_takes_its_place() {
    let kafka = Kafka::start().unwrap();
    let [fed, loaded] = [0, 1].map(|_| Redis::start_with(&RedisOptions::default()).unwrap());
    let site = Site::new(&kafka, kafka.bootstrap(), 53, 900);
    site.release(PACKAGES);
    let views: Vec<_> = PACKAGES.iter().map(|package| package.replace('-', "_")).collect();
    let views: Vec<_> = views.iter().map(String::as_str).collect();
    let load = |archive: &str, more: &[&str]| {
        let from = ["--events", archive, "--arrival", ARRIVAL, "--format", "json"];
        let ran = ["backfill", "--materialize"].iter().chain(&views).chain(&from).chain(more);
        site.trifold.run(ran)
    };
    let kept = Kept::new(&site, "kept", 0);
    site.produce(0..500);
    poison(&site);
    kept.run();
    // The embedded store goes on when the archive has grown.
    let first = load(kept.dir(), &[]).succeeded().json();
    assert_eq!(first["views"][0]["events"], 504, "{first}");
    site.produce(500..900);
    kept.run();
    site.run_to_end("a");
    let into_fed = ["--redis", fed.url()];
    Ran::of(&mut site.materialize(&into_fed)).succeeded();
    let more = load(kept.dir(), &[]).succeeded().json();
    assert_eq!((&more["views"][0]["events"], &more["store"]), (&400.into(), &"embedded".into()), "{more}");
    let into_loaded = ["--redis", loaded.url()];
    let whole = load(kept.dir(), &into_loaded).succeeded().json();
    assert_eq!(whole["views"][0]["events"], 904, "{whole}");

    let runtime = runtime();
    let open = |redis: &Redis| runtime.block_on(RedisStore::open(&RedisSettings::new(redis.url()))).unwrap();
    let (of_fed, of_loaded) = (open(&fed), open(&loaded));
    let marker = |store: &dyn OnlineStore, state| {
        let marker = runtime.block_on(store.marker(state)).unwrap().unwrap();
        (marker.log, marker.positions, marker.source)
    };
    let check_markers = |store: &dyn OnlineStore| {
        for version in site.versions() {
            let state = version.state_id();
            assert_eq!(marker(store, state), marker(&of_fed, state));
        }
    };
    site.check_store(&of_loaded, &runtime);
    check_markers(&of_loaded);
    let embedded = stores::open(&site.trifold.data(""));
    site.check_store(&embedded, &runtime);
    check_markers(&embedded);
    drop(embedded);
    let last = site.end().0.to_string();
    for from in [&["serve"][..], &["serve", "--redis", loaded.url()]] {
        let server = site.trifold.start(from);
        for view in &views {
            let audit = ["audit", view, "--online", "--server", &server.url, "--as-of", &last, "--format", "json"];
            let read = ["--events", kept.dir(), "--arrival", ARRIVAL];
            let report = site.trifold.run(audit.iter().chain(&read)).succeeded().json();
            assert_eq!((&report["differing"], &report["unavailable"]), (&0.into(), &0.into()), "{report}");
            assert!(report["compared"].as_u64().unwrap() >= 50, "{report}");
        }
    }

    // What a group feeds is left alone, unless it is told otherwise; and a feeder takes the place of either.
    let words = ["a load of", ".changes", "--overwrite"];
    load(kept.dir(), &into_fed).refused(Exit::Usage, &words);
    Ran::of(&mut site.materialize(&into_loaded)).succeeded();
    site.check_store(&of_loaded, &runtime);
    check_markers(&of_loaded);
    load(kept.dir(), &into_loaded).refused(Exit::Usage, &words);
    load(kept.dir(), &["--overwrite", "--redis", loaded.url()]).succeeded();
    site.check_store(&of_loaded, &runtime);

    // One that follows fills it anew, whether or not the load came to its end before.
    let mut feeder = Worker::start(site.materialize(&[&into_loaded[..], &["--follow"]].concat()));
    PACKAGES.iter().for_each(|_| feeder.wait_for("complete"));
    load(kept.dir(), &["--overwrite", "--redis", loaded.url()]);
    let others = Followed { source: "cluster/others.changes".to_owned(), partitions: 1 };
    let is_fed = |state| {
        let feeding = runtime.block_on(of_loaded.feeding(state, 0, others.clone()));
        matches!(feeding, Err(StoreError::OtherSource { .. }))
    };
    wait(|| site.versions().iter().all(|version| is_fed(version.state_id())));
    wait(|| next_offsets(&site, &runtime, &of_loaded) == [904; 3]);
    feeder.terminate();
    site.check_store(&of_loaded, &runtime);

    // A topic that is not partitioned by the entity, and one that had lost its beginning.
    for topic in ["by-id", "later"] {
        site.cluster.create(topic, PARTITIONS, &[]);
        let key = |payment: &crate::data::Event| match topic {
            "later" => payment.key.clone(),
            _ => serde_json::from_str::<Value>(&payment.json).unwrap()["event_id"].to_string(),
        };
        let keys: Vec<_> = site.events.iter().map(key).collect();
        let pairs = keys.iter().map(String::as_str).zip(&site.events);
        site.cluster.write(topic, pairs.map(|(key, payment)| (key, payment.json.as_bytes())));
    }
    site.cluster.delete_before("later", 20);
    let archived = ["by-id", "later"].map(|topic| {
        let dir = site.trifold.path(topic);
        let to = ["--archive", dir.to_str().unwrap(), "--arrival", ARRIVAL, "--format", "json"];
        let archive = ["archive", "--topic", topic, "--brokers", &site.brokers];
        let report = site.trifold.run(archive.iter().chain(&to)).succeeded().json();
        (dir, report)
    });
    let [(by_id, _), (later, report)] = &archived;
    let prefix = site.trifold.path("prefix.toml");
    fs::write(&prefix, "[redis]\nprefix = \"by-id\"\n").unwrap();
    let elsewhere = ["--config", prefix.to_str().unwrap(), "--redis", loaded.url()];
    let parts = ["not one of the 900 events counts", "900 other-key"];
    load(by_id.to_str().unwrap(), &elsewhere).refused(Exit::Data, &parts);
    load(later.to_str().unwrap(), &[]).refused(Exit::Data, &["/payments", "/later", "`--overwrite`"]);
    let ran = load(later.to_str().unwrap(), &["--overwrite"]).succeeded().json();
    assert_eq!(ran["views"][0]["events"], report["events"], "{ran}");
    assert!(report["events"].as_u64().unwrap() < 900, "{report}");
    let ends: Vec<_> = ran["views"][0]["next-offsets"].as_object().unwrap().values().cloned().collect();
    assert_eq!(report["next-offsets"], Value::Array(ends));
}

#[test]
fn events_in_avro_are_kept_as_views_read_them_and_what_is_no_avro_as_it_is() {
    let kafka = Kafka::start().unwrap();
    let mut site = Site::new(&kafka, kafka.bootstrap(), 41, 400);
    site.release(PACKAGES);
    let file = site.trifold.path("payment.avsc");
    fs::write(&file, encodings::schema(encodings::FIELDS.iter())).unwrap();
    site.set("encoding", "\"avro\"");
    site.set("schema", &format!("{file:?}"));
    let kept = Kept::new(&site, "kept", 0);
    site.produce_as(0..400, |payment| encodings::avro(payment, encodings::FIELDS.iter()));
    site.cluster.write(TOPIC, [("c-1", &[3_u8][..]), ("c-1", b"\xff\xff\xff")]);
    site.cluster.remove(TOPIC, "c-1");
    let values = ["--encoding", "avro", "--schema", file.to_str().unwrap(), "--format", "json"];
    let report = Ran::of(&mut kept.command(&values)).succeeded().json();
    assert_eq!((&report["events"], &report["undecoded"]), (&403.into(), &3.into()), "{report}");
    site.run_to_end("a");
    let told = kept.compare_with_topics();
    assert!(told.iter().any(|told| told.contains("the record has no value")), "{told:#?}");
    assert!(told.iter().filter(|told| told.contains("decode")).count() >= 3, "{told:#?}");
}

#[test]
fn a_state_is_built_from_an_archive_where_the_topic_has_deleted_its_events() {
    let kafka = Kafka::start().unwrap();
    let mut site = Site::new(&kafka, kafka.bootstrap(), 31, 1_200);
    site.set("transaction-rows", "40");
    site.set("properties", "{ \"session.timeout.ms\" = \"3000\", \"heartbeat.interval.ms\" = \"500\" }");
    site.release(PACKAGES);
    let kept = Kept::new(&site, "kept", 0);
    site.produce(0..900);
    kept.run();
    site.cluster.delete_before(TOPIC, 60);
    site.produce(900..1_100);
    // In the middle of the archive it is killed, and goes on.
    let archive = ["--archive", kept.dir()];
    let follow = ["--archive", kept.dir(), "--follow"];
    let mut worker = Worker::start(site.command("a", &follow));
    worker.wait_for("transaction committed");
    worker.kill();
    Ran::of(&mut site.command("b", &archive)).succeeded();
    site.produce(1_100..1_200);
    site.run_to_end("c");
    site.check();

    // What came since the state was written is in the archive alone.
    let everything = u64::MAX >> 1;
    let junk = || site.cluster.write(TOPIC, site.events.iter().map(|payment| (payment.key.as_str(), &b"{}"[..])));
    junk();
    kept.run();
    site.cluster.delete_before(TOPIC, everything);
    let run = |more: &[&str]| Ran::of(&mut site.command("c", more));
    run(&[]).refused(Exit::Data, &["has deleted its records before offset", "`--archive`"]);
    let ran = run(&["--archive", kept.dir(), "--format", "json"]).succeeded().json();
    for view in ran["views"].as_array().unwrap() {
        assert_eq!((&view["events"], &view["next-offset"]), (&1_200.into(), &2_400.into()), "{ran}");
    }
    // Nobody has what was deleted before it was archived.
    junk();
    site.cluster.delete_before(TOPIC, everything);
    run(&archive).refused(Exit::Data, &[kept.dir(), "ends at offset", "those between are in neither"]);
    let refused = Ran::of(&mut kept.command(&[])).refused(Exit::Data, &[kept.dir(), "those between are lost"]);
    assert!(refused.stderr.contains("of partition 0"), "{refused:?}");
}

#[test]
fn the_ends_of_transactions_are_no_gaps_and_what_was_taken_back_is_not_kept() {
    let kafka = Kafka::start().unwrap();
    let site = Site::new(&kafka, kafka.bootstrap(), 43, 400);
    site.release(PACKAGES);
    let kept = Kept::new(&site, "kept", 0);
    let write = |which: std::ops::Range<usize>, commit| {
        let pairs = site.events[which].iter().map(|payment| (payment.key.as_str(), payment.json.as_bytes()));
        site.cluster.write_at_once(TOPIC, pairs, commit);
    };
    for (slice, commit) in [(0..150, true), (150..300, false), (150..300, true), (300..400, true), (0..40, false)]
    {
        write(slice, commit);
        kept.run();
    }
    assert_eq!(kept.rows(), 400);
    let before: Vec<_> = site.cluster.read(TOPIC).into_iter().map(|records| records.len()).collect();
    assert_eq!(kept.records().iter().map(Vec::len).collect::<Vec<_>>(), before);
    // All records are gone, and with them how the transactions ended: the archive has all that counts.
    site.cluster.delete_before(TOPIC, u64::MAX >> 1);
    let report = kept.run();
    assert_eq!((&report["files"], &report["events"]), (&0.into(), &0.into()), "{report}");
    let archive = ["--archive", kept.dir(), "--format", "json"];
    let ran = Ran::of(&mut site.command("a", &archive)).succeeded().json();
    for view in ran["views"].as_array().unwrap() {
        assert_eq!(view["events"], 400, "{ran}");
    }
    kept.compare_with_topics();
}

#[test]
fn what_is_no_archive_of_the_topic_is_refused_by_name() {
    let kafka = Kafka::start().unwrap();
    let site = Site::new(&kafka, kafka.bootstrap(), 37, 400);
    site.release(PACKAGES);
    let kept = Kept::new(&site, "kept", 0);
    let of_archive = |more: &[&str]| Ran::of(&mut kept.command(more));
    let unknown = ["archive", "--topic", "paiments", "--brokers", &site.brokers];
    site.trifold.run(unknown).refused(Exit::NotFound, &["no topic paiments", "--topic"]);
    site.produce(0..300);
    kept.run();
    let events = ["--events", kept.dir(), "--arrival", ARRIVAL];
    let backfill = |out: &str| {
        let to = ["backfill", "card_spend", "--cut", "position", "--out", out];
        site.trifold.run(to.iter().chain(&events))
    };
    let stream = |more: &[&str]| Ran::of(&mut site.command("a", more));
    backfill("good").succeeded();
    site.trifold.run(["stream"].iter().chain(&events)).refused(Exit::Data, &[kept.dir(), "--archive"]);
    stream(&["--archive", "nowhere"]).refused(Exit::Data, &["nowhere", "is no archive"]);

    // Another topic, another field of arrivals, a field that no event has.
    site.cluster.create("others", PARTITIONS, &[]);
    site.cluster.write("others", [("c-1", site.events[0].json.as_bytes())]);
    let base = ["archive", "--brokers", &site.brokers, "--archive", kept.dir()];
    let archive = |more: &[&str]| site.trifold.run(base.iter().chain(more));
    archive(&["--topic", "others", "--arrival", ARRIVAL])
        .refused(Exit::Data, &[kept.dir(), "/payments", "/others"]);
    archive(&["--topic", TOPIC]).refused(Exit::Data, &[kept.dir(), "arrived_at", "--arrival"]);
    let empty = site.trifold.path("empty");
    let other = ["archive", "--brokers", &site.brokers, "--topic", TOPIC, "--archive", empty.to_str().unwrap()];
    site.trifold
        .run(other.iter().chain(&["--arrival", "arived_at"]))
        .refused(Exit::Data, &["arived_at", "--arrival"]);
    let foreign = site.trifold.path("payments");
    let into = ["archive", "--brokers", &site.brokers, "--topic", TOPIC, "--archive", foreign.to_str().unwrap()];
    site.trifold.run(into).refused(Exit::Data, &["is no part of an archive"]);
    let others = Kept { site: &site, dir: site.trifold.path("others"), config: kept.config.clone() };
    let to = ["--topic", "others", "--arrival", ARRIVAL, "--archive", others.dir()];
    site.trifold.run(["archive", "--brokers", &site.brokers].iter().chain(&to)).succeeded();
    stream(&["--archive", others.dir()]).refused(Exit::Data, &[others.dir(), "/payments"]);

    // A file of another archive, one that is damaged, one that is gone.
    let files = kept.files();
    let (middle, name) = (&files[2], files[2].display().to_string());
    let whole = fs::read(middle).unwrap();
    fs::copy(&others.files()[0], middle).unwrap();
    backfill("x").refused(Exit::Data, &[&name, "/others"]);
    fs::copy(&files[1], middle).unwrap();
    backfill("x").refused(Exit::Data, &[&name, "it holds partition"]);
    fs::write(middle, &whole[..whole.len() / 2]).unwrap();
    backfill("x").refused(Exit::Data, &[&name, "no complete Parquet file"]);
    let mut torn = whole.clone();
    torn[4..200].fill(0xa5);
    fs::write(middle, torn).unwrap();
    backfill("x").refused(Exit::Data, &[&name, "is damaged", "offset"]);
    fs::remove_file(middle).unwrap();
    let first: u64 = middle.file_stem().unwrap().to_str().unwrap()[6..].parse().unwrap();
    backfill("x").refused(Exit::Data, &["has a gap in partition", &format!("offsets from {first} up to")]);
    fs::write(middle, &whole).unwrap();
    backfill("good").succeeded();

    // A topic that was deleted and made again, with fewer records and with more.
    site.cluster.delete(TOPIC);
    site.cluster.create(TOPIC, PARTITIONS, &[]);
    of_archive(&[]).refused(Exit::Data, &[kept.dir(), "it ends at offset 0", "made again"]);
    site.produce(100..400);
    site.produce(0..400);
    of_archive(&[]).refused(Exit::Data, &[kept.dir(), "holds another record", "made again"]);
}

/// Rows by their places.
fn in_place(rows: Vec<String>) -> BTreeMap<(u64, u64), String> {
    let count = rows.len();
    let place = |row: &String| {
        let row: Value = serde_json::from_str(row).unwrap();
        (row["_partition"].as_u64().unwrap(), row["_offset"].as_u64().unwrap())
    };
    let placed: BTreeMap<_, _> = rows.into_iter().map(|row| (place(&row), row)).collect();
    assert_eq!(placed.len(), count, "a row stands twice");
    placed
}

/// The lines of a directory's files, in the order of their names.
fn lines(dir: &Path) -> Vec<String> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let texts = files.into_iter().map(|file| fs::read_to_string(file).unwrap());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}
