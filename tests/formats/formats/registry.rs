//! Schemas of a real registry.

use std::time::Duration;

use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::{Value as Json, json};
use trifold_formats::{Decoder, Encoding, RegistryError, RegistrySettings, SchemaSource, ValueError};
use trifold_test_servers::{Control, SchemaRegistry};

use crate::fixtures::text;

fn source(registry: &SchemaRegistry) -> SchemaSource {
    let mut settings = RegistrySettings::new(registry.url());
    settings.timeout = Duration::from_secs(5);
    SchemaSource::Registry(settings)
}

fn avro(registry: &SchemaRegistry) -> Decoder {
    Decoder::new(Encoding::Avro { schema: source(registry), reader: None }).unwrap()
}

fn protobuf(registry: &SchemaRegistry, message: Option<&str>) -> Decoder {
    let message = message.map(str::to_owned);
    Decoder::new(Encoding::Protobuf { schema: source(registry), message }).unwrap()
}

/// Registers a schema, and returns its id.
fn register(registry: &SchemaRegistry, subject: &str, schema: &str, kind: &str, references: Json) -> u32 {
    let body = json!({ "schema": schema, "schemaType": kind, "references": references });
    let answer = registry.post(&format!("/subjects/{subject}/versions"), &body.to_string()).unwrap();
    let answer: Json = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}")) as u32
}

fn framed(id: u32, rest: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], rest].concat()
}

fn datum(schema: &str, references: &[&str], fields: Vec<(&str, Value)>) -> Vec<u8> {
    let (schema, references) = apache_avro::Schema::parse_str_with_list(schema, references).unwrap();
    let schemata: Vec<_> = references.iter().chain([&schema]).collect();
    let writer = GenericDatumWriter::builder(&schema).schemata(schemata).unwrap().build().unwrap();
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    writer.write_value_to_vec(Value::Record(fields)).unwrap()
}

#[test]
fn values_are_read_with_the_schema_that_they_name() {
    let registry = SchemaRegistry::start().unwrap();
    avro_evolves(&registry);
    avro_refers(&registry);
    protobuf_evolves(&registry);
    protobuf_imports(&registry);
    kinds_are_told_apart(&registry);
}

fn avro_evolves(registry: &SchemaRegistry) {
    let v1 = r#"{"type":"record","name":"Payment","namespace":"a.b","fields":[
        {"name":"id","type":"string"},{"name":"amount","type":"int"}]}"#;
    let v2 = r#"{"type":"record","name":"Payment","namespace":"a.b","fields":[
        {"name":"amount","type":"long"},{"name":"currency","type":"string","default":"EUR"},
        {"name":"id","type":"string"}]}"#;
    let first = register(registry, "payments-value", v1, "AVRO", json!([]));
    let second = register(registry, "payments-value", v2, "AVRO", json!([]));
    assert_ne!(first, second);
    let old = datum(v1, &[], vec![("id", "p1".into()), ("amount", Value::Int(7))]);
    let amount = Value::Long(i64::MAX);
    let new = datum(v2, &[], vec![("amount", amount), ("currency", "CHF".into()), ("id", "p2".into())]);

    let mut decoder = avro(registry);
    for _ in 0..2 {
        assert_eq!(text(&mut decoder, &framed(first, &old)).unwrap(), r#"{"id":"p1","amount":7}"#);
        let expected = r#"{"amount":9223372036854775807,"currency":"CHF","id":"p2"}"#;
        assert_eq!(text(&mut decoder, &framed(second, &new)).unwrap(), expected);
    }

    // Read by the second schema, what the first one writes has the default.
    let dir = tempfile::tempdir().unwrap();
    let reader = dir.path().join("reader.avsc");
    std::fs::write(&reader, v2).unwrap();
    let encoding = Encoding::Avro { schema: source(registry), reader: Some(reader) };
    let mut decoder = Decoder::new(encoding).unwrap();
    let expected = r#"{"id":"p1","amount":7,"currency":"EUR"}"#;
    assert_eq!(text(&mut decoder, &framed(first, &old)).unwrap(), expected);

    let problem = text(&mut decoder, &framed(9_999, &old)).unwrap_err();
    assert!(problem.starts_with("the registry has no schema 9999: "), "{problem}");
    let problem = text(&mut decoder, &framed(first, &old[..2])).unwrap_err();
    assert_eq!(problem, "field id: ends in the middle");
}

fn avro_refers(registry: &SchemaRegistry) {
    let currency = r#"{"type":"enum","name":"Currency","namespace":"ref","symbols":["EUR","CHF"]}"#;
    let money = r#"{"type":"record","name":"Money","namespace":"ref","fields":[
        {"name":"amount","type":"double"},{"name":"currency","type":"ref.Currency"}]}"#;
    let order = r#"{"type":"record","name":"Order","namespace":"ref","fields":[
        {"name":"total","type":"ref.Money"},{"name":"in","type":"ref.Currency"}]}"#;
    register(registry, "ref.Currency", currency, "AVRO", json!([]));
    let to_currency = json!({ "name": "ref.Currency", "subject": "ref.Currency", "version": 1 });
    register(registry, "ref.Money", money, "AVRO", json!([to_currency]));
    let to_money = json!({ "name": "ref.Money", "subject": "ref.Money", "version": 1 });
    let id = register(registry, "orders-value", order, "AVRO", json!([to_money, to_currency]));
    // A double, and two enums.
    let bytes = [&0.1_f64.to_le_bytes()[..], &[2, 0]].concat();
    let expected = r#"{"total":{"amount":0.1,"currency":"CHF"},"in":"EUR"}"#;
    assert_eq!(text(&mut avro(registry), &framed(id, &bytes)).unwrap(), expected);
}

fn protobuf_evolves(registry: &SchemaRegistry) {
    let v1 = "syntax = \"proto3\"; message Payment { string id = 1; int32 amount = 2; }";
    let v2 = "syntax = \"proto3\"; message Payment { string id = 1; int64 amount = 2; string currency = 3; }";
    let first = register(registry, "proto-value", v1, "PROTOBUF", json!([]));
    let second = register(registry, "proto-value", v2, "PROTOBUF", json!([]));
    let mut decoder = protobuf(registry, Some("Payment"));
    let value = [0, 0x0a, 1, b'p', 0x10, 7, 0x1a, 1, b'E'];
    let old = r#"{"id":"p","amount":7}"#;
    assert_eq!(text(&mut decoder, &framed(first, &value[..6])).unwrap(), old);
    assert_eq!(text(&mut decoder, &framed(first, &value)).unwrap(), old, "a field that is not known");
    let new = r#"{"id":"p","amount":7,"currency":"E"}"#;
    assert_eq!(text(&mut decoder, &framed(second, &value)).unwrap(), new);
    let new = r#"{"id":"p","amount":7,"currency":""}"#;
    assert_eq!(text(&mut decoder, &framed(second, &value[..6])).unwrap(), new, "a field that is not there");
    let problem = text(&mut decoder, &framed(second, &[2, 2])).unwrap_err();
    assert_eq!(problem, "the list of message indexes leads nowhere: [1]");
}

fn protobuf_imports(registry: &SchemaRegistry) {
    let money = "syntax = \"proto3\"; package ref; message Money { double amount = 1; }";
    let order = "syntax = \"proto3\"; package ref; import \"ref/money.proto\"; \
                 import \"google/protobuf/timestamp.proto\"; message First { map<string, int32> m = 1; \
                 message Inner { int32 a = 1; } message Order { Money total = 1; \
                 google.protobuf.Timestamp at = 2; } }";
    register(registry, "money", money, "PROTOBUF", json!([]));
    let to_money = json!({ "name": "ref/money.proto", "subject": "money", "version": 1 });
    let id = register(registry, "order-value", order, "PROTOBUF", json!([to_money]));
    let mut decoder = protobuf(registry, None);
    // The second message in the first one. Its total is 0.5, its time one second.
    let total = [&[0x0a, 9, 0x09][..], &0.5_f64.to_le_bytes(), &[0x12, 2, 0x08, 1]].concat();
    let value = framed(id, &[&[4, 0, 2][..], &total].concat());
    let expected = r#"{"total":{"amount":0.5},"at":"1970-01-01T00:00:01.000000Z"}"#;
    assert_eq!(text(&mut decoder, &value).unwrap(), expected);
    assert_eq!(text(&mut decoder, &framed(id, &[0])).unwrap(), r#"{"m":{}}"#);
    let problem = text(&mut protobuf(registry, Some("ref.First")), &value).unwrap_err();
    assert_eq!(problem, "the value is a message ref.First.Order, not ref.First");
}

fn kinds_are_told_apart(registry: &SchemaRegistry) {
    let id = register(registry, "text", "\"string\"", "AVRO", json!([]));
    assert_eq!(text(&mut avro(registry), &framed(id, &[2, b'a'])).unwrap_err(), "the value is no record");
    let problem = text(&mut protobuf(registry, None), &framed(id, &[0])).unwrap_err();
    assert_eq!(problem, format!("schema {id} cannot be used: it is of the type AVRO, not PROTOBUF"));
}

#[test]
fn a_registry_that_is_away_is_no_error_of_a_value() {
    let mut registry = SchemaRegistry::start().unwrap();
    let schema = r#"{"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#;
    let id = register(&registry, "a", schema, "AVRO", json!([]));
    let mut settings = RegistrySettings::new(registry.url());
    settings.timeout = Duration::from_millis(500);
    let encoding = Encoding::Avro { schema: SchemaSource::Registry(settings), reader: None };
    let mut decoder = Decoder::new(encoding).unwrap();
    let value = framed(id, &[14]);
    let mut out = Vec::new();

    registry.pause().unwrap();
    let error = decoder.decode(&value, &mut out).unwrap_err();
    assert!(matches!(error, ValueError::Registry(RegistryError::Timeout { .. })), "{error}");
    registry.resume().unwrap();
    let begun = std::time::Instant::now();
    while let Err(error) = decoder.decode(&value, &mut out) {
        assert!(error.is_transient() && begun.elapsed() < Duration::from_secs(20), "{error}");
    }
    assert_eq!(out, br#"{"x":7}"#);

    registry.stop().unwrap();
    out.clear();
    decoder.decode(&value, &mut out).unwrap();
    assert_eq!(out, br#"{"x":7}"#, "what is known needs no registry");
    let error = decoder.decode(&framed(id + 1, &[14]), &mut out).unwrap_err();
    assert!(matches!(error, ValueError::Registry(RegistryError::Unreachable { .. })), "{error}");
    assert_eq!(out, br#"{"x":7}"#);

    registry.start_again().unwrap();
    let error = decoder.decode(&framed(id + 1, &[14]), &mut out).unwrap_err();
    assert!(matches!(error, ValueError::Undecodable { .. }), "{error}");
}
