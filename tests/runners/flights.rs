//! All 51,955 departures of the example through its row and window views: the rows that the stream emits are those of
//! the backfill at every event's own position, and what a server answers on the way is the backfill up to there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use trifold_backfill::{Backfill, Job, Output, Questions, Resources, Watch};
use trifold_eventlog::{AsideReason, FileLog, LogOptions, RowFormat, SourceConfig};
use trifold_model::{Cut, EntityKey, EventTime, Positions};
use trifold_pipeline::{ArrivalPolicy, Ask, LiveVersion};
use trifold_stream::{
    AsideKind, Counts, Driver, FeedId, FileSink, Fixed, NoSink, Until, Worker, WorkerConfig, feed_dir,
};
use trifold_tests::live::{transform, version, views};
use trifold_tests::online::{Online, key_columns, runtime};
use trifold_tests::random::SplitMix64;
use trifold_tests::recorded::Recorded;
use trifold_tests::rows::{self, Row};
use trifold_tests::stores::open;
use trifold_tests::{FLIGHTS, FLIGHTS_WITHOUT_TAILNUM, flights};

/// Streams all flights to row files; what it came to for each view.
fn stream(dir: &Path, versions: &[LiveVersion]) -> BTreeMap<FeedId, Counts> {
    let sink = FileSink::new().with_rows(dir.join("rows"), RowFormat::Parquet).with_aside(dir.join("aside"));
    let log = FileLog::open(&flights(), LogOptions::default()).unwrap();
    let worker = Worker::new(log, Arc::new(open(dir)), sink, WorkerConfig::new(1));
    let releases = Fixed(views(versions.iter().cloned()));
    let mut driver = Driver::new(worker, releases, std::time::Duration::from_secs(1));
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let report = runtime().block_on(driver.run(Until::End, &mut |_| {}, stopped)).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    report.progress.feeds.into_iter().map(|feed| (feed.feed, feed.counts)).collect()
}

/// Backfills all flights to row files, each at its own position; how many events lack the key.
fn backfill(out: &Path, version: &LiveVersion) -> u64 {
    let job = Job {
        version: version.clone(),
        log: flights(),
        log_name: None,
        checks_keys: true,
        source: SourceConfig::default(),
        ask: Ask::OwnPosition,
        before: false,
        arrivals: ArrivalPolicy::NotNeeded,
        until: None,
    };
    let output = Output { dir: out.to_owned(), format: RowFormat::Parquet, digest: true, overwrite: false };
    let (resources, watch) = (Resources::default(), Watch::default());
    let report = Backfill { job, spine: None, output, resources, watch }.run().unwrap();
    assert_eq!(report.events_read, FLIGHTS);
    report.aside.get(&AsideReason::NullKey).copied().unwrap_or(0)
}

#[track_caller]
fn compare(view: &str, streamed: &BTreeMap<u64, Row>, backfilled: &BTreeMap<u64, Row>) -> (u64, u64) {
    let offsets = |rows: &BTreeMap<u64, Row>| rows.keys().copied().collect::<Vec<_>>();
    assert_eq!(offsets(streamed), offsets(backfilled), "{view}: rows for other events");
    assert!(streamed.values().all(Result::is_ok), "{view}: every row has a verdict");
    let differing = streamed.iter().filter(|(offset, row)| backfilled[offset] != **row).count();
    (streamed.len() as u64, differing as u64)
}

#[test]
fn rows_of_the_stream_are_those_of_the_backfill() {
    let dir = tempfile::tempdir().unwrap();
    let versions = ["flight-profile", "aircraft", "airport-load", "carrier-load"];
    let versions = versions.map(|package| version(1, transform(package, &[])));
    let rejected = [0, FLIGHTS_WITHOUT_TAILNUM, 0, 0];
    let counts = stream(dir.path(), &versions);
    let mut compared = Vec::new();
    for (version, rejected) in versions.iter().zip(rejected) {
        let (view, feed) = (version.view(), FeedId::of(version));
        let counts = &counts[&feed];
        assert_eq!((counts.event_count, counts.row_count), (FLIGHTS, FLIGHTS - rejected));
        let null_keys = counts.aside.get(&AsideKind::Excluded(AsideReason::NullKey)).copied();
        assert_eq!(null_keys.unwrap_or(0), rejected);
        let streamed = rows::files(&feed_dir(&dir.path().join("rows"), &feed), view);
        let out = dir.path().join("backfill").join(view.name.as_str());
        assert_eq!(backfill(&out, version), rejected);
        compared.push(compare(view.name.as_str(), &streamed, &rows::files(&out, view)));
    }
    assert_eq!(compared, [(51_955, 0), (51_354, 0), (51_955, 0), (51_955, 0)]);
}

/// The key of an entity that is one text.
fn key(text: &str) -> EntityKey {
    EntityKey([&[1], (text.len() as u32).to_le_bytes().as_slice(), text.as_bytes()].concat().into())
}

#[test]
fn lookups_at_any_position_are_those_of_a_backfill() {
    const SEED: u64 = 20;
    let mut random = SplitMix64(SEED);
    let recorded = Recorded::new(None);
    std::fs::create_dir(recorded.log()).unwrap();
    std::fs::copy(flights(), recorded.log().join("0.parquet")).unwrap();
    let airports = version(1, transform("airport-load", &[]));
    let carriers = version(1, transform("carrier-load", &[]));
    // The last of either never was.
    let asked = [
        (&airports, ["EWR", "JFK", "LGA", "XXX"].map(key).to_vec()),
        (&carriers, ["9E", "AA", "B6", "DL", "UA", "WN", "XX"].map(key).to_vec()),
    ];
    let versions = [airports.clone(), carriers.clone()];
    let (scratch, runtime) = (recorded.scratch(), runtime());
    let store = open(scratch.path());
    let mut worker = runtime.block_on(recorded.worker(&versions, 4_096, store.clone(), NoSink));
    let server = Online::fixed(Arc::new(store), views(versions.iter().cloned()));
    let mut positions: Vec<_> = (0..20).map(|_| random.between(1, FLIGHTS)).collect();
    positions.sort_unstable();
    let mut values = 0;
    for position in positions {
        while let Some(polled) = worker.poll(Some(position)).unwrap() {
            let step = runtime.block_on(worker.process(polled)).unwrap();
            runtime.block_on(worker.commit(step)).unwrap();
        }
        // From before the first departure to after the last: answers are as of the latest departure at least.
        let at = EventTime(1_356_900_000_000_000 + random.between(0, 62 * 86_400) as i64 * 1_000_000);
        for (version, keys) in &asked {
            let (view, cut) = (version.view(), Cut::Position(Positions([(0, position)].into())));
            let answer = server.get(&[view.name.as_str()], &key_columns(view, keys), Some(at)).unwrap();
            let questions = Questions { keys: keys.clone(), as_of: answer.as_of.clone() };
            let answered: Vec<_> = rows::answered(&answer.views[0].rows).into_iter().collect();
            let replayed = recorded.answers(version, cut, false, questions, Resources::default());
            assert_eq!(answered, replayed, "seed {SEED}, {} at position {position}, as of {at:?}", view.name);
            values += answered.iter().filter(|row| row.as_ref().is_ok_and(|bytes| bytes[0] == 0)).count();
        }
    }
    assert!(values > 50, "{values} values");
}
