use std::ops::RangeInclusive;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};
use trifold_model::view::FIELDS_MAX;
use trifold_model::{FieldType, FoldOrder, OnDemandSpec, RowLimits, ViewKind, WindowSpec};

use crate::{read_json, wit};

const FILE: &str = "describe.schema.json";

pub(crate) struct Schema(Schemas, SchemaIndex);

impl Schema {
    pub(crate) fn load() -> Schema {
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.add_resource("schema.json", read_json(FILE)).unwrap();
        let index = compiler.compile("schema.json", &mut schemas).unwrap();
        Schema(schemas, index)
    }

    pub(crate) fn check(&self, description: &Value) -> Result<(), String> {
        self.0.validate(description, self.1).map_err(|error| format!("{error:#}"))
    }
}

/// The description that README.md shows.
fn example() -> Value {
    let readme = std::fs::read_to_string(wit("README.md")).unwrap();
    let (_, rest) = readme.split_once("```json\n").unwrap();
    serde_json::from_str(rest.split_once("```").unwrap().0).unwrap()
}

#[test]
fn the_example_is_valid() {
    Schema::load().check(&example()).unwrap();
}

#[track_caller]
fn check(valid: bool, change: impl FnOnce(&mut Value)) {
    let mut description = example();
    change(&mut description);
    match Schema::load().check(&description) {
        Ok(()) => assert!(valid, "accepted: {description}"),
        Err(error) => assert!(!valid, "refused: {error}"),
    }
}

fn without(description: &mut Value, key: &str) {
    description.as_object_mut().unwrap().remove(key).unwrap();
}

#[test]
fn what_is_optional_may_be_left_out_and_what_is_unknown_may_be_added() {
    for key in ["doc", "ttl-seconds", "lateness-seconds", "max-early-seconds", "state-version", "limits", "sdk"] {
        check(true, |view| without(view, key));
    }
    check(true, |view| without(&mut view["limits"], "fuel"));
    check(true, |view| without(&mut view["inputs"][0], "doc"));
    check(true, |view| view["from-the-future"] = json!({"a": 1}));
    check(true, |view| view["outputs"][0]["unit"] = json!("hours"));
    check(true, |view| view["windows"] = json!([]));
}

#[test]
fn what_is_required_or_wrong_is_refused() {
    for key in ["contract", "view", "kind", "entity", "inputs", "outputs"] {
        check(false, |view| without(view, key));
    }
    for key in ["name", "type", "nullable", "source"] {
        check(false, |view| without(&mut view["inputs"][1], key));
    }
    check(false, |view| view["contract"] = json!(2));
    check(false, |view| view["view"] = json!("Flight-Profile"));
    check(false, |view| view["kind"] = json!("column"));
    check(false, |view| view["entity"] = json!([]));
    check(false, |view| view["entity"] = json!(["carrier", "carrier"]));
    check(false, |view| view["outputs"] = json!([]));
    check(false, |view| view["outputs"][0]["type"] = json!("list<bool>"));
    check(false, |view| view["outputs"][0]["nullable"] = json!("no"));
    check(false, |view| view["inputs"][0]["source"] = json!("request"));
    check(false, |view| view["ttl-seconds"] = json!(-1));
    check(false, |view| view["ttl-seconds"] = json!(u64::MAX));
    check(false, |view| view["limits"]["fuel"] = json!(9_999));
    check(false, |view| view["windows"] = json!([{"seconds": 60}]));
    check(false, |view| view["fold-order"] = json!("any"));
}

#[test]
fn kinds_decide_about_sources_windows_and_entities() {
    let on_demand = |source: Value| {
        move |view: &mut Value| {
            view["kind"] = json!("on-demand");
            without(view, "entity");
            for input in view["inputs"].as_array_mut().unwrap() {
                input["source"] = source.clone();
            }
        }
    };
    check(true, on_demand(json!("request")));
    check(true, on_demand(json!({"view": "other", "feature": "delay"})));
    check(false, on_demand(json!("event")));
    check(false, on_demand(json!({"view": "other"})));
    check(true, |view| {
        view["kind"] = json!("window");
        view["windows"] = json!([{"seconds": 3600}]);
        view["fold-order"] = json!("event-time");
        view["prepared"] = json!([{"name": "delay", "type": "float64", "nullable": true}]);
    });
}

#[track_caller]
fn check_range(limit: &Value, range: RangeInclusive<u64>, default: u64) {
    let number = |key: &str| limit[key].as_u64().unwrap();
    assert_eq!((number("minimum")..=number("maximum"), number("default")), (range, default));
}

#[test]
fn the_schema_says_what_the_model_says() {
    let schema = read_json(FILE);
    let types: Vec<_> = FieldType::ALL.map(FieldType::name).into();
    assert_eq!(schema["$defs"]["type"]["enum"], json!(types));
    let windows = WindowSpec { windows: vec![], prepared: vec![], order: FoldOrder::Any, deduplicate: true };
    let kinds = [ViewKind::Row, ViewKind::OnDemand(OnDemandSpec::default()), ViewKind::Window(windows)]
        .map(|kind| kind.name());
    assert_eq!(schema["properties"]["kind"]["enum"], json!(kinds));
    for key in ["inputs", "outputs"] {
        assert_eq!(schema["properties"][key]["maxItems"], json!(FIELDS_MAX));
    }
    let limits = &schema["properties"]["limits"]["properties"];
    let defaults = RowLimits::default();
    check_range(&limits["fuel"], RowLimits::FUEL, defaults.fuel);
    check_range(&limits["memory-bytes"], RowLimits::MEMORY_BYTES, defaults.memory_bytes);
    let seconds = schema["$defs"]["seconds"]["maximum"].as_u64().unwrap();
    assert!(trifold_model::Span::from_seconds(seconds).is_some());
    assert!(trifold_model::Span::from_seconds(seconds + 1).is_none());
}
