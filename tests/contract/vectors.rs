use std::collections::BTreeSet;

use serde_json::Value;
use trifold_model::{
    CanonicalRows, EntityKey, Field, FieldType, RowLimits, RowStatus, Span, StateId, ViewKind, ViewSpec,
    decode_keys, decode_rows,
};

use crate::read_json;
use crate::values::{batch, fields};

const FILE: &str = "vectors/canonical-rows.json";

#[track_caller]
fn cases(key: &str) -> Vec<Value> {
    let cases = read_json(FILE)[key].as_array().unwrap().clone();
    assert!(!cases.is_empty(), "{FILE} has no {key}");
    cases
}

/// The values of a row: its own, else nulls if it is empty, else plain ones, which no byte may show.
pub(crate) fn values_of(fields: &[Field], row: &Value) -> (Vec<Field>, Value) {
    match (row.get("values"), row["status"] == "empty") {
        (Some(values), _) => (fields.to_vec(), values.clone()),
        (None, true) => {
            let nullable = |field: &Field| Field { nullable: true, ..field.clone() };
            (fields.iter().map(nullable).collect(), fields.iter().map(|_| Value::Null).collect())
        }
        (None, false) => (fields.to_vec(), plain_row(fields)),
    }
}

fn plain_row(fields: &[Field]) -> Value {
    let plain = |field: &Field| match field.ty {
        FieldType::Bool => Value::from(true),
        FieldType::List(_) => Value::Array(Vec::new()),
        FieldType::Int64 | FieldType::Timestamp => Value::from("0"),
        FieldType::Float64 => Value::from("3ff0000000000000"),
        FieldType::Float32 => Value::from("3f800000"),
        FieldType::Utf8 | FieldType::Binary => Value::from("00"),
    };
    fields.iter().map(plain).collect()
}

#[track_caller]
fn check_row(case: &str, fields: &[Field], row: &Value) {
    let code = row["code"].as_u64().map(|code| code.try_into().unwrap());
    let status = RowStatus::from_parts(row["status"].as_str().unwrap(), code).unwrap();
    let (fields, values) = values_of(fields, row);
    let batch = batch(&fields, &[&values]);
    let rows = CanonicalRows::new(&batch).unwrap();
    let mut bytes = Vec::new();
    let digest = rows.digest(status, 0, &mut bytes);
    assert_eq!(hex::encode(&bytes), row["bytes"].as_str().unwrap(), "{case}: {row}");
    assert_eq!(digest.to_string(), row["digest"].as_str().unwrap(), "{case}: {row}");
    if status == RowStatus::Value {
        let decoded = decode_rows(&fields, [&bytes[1..]]).unwrap();
        let mut again = Vec::new();
        CanonicalRows::new(&decoded).unwrap().write_row(status, 0, &mut again);
        assert_eq!(again, bytes, "{case}: {row}, decoded and encoded");
    }
}

#[test]
fn rows_have_the_published_bytes() {
    let mut types = BTreeSet::new();
    for case in cases("cases") {
        let fields = fields(&case["fields"]);
        types.extend(fields.iter().map(|field| field.ty));
        for row in case["rows"].as_array().unwrap() {
            check_row(case["name"].as_str().unwrap(), &fields, row);
        }
    }
    assert_eq!(types, BTreeSet::from(FieldType::ALL), "the vectors must cover every type");
}

#[test]
fn entity_keys_have_the_published_bytes_and_hashes() {
    for case in cases("keys") {
        let fields = fields(&case["fields"]);
        let batch = batch(&fields, &[&case["values"]]);
        let key = CanonicalRows::new(&batch).unwrap().key(0, &mut Vec::new());
        assert_eq!(key.to_string(), case["bytes"].as_str().unwrap(), "{case}");
        assert_eq!(hex::encode(key.hash()), case["hash"].as_str().unwrap(), "{case}");
        assert_eq!(decode_keys(&fields, [&key]).unwrap(), batch, "{case}");
    }
}

#[test]
fn malformed_rows_are_refused() {
    for case in cases("malformed") {
        let bytes = hex::decode(case["bytes"].as_str().unwrap()).unwrap();
        let decoded = decode_rows(&fields(&case["fields"]), [bytes.as_slice()]);
        assert!(decoded.is_err(), "accepted: {case}");
    }
}

fn span(json: &Value, key: &str) -> Option<Span> {
    json.get(key).map(|seconds| Span::from_seconds(seconds.as_u64().unwrap()).unwrap())
}

#[test]
fn state_ids_are_the_published_ones() {
    for case in cases("state-ids") {
        let view = &case["view"];
        assert_eq!(view["kind"], "row", "the vectors have row views only");
        let entity = view["entity"].as_array().unwrap().iter();
        let spec = ViewSpec {
            name: view["view"].as_str().unwrap().parse().unwrap(),
            kind: ViewKind::Row,
            doc: String::new(),
            entity: entity.map(|name| name.as_str().unwrap().parse().unwrap()).collect(),
            inputs: fields(&view["inputs"]),
            outputs: Vec::new(),
            ttl: None,
            lateness: span(view, "lateness-seconds"),
            max_early: span(view, "max-early-seconds"),
            state_version: view["state-version"].as_u64().unwrap().try_into().unwrap(),
            limits: RowLimits::default(),
        };
        assert_eq!(StateId::of(&spec).to_string(), case["state-id"].as_str().unwrap(), "{view}");
    }
}

#[test]
fn hashes_are_blake3() {
    for case in cases("hashes") {
        let bytes = (0..case["length"].as_u64().unwrap()).map(|index| (index % 251) as u8);
        let hash = EntityKey(bytes.collect()).hash();
        assert_eq!(hex::encode(hash), case["hash"].as_str().unwrap(), "{case}");
    }
}
