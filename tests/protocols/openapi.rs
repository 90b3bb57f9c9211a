//! The published description of HTTP is whole, and true.

use std::fs;

use boon::{Compiler, Schemas};
use serde_json::{Value, json};
use trifold_tests::{http, root};

use crate::site::{Site, event, extremes};

/// The description.
pub(crate) struct Contract(Value);

impl Contract {
    pub(crate) fn load() -> Self {
        let text = fs::read_to_string(root().join("proto/trifold/online/v1/openapi.json")).unwrap();
        Contract(serde_json::from_str(&text).unwrap())
    }

    /// Fails unless a value is of a schema of the description.
    #[track_caller]
    pub(crate) fn check(&self, schema: &str, value: &Value) {
        self.check_at(&format!("/components/schemas/{schema}"), value);
    }

    #[track_caller]
    fn check_at(&self, pointer: &str, value: &Value) {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(boon::Draft::V2020_12);
        compiler.add_resource("https://example.org/openapi.json", self.0.clone()).unwrap();
        let location = format!("https://example.org/openapi.json#{pointer}");
        let index =
            compiler.compile(&location, &mut schemas).unwrap_or_else(|error| panic!("{pointer}: {error:#}"));
        if let Err(error) = schemas.validate(value, index) {
            panic!("{pointer}: {error:#}\n{value}");
        }
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(target) => self.0.pointer(target.trim_start_matches('#')).unwrap_or_else(|| panic!("{target}")),
            None => value,
        }
    }
}

/// Every reference below a value.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn the_description_is_whole() {
    let contract = Contract::load();
    assert_eq!(contract.0["openapi"], "3.1.0");
    let mut found = Vec::new();
    references(&contract.0, &mut found);
    assert!(found.len() > 40);
    for reference in found {
        let target = reference.strip_prefix('#').unwrap();
        assert!(contract.0.pointer(target).is_some(), "{reference} is not there");
    }
    let paths = contract.0["paths"].as_object().unwrap();
    let known: Vec<_> = paths.keys().map(String::as_str).collect();
    assert_eq!(known, ["/v1/features", "/v1/views", "/openapi.json", "/ready"]);
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{place}");
            let request = operation.get("requestBody");
            let responses = operation["responses"].as_object().unwrap().values().map(|it| contract.resolve(it));
            for content in request.into_iter().chain(responses) {
                check_content(&contract, content, &place);
            }
        }
    }
    // Each schema compiles, which holds it against the dialect's own.
    for name in contract.0["components"]["schemas"].as_object().unwrap().keys() {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(boon::Draft::V2020_12);
        compiler.add_resource("https://example.org/openapi.json", contract.0.clone()).unwrap();
        let location = format!("https://example.org/openapi.json#/components/schemas/{name}");
        compiler.compile(&location, &mut schemas).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    }
}

/// Each content has a schema, and its examples are of it.
fn check_content(contract: &Contract, content: &Value, place: &str) {
    for (media, content) in content["content"].as_object().unwrap() {
        assert!(content["schema"].is_object(), "{place} {media}");
        let Some(schema) = content["schema"]["$ref"].as_str() else { continue };
        let examples = content["examples"].as_object().unwrap_or_else(|| panic!("{place} {media}: no examples"));
        for example in examples.values() {
            contract.check_at(schema.trim_start_matches('#'), &example["value"]);
        }
    }
}

#[test]
fn the_server_gives_its_description_and_answers_by_it() {
    let contract = Contract::load();
    let events: Vec<_> = extremes().into_iter().zip(1..).map(|(fields, id)| event(id, id, fields)).collect();
    let site = Site::new(&events, &[]);
    let told = http::send(&site.server.http, "GET", "/openapi.json", b"");
    assert_eq!((told.status, told.json()), (200, contract.0.clone()));
    let views = http::send(&site.server.http, "GET", "/v1/views", b"").json();
    contract.check("ViewsAnswer", &views);
    let names: Vec<_> = views["views"].as_array().unwrap().iter().map(|view| &view["name"]).collect();
    assert_eq!(names, ["echoed", "pairs", "places", "twice", "types"]);
    let held = json!({"event_time": [7_000_000, null], "event_id": ["x", null], "whole": [i64::MAX, null]});
    let requests = [
        json!({"features": ["types"], "entities": {"id": [1, 2, 3, 4, 99]}, "row_digests": true}),
        json!({"features": ["types.whole_out", "twice"], "entities": {"id": [1, 2]}, "in_hand": {"types": held},
            "as_of_micros": "5", "int64_as_text": true}),
        json!({"features": ["echoed"], "entities": {"id": ["7"], "wholes": [["1", 2]]}, "as_of_micros": null}),
    ];
    for request in requests {
        contract.check("FeaturesRequest", &request);
        let answer = http::features(&site.server.http, &request);
        assert_eq!(answer.status, 200, "{answer:?}");
        contract.check("FeaturesAnswer", &answer.json());
    }
}

#[test]
fn the_request_of_the_readme_is_one() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("/v1/features -d '").unwrap();
    let request: Value = serde_json::from_str(rest.split_once('\'').unwrap().0).unwrap();
    Contract::load().check("FeaturesRequest", &request);
}
