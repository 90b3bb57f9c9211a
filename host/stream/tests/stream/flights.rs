//! 51,955 real departures through two views.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use trifold_eventlog::{AsideReason, RowFormat, read_row_files};
use trifold_pipeline::ArrivalPolicy;
use trifold_pipeline::row_table::{RowTable, read_rows};
use trifold_stream::{AsideKind, FileSink, Until, WorkerConfig, feed_dir};
use trifold_wat_guest::{Guest, field, row_view};

use crate::support::{World, driver, run};

const FLIGHT_COUNT: u64 = 51_955;
const WITHOUT_TAILNUM: u64 = 601;

fn copy(name: &str, fields: &[(&str, &str)]) -> Guest {
    let fields: Vec<_> = fields.iter().map(|(name, ty)| field(name, ty)).collect();
    Guest::new(row_view(name, &fields, &fields))
}

#[tokio::test]
async fn every_departure_of_two_months_gives_a_row_per_view_that_can_key_it() {
    let world = World::new();
    let flights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights/flights-2013-01-02.parquet");
    fs::copy(flights, world.log_dir().join("0.parquet")).unwrap();
    let by_flight = copy("by_flight", &[("carrier", "utf8"), ("flight", "int64"), ("event_time", "timestamp")]);
    let by_aircraft = copy("by_aircraft", &[("tailnum", "utf8"), ("dest", "utf8"), ("cancelled", "bool")]);
    let live = world.live(&[&by_flight, &by_aircraft]);
    let sink =
        FileSink::new().with_rows(world.rows_dir("run"), RowFormat::Parquet).with_aside(world.aside_dir("run"));
    let config = WorkerConfig { rows_max: 8192, ..WorkerConfig::new(1) };
    let mut driver = driver(world.log(), Arc::new(world.store("run")), sink, live.clone(), config);
    let report = run(&mut driver, Until::End).await.unwrap();
    assert_eq!((report.progress.rows_done(), report.progress.rows_known), (FLIGHT_COUNT, FLIGHT_COUNT));
    let counts: Vec<_> = report.progress.feeds.iter().map(|feed| &feed.counts).collect();
    assert_eq!(counts[0].aside, BTreeMap::from([(AsideKind::Excluded(AsideReason::NullKey), WITHOUT_TAILNUM)]));
    assert_eq!(counts[0].row_count, FLIGHT_COUNT - WITHOUT_TAILNUM);
    assert_eq!((counts[1].row_count, counts[1].aside.len()), (FLIGHT_COUNT, 0));
    for (progress, version) in report.progress.feeds.iter().zip(live.0.views.values()) {
        let table = RowTable::of_events(version.view(), ArrivalPolicy::NotNeeded, true);
        let dir = feed_dir(&world.rows_dir("run"), &progress.feed);
        assert!(dir.join("0-000000000000008192.parquet").exists());
        let batches = read_row_files(&dir, Some(table.schema().clone())).unwrap();
        let mut offsets = Vec::new();
        for batch in batches {
            let read = read_rows(version.view(), &batch.unwrap()).unwrap();
            assert_eq!(read.rows.digests().unwrap(), read.digests.unwrap());
            offsets.extend(read.numbers);
        }
        assert!(offsets.is_sorted_by(|left, right| left < right));
        assert_eq!(offsets.len() as u64, progress.counts.row_count);
    }
}
