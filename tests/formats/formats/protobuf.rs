//! Hard values of Protobuf.

use prost_reflect::{MapKey, Value};
use trifold_model::{FieldType, ItemType};

use crate::fixtures::{Proto, check, message};

/// Checks what values of a type become as inputs of a type; `!` begins a part of what is wrong with one.
#[track_caller]
fn becomes(proto: &str, ty: FieldType, cases: &[(Option<Value>, &str)]) {
    let mut events = Proto::new(&format!("{proto} x"), "enum E { ZERO = 0; ONE = 1; }");
    let lines: Vec<_> = cases.iter().map(|(value, _)| events.text(value.clone())).collect();
    check(&lines, ty, &cases.iter().map(|(_, expected)| *expected).collect::<Vec<_>>());
}

#[test]
fn integers_are_exact_or_refused() {
    use FieldType::{Float64, Int64};
    for ty in ["int64", "sint64", "sfixed64"] {
        let cases = [(i64::MAX, "9223372036854775807"), (i64::MIN, "-9223372036854775808"), (-1, "-1")];
        becomes(ty, Int64, &cases.map(|(value, expected)| (Some(Value::I64(value)), expected)));
    }
    for ty in ["int32", "sint32", "sfixed32"] {
        let cases = [(i32::MAX, "2147483647"), (i32::MIN, "-2147483648"), (-1, "-1")];
        becomes(ty, Int64, &cases.map(|(value, expected)| (Some(Value::I32(value)), expected)));
    }
    for ty in ["uint32", "fixed32"] {
        becomes(ty, Int64, &[(Some(Value::U32(u32::MAX)), "4294967295"), (None, "0")]);
    }
    for ty in ["uint64", "fixed64"] {
        let end = i64::MAX as u64;
        becomes(
            ty,
            Int64,
            &[
                (Some(Value::U64(end)), "9223372036854775807"),
                (Some(Value::U64(end + 1)), "!9223372036854775808 is no whole"),
                (Some(Value::U64(u64::MAX)), "!18446744073709551615 is no whole"),
            ],
        );
        let power = 1_u64 << 63;
        becomes(
            ty,
            Float64,
            &[(Some(Value::U64(power)), "9.223372036854776e18"), (Some(Value::U64(u64::MAX)), "!")],
        );
    }
}

#[test]
fn floats_are_the_same_in_both_sizes() {
    use FieldType::{Float32, Float64};
    let singles = [f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1), 0.1, f32::NAN, f32::NEG_INFINITY];
    for single in singles {
        becomes("float", Float32, &[(Some(Value::F32(single)), &format!("{single:?}"))]);
        becomes("float", Float64, &[(Some(Value::F32(single)), &format!("{:?}", f64::from(single)))]);
    }
    // The library would leave it out, as it equals the default; others do not.
    let text = Proto::new("float x", "").text_of(&[0x25, 0, 0, 0, 0x80]);
    check(&[text], Float32, &["-0.0"]);
    for double in [f64::MAX, 5e-324, 0.1, f64::NAN, f64::INFINITY] {
        becomes("double", Float64, &[(Some(Value::F64(double)), &format!("{double:?}"))]);
    }
}

#[test]
fn what_is_missing_is_the_default_or_null() {
    becomes("int64", FieldType::Int64, &[(None, "0")]);
    becomes("bool", FieldType::Bool, &[(None, "false"), (Some(Value::Bool(true)), "true")]);
    becomes("double", FieldType::Float64, &[(None, "0.0")]);
    becomes("string", FieldType::Utf8, &[(None, "\"\""), (Some(Value::String("é\n".to_owned())), "\"é\\n\"")]);
    becomes("bytes", FieldType::Binary, &[(None, "[]"), (Some(Value::Bytes(vec![0xff].into())), "[ff]")]);
    becomes("E", FieldType::Utf8, &[(None, "\"ZERO\""), (Some(Value::EnumNumber(1)), "\"ONE\"")]);
    becomes("E", FieldType::Utf8, &[(Some(Value::EnumNumber(-5)), "!-5 is no string")]);
    let list = FieldType::List(ItemType::Int64);
    let items = Value::List(vec![Value::I64(i64::MIN), Value::I64(0)]);
    becomes("repeated int64", list, &[(None, "[]"), (Some(items), "[-9223372036854775808, 0]")]);
    becomes("optional int64", FieldType::Int64, &[(None, "null"), (Some(Value::I64(0)), "0")]);
    becomes("google.protobuf.Timestamp", FieldType::Timestamp, &[(None, "null")]);
    becomes("google.protobuf.Int64Value", FieldType::Int64, &[(None, "null")]);
}

#[test]
fn times_are_exact_or_refused() {
    let mut events = Proto::new("google.protobuf.Timestamp x", "");
    let kind = events.kind();
    let value =
        |seconds, nanos| Some(Value::Message(message(&kind, &[(1, Value::I64(seconds)), (2, Value::I32(nanos))])));
    let cases = [
        ((0, 0), "0"),
        ((-1, 999_999_000), "-1"),
        ((1_357_035_300, 123_456_000), "1357035300123456"),
        ((0, 1), "!fraction of a microsecond"),
        ((253_402_300_799, 999_999_000), "253402300799999999"),
        ((-62_135_596_800, 0), "-62135596800000000"),
    ];
    let lines: Vec<_> = cases.iter().map(|((seconds, nanos), _)| events.text(value(*seconds, *nanos))).collect();
    check(&lines, FieldType::Timestamp, &cases.map(|(_, expected)| expected));
}

#[test]
fn wrappers_are_what_they_wrap() {
    for (ty, value, input, expected) in [
        ("Int64Value", Value::I64(7), FieldType::Int64, "7"),
        ("UInt64Value", Value::U64(7), FieldType::Int64, "7"),
        ("DoubleValue", Value::F64(0.5), FieldType::Float64, "0.5"),
        ("FloatValue", Value::F32(0.5), FieldType::Float32, "0.5"),
        ("BoolValue", Value::Bool(false), FieldType::Bool, "false"),
        ("StringValue", Value::String(String::new()), FieldType::Utf8, "\"\""),
        ("BytesValue", Value::Bytes(vec![1].into()), FieldType::Binary, "[01]"),
    ] {
        let mut events = Proto::new(&format!("google.protobuf.{ty} x"), "");
        let value = message(&events.kind(), &[(1, value)]);
        check(&[events.text(Some(Value::Message(value)))], input, &[expected]);
    }
}

#[test]
fn maps_are_in_order_and_have_texts_as_keys() {
    for (ty, keys, expected) in [
        ("int64", [MapKey::I64(-1), MapKey::I64(10), MapKey::I64(9)], r#"{"-1":"","9":"","10":""}"#),
        ("uint32", [3, 1, 2].map(MapKey::U32), r#"{"1":"","2":"","3":""}"#),
        ("string", ["b", "a\"", ""].map(|key| MapKey::String(key.to_owned())), r#"{"":"","a\"":"","b":""}"#),
    ] {
        let mut events = Proto::new(&format!("map<{ty}, string> x"), "");
        let map = keys.into_iter().map(|key| (key, Value::String(String::new()))).collect();
        let text = events.text(Some(Value::Map(map)));
        assert!(text.ends_with(&format!("\"x\":{expected}}}")), "{text}");
    }
}

#[test]
fn proto2_has_defaults_and_closed_enums() {
    let text = "syntax = \"proto2\"; import \"google/protobuf/timestamp.proto\"; enum E { A = 1; B = 2; } \
                message Event { required string k = 1; optional google.protobuf.Timestamp event_time = 2; \
                optional string event_id = 3; FIELD; repeated E es = 5; }";
    let check = |field: &str, value: Option<Value>, expected: &str| {
        let mut events = Proto::from_text(&text.replace("FIELD", field), "Event");
        let text = events.text(value);
        assert!(text.ends_with(&format!("{expected},\"es\":[]}}")), "{text}");
    };
    check("optional int32 x = 4", None, "\"event_id\":\"e\"");
    check("optional int32 x = 4", Some(Value::I32(0)), "\"x\":0");
    check("optional int32 x = 4 [default = 5]", None, "\"x\":5");
    check("optional double x = 4 [default = nan]", None, "\"x\":\"NaN\"");
    check("optional bytes x = 4 [default = \"\\377\"]", None, "\"x\":\"/w==\"");
    check("optional E x = 4", Some(Value::EnumNumber(2)), "\"x\":\"B\"");
    check("optional E x = 4", Some(Value::EnumNumber(3)), "\"event_id\":\"e\"");
    check("optional E x = 4 [default = B]", Some(Value::EnumNumber(3)), "\"x\":\"B\"");
    let list = Value::List([1, 3, 2].map(Value::EnumNumber).to_vec());
    check("repeated E x = 4", Some(list), "\"x\":[\"A\",\"B\"]");
}
