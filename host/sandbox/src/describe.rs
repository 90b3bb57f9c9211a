//! From the JSON of `describe` to a feature view.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use trifold_model::{
    ComponentDigest, FeatureRef, FeatureView, Field, FieldName, FieldType, FoldOrder, OnDemandSpec, RowLimits,
    Span, ViewKind, ViewName, ViewSpec, Window, WindowSpec,
};

use crate::error::AdmissionError;

/// The contract number that this host reads.
const CONTRACT: u64 = 1;

/// Read first, so that a description of another contract is refused for that and not for its keys.
#[derive(Deserialize)]
struct Version {
    contract: u64,
}

// Keys that are not named here are ignored, so that a field of tomorrow never locks out a component of today.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Description {
    view: String,
    kind: String,
    #[serde(default)]
    doc: String,
    #[serde(default)]
    entity: Vec<String>,
    inputs: Vec<Column>,
    outputs: Vec<Column>,
    ttl_seconds: Option<u64>,
    lateness_seconds: Option<u64>,
    max_early_seconds: Option<u64>,
    #[serde(flatten)]
    folds: Folds,
    #[serde(default = "first_state_version")]
    state_version: u32,
    #[serde(default)]
    limits: Limits,
}

fn first_state_version() -> u32 {
    1
}

/// What only window views say.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Folds {
    #[serde(default)]
    windows: Vec<WindowJson>,
    #[serde(default)]
    prepared: Vec<Column>,
    fold_order: Option<String>,
    deduplicate: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WindowJson {
    seconds: u64,
    hop_seconds: Option<u64>,
}

/// The source of an input that is a feature of another view.
#[derive(Deserialize)]
struct FeatureJson {
    view: String,
    feature: String,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    nullable: bool,
    source: Option<Value>,
    #[serde(default)]
    doc: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Limits {
    fuel: Option<u64>,
    memory_bytes: Option<u64>,
}

/// Reads a description and reports everything that is wrong with it.
pub(crate) fn parse(digest: ComponentDigest, json: &str) -> Result<FeatureView, AdmissionError> {
    let malformed = |error: serde_json::Error| AdmissionError::DescribeText { digest, message: error.to_string() };
    let version: Version = serde_json::from_str(json).map_err(malformed)?;
    if version.contract != CONTRACT {
        let message = format!("it follows contract {}, this host reads contract {CONTRACT}", version.contract);
        return Err(AdmissionError::DescribeText { digest, message });
    }
    let description: Description = serde_json::from_str(json).map_err(malformed)?;
    let view = description.view.clone();
    view_of(description).map_err(|problems| AdmissionError::DescribeView { digest, view, problems })
}

fn view_of(description: Description) -> Result<FeatureView, Vec<String>> {
    let mut problems = Vec::new();
    let kind = kind(&description.kind, description.folds, &description.inputs, &mut problems);
    let name = note(description.view.parse::<ViewName>(), &mut problems);
    let inputs = fields("input", description.inputs, &mut problems);
    let outputs = fields("output", description.outputs, &mut problems);
    let entity = match kind {
        // What it reads is keyed by fields of the request; the contract says that its own word does not count.
        ViewKind::OnDemand(_) => Vec::new(),
        ViewKind::Row | ViewKind::Window(_) => {
            description.entity.iter().filter_map(|key| note(key.parse::<FieldName>(), &mut problems)).collect()
        }
    };
    let defaults = RowLimits::default();
    let spec = ViewSpec {
        name: match name {
            Some(name) => name,
            None => return Err(problems),
        },
        kind,
        doc: description.doc,
        entity,
        inputs,
        outputs,
        ttl: span("ttl-seconds", description.ttl_seconds, &mut problems),
        lateness: span("lateness-seconds", description.lateness_seconds, &mut problems),
        max_early: span("max-early-seconds", description.max_early_seconds, &mut problems),
        state_version: description.state_version,
        limits: RowLimits {
            fuel: description.limits.fuel.unwrap_or(defaults.fuel),
            memory_bytes: description.limits.memory_bytes.unwrap_or(defaults.memory_bytes),
        },
    };
    match FeatureView::new(spec) {
        Ok(view) if problems.is_empty() => Ok(view),
        Ok(_) => Err(problems),
        Err(error) => {
            problems.extend(error.problems);
            Err(problems)
        }
    }
}

fn kind(name: &str, folds: Folds, inputs: &[Column], problems: &mut Vec<String>) -> ViewKind {
    let kind = match name {
        "window" => {
            event_sources(name, inputs, problems);
            return ViewKind::Window(folds.spec(problems));
        }
        "on-demand" => ViewKind::OnDemand(on_demand(inputs, problems)),
        _ => {
            event_sources(name, inputs, problems);
            ViewKind::Row
        }
    };
    if kind.name() != name {
        problems.push(format!("unknown kind `{name}`; the kinds are row, on-demand and window"));
    }
    if !folds.windows.is_empty() || !folds.prepared.is_empty() || folds.fold_order.is_some() {
        problems.push(format!("a view of kind {name} has no windows"));
    }
    kind
}

impl Folds {
    fn spec(self, problems: &mut Vec<String>) -> WindowSpec {
        let mut windows = Vec::with_capacity(self.windows.len());
        for WindowJson { seconds, hop_seconds } in self.windows {
            match Window::from_seconds(seconds, hop_seconds) {
                Some(window) => windows.push(window),
                None => {
                    problems.push(format!("a window of {seconds} seconds is more microseconds than 63 bits hold"))
                }
            }
        }
        let order = match self.fold_order.as_deref() {
            Some("any") => FoldOrder::Any,
            Some("event-time") => FoldOrder::EventTime,
            other => {
                let found = other.map_or("is missing".to_owned(), |order| format!("is `{order}`"));
                problems.push(format!("fold-order {found}; write any or event-time"));
                FoldOrder::EventTime
            }
        };
        let prepared = fields("prepared column", self.prepared, problems);
        WindowSpec { windows, prepared, order, deduplicate: self.deduplicate.unwrap_or(true) }
    }
}

fn event_sources(kind: &str, inputs: &[Column], problems: &mut Vec<String>) {
    for input in inputs {
        match &input.source {
            None => {}
            Some(Value::String(source)) if source == "event" => {}
            Some(source) => problems.push(format!(
                "input {} has the source {source}, but a {kind} view's inputs all come from the event",
                input.name
            )),
        }
    }
}

/// The features that an on-demand view reads.
fn on_demand(inputs: &[Column], problems: &mut Vec<String>) -> OnDemandSpec {
    let mut features = BTreeMap::new();
    for input in inputs {
        let feature = input.source.as_ref().and_then(|source| FeatureJson::deserialize(source).ok());
        match (&input.source, feature) {
            (Some(Value::String(source)), _) if source == "request" => {}
            (_, Some(FeatureJson { view, feature })) => {
                let view = note(view.parse::<ViewName>(), problems);
                let feature = note(feature.parse::<FieldName>(), problems);
                // An input's name that is none is reported with the fields.
                if let (Some(view), Some(feature), Ok(name)) = (view, feature, input.name.parse()) {
                    features.insert(name, FeatureRef { view, feature });
                }
            }
            _ => {
                let found = input.source.as_ref().map_or("no source".to_owned(), |it| format!("the source {it}"));
                problems.push(format!(
                    "input {} has {found}; those of an on-demand view come from \"request\" or from \
                     {{\"view\": ..., \"feature\": ...}}",
                    input.name
                ));
            }
        }
    }
    OnDemandSpec { features }
}

fn fields(what: &str, columns: Vec<Column>, problems: &mut Vec<String>) -> Vec<Field> {
    let mut fields = Vec::with_capacity(columns.len());
    for column in columns {
        let ty = column.ty.parse::<FieldType>();
        if let Err(error) = &ty {
            problems.push(format!("{what} {}: {error}", column.name));
        }
        if let Some(name) = note(column.name.parse(), problems) {
            // A key keeps its place whatever its type, so that one mistake is reported once.
            let ty = ty.unwrap_or(FieldType::Int64);
            fields.push(Field { name, ty, nullable: column.nullable, doc: column.doc });
        }
    }
    fields
}

fn span(key: &str, seconds: Option<u64>, problems: &mut Vec<String>) -> Option<Span> {
    let seconds = seconds?;
    let span = Span::from_seconds(seconds);
    if span.is_none() {
        problems.push(format!("{key} of {seconds} is more microseconds than 63 bits hold"));
    }
    span
}

fn note<T, E: ToString>(result: Result<T, E>, problems: &mut Vec<String>) -> Option<T> {
    result.map_err(|error| problems.push(error.to_string())).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn minimal() -> Value {
        json!({
            "contract": 1, "view": "v", "kind": "row", "entity": ["k"],
            "inputs": [{"name": "k", "type": "int64", "nullable": false, "source": "event"}],
            "outputs": [{"name": "y", "type": "list<float32>", "nullable": true, "doc": "Why."}],
            "lateness-seconds": 7200, "from-the-future": {"a": 1}
        })
    }

    fn parse_value(value: &Value) -> Result<FeatureView, String> {
        parse(ComponentDigest([0; 32]), &value.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_description_becomes_a_view() {
        let view = parse_value(&minimal()).unwrap();
        assert_eq!(view.name.as_str(), "v");
        assert_eq!(view.lateness, Span::from_seconds(7200));
        assert_eq!((view.ttl, view.max_early, view.state_version), (None, None, 1));
        assert_eq!(view.limits, RowLimits::default());
        assert_eq!(view.outputs[0].doc, "Why.");
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut Value), expected: &[&str]) {
        let mut description = minimal();
        change(&mut description);
        let message = parse_value(&description).unwrap_err();
        for part in expected {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }

    #[test]
    fn lies_are_named() {
        check_refused(|d| d["contract"] = json!(2), &["follows contract 2", "reads contract 1"]);
        check_refused(|d| d["kind"] = json!("column"), &["unknown kind `column`"]);
        check_refused(|d| d["windows"] = json!([{"seconds": 60}]), &["a view of kind row has no windows"]);
        check_refused(|d| d["view"] = json!("No Good"), &["`No Good` is not a valid view name"]);
        check_refused(|d| d["entity"] = json!(["other"]), &["entity field other is not an input"]);
        check_refused(|d| d["ttl-seconds"] = json!(u64::MAX), &["ttl-seconds"]);
        check_refused(|d| d["inputs"][0]["source"] = json!("request"), &["input k has the source \"request\""]);
        check_refused(|d| d["limits"] = json!({"fuel": 1}), &["fuel limit 1 is outside"]);
        check_refused(|d| d["limits"] = json!({"memory-bytes": 1u64 << 40}), &["memory limit of"]);
        check_refused(|d| d["outputs"] = json!("all"), &["describe returned no view", "line 1"]);
        check_refused(|d| drop(d.as_object_mut().unwrap().remove("view")), &["missing field `view`"]);
    }

    fn on_demand() -> Value {
        let mut description = minimal();
        description["kind"] = json!("on-demand");
        description["lateness-seconds"] = Value::Null;
        let feature = json!({"view": "load", "feature": "count_1h"});
        description["inputs"] = json!([
            {"name": "k", "type": "int64", "nullable": false, "source": "request"},
            {"name": "x", "type": "int64", "nullable": true, "source": feature},
        ]);
        description
    }

    #[test]
    fn an_on_demand_view_knows_where_its_inputs_come_from() {
        let view = parse_value(&on_demand()).unwrap();
        assert_eq!(view.on_demand().unwrap().features.len(), 1);
        let [k, x] = [0, 1].map(|input| view.on_demand().unwrap().feature(&view.inputs[input].name));
        assert_eq!((k, x.unwrap().to_string()), (None, "load.count_1h".to_owned()));
        assert_eq!(view.request_fields().map(|field| field.name.as_str()).collect::<Vec<_>>(), ["k"]);
        assert!(view.entity.is_empty(), "what it says of entities does not count");
    }

    #[test]
    fn every_lie_of_an_on_demand_view_is_named() {
        let mut description = on_demand();
        description["inputs"][0]["source"] = json!("event");
        description["inputs"][1]["nullable"] = json!(false);
        let more =
            |name: &str, source: Value| json!({"name": name, "type": "bool", "nullable": true, "source": source});
        let inputs = description["inputs"].as_array_mut().unwrap();
        inputs.push(more("nowhere", Value::Null));
        inputs.push(more("half", json!({"view": "load"})));
        inputs.push(more("bad", json!({"view": "No", "feature": "f"})));
        inputs.push(more("own", json!({"view": "v", "feature": "y"})));
        description["ttl-seconds"] = json!(1);
        description["windows"] = json!([{"seconds": 60}]);
        let message = parse_value(&description).unwrap_err();
        for part in [
            "input k has the source \"event\"; those of an on-demand view come from \"request\" or from",
            "input x is the feature load.count_1h, which a lookup may be without, so it must be nullable",
            "input nowhere has no source",
            "input half has the source {\"view\":\"load\"}",
            "`No` is not a valid view name",
            "input own is the feature v.y of the view itself",
            "it has a time to live, but an on-demand view sees no events",
            "a view of kind on-demand has no windows",
        ] {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let change = |d: &mut Value| {
            d["inputs"][0]["type"] = json!("decimal");
            let output = d["outputs"][0].clone();
            d["outputs"].as_array_mut().unwrap().push(output);
            d["outputs"][0]["name"] = json!("y");
        };
        let parts = ["view v", "input k: unknown type `decimal`", "output field y is declared twice"];
        check_refused(change, &parts);
    }

    #[test]
    fn text_that_is_not_json_is_refused() {
        let error = parse(ComponentDigest([0; 32]), "view: v").unwrap_err();
        assert!(matches!(error, AdmissionError::DescribeText { .. }), "{error}");
    }
}
