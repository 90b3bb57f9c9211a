//! Values of each type, by each protocol.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use serde_json::{Map, Value, json};
use trifold_model::{EventTime, FeatureView};
use trifold_pipeline::{Outcome, Rows};
use trifold_server::client::Answer;
use trifold_server::feature_store::api::OnlineFeaturesRequest;
use trifold_server::feature_store::api::feature_store_client::FeatureStoreClient;
use trifold_tests::http;
use trifold_tests::plain::json_text;

use crate::site::{Site, TYPES, echoed, event, extremes, types};

fn site() -> Site {
    let rows = extremes();
    let events: Vec<_> = rows.into_iter().zip(1..).map(|(fields, id)| event(id, id, fields)).collect();
    Site::new(&events, &["types"])
}

fn over_grpc(site: &Site, features: &[&str]) -> Answer {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    site.server.get(features, &RecordBatch::try_from_iter([("id", ids)]).unwrap(), Some(EventTime(0))).unwrap()
}

/// Compares the rows of a view with columns that came another way, bit by bit.
#[track_caller]
fn check(view: &FeatureView, expected: &Rows, found: RecordBatch, what: &str) {
    let outcomes: Vec<Outcome> = expected.outcomes().to_vec();
    let found = Rows::new(found, outcomes, Default::default());
    for row in 0..expected.len() {
        let (expected, found) = (expected.canonical().unwrap(), found.canonical().unwrap());
        let (expected, found) = (expected[row].as_ref().unwrap(), found[row].as_ref().unwrap());
        let difference = trifold_model::first_difference(&view.outputs, expected, found);
        assert_eq!(difference.map(|it| it.to_string()), None, "{what}, row {row}");
    }
}

/// Every type comes over HTTP as it comes over gRPC, integers as numbers or as texts.
#[test]
fn values_come_over_http_as_they_are() {
    let site = site();
    let (view, expected) = (types(), over_grpc(&site, &["types"]));
    for as_text in [false, true] {
        let request = json!({
            "features": ["types"], "entities": {"id": [1, "2", 3, 4]}, "as_of_micros": 0, "int64_as_text": as_text,
        });
        let answer = http::features(&site.server.http, &request);
        let found = if as_text { untexted(&answer) } else { answer.clone() };
        check(view.view(), &expected.views[0].rows, http::outputs(&found, view.view()), &format!("{as_text}"));
        let columns = &answer.json()["views"][0]["columns"];
        let shown = |text: &str| if as_text { json!(text) } else { serde_json::from_str(text).unwrap() };
        assert_eq!(columns["whole_out"][0], shown("9007199254740993"));
        assert_eq!(columns["wholes_out"][0][2], shown("9223372036854775807"));
        assert_eq!(columns["single_out"][0].to_string(), "0.1");
        assert_eq!(columns["double_out"][2], Value::Null);
        assert_eq!(answer.json()["views"][0]["version"], shown("1"));
    }
}

/// The answer with integers as numbers, where they are texts.
fn untexted(answer: &http::Answered) -> http::Answered {
    let mut json = answer.json();
    let columns = json["views"][0]["columns"].as_object_mut().unwrap();
    let integer = |value: &mut Value| {
        if let Some(text) = value.as_str() {
            *value = text.parse::<i64>().unwrap().into();
        }
    };
    for (_, column) in
        columns.iter_mut().filter(|(name, _)| ["id_out", "whole_out", "moment_out"].contains(&name.as_str()))
    {
        column.as_array_mut().unwrap().iter_mut().for_each(integer);
    }
    for list in columns["wholes_out"].as_array_mut().unwrap().iter_mut().filter_map(Value::as_array_mut) {
        list.iter_mut().for_each(integer);
    }
    http::Answered { body: json.to_string(), ..answer.clone() }
}

/// What a request carries reaches the transform, and comes back, as it was.
#[test]
fn values_of_a_request_reach_the_transform_as_they_are() {
    let site = site();
    let view = echoed();
    let rows = extremes();
    let column = |name: &str| rows.iter().map(|row| row.get(name).cloned().unwrap_or_default()).collect::<Value>();
    let mut entities: Map<String, Value> =
        TYPES.iter().map(|(name, _)| ((*name).to_owned(), column(name))).collect();
    entities.insert("id".to_owned(), json!([1, 2, 3, 4]));
    let request = json!({"features": ["echoed"], "entities": entities});
    let answer = http::features(&site.server.http, &request);
    assert_eq!(answer.status, 200, "{answer:?}");
    // The row view has the same values from its events.
    let stored = over_grpc(&site, &["types"]);
    check(view.view(), &stored.views[0].rows, http::outputs(&answer, view.view()), "echoed");
}

/// By id, integers that no double is are texts, and all else keeps its kind.
#[test]
fn values_come_by_id_as_they_are() {
    let site = site();
    let (view, expected) = (types(), over_grpc(&site, &["types"]));
    let ids = ["1", "2", "3", "4"];
    let entity_ids = ids.iter().map(|id| (*id).to_owned()).collect();
    let answer = site.server.runtime().block_on(async {
        let mut client = FeatureStoreClient::connect(site.server.url.clone()).await.unwrap();
        let request = OnlineFeaturesRequest { entity_ids, feature_names: Vec::new() };
        client.get_online_features(request).await.unwrap().into_inner().results
    });
    let column = |name: &str| {
        let output = view.view().outputs.iter().find(|output| output.name == *name).unwrap();
        ids.iter().map(|id| json_text(&answer[*id].features[name], output.ty)).collect()
    };
    check(view.view(), &expected.views[0].rows, http::batch(view.view(), 4, column), "by id");
}
