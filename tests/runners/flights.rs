//! All 51,955 departures of the example, both views: the rows that the stream emits are those of the backfill at
//! every event's own position.

use std::collections::BTreeMap;
use std::path::Path;

use trifold_backfill::{Backfill, Job, Output, Resources, Watch};
use trifold_eventlog::{AsideReason, FileLog, LogOptions, RowFormat, SourceConfig};
use trifold_pipeline::{ArrivalPolicy, Ask, LiveVersion};
use trifold_stream::{AsideKind, Counts, Driver, FeedId, FileSink, Fixed, Until, Worker, WorkerConfig, feed_dir};
use trifold_tests::live::{transform, version, views};
use trifold_tests::online::runtime;
use trifold_tests::rows::{self, Row};
use trifold_tests::stores::open;
use trifold_tests::{FLIGHTS, FLIGHTS_WITHOUT_TAILNUM, flights};

/// Streams all flights to row files; what it came to for each view.
fn stream(dir: &Path, versions: &[LiveVersion]) -> BTreeMap<FeedId, Counts> {
    let sink = FileSink::new().with_rows(dir.join("rows"), RowFormat::Parquet).with_aside(dir.join("aside"));
    let log = FileLog::open(&flights(), LogOptions::default()).unwrap();
    let worker = Worker::new(log, std::sync::Arc::new(open(dir)), sink, WorkerConfig::new(1));
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
    let versions = [version(1, transform("flight-profile", &[])), version(1, transform("aircraft", &[]))];
    let rejected = [0, FLIGHTS_WITHOUT_TAILNUM];
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
    assert_eq!(compared, [(51_955, 0), (51_354, 0)]);
}
