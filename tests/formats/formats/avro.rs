//! Hard values of Avro.

use apache_avro::types::Value;
use trifold_model::{FieldType, ItemType};

use crate::fixtures::{Avro, check};

/// Checks what values of a type become as inputs of a type; `!` begins a part of what is wrong with one.
#[track_caller]
fn becomes(avro: &str, ty: FieldType, cases: &[(Value, &str)]) {
    let mut events = Avro::new(avro);
    let lines: Vec<_> = cases.iter().map(|(value, _)| events.text(value)).collect();
    check(&lines, ty, &cases.iter().map(|(_, expected)| *expected).collect::<Vec<_>>());
}

/// The same for many values.
#[track_caller]
fn all_become<T: Copy>(
    avro: &str,
    ty: FieldType,
    values: &[T],
    value: impl Fn(T) -> Value,
    expected: impl Fn(T) -> String,
) {
    let expected: Vec<_> = values.iter().map(|value| expected(*value)).collect();
    let values = values.iter().map(|of| value(*of));
    let cases: Vec<_> = values.zip(expected.iter().map(String::as_str)).collect();
    becomes(avro, ty, &cases);
}

fn logical(base: &str, name: &str) -> String {
    format!(r#"{{"type":"{base}","logicalType":"{name}"}}"#)
}

#[test]
fn integers_are_exact_or_refused() {
    use FieldType::{Float32, Float64, Int64};
    let long = |value| Value::Long(value);
    let extremes = [(long(i64::MAX), "9223372036854775807"), (long(i64::MIN), "-9223372036854775808")];
    becomes("\"long\"", Int64, &extremes);
    becomes("\"int\"", Int64, &[(Value::Int(i32::MIN), "-2147483648"), (Value::Int(i32::MAX), "2147483647")]);
    let double = 1_i64 << 53;
    becomes(
        "\"long\"",
        Float64,
        &[(long(double), "9007199254740992.0"), (long(double + 1), "!9007199254740993"), (long(i64::MAX), "!")],
    );
    becomes("\"int\"", Float32, &[(Value::Int(1 << 24), "16777216.0"), (Value::Int((1 << 24) + 1), "!16777217")]);
}

#[test]
fn floats_are_the_same_in_both_sizes() {
    use FieldType::{Float32, Float64};
    let singles = [
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::from_bits(0x007f_ffff),
        0.1,
        1.0 / 3.0,
        16_777_217.0,
        -0.0,
        0.0,
        1e-7,
        3.4e38,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    let mut random = 7_u32;
    let random = (0..2_000).map(|_| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        f32::from_bits(random)
    });
    let singles: Vec<_> = singles.into_iter().chain(random).collect();
    all_become("\"float\"", Float32, &singles, Value::Float, |single| format!("{single:?}"));
    all_become("\"float\"", Float64, &singles, Value::Float, |single| format!("{:?}", f64::from(single)));

    let mut random = 7_u64;
    let random = (0..2_000).map(|_| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        f64::from_bits(random)
    });
    let doubles = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 2e-310, -0.0, 0.1, 1e16, 1e21, f64::NAN];
    let doubles: Vec<_> = doubles.into_iter().chain([f64::INFINITY, f64::NEG_INFINITY]).chain(random).collect();
    all_become("\"double\"", Float64, &doubles, Value::Double, |double| format!("{double:?}"));
    let cases = [(0.1, "0.1"), (1.0 + f64::EPSILON, "1.0"), (1e39, "!"), (f64::NEG_INFINITY, "-inf")];
    becomes("\"double\"", Float32, &cases.map(|(value, expected)| (Value::Double(value), expected)));
}

#[test]
fn texts_and_bytes_keep_every_character() {
    let hard = "\"\\/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}\u{85}\u{2028}\u{2029}é😀\u{10ffff}";
    let text = |text: &str| Value::String(text.to_owned());
    becomes(
        "\"string\"",
        FieldType::Utf8,
        &[(text(""), "\"\""), (text(hard), &format!("{hard:?}")), (text("null"), "\"null\"")],
    );
    becomes(
        "\"bytes\"",
        FieldType::Binary,
        &[(Value::Bytes(vec![]), "[]"), (Value::Bytes(vec![0, 0xff, 0x80]), "[00, ff, 80]")],
    );
    let all: Vec<u8> = (0..=255).collect();
    becomes("\"bytes\"", FieldType::Binary, &[(Value::Bytes(all.clone()), &format!("{all:02x?}"))]);
}

#[test]
fn times_are_exact_or_refused() {
    use FieldType::Timestamp;
    for name in ["timestamp-millis", "local-timestamp-millis"] {
        let value = |millis| match name {
            "timestamp-millis" => Value::TimestampMillis(millis),
            _ => Value::LocalTimestampMillis(millis),
        };
        becomes(
            &logical("long", name),
            Timestamp,
            &[
                (value(-1), "-1000"),
                (value(253_402_300_799_999), "253402300799999000"),
                (value(253_402_300_800_000), "253402300800000000"),
                (value(-62_167_219_200_001), "-62167219200001000"),
                (value(i64::MAX), "!9223372036854775807000 is no whole number within int64"),
            ],
        );
    }
    becomes(
        &logical("long", "timestamp-micros"),
        Timestamp,
        &[
            (Value::TimestampMicros(i64::MAX), "9223372036854775807"),
            (Value::TimestampMicros(i64::MIN), "-9223372036854775808"),
            (Value::TimestampMicros(-1), "-1"),
            (Value::TimestampMicros(1_357_035_300_123_456), "1357035300123456"),
        ],
    );
    becomes(
        &logical("long", "timestamp-nanos"),
        Timestamp,
        &[
            (Value::TimestampNanos(-1_000), "-1"),
            (Value::TimestampNanos(-1), "!fraction of a microsecond"),
            (Value::TimestampNanos(i64::MAX), "!fraction of a microsecond"),
            (Value::TimestampNanos(1_357_035_300_123_456_000), "1357035300123456"),
        ],
    );
    becomes(
        &logical("int", "date"),
        Timestamp,
        &[
            (Value::Date(-1), "-86400000000"),
            (Value::Date(15_706), "1356998400000000"),
            (Value::Date(i32::MAX), "!no whole number"),
            (Value::Date(i32::MIN), "!no whole number"),
            (Value::Date(106_751_991), "9223372022400000000"),
        ],
    );
    let seed = std::iter::successors(Some(88_172_645_463_325_252_i64), |x| {
        Some(x.wrapping_mul(6_364_136_223_846_793_005) + 1)
    });
    let times: Vec<_> = seed.map(|x| x >> 8).take(2_000).collect();
    all_become(&logical("long", "timestamp-micros"), Timestamp, &times, Value::TimestampMicros, |time| {
        time.to_string()
    });
}

#[test]
fn decimals_and_uuids() {
    let decimal =
        r#"{"type":{"type":"fixed","name":"F","size":16},"logicalType":"decimal","precision":38,"scale":3}"#;
    let decimal = match apache_avro::Schema::parse_str(decimal) {
        Ok(apache_avro::Schema::Decimal(_)) => decimal,
        _ => r#"{"type":"fixed","name":"F","size":16,"logicalType":"decimal","precision":38,"scale":3}"#,
    };
    let value = |number: i128| Value::Decimal(number.to_be_bytes().into());
    becomes(
        decimal,
        FieldType::Float64,
        &[
            (value(0), "0.0"),
            (value(-1), "-0.001"),
            (value(100), "0.1"),
            (value(9_007_199_254_740_993_000), "9007199254740992.0"),
            (value(i128::MIN), "-1.7014118346046924e35"),
        ],
    );
    becomes(decimal, FieldType::Int64, &[(value(12_000), "12"), (value(12_001), "!12.001 is no whole")]);
    let uuid = apache_avro::Uuid::from_u128(0xf81d_4fae_7dec_11d0_a765_00a0_c91e_6bf6);
    let expected = "\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"";
    for ty in [
        logical("string", "uuid"),
        logical("bytes", "uuid"),
        r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#.to_owned(),
    ] {
        becomes(&ty, FieldType::Utf8, &[(Value::Uuid(uuid), expected)]);
    }
}

#[test]
fn unions_enums_lists_and_nesting() {
    let union = |member, value| Value::Union(member, Box::new(value));
    becomes(
        r#"["null","long","string"]"#,
        FieldType::Int64,
        &[
            (union(0, Value::Null), "null"),
            (union(1, Value::Long(-7)), "-7"),
            (union(2, "a".into()), "!no number"),
        ],
    );
    becomes(
        r#"{"type":"array","items":["null","float"]}"#,
        FieldType::List(ItemType::Float32),
        &[
            (Value::Array(vec![]), "[]"),
            (Value::Array(vec![union(1, Value::Float(0.1)), union(1, Value::Float(f32::NAN))]), "[0.1, NaN]"),
            (Value::Array(vec![union(0, Value::Null)]), "!item 0 is null"),
        ],
    );
    let mut events = Avro::new(
        r#"{"type":"record","name":"N","fields":[{"name":"a","type":["null","N"]},
            {"name":"m","type":{"type":"map","values":"bytes"}},
            {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}}]}"#,
    );
    let map = Value::Map([("k\"".to_owned(), Value::Bytes(vec![1]))].into_iter().collect());
    let inner = |a| {
        let e = Value::Enum(1, "B".to_owned());
        Value::Record(vec![("a".to_owned(), a), ("m".to_owned(), map.clone()), ("e".to_owned(), e)])
    };
    let text = events.text(&inner(union(1, inner(union(0, Value::Null)))));
    let expected = r#""x":{"a":{"a":null,"m":{"k\"":"AQ=="},"e":"B"},"m":{"k\"":"AQ=="},"e":"B"}}"#;
    assert!(text.ends_with(expected), "{text}");
    check(&[text], FieldType::Utf8, &["!is no string"]);
}
