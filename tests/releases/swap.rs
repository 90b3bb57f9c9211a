//! The second version is released while requests run: none fails, each answer is one version's from end to end,
//! and both are seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow_array::RecordBatch;
use trifold_model::{ComponentDigest, EntityKey, EventTime, FeatureView, RowDigest};
use trifold_pipeline::LiveViews;
use trifold_server::client::Client;
use trifold_store::StateStore;
use trifold_tests::guests::component;
use trifold_tests::live::transform;
use trifold_tests::online::key_columns;

use crate::rig::Rig;

const CLIENTS: usize = 4;
const ENTITIES: usize = 50;
/// Requests that must have been answered before the release, and after it.
const REQUESTS: u64 = 200;

/// What a version answers: its component, its features and the digest of each row.
#[derive(Debug, Clone, PartialEq)]
struct Expected {
    digest: ComponentDigest,
    features: Vec<String>,
    rows: Vec<Option<RowDigest>>,
}

async fn ask(client: &mut Client, keys: &RecordBatch) -> (u64, Expected) {
    let features = ["flight_profile".to_owned()];
    let answer = client.get(&features, keys, Some(EventTime(0))).await.expect("no request fails");
    let view = answer.views.into_iter().next().unwrap();
    let features = view.rows.outputs().schema().fields().iter().map(|field| field.name().clone()).collect();
    // What was sent is what was digested, so that an answer of two versions would be noticed.
    assert_eq!(view.rows.digests().unwrap(), view.digests);
    (view.version, Expected { digest: view.digest, features, rows: view.digests })
}

fn keys(rig: &Rig, view: &FeatureView) -> Vec<EntityKey> {
    let page = rig.runtime.block_on(rig.store.scan(view.state_id(), None, ENTITIES)).unwrap();
    assert_eq!(page.entries.len(), ENTITIES);
    page.entries.into_iter().map(|(key, _)| key).collect()
}

/// What clients have seen so far.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    /// Answers of the first and of the second version.
    answers: [AtomicU64; 2],
}

async fn client(url: String, keys: RecordBatch, seen: Arc<Seen>) -> BTreeMap<u64, Expected> {
    let mut client = Client::connect(&url).await.unwrap();
    let mut versions = BTreeMap::new();
    while !seen.stop.load(Ordering::Relaxed) {
        let (version, found) = ask(&mut client, &keys).await;
        let expected = versions.entry(version).or_insert_with(|| found.clone());
        assert_eq!(*expected, found, "version {version} gave two answers");
        seen.answers[version as usize - 1].fetch_add(1, Ordering::Relaxed);
    }
    versions
}

#[test]
fn a_release_under_load() {
    let mut rig = Rig::new();
    let server = rig.serve(Arc::new(rig.store.clone()));
    let view = transform("flight-profile", &[]).view().clone();
    let keys = key_columns(&view, &keys(&rig, &view));
    let seen = Arc::new(Seen::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| server.runtime().spawn(client(server.url.clone(), keys.clone(), seen.clone())))
        .collect();
    let wait = |version: usize| {
        while seen.answers[version].load(Ordering::Relaxed) < REQUESTS && clients.iter().all(|c| !c.is_finished())
        {
            std::thread::yield_now();
        }
    };
    wait(0);
    assert_eq!(rig.release("flight-profile", &["v2"]), 2);
    // Released, and not in force before the server has looked.
    let before = seen.answers[1].load(Ordering::Relaxed);
    assert!(rig.poll().is_empty());
    wait(1);
    seen.stop.store(true, Ordering::Relaxed);
    let versions: Vec<_> = clients.into_iter().map(|client| rig.runtime.block_on(client).unwrap()).collect();
    assert_eq!(before, 0);
    let mut expected = BTreeMap::new();
    for found in versions {
        for (version, answer) in found {
            let known = expected.entry(version).or_insert_with(|| answer.clone());
            assert_eq!(*known, answer, "clients saw two answers of version {version}");
        }
    }
    let [first, second] = [&expected[&1], &expected[&2]];
    assert_eq!(first.digest, component("flight-profile", &[]).digest);
    assert_eq!(second.digest, component("flight-profile", &["v2"]).digest);
    assert!(!first.features.contains(&"is_evening".to_owned()));
    assert!(second.features.contains(&"is_evening".to_owned()));
    assert!(first.rows.iter().zip(&second.rows).all(|(first, second)| first != second && first.is_some()));
}

#[test]
fn going_back_is_one_more_release() {
    let mut rig = Rig::new();
    assert_eq!(rig.release("flight-profile", &["v2"]), 2);
    assert!(rig.poll().is_empty());
    assert_eq!(rig.version("flight_profile"), 2);
    assert_eq!(rig.release("flight-profile", &[]), 1);
    assert!(rig.poll().is_empty());
    assert_eq!(rig.version("flight_profile"), 1);
    let live: Arc<LiveViews> = rig.catalog.live();
    let version = &live.views[&"flight_profile".parse().unwrap()];
    assert_eq!(version.release, Some(3));
}
