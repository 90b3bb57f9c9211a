//! Backfills of on-demand views at the requests of a spine.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use serde_json::json;
use trifold_backfill::{
    Backfill, BackfillError, Job, OnDemandBackfill, Output, Phase, Plan, Resources, Spine, Watch,
};
use trifold_eventlog::{RowFormat, SourceConfig, read_row_files};
use trifold_model::{Cut, EventTime};
use trifold_pipeline::{ArrivalPolicy, Ask, LiveVersion, Rows, read_rows};
use trifold_tests::random::SplitMix64;

use crate::site::{SECOND, Site, context_version, event, latest_version, numbers_version, requests};

/// Requests of several entities, some of which no event has, at times around those of the events.
fn spine(site: &Site, random: &mut SplitMix64, rows: usize) -> (Spine, Vec<(i64, Option<f64>, i64)>) {
    let row = |random: &mut SplitMix64| {
        let amount = (random.between(0, 3) > 0).then(|| random.between(0, 100) as f64 / 4.0);
        (random.between(0, 6) as i64, amount, random.between(0, 3000) as i64)
    };
    let rows: Vec<_> = (0..rows).map(|_| row(random)).collect();
    let line = |(number, (key, amount, second)): (usize, &(i64, Option<f64>, i64))| {
        let row = json!({"key": key, "amount": amount, "as_of": second * SECOND, "label": number});
        format!("{row}\n")
    };
    let path = site.path("spine.jsonl");
    fs::write(&path, rows.iter().enumerate().map(line).collect::<String>()).unwrap();
    (Spine::new(path), rows)
}

fn random_site(random: &mut SplitMix64) -> Site {
    let events = (0..200).map(|_| {
        let value = (random.between(0, 5) > 0).then(|| random.between(0, 20) as i64 - 2);
        event(random.between(0, 3000) as i64, random.between(0, 5) as i64, value)
    });
    Site::new(&events.collect::<Vec<_>>())
}

fn job(site: &Site, version: LiveVersion, cut: Cut) -> Job {
    Job {
        arrivals: ArrivalPolicy::new(version.view(), false, false).unwrap(),
        version,
        log: site.log(),
        log_name: None,
        checks_keys: true,
        source: SourceConfig::default(),
        ask: Ask::Spine(cut),
        before: false,
        until: None,
    }
}

fn output(dir: PathBuf) -> Output {
    Output { dir, format: RowFormat::Parquet, digest: true, overwrite: false }
}

fn backfill(site: &Site, spine: &Spine, shards: u32) -> OnDemandBackfill {
    OnDemandBackfill {
        version: context_version(),
        reads: vec![job(site, numbers_version(), Cut::All), job(site, latest_version(), Cut::All)],
        spine: spine.clone(),
        output: output(site.path("out")),
        resources: Resources { shards, pass_rows_max: 150, ..Resources::default() },
        watch: Watch::default(),
    }
}

/// The rows of a directory by their number.
fn read(version: &LiveVersion, dir: PathBuf) -> BTreeMap<u64, (EventTime, Rows, usize)> {
    let mut rows = BTreeMap::new();
    for batch in read_row_files(&dir, None).unwrap() {
        let batch = batch.unwrap();
        let read = read_rows(version.view(), &batch).unwrap();
        assert_eq!(read.digests.as_ref(), Some(&read.rows.digests().unwrap()));
        for (row, &number) in read.numbers.iter().enumerate() {
            assert!(rows.insert(number, (read.as_of[row], read.rows.clone(), row)).is_none());
        }
    }
    rows
}

fn int(rows: &(EventTime, Rows, usize), column: &str) -> Option<i64> {
    let column = rows.1.outputs().column_by_name(column).unwrap().as_primitive::<Int64Type>().clone();
    column.iter().nth(rows.2).unwrap()
}

#[test]
fn a_row_is_made_of_the_rows_that_backfills_of_the_views_give() {
    for seed in 0..3 {
        let mut random = SplitMix64(seed);
        let site = random_site(&mut random);
        let (spine, asked) = spine(&site, &mut random, 100);
        let report = backfill(&site, &spine, 4).run().unwrap();
        assert_eq!((report.plan, report.counts.rows, report.files.len()), (Plan::Joined, 100, 4));
        let found = read(&context_version(), site.path("out"));
        let alone = |version: LiveVersion| {
            let out = site.path(version.view().name.as_str());
            let backfill = Backfill {
                job: job(&site, version.clone(), Cut::All),
                spine: Some(spine.clone()),
                output: output(out.clone()),
                resources: Resources::default(),
                watch: Watch::default(),
            };
            backfill.run().unwrap();
            read(&version, out)
        };
        let (numbers, latest) = (alone(numbers_version()), alone(latest_version()));
        assert_eq!(found.len(), asked.len());
        for (number, (key, _, second)) in (0..).zip(&asked) {
            let row = &found[&number];
            assert_eq!(row.0, EventTime(second * SECOND), "seed {seed}, row {number}");
            assert_eq!(int(row, "key_out"), Some(*key), "seed {seed}, row {number}");
            let [count, last] = ["count_out", "last_out"].map(|column| int(row, column));
            assert_eq!(count, int(&numbers[&number], "events_1h"), "seed {seed}, row {number}");
            assert_eq!(last, int(&latest[&number], "value_out"), "seed {seed}, row {number}");
        }
    }
}

#[test]
fn a_lookup_is_the_backfill_at_its_time() {
    let mut random = SplitMix64(7);
    let site = random_site(&mut random);
    let (spine, asked) = spine(&site, &mut random, 60);
    let server = site.server(&[numbers_version(), latest_version(), context_version()]);
    // A server keeps no history, so that all ask after the last event.
    let after = EventTime(3100 * SECOND);
    let late = asked.iter().map(|(key, amount, _)| json!({"key": key, "amount": amount, "as_of": after.0}));
    fs::write(&spine.path, late.map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    backfill(&site, &spine, 1).run().unwrap();
    let found = read(&context_version(), site.path("out"));
    let (keys, amounts): (Vec<_>, Vec<_>) = asked.iter().map(|(key, amount, _)| (*key, *amount)).unzip();
    let answer = server.get(&["context"], &requests(&keys, &amounts), Some(after)).unwrap();
    let looked_up = answer.views[0].rows.canonical().unwrap();
    for (number, looked_up) in (0..).zip(&looked_up) {
        let (_, rows, row) = &found[&number];
        assert_eq!(&rows.canonical().unwrap()[*row], looked_up, "row {number}");
    }
}

#[test]
fn what_a_spine_carries_and_asks_stands_beside_the_values() {
    let mut random = SplitMix64(3);
    let site = random_site(&mut random);
    let (spine, asked) = spine(&site, &mut random, 10);
    backfill(&site, &spine, 1).run().unwrap();
    let batch = read_row_files(&site.path("out"), None).unwrap().next().unwrap().unwrap();
    let schema = batch.schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names[..6], ["_spine_row", "_request_key", "_request_amount", "_as_of", "label", "_status"]);
    let amounts = batch.column(2).as_primitive::<arrow_array::types::Float64Type>().iter();
    assert!(amounts.eq(asked.iter().map(|(_, amount, _)| *amount)));
}

#[test]
fn an_interrupted_backfill_goes_on_with_the_files_that_it_had_not_finished() {
    let mut random = SplitMix64(5);
    let site = random_site(&mut random);
    let (spine, _) = spine(&site, &mut random, 100);
    let whole = OnDemandBackfill { output: output(site.path("whole")), ..backfill(&site, &spine, 5) };
    whole.run().unwrap();
    // Of several passes it is stopped in a later one.
    let (cancelled, passes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let (stop, seen) = (cancelled.clone(), passes.clone());
    let progress = Arc::new(move |phase: Phase, done: u64, _: u64| {
        if phase == Phase::Compute && done == 60 {
            seen.fetch_add(1, Ordering::Relaxed);
            stop.store(true, Ordering::Relaxed);
        }
    });
    let interrupted = OnDemandBackfill { watch: Watch { progress, cancelled }, ..backfill(&site, &spine, 5) };
    let error = interrupted.run().unwrap_err();
    let BackfillError::Cancelled { finished, total } = error else { panic!("{error}") };
    assert!((1..5).contains(&finished) && total == 5, "{finished} of {total}");
    assert!(passes.load(Ordering::Relaxed) > 0);
    let report = backfill(&site, &spine, 5).run().unwrap();
    assert_eq!(report.resumed_count, finished);
    for part in 0..5 {
        let file = |dir: &str| fs::read(site.path(dir).join(format!("part-{part:05}.parquet"))).unwrap();
        assert_eq!(file("out"), file("whole"), "part {part}");
    }
}

#[test]
fn what_cannot_be_read_or_asked_is_refused() {
    let mut random = SplitMix64(1);
    let site = random_site(&mut random);
    let (spine, _) = spine(&site, &mut random, 3);
    let error = |change: &dyn Fn(&mut OnDemandBackfill)| {
        let mut backfill = backfill(&site, &spine, 1);
        change(&mut backfill);
        backfill.run().unwrap_err().to_string()
    };
    let message = error(&|backfill| drop(backfill.reads.pop()));
    assert!(
        message.contains("input last is the feature latest.value_out, but there is no view latest"),
        "{message}"
    );
    let message = error(&|backfill| backfill.reads[0].ask = Ask::OwnPosition);
    assert!(message.contains("view window_numbers is read at the rows of a spine"), "{message}");
    fs::write(&spine.path, "{\"amount\": 1.5, \"as_of\": 0}\n").unwrap();
    let message = error(&|_| {});
    assert!(message.contains("row 0: column key is missing or null"), "{message}");
    fs::write(&spine.path, "{\"key\": 1, \"amount\": \"much\", \"as_of\": 0}\n").unwrap();
    let message = error(&|_| {});
    assert!(message.contains("row 0: column amount"), "{message}");
}
