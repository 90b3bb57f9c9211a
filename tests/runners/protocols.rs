//! Lookups by other protocols than gRPC's own.

use std::collections::BTreeMap;

use arrow_array::Array;
use serde_json::{Map, Value, json};
use trifold_eventlog::value_json;
use trifold_model::{EntityKey, ErrorCode, EventTime, FeatureView, FieldType, RowDigest, RowStatus};
use trifold_pipeline::{Outcome, Rows};
use trifold_server::feature_store::api::OnlineFeaturesRequest;
use trifold_server::feature_store::api::feature_store_client::FeatureStoreClient;
use trifold_tests::http;
use trifold_tests::online::{Online, key_columns};
use trifold_tests::plain::json_text;
use trifold_tests::rows::{self, Row};

/// The key fields of an entity, as JSON.
fn key_json(view: &FeatureView, key: &EntityKey) -> Map<String, Value> {
    let columns = key_columns(view, std::slice::from_ref(key));
    let field = |(field, column): (&trifold_model::Field, &arrow_array::ArrayRef)| {
        let value = value_json(column, 0).unwrap();
        (field.name.to_string(), Value::Array(vec![value]))
    };
    view.key_fields().iter().zip(columns.columns()).map(field).collect()
}

/// A row over HTTP, with the digest that the server gives of its bytes.
pub(crate) fn over_http(server: &Online, view: &FeatureView, key: EntityKey, time: EventTime, next: u64) -> Row {
    let entities = key_json(view, &key);
    let name = view.name.as_str();
    let request = json!({"features": [name], "entities": entities, "as_of_micros": time.0, "row_digests": true});
    let answer = http::features(&server.http, &request);
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let of_view = &body["views"][0];
    assert_eq!(of_view["position"]["next_offsets"]["0"], json!(next));
    let problem = &of_view["problems"][0];
    let (status, mut messages) = match of_view["statuses"][0].as_str().unwrap() {
        "value" => (RowStatus::Value, BTreeMap::new()),
        "empty" => (RowStatus::Empty, BTreeMap::new()),
        "expired" => (RowStatus::Expired, BTreeMap::new()),
        "error" => {
            let code = problem["code"].as_u64().unwrap();
            (RowStatus::Error(ErrorCode(code.try_into().unwrap())), BTreeMap::from([(0, String::new())]))
        }
        _ => return Err(problem["message"].as_str().unwrap().to_owned()),
    };
    if let Some(message) = messages.get_mut(&0) {
        message.push_str(problem["message"].as_str().unwrap());
    }
    let outputs = http::outputs(&answer, view);
    let row = rows::answered(&Rows::new(outputs, vec![Outcome::Known(status)], messages)).remove(0);
    let digest = RowDigest::of(row.as_ref().unwrap());
    assert_eq!(of_view["row_digests"][0], json!(hex::encode(digest.0)));
    row
}

/// A row by its entity's id. That contract has no statuses and no time: the status is that of a lookup, and the record's
/// own time counts.
pub(crate) fn by_id(server: &Online, view: &FeatureView, key: EntityKey, time: EventTime, _next: u64) -> Row {
    let lookup = server.look_up(view, std::slice::from_ref(&key), time, &[]);
    let columns = key_columns(view, std::slice::from_ref(&key));
    let id = match value_json(columns.column(0), 0).unwrap() {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let request = OnlineFeaturesRequest { entity_ids: vec![id.clone()], feature_names: Vec::new() };
    let answer = server.runtime().block_on(async {
        let mut client = FeatureStoreClient::connect(server.url.clone()).await.unwrap();
        client.get_online_features(request).await
    });
    let outcome = lookup.rows.outcomes()[0].clone();
    if let Outcome::Unavailable(reason) = outcome {
        let status = answer.unwrap_err();
        assert!(status.code() == tonic::Code::Unavailable && status.message().contains(&reason), "{status}");
        return Err(reason);
    }
    let features = answer.unwrap().into_inner().results.remove(&id).unwrap().features;
    let is_absent = matches!(outcome, Outcome::Known(RowStatus::Empty | RowStatus::Expired));
    assert_eq!(features.is_empty(), is_absent || view.outputs.is_empty(), "{outcome:?}");
    let ty = |name: &str| -> FieldType { view.outputs.iter().find(|output| output.name == *name).unwrap().ty };
    let column = |name: &str| match features.get(name) {
        None => vec!["null".to_owned()],
        Some(value) => vec![json_text(value, ty(name))],
    };
    let outputs = http::batch(view, 1, column);
    if matches!(outcome, Outcome::Known(RowStatus::Error(_))) {
        assert!(outputs.columns().iter().all(|column| column.is_null(0)), "{features:?}");
    }
    let messages = lookup.rows.message(0).map(|message| (0, message.to_owned())).into_iter().collect();
    rows::answered(&Rows::new(outputs, vec![outcome], messages)).remove(0)
}
