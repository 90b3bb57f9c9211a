//! The published tables say what the code does.

use std::collections::BTreeMap;

use apache_avro::types::Value;
use prost_reflect::Value as Proto3;
use trifold_model::{FieldType, ItemType};

use crate::fixtures::{Avro, Proto, inputs, message};

/// Texts of events, among which is one for every conversion of a text.
const TEXTS: [&str; 5] = ["a", "AP8=", "2013-01-01T05:15:00-05:00", "NaN", "-Infinity"];

fn avro(cases: &[(&str, Value)]) -> Vec<String> {
    cases.iter().map(|(ty, value)| Avro::new(ty).text(value)).collect()
}

fn logical(base: &str, name: &str) -> String {
    format!(r#"{{"type":"{base}","logicalType":"{name}"}}"#)
}

/// For each row of the first table, events whose `x` is of its types; the first is the one that the table shows.
fn avro_samples() -> BTreeMap<&'static str, Vec<String>> {
    let time = |name: &str, value: Value| avro(&[(&logical("long", name), value)]);
    let decimal = |scale: u8, bytes: &[u8]| {
        let ty = format!(r#"{{"type":"bytes","logicalType":"decimal","precision":6,"scale":{scale}}}"#);
        avro(&[(&ty, Value::Decimal(bytes.into()))])
    };
    let texts = TEXTS.map(|text| ("\"string\"", Value::String(text.to_owned())));
    let fixed = r#"{"type":"fixed","name":"F","size":2}"#;
    let duration = r#"{"type":{"type":"fixed","name":"D","size":12},"logicalType":"duration"}"#;
    let duration = match apache_avro::Schema::parse_str(duration) {
        Ok(apache_avro::Schema::Duration(_)) => duration.to_owned(),
        _ => r#"{"type":"fixed","name":"D","size":12,"logicalType":"duration"}"#.to_owned(),
    };
    let months = apache_avro::Duration::from([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    let micros = 1_357_035_300_000_007_i64;
    let millis = 1_357_035_300_007_i64;
    let mut nanos = time("timestamp-nanos", Value::TimestampNanos(micros * 1000));
    nanos.extend(time("local-timestamp-nanos", Value::LocalTimestampNanos(micros * 1000)));
    BTreeMap::from([
        ("null", avro(&[("\"null\"", Value::Null)])),
        ("boolean", avro(&[("\"boolean\"", Value::Boolean(true))])),
        (
            "int, time-millis",
            avro(&[("\"int\"", Value::Int(7)), (&logical("int", "time-millis"), Value::TimeMillis(7))]),
        ),
        (
            "long, time-micros",
            avro(&[("\"long\"", Value::Long(7)), (&logical("long", "time-micros"), Value::TimeMicros(7))]),
        ),
        ("float", avro(&[("\"float\"", Value::Float(0.1)), ("\"float\"", Value::Float(2.0))])),
        ("double", avro(&[("\"double\"", Value::Double(0.1)), ("\"double\"", Value::Double(2.0))])),
        ("string, enum, uuid", {
            let mut all = avro(&texts);
            all.extend(avro(&[
                (r#"{"type":"enum","name":"E","symbols":["a","NaN"]}"#, Value::Enum(1, "NaN".to_owned())),
                (&logical("string", "uuid"), Value::Uuid(apache_avro::Uuid::from_u128(7))),
            ]));
            all
        }),
        (
            "bytes, fixed, duration",
            avro(&[
                ("\"bytes\"", Value::Bytes(vec![0, 255])),
                (fixed, Value::Fixed(2, vec![0, 255])),
                (&duration, Value::Duration(months)),
            ]),
        ),
        ("decimal", [decimal(2, &[4, 0xe2]), decimal(2, &[4, 0xb0])].concat()),
        ("decimal of scale 0", decimal(0, &[12])),
        ("big-decimal", {
            let mut events = Avro::new(&logical("bytes", "big-decimal"));
            let begin = [2, b'k', 0, 2, b'e'];
            // 12.5, and 1250 of scale 1, which is whole.
            let bytes = [&[6, 2, 125, 2][..], &[8, 4, 4, 0xe2, 2]];
            bytes.map(|bytes| events.text_of(&[&begin[..], bytes].concat())).to_vec()
        }),
        ("date", avro(&[(&logical("int", "date"), Value::Date(15_706))])),
        (
            "timestamp-millis, local-timestamp-millis",
            [
                time("timestamp-millis", Value::TimestampMillis(millis)),
                time("local-timestamp-millis", Value::LocalTimestampMillis(millis)),
            ]
            .concat(),
        ),
        (
            "timestamp-micros, local-timestamp-micros",
            [
                time("timestamp-micros", Value::TimestampMicros(micros)),
                time("local-timestamp-micros", Value::LocalTimestampMicros(micros)),
            ]
            .concat(),
        ),
        ("timestamp-nanos, local-timestamp-nanos", nanos),
        (
            "array",
            avro(&[(r#"{"type":"array","items":"int"}"#, Value::Array(vec![Value::Int(1), Value::Int(2)]))]),
        ),
        (
            "map, record",
            avro(&[
                (
                    r#"{"type":"map","values":"int"}"#,
                    Value::Map([("a".to_owned(), Value::Int(1))].into_iter().collect()),
                ),
                (
                    r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#,
                    Value::Record(vec![("a".to_owned(), Value::Int(1))]),
                ),
            ]),
        ),
    ])
}

/// The same for the second table.
fn protobuf_samples() -> BTreeMap<&'static str, Vec<String>> {
    let one = |ty: &str, value: Proto3| Proto::new(&format!("{ty} x"), "").text(Some(value));
    let inner = "enum E { ZERO = 0; NaN = 1; } message M { int32 a = 1; }";
    let timestamp = || {
        let mut events = Proto::new("google.protobuf.Timestamp x", "");
        let time = message(&events.kind(), &[(1, Proto3::I64(1_357_035_300)), (2, Proto3::I32(7_000))]);
        events.text(Some(Proto3::Message(time)))
    };
    BTreeMap::from([
        ("bool", vec![one("bool", Proto3::Bool(true))]),
        (
            "int32, sint32, sfixed32, uint32, fixed32",
            vec![
                one("int32", Proto3::I32(7)),
                one("sint32", Proto3::I32(7)),
                one("sfixed32", Proto3::I32(7)),
                one("uint32", Proto3::U32(7)),
                one("fixed32", Proto3::U32(7)),
            ],
        ),
        ("int64, sint64, sfixed64", ["int64", "sint64", "sfixed64"].map(|ty| one(ty, Proto3::I64(7))).to_vec()),
        ("uint64, fixed64", ["uint64", "fixed64"].map(|ty| one(ty, Proto3::U64(7))).to_vec()),
        ("float", vec![one("float", Proto3::F32(0.1)), one("float", Proto3::F32(2.0))]),
        ("double", vec![one("double", Proto3::F64(0.1)), one("double", Proto3::F64(2.0))]),
        ("string, enum", {
            let mut all = TEXTS.map(|text| one("string", Proto3::String(text.to_owned()))).to_vec();
            all.push(Proto::new("E x", inner).text(Some(Proto3::EnumNumber(1))));
            all
        }),
        ("bytes", vec![one("bytes", Proto3::Bytes(vec![0, 255].into()))]),
        ("google.protobuf.Timestamp", vec![timestamp()]),
        ("repeated", vec![one("repeated int32", Proto3::List(vec![Proto3::I32(1), Proto3::I32(2)]))]),
        ("map, message", {
            let entry = (prost_reflect::MapKey::String("a".to_owned()), Proto3::I32(1));
            let mut events = Proto::new("M x", inner);
            let value = message(&events.kind(), &[(1, Proto3::I32(1))]);
            vec![
                one("map<string, int32>", Proto3::Map([entry].into_iter().collect())),
                events.text(Some(Proto3::Message(value))),
            ]
        }),
    ])
}

fn types_of(column: &str) -> Vec<FieldType> {
    match column {
        "list" => vec![FieldType::List(ItemType::Int64), FieldType::List(ItemType::Float32)],
        scalar => vec![scalar.parse().unwrap()],
    }
}

/// Where a cell has a conversion, some of the row's values take it, and where it has none, none does. The JSON that the
/// table shows is that of the first value.
fn check(begin: &str, samples: &BTreeMap<&'static str, Vec<String>>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../host/formats/CONVERSIONS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip_while(|line| !line.starts_with(begin))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), samples.len() + 2, "one row for each sample");
    for row in &rows[2..] {
        let events = &samples[row[0]];
        let json = events[0].split_once("\"x\":").unwrap().1;
        assert_eq!(json.strip_suffix('}').unwrap(), row[1].trim_matches('`'));
        for (column, cell) in rows[0].iter().zip(row).skip(2) {
            for ty in types_of(column) {
                let outcomes = inputs(events, ty);
                let converted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
                let holds = match *cell {
                    "-" => converted == 0,
                    "same" | "items" => converted == events.len(),
                    _ => converted > 0,
                };
                assert!(holds, "{} to {ty} is {cell} in the table: {outcomes:?}", row[0]);
            }
        }
    }
}

#[test]
fn the_table_of_avro_says_what_the_code_does() {
    check("| Avro |", &avro_samples());
}

#[test]
fn the_table_of_protobuf_says_what_the_code_does() {
    check("| Protobuf |", &protobuf_samples());
}
