//! What becomes of single rows.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use trifold_model::{ComputationId, ErrorCode, EventTime, RowDigest, RowStatus};
use trifold_pipeline::{LiveVersion, Outcome};
use trifold_server::client::ViewRows;
use trifold_store::Output;
use trifold_wat_guest::{Act, unruly};

use crate::rig::{NOW, Online, Watched, open, put, records, score, version, views};

fn ints(name: &str, values: &[i64]) -> RecordBatch {
    let values: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    RecordBatch::try_from_iter([(name, values)]).unwrap()
}

/// Rows of the view `score`: the id, and a tenth of it.
fn scores(version: &LiveVersion, ids: &[i64]) -> RecordBatch {
    let x = ids.iter().map(|&id| id as f64 / 10.0).collect::<Vec<_>>();
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(ids.to_vec())), Arc::new(Float64Array::from(x))];
    RecordBatch::try_new(version.view().input_schema().clone(), columns).unwrap()
}

fn value() -> Outcome {
    Outcome::Known(RowStatus::Value)
}

/// The reason why a row is unavailable.
#[track_caller]
fn reason(rows: &ViewRows, row: usize) -> &str {
    match &rows.rows.outcomes()[row] {
        Outcome::Unavailable(reason) => reason,
        known => panic!("row {row} is {known:?}"),
    }
}

/// What the server digested is what the client sees.
#[track_caller]
fn check_digests(rows: &ViewRows) {
    let canonical = rows.rows.canonical().unwrap();
    let digests: Vec<_> = canonical.iter().map(|bytes| bytes.as_deref().map(RowDigest::of)).collect();
    assert_eq!(rows.digests, digests);
}

#[tokio::test]
async fn a_row_is_a_value_empty_or_expired() {
    let dir = tempfile::tempdir().unwrap();
    let (store, version) = (Arc::new(open(dir.path())), score());
    put(&*store, &version, records(&version, &scores(&version, &[1, 2, 3]), &[0, 0, 1])).await;
    let server = Online::start(store, views(std::slice::from_ref(&version))).await;
    // The time to live is over one microsecond after ten seconds.
    let answer = server.get(&["score"], &ints("id", &[3, 2, 9]), Some(10_000_001)).await;
    let rows = &answer.views[0];
    let outcomes = [value(), Outcome::Known(RowStatus::Expired), Outcome::Known(RowStatus::Empty)];
    assert_eq!(rows.rows.outcomes(), outcomes);
    assert_eq!((rows.version, rows.digest), (1, version.digest()));
    let position = rows.position.as_ref().unwrap();
    assert_eq!((&*position.log.0, position.of_row(0).next(0)), ("log", 3));
    check_digests(rows);
    // A value is the status, and each column after a byte that says that it is there.
    let bytes = [&[0, 1][..], &3_i64.to_le_bytes(), &[1], &0.3_f64.to_le_bytes()].concat();
    let canonical = rows.rows.canonical().unwrap();
    assert_eq!(canonical, [Some(bytes), Some(vec![2]), Some(vec![1, 0, 0])]);
}

#[tokio::test]
async fn a_failing_row_leaves_its_neighbours_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, version) = (Arc::new(open(dir.path())), version(1, &unruly("unruly", |_| {})));
    let acts = [(Act::Value, 5), (Act::Reject, 77), (Act::Trap, 0), (Act::Recurse, 0), (Act::Value, 6)];
    let column = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    let columns = vec![
        column((0..5).collect()),
        column(acts.iter().map(|(act, _)| *act as i64).collect()),
        column(acts.iter().map(|(_, n)| *n).collect()),
    ];
    let inputs = RecordBatch::try_new(version.view().input_schema().clone(), columns).unwrap();
    put(&*store, &version, records(&version, &inputs, &[0; 5])).await;
    let server = Online::start(store, views(&[version])).await;
    let answer = server.get(&["unruly"], &ints("key", &[0, 1, 2, 3, 4]), None).await;
    let rows = &answer.views[0];
    let error = |code| Outcome::Known(RowStatus::Error(code));
    assert_eq!(rows.rows.outcomes()[..3], [value(), error(ErrorCode(77)), error(ErrorCode::TRAP)]);
    assert_eq!(rows.rows.outcomes()[4], value());
    assert_eq!(rows.rows.message(1), Some("refused"));
    assert!(!reason(rows, 3).is_empty());
    check_digests(rows);
}

#[tokio::test]
async fn a_damaged_record_takes_its_own_row_alone() {
    let dir = tempfile::tempdir().unwrap();
    let version = score();
    let mut puts = records(&version, &scores(&version, &[1, 2, 3]), &[0; 3]);
    puts[0].1.fields.pop();
    puts[1].1.event_id = "to be damaged".to_owned();
    let whole = puts[1].1.clone();
    let store = open(dir.path());
    put(&store, &version, puts).await;
    drop(store);
    damage(&dir.path().join("store.redb"), &whole.event_id);
    let server = Online::start(Arc::new(open(dir.path())), views(&[version])).await;
    let answer = server.get(&["score"], &ints("id", &[1, 2, 3, 4, 2]), None).await;
    let rows = &answer.views[0];
    assert!(reason(rows, 0).contains("record is damaged"), "{}", reason(rows, 0));
    for row in [1, 4] {
        assert!(reason(rows, row).contains("names format 127"), "{}", reason(rows, row));
    }
    assert_eq!(rows.rows.outcomes()[2..4], [value(), Outcome::Known(RowStatus::Empty)]);
    assert_eq!(rows.digests.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true, true, false]);
    check_digests(rows);
}

/// Changes the format of the record of an event. It stands before the time (8 bytes), the partition (4), the
/// offset (8) and the length of the id (4).
fn damage(file: &std::path::Path, event_id: &str) {
    let mut bytes = std::fs::read(file).unwrap();
    let places: Vec<_> =
        bytes.windows(event_id.len()).enumerate().filter(|(_, at)| *at == event_id.as_bytes()).collect();
    let formats: Vec<_> = places.iter().map(|(at, _)| at - 25).collect();
    assert!(!formats.is_empty());
    for format in formats {
        assert_eq!(bytes[format], 1);
        bytes[format] = 127;
    }
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_store_without_state_has_no_answers() {
    let dir = tempfile::tempdir().unwrap();
    let server = Online::start(Arc::new(open(dir.path())), views(&[score()])).await;
    let answer = server.get(&["score"], &ints("id", &[1, 2]), None).await;
    let rows = &answer.views[0];
    assert_eq!(rows.position, None);
    for row in 0..2 {
        assert!(reason(rows, row).contains("no events of view score"), "{}", reason(rows, row));
    }
    assert_eq!(rows.digests, [None, None]);
    assert_eq!(answer.as_of, [EventTime(NOW); 2]);
}

#[tokio::test]
async fn an_entity_that_is_asked_for_twice_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, version) = (Arc::new(Watched::new(open(dir.path()), 1)), score());
    let puts = records(&version, &scores(&version, &[1, 2]), &[0, 0]);
    let keys: Vec<_> = puts.iter().map(|(key, _)| key.clone()).collect();
    put(&store.store, &version, puts).await;
    let server = Online::start(store.clone(), views(&[version])).await;
    let answer = server.get(&["score"], &ints("id", &[2, 1, 2, 2, 1]), None).await;
    assert_eq!(*store.read.lock().unwrap(), [vec![keys[1].clone(), keys[0].clone()]]);
    let rows = &answer.views[0].rows;
    assert_eq!(rows.outcomes(), vec![value(); 5]);
    let ids = rows.outputs().column(0).as_any().downcast_ref::<Int64Array>().unwrap();
    assert_eq!(ids.values()[..], [2, 1, 2, 2, 1]);
}

#[tokio::test]
async fn all_views_of_a_row_share_the_latest_time() {
    let dir = tempfile::tempdir().unwrap();
    let (store, score) = (Arc::new(open(dir.path())), score());
    let guest = crate::rig::echo("other", &[("id", "int64"), ("x", "float64")], |_| {});
    let other = version(4, &guest);
    // The other view's event of entity 2 comes so late that the score is over by then.
    put(&*store, &score, records(&score, &scores(&score, &[1, 2]), &[5, 7])).await;
    put(&*store, &other, records(&other, &scores(&other, &[1, 2]), &[3, 20_000_000])).await;
    let server = Online::start(store, views(&[score, other])).await;
    let keys = ints("id", &[1, 2, 3]);
    let answer = server.get(&["other.x_out", "score"], &keys, Some(4)).await;
    assert_eq!(answer.as_of, [5, 20_000_000, 4].map(EventTime));
    let [other, score] = answer.views.as_slice() else { panic!("{} views", answer.views.len()) };
    assert_eq!((other.view.as_str(), score.view.as_str()), ("other", "score"));
    let empty = || Outcome::Known(RowStatus::Empty);
    assert_eq!(other.rows.outcomes(), [value(), value(), empty()]);
    assert_eq!(score.rows.outcomes(), [value(), Outcome::Known(RowStatus::Expired), empty()]);
    // The digest covers the view's whole schema, whatever was asked for.
    let whole = server.get(&["other"], &keys, Some(4)).await;
    assert_eq!(whole.views[0].digests, other.digests);
    check_digests(&whole.views[0]);
    // Asked alone, nothing is known of the other view's event.
    let alone = server.get(&["score"], &keys, None).await;
    assert_eq!(alone.as_of, [NOW; 3].map(EventTime));
    assert_eq!(alone.views[0].rows.outcomes(), [value(), value(), empty()]);
}

#[tokio::test]
async fn a_kept_value_answers_if_this_version_computed_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, version) = (open(dir.path()), score());
    let mut puts = records(&version, &scores(&version, &[1, 2, 3, 4, 5]), &[0; 5]);
    // A value that the component would not come to tells whether it was asked.
    let forged = |id: i64| [&[1][..], &id.to_le_bytes(), &[1], &7.5_f64.to_le_bytes()].concat();
    let output = |computation, fields| Some(Output { computation, fields });
    let (own, other) = (version.transform.computation(), ComputationId([9; 16]));
    puts[0].1.output = output(own, forged(1));
    puts[1].1.output = output(other, forged(2));
    puts[2].1.output = output(own, forged(3)[..9].to_vec());
    puts[4].1.output = output(own, forged(5));
    puts[4].1.event_time = EventTime(-10_000_000);
    put(&store, &version, puts).await;
    let server = Online::start(Arc::new(store), views(&[version])).await;
    let answer = server.get(&["score"], &ints("id", &[4, 1, 9, 2, 3, 5, 1]), Some(1)).await;
    let rows = &answer.views[0];
    let (empty, expired) = (Outcome::Known(RowStatus::Empty), Outcome::Known(RowStatus::Expired));
    assert_eq!(rows.rows.outcomes(), [value(), value(), empty, value(), value(), expired, value()]);
    let values = rows.rows.outputs().column(1).as_any().downcast_ref::<Float64Array>().unwrap();
    let expected = [Some(0.4), Some(7.5), None, Some(0.2), Some(0.3), None, Some(7.5)];
    assert_eq!(values, &Float64Array::from(expected.to_vec()));
    check_digests(rows);
}
