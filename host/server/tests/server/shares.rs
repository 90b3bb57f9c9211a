//! What the views of one request may burn of its fuel.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use trifold_model::RowStatus;
use trifold_pipeline::{LiveVersion, Outcome};
use trifold_server::ServerConfig;
use trifold_store::EmbeddedStore;
use trifold_wat_guest::{Act, unruly};

use crate::rig::{Online, config, open, put, records, version, views};

const ROWS: i64 = 10;

fn ints(value: impl Fn(i64) -> i64) -> ArrayRef {
    Arc::new((0..ROWS).map(value).collect::<Int64Array>())
}

/// A view whose rows all do the same.
async fn doing(store: &EmbeddedStore, name: &str, act: Act) -> LiveVersion {
    let version = version(1, &unruly(name, |_| ()));
    let columns = vec![ints(|row| row), ints(|_| act as i64), ints(|row| row)];
    let inputs = RecordBatch::try_new(version.view().input_schema().clone(), columns).unwrap();
    put(store, &version, records(&version, &inputs, &[0; ROWS as usize])).await;
    version
}

#[tokio::test]
async fn a_view_that_burns_takes_nothing_from_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // In order of the request, so that the one that burns is first, in the middle and last.
    let (burns, calm) = (doing(&store, "burns", Act::Loop).await, doing(&store, "calm", Act::Value).await);
    let quiet = doing(&store, "quiet", Act::Value).await;
    let config = ServerConfig { request_fuel: 60_000_000, ..config() };
    let server = Online::limited(Arc::new(store), views(&[burns, calm, quiet]), config).await;
    let keys = RecordBatch::try_from_iter([("key", ints(|row| row))]).unwrap();
    for order in [["burns", "calm", "quiet"], ["calm", "burns", "quiet"], ["quiet", "calm", "burns"]] {
        let answer = server.get(&order, &keys, None).await;
        for view in &answer.views {
            let outcomes = view.rows.outcomes();
            match view.view.as_str() {
                "burns" => {
                    let last = outcomes.last().unwrap();
                    let Outcome::Unavailable(reason) = last else { panic!("{order:?}: {last:?}") };
                    assert!(reason.contains("what the view may burn of the request's budget"), "{reason}");
                    // A verdict that was reached before the share was spent stays what it is everywhere.
                    let is_fit = |outcome: &Outcome| {
                        matches!(outcome, Outcome::Unavailable(_) | Outcome::Known(RowStatus::Error(_)))
                    };
                    assert!(outcomes.iter().all(is_fit), "{outcomes:?}");
                }
                name => {
                    let values = vec![Outcome::Known(RowStatus::Value); ROWS as usize];
                    assert_eq!(outcomes, values, "{name} in {order:?}");
                }
            }
        }
    }
}
