//! The view that is computed on demand, by the server and by a backfill.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use payments_generator::{Payment, SpineBatches, payment_batch, payment_schema};
use trifold_backfill::{OnDemandBackfill, Output, Resources, Spine, Watch};
use trifold_eventlog::{RowFileWriter, RowFormat};
use trifold_model::{Cut, EventTime, Positions};
use trifold_pipeline::{Ask, LiveVersion};
use trifold_server::client::{InHand, Lookup};
use trifold_stream::NoSink;
use trifold_tests::live::views;
use trifold_tests::online::{Online, runtime};
use trifold_tests::rows::{self, Row};
use trifold_tests::stores;

use crate::log::counts;
use crate::site::{Site, advance, in_hand, versions};

const SEED: u64 = 4;
const SPINE_ROWS: u64 = 60;
const REQUEST: [&str; 3] = ["card", "amount", "country"];

fn risk() -> &'static LiveVersion {
    &versions()[3]
}

/// The views that it reads.
fn read() -> [&'static LiveVersion; 2] {
    [&versions()[0], &versions()[2]]
}

/// The columns of a request.
fn request(from: &RecordBatch) -> RecordBatch {
    let column = |name| -> (&str, ArrayRef, bool) { (name, from.column_by_name(name).unwrap().clone(), true) };
    RecordBatch::try_from_iter_with_nullable(REQUEST.map(column)).unwrap()
}

/// The answers of the server, and the time that each is as of.
fn look_up(server: &Online, columns: &RecordBatch, at: i64, in_hand: &[InHand]) -> (Vec<Row>, Vec<EventTime>) {
    let features = [risk().view().name.to_string()];
    let lookup = Lookup { features: &features, columns, as_of: Some(EventTime(at)), in_hand };
    let answer = server.runtime().block_on(server.client().look_up(lookup)).unwrap();
    (rows::answered(&answer.views[0].rows), answer.as_of)
}

/// The answers of a backfill that knows the log up to an offset.
fn backfill(site: &Site, columns: &RecordBatch, as_of: &[EventTime], next: u64) -> Vec<Row> {
    let dir = site.recorded.scratch();
    let spine = dir.path().join("spine.parquet");
    write_spine(&spine, columns, as_of);
    let cut = || Ask::Spine(Cut::Position(Positions([(0, next)].into())));
    let backfill = OnDemandBackfill {
        version: risk().clone(),
        reads: read().map(|version| site.recorded.job(version, cut(), false)).to_vec(),
        spine: Spine::new(spine),
        output: Output { dir: dir.path().join("out"), format: RowFormat::Parquet, digest: true, overwrite: false },
        resources: Resources::default(),
        watch: Watch::default(),
    };
    backfill.run().unwrap();
    rows::files(&dir.path().join("out"), risk().view()).into_values().collect()
}

fn write_spine(path: &Path, columns: &RecordBatch, as_of: &[EventTime]) {
    let times = TimestampMicrosecondArray::from_iter_values(as_of.iter().map(|at| at.0)).with_timezone("UTC");
    let (schema, arrays) = (columns.schema(), columns.columns().iter().cloned());
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let all = names.zip(arrays).chain([("as_of", Arc::new(times) as ArrayRef)]);
    let spine = RecordBatch::try_from_iter_with_nullable(all.map(|(name, array)| (name, array, true))).unwrap();
    let mut file = RowFileWriter::create(path, spine.schema(), RowFormat::Parquet).unwrap();
    file.write(&spine).unwrap();
    file.finish().unwrap();
}

fn server(site: &Site, dir: &Path, offsets: &BTreeSet<u64>, mut each: impl FnMut(&Online, u64)) {
    let store = stores::open(dir);
    let server = Online::fixed(Arc::new(store.clone()), views(versions().to_vec()));
    let runtime = runtime();
    let mut worker = runtime.block_on(site.recorded.worker(versions(), 1_000, store, NoSink));
    for &offset in offsets {
        runtime.block_on(advance(&mut worker, offset));
        each(&server, offset);
    }
}

/// While the log grows, the purchases of a spine are asked for after all that is known.
#[test]
fn the_server_answers_with_the_rows_of_a_backfill() {
    let site = Site::new(SEED);
    let batches = SpineBatches::new(site.log.config.clone(), SPINE_ROWS).unwrap();
    let columns = request(&batches.map(Result::unwrap).next().unwrap());
    let dir = site.recorded.scratch();
    let mut seen = BTreeSet::new();
    server(&site, dir.path(), &[1, 700, 1_900, 3_000].into(), |server, offset| {
        let known = &site.log.payments[..offset as usize];
        let at = known.iter().map(|payment| payment.event_time.max(payment.arrived_at)).max().unwrap();
        let (found, as_of) = look_up(server, &columns, at, &[]);
        assert_eq!(found, backfill(&site, &columns, &as_of, offset), "seed {SEED}, after {offset} payments");
        assert_eq!(as_of, vec![EventTime(at); SPINE_ROWS as usize]);
        seen.extend(found);
    });
    assert!(seen.iter().all(Result::is_ok) && seen.len() > 2 * SPINE_ROWS as usize, "{} rows", seen.len());
}

/// A purchase is scored with its own payment in hand. A backfill that knows the log up to that payment, and no further,
/// computes the same.
#[test]
fn a_payment_in_hand_counts_in_what_is_read() {
    let site = Site::new(SEED);
    let dir = site.recorded.scratch();
    let offsets: Vec<u64> = site.log.admitted().map(|(offset, _)| offset).filter(|offset| *offset > 0).collect();
    let some: BTreeSet<u64> = offsets.iter().copied().step_by(offsets.len() / 4).collect();
    server(&site, dir.path(), &some, |server, offset| {
        let payment: &Payment = site.log.get(offset);
        assert!(counts(payment));
        let columns = request(&payment_batch(&payment_schema(), &[*payment]).unwrap());
        let held = read().map(|version| in_hand(version, payment));
        let (with, as_of) = look_up(server, &columns, payment.event_time, &held);
        assert_eq!(as_of, [EventTime(site.log.as_of(offset))]);
        assert_eq!(with, backfill(&site, &columns, &as_of, offset + 1), "seed {SEED}, offset {offset}");
        let (without, as_of) = look_up(server, &columns, payment.event_time, &[]);
        assert_eq!(without, backfill(&site, &columns, &as_of, offset), "seed {SEED}, offset {offset}");
        // A copy has been counted.
        let is_copy = site.log.copy(offset).is_some();
        assert_eq!(with == without, is_copy, "seed {SEED}, offset {offset}");
    });
}
