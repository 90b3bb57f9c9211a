//! A thousand releases of a server, and of a worker, while they work: no request fails, no event is lost or counts
//! twice, and every row is that of a backfill of the version that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use tokio::runtime::Runtime;
use trifold_eventlog::{RowFileWriter, RowFormat, read_row_files};
use trifold_model::EventTime;
use trifold_model::view::EVENT_TIME;
use trifold_pipeline::row_table::column::VERSION;
use trifold_pipeline::{LiveVersion, read_rows};
use trifold_server::admin::{AdminClient, api};
use trifold_server::client::{Client, ViewRows};
use trifold_test_servers::free_address;
use trifold_tests::command::Trifold;
use trifold_tests::guests::component;
use trifold_tests::live::{transform, version};
use trifold_tests::online::runtime;
use trifold_tests::rows::{self, Row};

use crate::legs::{append, departures};
use crate::processes::PROGRAM;

const RELEASES: u64 = 1_000;
const CLIENTS: usize = 16;
const EVENTS: usize = 3_000;
/// A worker's log grows with every so many releases: more than one step takes, so that releases come in between.
const SLICED_EVERY: u64 = 10;
/// The rows of one request.
const QUESTIONS: usize = 8;
/// A row view, a window view, and an on-demand view that reads the window view.
const PACKAGES: [&str; 3] = ["flight-profile", "airport-load", "departure-context"];

/// Which versions a row is of: that of its view, and that of the view that it read.
type Of = (u64, Option<u64>);

/// A registry with two versions of each view, the first ones in force, and a log.
struct Site {
    trifold: Trifold,
    views: Vec<[LiveVersion; 2]>,
    events: RecordBatch,
}

impl Site {
    fn new() -> Self {
        let trifold = Trifold::new(PROGRAM);
        for features in [&[][..], &["v2"]] {
            for package in PACKAGES {
                let built = component(package, features);
                trifold.run(["push", built.path.to_str().unwrap()]).succeeded();
            }
        }
        let versions = |package| [version(1, transform(package, &[])), version(2, transform(package, &["v2"]))];
        let views = PACKAGES.map(versions).into();
        let site = Site { trifold, views, events: departures(EVENTS) };
        for [first, _] in &site.views {
            site.trifold.run(["release", &format!("{}@1", first.view().name)]).succeeded();
        }
        site
    }

    fn log(&self) -> PathBuf {
        self.trifold.path("log")
    }

    /// Adds events to the log, as a segment of their own.
    fn append(&self, from: usize, count: usize) {
        append(&self.log(), &format!("{from:06}.parquet"), &self.events.slice(from, count));
    }

    /// A backfill of a version: its rows by number.
    fn backfill(&self, version: &LiveVersion, more: &[&str]) -> BTreeMap<u64, Row> {
        let (out, log) = (self.trifold.path("backfilled"), self.log());
        let named = format!("{}@{}", version.view().name, version.version);
        let base = ["backfill", &named, "--events", log.to_str().unwrap(), "--digest", "--overwrite"];
        self.trifold.run(base.iter().chain(&["--out", out.to_str().unwrap()]).chain(more)).succeeded();
        rows::files(&out, version.view())
    }

    /// A process, by the arguments of its command.
    fn start(&self, arguments: &[&str]) -> Process {
        let address = free_address().unwrap();
        let mut command = self.trifold.command(arguments);
        // Nobody looks at the registry before the test has said so.
        let config = self.trifold.path("patient.toml");
        let patient = "[server]\npoll-interval-ms = 3600000\n[stream]\nstep-rows = 7\n";
        fs::write(&config, patient).unwrap();
        command.args(["--config", config.to_str().unwrap(), "--admin", &address]);
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        Process { child, admin: format!("http://{address}") }
    }
}

/// A process that is operated. Killed when it is dropped.
struct Process {
    child: Child,
    admin: String,
}

impl Process {
    /// A connection to it, once it answers.
    async fn operate(&mut self) -> AdminClient {
        loop {
            match AdminClient::connect(&self.admin).await {
                Ok(admin) => return admin,
                Err(error) => assert_eq!(self.child.try_wait().unwrap(), None, "the process ended: {error}"),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Releases the other version of one view after the other. After each, the process runs it.
async fn release_all(admin: &mut AdminClient, views: &[[LiveVersion; 2]], mut each: impl FnMut(u64)) {
    for number in 0..RELEASES {
        let turn = number as usize / views.len();
        let version = &views[number as usize % views.len()][(turn + 1) % 2];
        let view = version.view().name.to_string();
        let request = api::ReleaseRequest { view, version: version.version, ..Default::default() };
        let answer = admin.release(request).await.unwrap();
        let status = answer.status.unwrap();
        assert_eq!(status.waiting, None);
        let running = status.running.unwrap();
        assert_eq!((running.version, running.release), (version.version, answer.release.map(|it| it.release)));
        each(number);
    }
}

/// What is asked: the fields of a request, and when.
fn questions(site: &Site) -> (RecordBatch, EventTime) {
    let last = site.events.column_by_name(EVENT_TIME).unwrap();
    let last = last.as_primitive::<arrow_array::types::TimestampMicrosecondType>();
    let at = EventTime(last.value(EVENTS - 1) + 60_000_000);
    let mut seen = BTreeSet::new();
    let (carriers, numbers) = (site.events.column_by_name("carrier"), site.events.column_by_name("flight"));
    let (carriers, numbers) = (carriers.unwrap().as_string::<i32>(), numbers.unwrap());
    let numbers = numbers.as_primitive::<arrow_array::types::Int64Type>();
    let rows = (0..EVENTS as u64).filter(|row| {
        let row = *row as usize;
        seen.insert((carriers.value(row).to_owned(), numbers.value(row)))
    });
    let rows = arrow_array::UInt64Array::from_iter_values(rows.take(QUESTIONS));
    let column = |name| {
        let column = site.events.column_by_name(name).unwrap();
        (name, arrow_select::take::take(column, &rows, None).unwrap(), true)
    };
    let columns = ["carrier", "flight", "origin", "dep_delay"].map(column);
    (RecordBatch::try_from_iter_with_nullable(columns).unwrap(), at)
}

/// The rows of the questions that backfills compute, by view and versions.
fn expected(site: &Site, questions: &RecordBatch, at: EventTime) -> BTreeMap<(String, Of), Vec<Row>> {
    let spine = site.trifold.path("spine.parquet");
    let times = TimestampMicrosecondArray::from_value(at.0, questions.num_rows()).with_timezone("UTC");
    let schema = questions.schema();
    let named = schema.fields().iter().zip(questions.columns());
    let columns = named.map(|(field, column)| (field.name().clone(), column.clone(), true));
    let columns = columns.chain([("as_of".to_owned(), Arc::new(times) as ArrayRef, false)]);
    let spined = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let keys = |names: &[&str]| -> RecordBatch {
        let schema = spined.schema();
        let wanted = names.iter().chain(&["as_of"]).map(|name| schema.index_of(name).unwrap());
        spined.project(&wanted.collect::<Vec<_>>()).unwrap()
    };
    let mut expected = BTreeMap::new();
    let mut compute = |version: &LiveVersion, names: &[&str], read: Option<&LiveVersion>| {
        let mut writer = RowFileWriter::create(&spine, keys(names).schema(), RowFormat::Parquet).unwrap();
        writer.write(&keys(names)).unwrap();
        writer.finish().unwrap();
        let reads = read.map(|read| format!("{}@{}", read.view().name, read.version));
        let mut more = vec!["--spine", spine.to_str().unwrap()];
        more.extend(reads.iter().flat_map(|reads| ["--reads", reads]));
        let rows: Vec<Row> = site.backfill(version, &more).into_values().collect();
        assert_eq!(rows.len(), QUESTIONS);
        let of = (version.version, read.map(|read| read.version));
        expected.insert((version.view().name.to_string(), of), rows);
    };
    let [profiles, loads, contexts] = site.views.as_slice() else { panic!("three views") };
    profiles.iter().for_each(|profile| compute(profile, &["carrier", "flight"], None));
    loads.iter().for_each(|load| compute(load, &["origin"], None));
    for context in contexts {
        loads.iter().for_each(|load| compute(context, &["origin", "dep_delay"], Some(load)));
    }
    expected
}

fn of(answer: &ViewRows) -> Of {
    (answer.version, answer.reads.first().map(|read| read.version))
}

#[test]
fn a_thousand_releases_of_a_server_under_load() {
    let site = Site::new();
    site.append(0, EVENTS);
    let log = site.log();
    site.trifold.run(["stream", "--events", log.to_str().unwrap()]).succeeded();
    let (questions, at) = questions(&site);
    let expected = Arc::new(expected(&site, &questions, at));
    let distinct: BTreeSet<_> = expected.values().collect();
    assert_eq!(distinct.len(), expected.len(), "two versions give the same rows");

    let listen = free_address().unwrap();
    let mut server = site.start(&["serve", "--listen", &listen]);
    let stop = Arc::new(AtomicBool::new(false));
    let runtime: Runtime = runtime();
    let seen = runtime.block_on(async {
        let mut admin = server.operate().await;
        // Answered once the first look is over, and then the server listens.
        while let Err(error) = Client::connect(&format!("http://{listen}")).await {
            assert_eq!(server.child.try_wait().unwrap(), None, "the server ended: {error}");
        }
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (url, stop) = (format!("http://{listen}"), stop.clone());
                let (expected, questions) = (expected.clone(), questions.clone());
                tokio::spawn(async move {
                    let names = ["flight_profile", "airport_load", "departure_context"].map(str::to_owned);
                    let mut client = Client::connect(&url).await.unwrap();
                    let mut seen = BTreeMap::<(String, Of), u64>::new();
                    while !stop.load(Ordering::Relaxed) {
                        let answer = client.get(&names, &questions, Some(at)).await.expect("no request fails");
                        for view in &answer.views {
                            let versions = (view.view.clone(), of(view));
                            assert_eq!(rows::answered(&view.rows), expected[&versions], "{versions:?}");
                            *seen.entry(versions).or_default() += 1;
                        }
                        let read = answer.views[2].reads[0].version;
                        assert_eq!(read, answer.views[1].version, "one answer has two versions of a view");
                    }
                    seen
                })
            })
            .collect();
        release_all(&mut admin, &site.views, |_| {
            let failed = clients.iter().position(|client| client.is_finished());
            assert_eq!(failed, None, "a client ended before the last release");
        })
        .await;
        stop.store(true, Ordering::Relaxed);
        let mut seen = BTreeMap::<(String, Of), u64>::new();
        for client in clients {
            for (versions, count) in client.await.unwrap() {
                *seen.entry(versions).or_default() += count;
            }
        }
        let view = "flight_profile".parse().unwrap();
        let releases = admin.releases(&view).await.unwrap();
        let numbers: Vec<u64> = releases.iter().map(|release| release.release).collect();
        assert_eq!(numbers, (1..=1 + RELEASES.div_ceil(3)).collect::<Vec<_>>());
        seen
    });
    assert_eq!(seen.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{seen:?}");
}

/// The rows that a worker wrote of a view, by offset, each with the version that it names.
fn emitted(dir: &Path, versions: &[LiveVersion; 2]) -> BTreeMap<u64, (u64, Row)> {
    let mut emitted = BTreeMap::new();
    for batch in read_row_files(dir, None).unwrap() {
        let batch = batch.unwrap();
        let numbers = batch.column_by_name(VERSION).unwrap().as_primitive::<UInt64Type>();
        let number = numbers.value(0);
        assert!(numbers.iter().all(|other| other == Some(number)), "a step of two versions");
        let read = read_rows(versions[number as usize - 1].view(), &batch).unwrap();
        for (offset, row) in read.numbers.iter().zip(rows::answered(&read.rows)) {
            assert!(emitted.insert(*offset, (number, row)).is_none(), "the row of offset {offset} stands twice");
        }
    }
    emitted
}

#[test]
fn a_thousand_releases_of_a_worker() {
    let mut site = Site::new();
    // An on-demand view is nobody's who streams.
    site.views.truncate(2);
    let log = site.log();
    site.append(0, 1);
    let mut worker = site.start(&["stream", "--follow", "--events", log.to_str().unwrap()]);
    runtime().block_on(async {
        let mut admin = worker.operate().await;
        let slice = SLICED_EVERY as usize * (EVENTS - 1) / RELEASES as usize;
        let mut next = 1;
        release_all(&mut admin, &site.views, |number| {
            if number % SLICED_EVERY == 0 {
                site.append(next, slice);
                next += slice;
            }
        })
        .await;
        site.append(next, EVENTS - next);
    });
    let dirs = site.views.iter().map(|[first, _]| {
        let view = first.view();
        site.trifold.data(format!("rows/{}/{}", view.name, first.state_id()))
    });
    let dirs: Vec<_> = dirs.collect();
    // The worker may be anywhere when it is killed; the next one goes on there.
    drop(worker);
    site.trifold.run(["stream", "--events", log.to_str().unwrap()]).succeeded();
    for (versions, dir) in site.views.iter().zip(dirs) {
        let found = emitted(&dir, versions);
        let name = &versions[0].view().name;
        let expected = versions.each_ref().map(|version| site.backfill(version, &["--cut", "position"]));
        let mut of = BTreeMap::<u64, u64>::new();
        assert_eq!(found.len(), EVENTS, "{name}");
        for (offset, (version, row)) in &found {
            assert_eq!(
                row,
                &expected[*version as usize - 1][offset],
                "{name}, offset {offset}, version {version}"
            );
            *of.entry(*version).or_default() += 1;
        }
        assert!(of.len() == 2 && of.values().all(|rows| *rows > EVENTS as u64 / 5), "{name}: {of:?}");
    }
}
