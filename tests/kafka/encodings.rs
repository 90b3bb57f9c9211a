//! Events in other encodings than JSON come to the same.

use std::fmt::Write;

use serde_json::{Value, json};
use trifold_cli::exit::Exit;
use trifold_eventlog::parse_time;
use trifold_test_servers::{Control, Kafka, SchemaRegistry};
use trifold_tests::command::Ran;

use crate::site::{GROUP, PACKAGES, Payment, Site};

/// The fields of a payment, with their types in Avro.
pub(crate) const FIELDS: [(&str, &str); 9] = [
    ("event_id", r#""string""#),
    ("event_time", r#"{"type": "long", "logicalType": "timestamp-micros"}"#),
    ("arrived_at", r#"{"type": "long", "logicalType": "timestamp-micros"}"#),
    ("card", r#""string""#),
    ("merchant", r#"["null", "string"]"#),
    ("country", r#"["null", "string"]"#),
    ("channel", r#""string""#),
    ("amount", r#""double""#),
    ("declined", r#""boolean""#),
];

/// The schema of a payment whose fields stand in some order, with others beside them.
pub(crate) fn schema<'a>(fields: impl Iterator<Item = &'a (&'a str, &'a str)>) -> String {
    let fields = fields.map(|(name, ty)| format!(r#"{{"name": "{name}", "type": {ty}}}"#));
    let fields = fields.collect::<Vec<_>>().join(", ");
    format!(r#"{{"type": "record", "name": "Payment", "fields": [{fields}]}}"#)
}

/// A number as Avro and Protobuf write it: seven bits a byte.
fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn zigzag(number: i64, out: &mut Vec<u8>) {
    varint(((number << 1) ^ (number >> 63)) as u64, out);
}

fn micros(value: &Value) -> i64 {
    parse_time(value.as_str().unwrap()).unwrap().0
}

/// A payment's fields as Avro's bytes.
pub(crate) fn avro<'a>(payment: &Payment, fields: impl Iterator<Item = &'a (&'a str, &'a str)>) -> Vec<u8> {
    let event: Value = serde_json::from_str(&payment.json).unwrap();
    let mut out = Vec::new();
    for (name, _) in fields {
        match (*name, &event[*name]) {
            // The first branch of a union, and the second.
            ("note", _) | ("merchant" | "country", Value::Null) => zigzag(0, &mut out),
            ("merchant" | "country", value) => {
                zigzag(1, &mut out);
                write_text(value.as_str().unwrap(), &mut out);
            }
            ("event_time" | "arrived_at", value) => zigzag(micros(value), &mut out),
            ("amount", value) => out.extend_from_slice(&value.as_f64().unwrap().to_le_bytes()),
            ("declined", value) => out.push(value.as_bool().unwrap().into()),
            (_, value) => write_text(value.as_str().unwrap(), &mut out),
        }
    }
    out
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    zigzag(text.len() as i64, out);
    out.extend_from_slice(text.as_bytes());
}

/// A payment as a message of `payment.proto`.
fn protobuf(payment: &Payment) -> Vec<u8> {
    let event: Value = serde_json::from_str(&payment.json).unwrap();
    let mut out = Vec::new();
    for (number, (name, _)) in (1..).zip(FIELDS) {
        let tag = |kind: u64, out: &mut Vec<u8>| varint(number << 3 | kind, out);
        match (name, &event[name]) {
            ("event_time" | "arrived_at", value) => {
                let (micros, mut timestamp) = (micros(value), vec![1 << 3]);
                varint(micros.div_euclid(1_000_000) as u64, &mut timestamp);
                timestamp.push(2 << 3);
                varint(micros.rem_euclid(1_000_000) as u64 * 1_000, &mut timestamp);
                tag(2, &mut out);
                varint(timestamp.len() as u64, &mut out);
                out.extend(timestamp);
            }
            ("amount", value) => {
                tag(1, &mut out);
                out.extend_from_slice(&value.as_f64().unwrap().to_le_bytes());
            }
            ("declined", value) => {
                tag(0, &mut out);
                out.push(value.as_bool().unwrap().into());
            }
            (_, Value::Null) => {}
            (_, value) => {
                let text = value.as_str().unwrap();
                tag(2, &mut out);
                varint(text.len() as u64, &mut out);
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
    out
}

fn proto() -> String {
    let mut text =
        "syntax = \"proto3\";\nimport \"google/protobuf/timestamp.proto\";\nmessage Payment {\n".to_owned();
    for (number, (name, _)) in (1..).zip(FIELDS) {
        let ty = match name {
            "event_time" | "arrived_at" => "google.protobuf.Timestamp",
            "amount" => "double",
            "declined" => "bool",
            "merchant" | "country" => "optional string",
            _ => "string",
        };
        writeln!(text, "  {ty} {name} = {number};").unwrap();
    }
    text.push('}');
    text
}

fn framed(id: u64, rest: Vec<u8>) -> Vec<u8> {
    [&[0], &(id as u32).to_be_bytes()[..], &rest].concat()
}

fn register(registry: &SchemaRegistry, schema: &str) -> u64 {
    let answer = registry.post("/subjects/payments-value/versions", &json!({ "schema": schema }).to_string());
    let answer: Value = serde_json::from_str(&answer.unwrap()).unwrap();
    answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn avro_of_a_registry_comes_to_what_json_does() {
    let kafka = Kafka::start().unwrap();
    let mut registry = SchemaRegistry::start().unwrap();
    let mut site = Site::new(&kafka, kafka.bootstrap(), 13, 600);
    site.release(&PACKAGES);
    site.set("encoding", "\"avro\"");
    site.set("schema-registry", &format!("\"{}\"", registry.url()));
    // The second version has its fields in another order, and one that the first did not have.
    let first: Vec<_> = FIELDS.to_vec();
    let note = ("note", r#"["null", "string"], "default": null"#);
    let second: Vec<_> = [note].into_iter().chain(FIELDS).rev().collect();
    let ids = [register(&registry, &schema(first.iter())), register(&registry, &schema(second.iter()))];
    site.produce_as(0..300, |payment| framed(ids[0], avro(payment, first.iter())));
    let mut worker = site.follow("a");
    worker.wait_for("transaction committed");
    // A schema that is new while the registry does not answer is waited for.
    registry.pause().unwrap();
    site.produce_as(300..600, |payment| framed(ids[1], avro(payment, second.iter())));
    worker.wait_for("the stream stands still: the schema registry");
    registry.resume().unwrap();
    worker.wait_for("transaction committed");
    worker.terminate();
    site.check();
    // What no schema reads is a dead letter that says why, and nothing else is.
    let bad = [("c-1", framed(ids[0], vec![3])), ("c-1", framed(9_999, vec![0])), ("c-1", b"{}".to_vec())];
    let before = site.cluster.read(&format!("{GROUP}.card_spend.dead-letters")).concat().len();
    site.cluster.write("payments", bad.iter().map(|(key, value)| (*key, value.as_slice())));
    site.run_to_end("a");
    let letters = site.cluster.read(&format!("{GROUP}.card_spend.dead-letters")).concat();
    let letters: Vec<Value> =
        letters.iter().map(|(_, value)| serde_json::from_slice(value.as_ref().unwrap()).unwrap()).collect();
    assert_eq!(letters.len(), before + bad.len(), "{letters:#?}");
    let details: Vec<_> = letters
        .iter()
        .filter(|letter| letter["reason"] == "decode")
        .map(|letter| letter["detail"].to_string())
        .collect();
    for part in ["event_id", "9999", "0x7b"] {
        assert!(details.iter().any(|detail| detail.contains(part)), "{part} is missing: {details:#?}");
    }
}

#[test]
fn protobuf_of_a_file_comes_to_what_json_does() {
    let kafka = Kafka::start().unwrap();
    let site = Site::new(&kafka, kafka.bootstrap(), 17, 300);
    site.release(&PACKAGES);
    let file = site.trifold.path("payment.proto");
    std::fs::write(&file, proto()).unwrap();
    let file = file.to_str().unwrap();
    let run = |more: &[&str]| Ran::of(&mut site.command("a", more));
    run(&["--encoding", "protobuf"]).refused(Exit::Usage, &["--schema", "--schema-registry"]);
    run(&["--schema", file]).refused(Exit::Usage, &["JSON", "--encoding"]);
    run(&["--encoding", "avro", "--schema", file]).refused(Exit::Usage, &["payment.proto"]);
    let mut site = site;
    site.set("encoding", "\"protobuf\"");
    site.set("schema", &format!("{file:?}"));
    site.produce_as(0..300, protobuf);
    site.run_to_end("a");
    site.check();
}
