//! Values that nobody should send.

use crate::fixtures::{Seeded, avro, long, protobuf, text};

/// Every type, and a record that contains itself.
const EVERYTHING: &str = r#"{"type":"record","name":"R","fields":[
    {"name":"null","type":"null"},{"name":"bool","type":"boolean"},{"name":"int","type":"int"},
    {"name":"long","type":"long"},{"name":"float","type":"float"},{"name":"double","type":"double"},
    {"name":"bytes","type":"bytes"},{"name":"string","type":"string"},
    {"name":"fixed","type":{"type":"fixed","name":"F","size":3}},
    {"name":"enum","type":{"type":"enum","name":"E","symbols":["A","B"]}},
    {"name":"array","type":{"type":"array","items":"string"}},
    {"name":"map","type":{"type":"map","values":["null","long"]}},
    {"name":"decimal","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
    {"name":"big","type":{"type":"bytes","logicalType":"big-decimal"}},
    {"name":"uuid","type":{"type":"bytes","logicalType":"uuid"}},
    {"name":"nanos","type":{"type":"long","logicalType":"timestamp-nanos"}},
    {"name":"date","type":{"type":"int","logicalType":"date"}},
    {"name":"next","type":["null","R"]}]}"#;

/// Less of it, in another order, and something new.
const LESS: &str = r#"{"type":"record","name":"R","fields":[
    {"name":"next","type":["R","null"]},{"name":"int","type":"double"},
    {"name":"array","type":{"type":"array","items":"bytes"}},{"name":"new","type":"string","default":"d"}]}"#;

/// A value of [`EVERYTHING`] without its last field.
fn everything() -> Vec<u8> {
    let mut value = vec![1];
    value.extend(long(i64::from(i32::MIN)));
    value.extend(long(i64::MAX));
    value.extend(0.1_f32.to_le_bytes());
    value.extend(f64::MIN_POSITIVE.to_le_bytes());
    value.extend([4, 0, 255, 4, 0xc3, 0xa9, 1, 2, 3, 2]);
    // An array in two blocks, the second with its size; a map.
    value.extend([2, 2, b'a', 1, 6, 2, b'b', 0]);
    value.extend([4, 2, b'k', 0, 2, b'l', 2, 13, 0]);
    // A decimal, one with its own scale, a UUID.
    value.extend([4, 0x04, 0xe2, 6, 2, 5, 2, 32]);
    value.extend(0..16);
    value.extend(long(-1));
    value.extend(long(15_706));
    value
}

fn whole() -> Vec<u8> {
    [everything(), vec![2], everything(), vec![0]].concat()
}

#[test]
fn a_value_is_the_whole_value() {
    let mut decoder = avro(EVERYTHING, None).unwrap();
    let whole = whole();
    let inner = "\"null\":null,\"bool\":true,\"int\":-2147483648,\"long\":9223372036854775807,\
        \"float\":0.10000000149011612,\"double\":2.2250738585072014e-308,\"bytes\":\"AP8=\",\"string\":\"é\",\
        \"fixed\":\"AQID\",\"enum\":\"B\",\"array\":[\"a\",\"b\"],\"map\":{\"k\":null,\"l\":-7},\"decimal\":12.50,\
        \"big\":5e-1,\"uuid\":\"00010203-0405-0607-0809-0a0b0c0d0e0f\",\
        \"nanos\":\"1969-12-31T23:59:59.999999999Z\",\"date\":\"2013-01-01T00:00:00.000000Z\",\"next\":";
    assert_eq!(text(&mut decoder, &whole).unwrap(), format!("{{{inner}{{{inner}null}}}}"));
    for length in 0..whole.len() {
        let problem = text(&mut decoder, &whole[..length]).unwrap_err();
        assert!(problem.ends_with("ends in the middle"), "{length}: {problem}");
    }
    let longer = [&whole[..], &[0, 0]].concat();
    assert_eq!(text(&mut decoder, &longer).unwrap_err(), "the value has 2 bytes more than its schema describes");
}

#[test]
fn no_bytes_do_harm() {
    let mut decoder = avro(EVERYTHING, None).unwrap();
    let mut resolving = avro(EVERYTHING, Some(LESS)).unwrap();
    let mut proto = protobuf(
        "message M { M m = 1; repeated int64 i = 2; map<string, M> n = 3; string s = 4; double d = 5; E e = 6; \
         oneof o { bytes b = 7; float f = 8; } repeated M r = 9; } enum E { Z = 0; }",
    );
    let (mut random, whole) = (Seeded(20_261_121), whole());
    for round in 0..30_000 {
        let value: Vec<u8> = match round % 3 {
            0 => (0..random.below(80)).map(|_| random.next() as u8).collect(),
            // Small numbers, which are lengths, tags and members.
            1 => (0..random.below(80)).map(|_| random.below(12) as u8 * 7 % 90).collect(),
            _ => {
                let mut value = whole.clone();
                for _ in 0..=random.below(4) {
                    let at = random.below(value.len() as u64) as usize;
                    value[at] = random.next() as u8;
                }
                value
            }
        };
        let _ = text(&mut decoder, &value);
        let _ = text(&mut proto, &value);
        let _ = text(&mut resolving, &value);
    }
    assert!(text(&mut decoder, &whole).is_ok(), "what came before leaves nothing");
    let expected = r#"{"int":-2147483648,"array":["YQ==","Yg=="],"next":{"int":-2147483648,"array":["YQ==","Yg=="],"next":null,"new":"d"},"new":"d"}"#;
    assert_eq!(text(&mut resolving, &whole).unwrap(), expected);
}

#[test]
fn nesting_ends_somewhere() {
    let schema = r#"{"type":"record","name":"N","fields":[{"name":"next","type":["null","N"]}]}"#;
    let mut decoder = avro(schema, None).unwrap();
    let nested = |levels: usize| [vec![2; levels], vec![0]].concat();
    assert!(text(&mut decoder, &nested(40)).is_ok());
    let problem = text(&mut decoder, &nested(1_000_000)).unwrap_err();
    assert!(problem.ends_with("next: is nested more than 100 levels deep"), "{problem}");

    let mut decoder = protobuf("message M { M m = 1; }");
    let mut value = Vec::new();
    for _ in 0..1_000 {
        let mut length = value.len();
        let mut outer = vec![0x0a];
        while length >= 0x80 {
            outer.push(length as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.append(&mut value);
        value = outer;
    }
    let problem = text(&mut decoder, &value).unwrap_err();
    assert!(problem.contains("recursion limit"), "{problem}");
}

#[test]
fn what_a_value_says_of_its_lengths_is_not_believed() {
    let field = |ty: &str| format!(r#"{{"type":"record","name":"R","fields":[{{"name":"x","type":{ty}}}]}}"#);
    let check = |ty: &str, value: &[u8], expected: &str| {
        let mut decoder = avro(&field(ty), None).unwrap();
        let mut out = Vec::new();
        let problem = decoder.decode(value, &mut out).unwrap_err().to_string();
        assert!(problem.starts_with("field x") && problem.ends_with(expected), "{problem}");
        out.capacity()
    };
    for length in [2, 1 << 20, 1 << 40, i64::MAX] {
        for ty in ["\"bytes\"", "\"string\""] {
            assert!(check(ty, &long(length), "ends in the middle") < 4096);
        }
        check(r#"{"type":"array","items":"long"}"#, &long(length), "ends in the middle");
        check(r#"{"type":"map","values":"null"}"#, &long(length), "ends in the middle");
    }
    check("\"bytes\"", &long(-1), "has a length of -1");
    check("\"string\"", &long(i64::MIN), "has a length of -9223372036854775808");
    check(r#"{"type":"fixed","name":"F","size":2147483647}"#, &[1], "ends in the middle");
    // Nulls take no bytes.
    let nulls = r#"{"type":"array","items":"null"}"#;
    check(nulls, &long(i64::MAX), "becomes more than 16777216 bytes of JSON");
    check(nulls, &[long(i64::MIN), long(0)].concat(), "becomes more than 16777216 bytes of JSON");
    check("\"long\"", &[0xff; 11], "too large for its type");
    check("\"long\"", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], "too large for its type");
    check("\"int\"", &long(1 << 31), "too large for its type");
    check("\"boolean\"", &[2], "is no bool but the byte 0x02");
    check("\"string\"", &[2, 0xff], "is not UTF-8");
    check(r#"{"type":"map","values":"null"}"#, &[2, 2, 0xff, 0], "is not UTF-8");
    check(r#"["null","int"]"#, &[4], "is number 2 of 2");
    check(r#"["null","int"]"#, &[1], "is number -1 of 2");
    check(r#"{"type":"enum","name":"E","symbols":["A"]}"#, &[2], "is number 1 of 1");
    check(r#"{"type":"bytes","logicalType":"uuid"}"#, &[2, 0], "has 1 bytes, and a UUID has 16");
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#;
    check(decimal, &[long(257), vec![1; 257]].concat(), "is a decimal number of 257 bytes, more than 256");
    let lists = r#"{"type":"array","items":{"type":"map","values":"boolean"}}"#;
    check(lists, &[4, 2, 2, b'k', 1, 0, 2, 2, b'l', 7], "field x[1][l]: is no bool but the byte 0x07");
}

#[test]
fn parts_that_are_skipped_and_take_no_bytes_are_counted() {
    let nulls: Vec<_> = (0..20).map(|n| format!(r#"{{"name":"n{n}","type":"null"}}"#)).collect();
    let writer = |fields: &str| {
        format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"x","type":{{"type":"array","items":
            {{"type":"record","name":"I","fields":[{fields}]}}}}}}]}}"#
        )
    };
    let mut decoder = avro(&writer(&nulls.join(",")), Some(&writer(""))).unwrap();
    let problem = text(&mut decoder, &long(i64::MAX)).unwrap_err();
    assert!(problem.ends_with("has more than 16777216 parts"), "{problem}");
}

#[test]
fn a_value_of_protobuf_may_be_cut_between_its_fields_only() {
    let mut decoder = protobuf("message M { string s = 1; repeated int32 i = 2; fixed64 f = 3; }");
    let value = [0x0a, 2, b'a', b'b', 0x12, 2, 1, 2, 0x19, 1, 0, 0, 0, 0, 0, 0, 0x80];
    for length in 0..=value.len() {
        let whole = [0, 4, 8, 17].contains(&length);
        assert_eq!(text(&mut decoder, &value[..length]).is_ok(), whole, "{length}");
    }
    let expected = r#"{"s":"ab","i":[1,2],"f":9223372036854775809}"#;
    assert_eq!(text(&mut decoder, &value).unwrap(), expected);
    for (bad, expected) in [
        (&[0x0a, 2, 0xff, 0xff][..], "UTF-8"),
        (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f, 1], "buffer underflow"),
        (&[0x08, 1], "wire type"),
        (&[0x0f], "wire type"),
        (&[0x00], "tag"),
        (&[0x2a, 0xff], ""),
    ] {
        let problem = text(&mut decoder, bad).unwrap_err();
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn a_timestamp_beyond_its_years_is_named() {
    let mut decoder = protobuf(
        "import \"google/protobuf/timestamp.proto\"; message M { repeated google.protobuf.Timestamp t = 1; }",
    );
    let problem = text(&mut decoder, &[0x0a, 0, 0x0a, 4, 0x10, 0x80, 0x80, 0x01]);
    assert_eq!(problem.unwrap(), r#"{"t":["1970-01-01T00:00:00.000000Z","1970-01-01T00:00:00.000016384Z"]}"#);
    let negative = [0x0a, 11, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let problem = text(&mut decoder, &negative).unwrap_err();
    assert_eq!(problem, "field t[0]: is no timestamp: 0 seconds and -1 nanoseconds");
    let late = [0x0a, 6, 0x08, 0x80, 0xcb, 0xef, 0xff, 0xff];
    assert!(text(&mut decoder, &late).is_err());
}
