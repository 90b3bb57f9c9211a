//! The contract that serves by ids: names, ids, and views that cannot be served.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tonic::{Code, Status};
use trifold_server::feature_store::api::feature_store_client::FeatureStoreClient;
use trifold_server::feature_store::api::{FeatureSet, OnlineFeaturesRequest};
use trifold_tests::live::views;
use trifold_tests::online::Online;

use crate::site::{Site, event, pairs, places, types};

fn ask(server: &Online, ids: &[&str], names: &[&str]) -> Result<BTreeMap<String, FeatureSet>, Status> {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let request = OnlineFeaturesRequest { entity_ids: texts(ids), feature_names: texts(names) };
    server.runtime().block_on(async {
        let mut client = FeatureStoreClient::connect(server.url.clone()).await.unwrap();
        Ok(client.get_online_features(request).await?.into_inner().results)
    })
}

fn names(set: &FeatureSet) -> Vec<&str> {
    set.features.keys().map(String::as_str).collect()
}

fn place(second: i64, place: &str) -> Value {
    json!({"event_time": second * 1_000_000, "event_id": format!("p{second}"), "place": place, "text": "here", "rank": second})
}

fn site(by_id: &[&str]) -> Site {
    Site::new(&[event(1, 7, json!({"text": "one"})), place(2, "7"), place(3, "LAX")], by_id)
}

#[test]
fn features_go_by_the_name_that_was_asked_for() {
    let site = site(&["types", "places"]);
    let answer =
        ask(&site.server, &["7", "LAX", "7", "none"], &["whole_out", "types.text_out", "rank_out"]).unwrap();
    assert_eq!(answer.keys().collect::<Vec<_>>(), ["7", "LAX", "none"]);
    assert_eq!(names(&answer["7"]), ["rank_out", "types.text_out", "whole_out"]);
    assert_eq!(names(&answer["LAX"]), ["rank_out"]);
    assert_eq!(names(&answer["none"]), [""; 0]);
    // The same feature by both of its names.
    let both = ask(&site.server, &["7"], &["rank_out", "places.rank_out"]).unwrap();
    assert_eq!(both["7"].features["rank_out"], both["7"].features["places.rank_out"]);
    // All: those that two views share are told apart, whichever view has the entity.
    let all = ask(&site.server, &["LAX", "7"], &[]).unwrap();
    assert_eq!(names(&all["LAX"]), ["place_out", "places.text_out", "rank_out"]);
    assert!(names(&all["7"]).contains(&"types.text_out") && names(&all["7"]).contains(&"places.text_out"));
}

#[test]
fn requests_that_have_no_answer() {
    let site = site(&["types", "places", "twice"]);
    let check = |ids: &[&str], names: &[&str], code: Code, parts: &[&str]| {
        let status = ask(&site.server, ids, names).unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        for part in parts {
            assert!(status.message().contains(part), "`{part}` is missing: {}", status.message());
        }
    };
    check(&[], &[], Code::InvalidArgument, &["no entity ids"]);
    check(&["7"], &["text_out"], Code::InvalidArgument, &["ambiguous", "places.text_out and types.text_out"]);
    check(&["7"], &["rank_oat"], Code::NotFound, &["`rank_oat`", "closest are rank_out"]);
    check(&["7"], &["types.rank_out"], Code::NotFound, &["`types.rank_out`", "rank_out"]);
    check(&["7"], &["pairs.rank_pair"], Code::NotFound, &["`pairs`", "served are places, twice, types"]);
    check(&["7", "LAX"], &["whole_out"], Code::InvalidArgument, &["`LAX` is no key", "id (int64)"]);
    check(&["007"], &["whole_out"], Code::InvalidArgument, &["`007` is no key"]);
    let long = "x".repeat(100_000);
    check(&[&long], &["whole_out"], Code::InvalidArgument, &["is no key"]);
    check(&["7"], &[&long], Code::NotFound, &["there is no feature"]);
    // An on-demand view of one request field is served as well.
    let twice = ask(&site.server, &["7"], &["id_twice"]).unwrap();
    assert_eq!(names(&twice["7"]), ["id_twice"]);
}

#[test]
fn a_view_that_cannot_be_served_is_told() {
    // A view that is not in force may come later.
    let site = site(&["types", "later"]);
    let status = ask(&site.server, &["7"], &["later.x"]).unwrap_err();
    assert!(status.code() == Code::NotFound && status.message().contains("no version of view later"), "{status}");
    assert_eq!(names(&ask(&site.server, &["7"], &["text_out"]).unwrap()["7"]), ["text_out"]);
    // A release may take a view away, and give one back that does not fit.
    site.live.send_replace(views([places()]));
    let status = ask(&site.server, &["7"], &[]).unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("no version of view types is in force"), "{status}");
    site.live.send_replace(views([types()]));
    ask(&site.server, &["7"], &[]).unwrap();
}

#[test]
fn a_view_of_two_key_fields_becomes_wrong_when_its_release_comes() {
    let dir = tempfile::tempdir().unwrap();
    let live = tokio::sync::watch::channel(views([places()])).0;
    let store = std::sync::Arc::new(trifold_tests::stores::open(dir.path()));
    let config = trifold_tests::online::server_config();
    let server = Online::offering(store, live.subscribe(), config, &["pairs"]);
    assert_eq!(ask(&server, &["7"], &["pairs.rank_pair"]).unwrap_err().code(), Code::NotFound);
    live.send_replace(views([pairs()]));
    let status = ask(&server, &["7"], &["pairs.rank_pair"]).unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("the key fields id, place, and an id is one"), "{status}");
}

#[test]
fn without_views_the_contract_is_not_offered() {
    let site = site(&[]);
    assert_eq!(ask(&site.server, &["7"], &[]).unwrap_err().code(), Code::Unimplemented);
}

#[test]
fn what_is_unavailable_is_no_absence() {
    let site = site(&["types"]);
    // A store that knows nothing of the state cannot say that there is no data.
    let dir = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(trifold_tests::stores::open(dir.path()));
    let live = tokio::sync::watch::channel(views([types()])).1;
    let server = Online::offering(store, live, trifold_tests::online::server_config(), &["types"]);
    let status = ask(&server, &["7"], &[]).unwrap_err();
    assert!(status.code() == Code::Unavailable && status.message().contains("view types, entity `7`"), "{status}");
    drop(site);
}
