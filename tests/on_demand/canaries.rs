//! Views of which some entities are answered by a version that is tried out: row, window and on-demand views, whose
//! answers are those of the one version and the other, row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use serde_json::json;
use trifold_model::{CanonicalRows, EntityKey, EventTime, Share, ViewName};
use trifold_pipeline::{Canary, LiveCandidate, LiveVersion, LiveViews, Role, take_over};
use trifold_server::client::{Answer, InHand, Lookup};
use trifold_store::EmbeddedStore;
use trifold_tests::guests::component;
use trifold_tests::live::{admit, version, views};
use trifold_tests::online::{Online, runtime};
use trifold_wat_guest::Guest;

use crate::lookups::in_hand;
use crate::site::{SECOND, Site, context_version, event, latest_version, numbers_version, requests};
use crate::views::{context, echo, input};

const ENTITIES: i64 = 60;
const NOW: i64 = 1_100;

/// Copies the words, sets the validity bits of the second column to nothing and answers a column of zeros more.
const NULLS_AND_MORE: &str = r"
    (local $out i32)
    (local.set $out (call $alloc (i32.shl (i32.add (local.get $count) (local.get $rows)) (i32.const 3))))
    (memory.copy (local.get $out) (local.get $words) (i32.shl (local.get $count) (i32.const 3)))
    (memory.fill (i32.add (local.get $out) (i32.shl (local.get $rows) (i32.const 3))) (i32.const 0)
      (i32.shr_u (i32.add (local.get $rows) (i32.const 7)) (i32.const 3)))
    (memory.fill (i32.add (local.get $out) (i32.shl (local.get $count) (i32.const 3))) (i32.const 0)
      (i32.shl (local.get $rows) (i32.const 3)))
    (call $answer (local.get $rows) (local.get $out) (i32.add (local.get $count) (local.get $rows))
      (i32.const 0) (i32.const 0))";

/// A version of `latest` whose values are all null, and that has a feature more.
fn latest_canary() -> LiveVersion {
    let mut view =
        echo("latest", "row", &[input("key", "int64", json!("event")), input("value", "int64?", json!("event"))]);
    view["entity"] = json!(["key"]);
    view["ttl-seconds"] = json!(600);
    view["outputs"].as_array_mut().unwrap().push(input("more", "int64", json!("event")));
    version(12, admit(&Guest::new(view).apply(NULLS_AND_MORE).build().unwrap()))
}

/// The same component with a custom section more, so that it is another one.
fn numbers_canary() -> LiveVersion {
    let mut wasm = component("window-numbers", &[]).component.clone();
    wasm.extend([0, 2, 1, b'x']);
    version(11, admit(&wasm))
}

/// A version of `context` that takes another share.
fn context_canary() -> LiveVersion {
    let mut view = context();
    for fields in ["inputs", "outputs"] {
        let fields = view[fields].as_array_mut().unwrap();
        // The feature that it takes in place of the share is of the same type.
        fields.iter_mut().for_each(|field| {
            if field["source"] == json!({"view": "window_numbers", "feature": "share_1m"}) {
                field["source"] = json!({"view": "window_numbers", "feature": "share_1h"});
            }
        });
    }
    version(13, admit(&Guest::new(view).build().unwrap()))
}

fn serving() -> [LiveVersion; 3] {
    [numbers_version(), latest_version(), context_version()]
}

fn tried() -> [LiveVersion; 3] {
    [numbers_canary(), latest_canary(), context_canary()]
}

fn role(version: &LiveVersion, rollout: u64, share: &str) -> Role {
    Role::Canary(Canary::new(&version.view().name, rollout, share.parse().unwrap()))
}

/// The versions in force with those of `tried` as canaries for a share.
fn with_canaries(tried: &[LiveVersion], rollout: u64, share: &str) -> LiveViews {
    let mut live = LiveViews::clone(&views(serving()));
    for version in tried {
        let candidate = LiveCandidate { version: version.clone(), role: role(version, rollout, share) };
        live.candidates.insert(version.view().name.clone(), candidate);
    }
    live
}

fn site() -> (Site, EmbeddedStore) {
    let events: Vec<_> = (0..4 * ENTITIES).map(|n| event(800 + n, n % (ENTITIES - 7), Some(n * n % 11))).collect();
    let site = Site::new(&events);
    let store = site.streamed(&serving());
    (site, store)
}

fn columns() -> RecordBatch {
    let keys: Vec<_> = (0..ENTITIES).chain([3, 3, 4]).collect();
    let amounts: Vec<_> = keys.iter().map(|key| (key % 3 > 0).then_some(*key as f64)).collect();
    requests(&keys, &amounts)
}

fn named(view: &str) -> ViewName {
    view.parse().unwrap()
}

const FEATURES: [&str; 3] = ["context", "latest", "window_numbers"];

fn ask(store: &EmbeddedStore, live: LiveViews, in_hand: &[InHand]) -> Answer {
    let server = Online::fixed(Arc::new(store.clone()), Arc::new(live));
    let (features, columns) = (FEATURES.map(str::to_owned), columns());
    let as_of = Some(EventTime(NOW * SECOND));
    let lookup = Lookup { features: &features, columns: &columns, as_of, in_hand };
    server.runtime().block_on(server.client().look_up(lookup)).unwrap()
}

/// For each row of the request, whether a view's canary takes it: all three are asked by the same key.
fn taken(view: &str, rollout: u64, share: &str) -> Vec<bool> {
    let name: ViewName = view.parse().unwrap();
    let canary = Canary::new(&name, rollout, share.parse::<Share>().unwrap());
    let columns = columns();
    let keys = CanonicalRows::of_arrays(&columns.columns()[..1]).unwrap();
    let key = |row| -> EntityKey { keys.key(row, &mut Vec::new()) };
    (0..columns.num_rows()).map(|row| canary.takes(&key(row))).collect()
}

#[test]
fn each_row_is_the_answer_of_the_version_that_its_entity_belongs_to() {
    let (_site, store) = site();
    let ours = ask(&store, LiveViews::clone(&views(serving())), &[]);
    for (rollout, share) in [(1, "10%"), (2, "50%"), (3, "50%"), (4, "99%"), (5, "0.01%")] {
        // What each canary answers by itself, over what it reads as the others of that rollout answer it.
        let live = with_canaries(&tried(), rollout, share);
        let answer = ask(&store, live.clone(), &[]);
        assert_eq!(answer.as_of, ours.as_of);
        let mut theirs = BTreeMap::new();
        for version in tried() {
            let name = version.view().name.clone();
            let mut alone = live.clone();
            alone.candidates.remove(&name);
            alone.views.insert(name.clone(), version);
            theirs.insert(name.to_string(), ask(&store, alone, &[]));
        }
        for (place, view) in FEATURES.into_iter().enumerate() {
            let taken = taken(view, rollout, share);
            let (found, own) = (&answer.views[place], &theirs[view].views[place]);
            let rows: Vec<_> = (0..taken.len()).filter(|row| taken[*row]).collect();
            let canary = found.canary.as_ref().map(|canary| (canary.version, canary.rows.clone()));
            let expected = (!rows.is_empty()).then_some((own.version, rows));
            assert_eq!(canary, expected, "{view} by rollout {rollout} for {share}");
            for (row, taken) in taken.iter().enumerate() {
                let version = if *taken { own } else { &ours.views[place] };
                let basis = found.of_row(row);
                assert_eq!((basis.version, basis.digest), (version.version, version.digest));
                if view != "context" {
                    assert_eq!(found.digests[row], version.digests[row], "row {row} of {view}, {share}");
                    assert_eq!(basis.position, version.of_row(row).position);
                }
                if *taken && view == "context" {
                    assert_eq!(found.digests[row], own.digests[row], "row {row} of {view}, {share}");
                }
                for read in &basis.reads {
                    let read_by = answer.views.iter().find(|view| view.view == *read.view).unwrap().of_row(row);
                    assert_eq!((read.version, read.position), (read_by.version, read_by.position));
                }
            }
            // What is served of a canary has the features of the version in force.
            assert_eq!(found.rows.outputs().schema(), ours.views[place].rows.outputs().schema());
        }
    }
}

#[test]
fn events_in_hand_count_for_their_rows_whoever_answers() {
    let (_site, store) = site();
    let rows = columns().num_rows();
    let events: Vec<_> =
        (0..rows).map(|row| (row % 2 == 0).then_some((1_050 + row as i64, "x", Some(5)))).collect();
    let events = in_hand("latest", &events);
    let both = [LiveViews::clone(&views(serving())), with_canaries(&[latest_canary()], 7, "40%")];
    let [ours, mixed] = both.map(|live| ask(&store, live, std::slice::from_ref(&events)));
    let mut alone = LiveViews::clone(&views(serving()));
    alone.views.insert(named("latest"), latest_canary());
    let theirs = ask(&store, alone, &[events]);
    assert_eq!([&mixed.as_of, &theirs.as_of], [&ours.as_of; 2]);
    for (row, taken) in taken("latest", 7, "40%").into_iter().enumerate() {
        let expected = if taken { &theirs } else { &ours };
        assert_eq!(mixed.views[1].digests[row], expected.views[1].digests[row], "row {row}");
    }
}

#[test]
fn what_does_not_fit_waits_for_its_counterpart() {
    let (_site, store) = site();
    let serving = LiveViews::clone(&views(serving()));
    let take =
        |serving: &LiveViews, next: &LiveViews| runtime().block_on(take_over(&store, serving, next)).unwrap();
    // A version of `latest` without the feature that `context` reads.
    let mut view =
        echo("latest", "row", &[input("key", "int64", json!("event")), input("value", "int64?", json!("event"))]);
    view["entity"] = json!(["key"]);
    view["outputs"][1]["name"] = json!("amount");
    let renamed = version(22, admit(&Guest::new(view).build().unwrap()));
    let mut torn = serving.clone();
    torn.views.insert(named("latest"), renamed);
    let taken = take(&serving, &torn);
    assert!(taken.live.same_versions(&serving), "the view goes on that another one reads");
    let waiting = &taken.waiting[&named("latest")];
    assert_eq!(waiting.release, Some(22));
    assert!(waiting.reason.contains("view latest has no feature value_out"), "{}", waiting.reason);
    // With the version of the reader that takes the other feature, both take over at once.
    let mut fitting = context();
    for input in fitting["inputs"].as_array_mut().unwrap() {
        if input["source"]["view"] == "latest" {
            input["source"]["feature"] = json!("amount");
        }
    }
    let reader = version(23, admit(&Guest::new(fitting).build().unwrap()));
    let mut alone = serving.clone();
    alone.views.insert(named("context"), reader.clone());
    assert!(take(&serving, &alone).live.same_versions(&serving), "nor does the reader go before");
    torn.views.insert(named("context"), reader);
    let both = take(&serving, &torn);
    assert!(both.live.same_versions(&torn) && both.waiting.is_empty());
    // What is torn at the start of a process has nothing to go on with, and holds nobody back afterwards.
    assert!(take(&LiveViews::default(), &alone).live.same_versions(&alone));
    let mut still = alone.clone();
    still.views.insert(named("latest"), latest_canary());
    assert!(take(&alone, &still).live.same_versions(&still));
    // A canary that does not fit serves nobody.
    let mut canary = serving.clone();
    let version = torn.views[&named("context")].clone();
    let role = role(&version, 1, "10%");
    canary.candidates.insert(named("context"), LiveCandidate { version, role });
    let taken = take(&serving, &canary);
    assert!(taken.live.candidates.is_empty() && taken.live.same_versions(&serving));
    assert!(taken.waiting[&named("context")].reason.contains("has no feature amount"));
}
