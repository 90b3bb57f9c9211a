//! One request, one snapshot of the releases: versions that come into force while a request reads its records do
//! not concern it, in none of its views.

use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use trifold_model::{EntityKey, EventTime, StateId};
use trifold_pipeline::LiveViews;
use trifold_server::client::Answer;
use trifold_store::{EmbeddedStore, EntityQuery, Marker, OnlineStore, SlotSnapshot, Snapshot, StoreError};
use trifold_tests::live::{transform, version, views};
use trifold_tests::online::Online;

use crate::rig::Rig;

/// The rig's store, before which versions change whenever a record is read.
struct Meanwhile {
    store: EmbeddedStore,
    publish: watch::Sender<Arc<LiveViews>>,
    /// What comes into force at the next reads.
    next: Mutex<Vec<Arc<LiveViews>>>,
}

impl OnlineStore for Meanwhile {
    fn read<'a>(&'a self, state: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        async move {
            let snapshot = self.store.read(state, keys).await;
            if let Some(views) = self.next.lock().unwrap().pop() {
                self.publish.send_replace(views);
            }
            snapshot
        }
        .boxed()
    }

    fn read_slots<'a>(
        &'a self,
        state: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>> {
        self.store.read_slots(state, queries)
    }

    fn marker(&self, state: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        self.store.marker(state)
    }
}

/// Both views under one number. The profile changes its component, the aircraft its number alone.
fn both(number: u64) -> Arc<LiveViews> {
    let features: &[&str] = if number == 1 { &[] } else { &["v2"] };
    views([version(number, transform("flight-profile", features)), version(number, transform("aircraft", &[]))])
}

fn ask(server: &Online) -> Answer {
    let keys = arrow_array::RecordBatch::try_from_iter([
        ("carrier", Arc::new(arrow_array::StringArray::from(vec!["UA"])) as arrow_array::ArrayRef),
        ("flight", Arc::new(arrow_array::Int64Array::from(vec![1545])) as _),
        ("tailnum", Arc::new(arrow_array::StringArray::from(vec!["N14228"])) as _),
    ]);
    let features = ["flight_profile", "aircraft_status"];
    server.get(&features, &keys.unwrap(), Some(EventTime(0))).unwrap()
}

fn versions(answer: &Answer) -> Vec<(String, u64)> {
    answer.views.iter().map(|view| (view.view.clone(), view.version)).collect()
}

#[test]
fn a_request_keeps_the_versions_that_it_began_with() {
    let rig = Rig::new();
    let publish = rig.publisher();
    publish.send_replace(both(1));
    let next = Mutex::new(vec![both(3), both(2)]);
    let store = Arc::new(Meanwhile { store: rig.store.clone(), publish, next });
    let server = rig.serve(store.clone());
    let of = |number| [("flight_profile".to_owned(), number), ("aircraft_status".to_owned(), number)];
    // The second version comes into force while the first view is read, the third while the second is.
    let answer = ask(&server);
    assert!(store.next.lock().unwrap().is_empty());
    assert_eq!(versions(&answer), of(1));
    let features = answer.views[0].rows.outputs().schema();
    assert!(features.column_with_name("is_evening").is_none());
    assert_eq!(answer.views[0].digest, transform("flight-profile", &[]).digest());
    let answer = ask(&server);
    assert_eq!(versions(&answer), of(3));
    assert!(answer.views[0].rows.outputs().schema().column_with_name("is_evening").is_some());
    // Both views of a row have one time, the later of their records'.
    assert_eq!(answer.as_of.len(), 1);
}
