//! The slab against the vectors that `wit/` publishes.

use serde_json::Value;
use trifold_model::Field;
use trifold_model::view::arrow_schema;

use super::tests::encode;
use super::{check_inputs, decode};

#[path = "../../../../tests/contract/values.rs"]
mod values;

#[track_caller]
fn cases(key: &str) -> Vec<Value> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/vectors/slab.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let cases = vectors[key].as_array().unwrap().clone();
    assert!(!cases.is_empty(), "{file} has no {key}");
    cases
}

fn words(case: &Value) -> Vec<u64> {
    let word = |word: &Value| u64::from_str_radix(word.as_str().unwrap(), 16).unwrap();
    case["words"].as_array().unwrap().iter().map(word).collect()
}

fn rows(case: &Value) -> usize {
    case["rows"].as_u64().unwrap() as usize
}

/// A refused row is null in every column of a decoded answer.
fn all_nullable(fields: &[Field]) -> Vec<Field> {
    fields.iter().map(|field| Field { nullable: true, ..field.clone() }).collect()
}

#[test]
fn the_host_sends_the_published_words() {
    for case in cases("cases") {
        let fields = values::fields(&case["fields"]);
        let batch = values::batch(&fields, &case["values"].as_array().unwrap().iter().collect::<Vec<_>>());
        check_inputs(&fields, &batch).unwrap();
        let sent = encode(&fields, &batch, 0..rows(&case));
        assert_eq!(sent, words(&case), "{}", case["name"]);
    }
}

#[test]
fn answers_are_read_as_published() {
    for case in cases("answers") {
        let fields = values::fields(&case["fields"]);
        let nullable = all_nullable(&fields);
        let expected = values::batch(&nullable, &case["values"].as_array().unwrap().iter().collect::<Vec<_>>());
        let refused = case["refused"].as_array().unwrap().iter();
        let refused: Vec<_> = refused.map(|row| row.as_u64().unwrap() as usize).collect();
        let schema = arrow_schema(&nullable);
        let columns = decode(&fields, &schema, rows(&case), words(&case), &refused).unwrap();
        assert_eq!(columns, expected.columns(), "{}", case["name"]);
    }
}

#[test]
fn answers_that_break_the_contract_are_refused() {
    for case in cases("invalid") {
        let fields = values::fields(&case["fields"]);
        let schema = arrow_schema(&all_nullable(&fields));
        let answer = decode(&fields, &schema, rows(&case), words(&case), &[]);
        assert!(answer.is_err(), "accepted: {case}");
    }
}
