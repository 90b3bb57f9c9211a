//! Schemas that change: what one writes is read by another.

use crate::fixtures::{avro, long, protobuf, text};

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

fn x(ty: &str) -> String {
    record(&format!(r#"{{"name":"x","type":{ty}}}"#))
}

/// What a value of a field becomes when it is read by another type; `!` begins a part of what is wrong with it.
#[track_caller]
fn check(writer: &str, reader: &str, value: &[u8], expected: &str) {
    let mut decoder = avro(&x(writer), Some(&x(reader))).unwrap();
    match (text(&mut decoder, value), expected.strip_prefix('!')) {
        (Ok(text), None) => assert_eq!(text, format!("{{\"x\":{expected}}}")),
        (Err(problem), Some(part)) => assert!(problem.contains(part), "{problem}"),
        (outcome, _) => panic!("{outcome:?}, not {expected}"),
    }
}

#[track_caller]
fn check_unreadable(writer: &str, reader: &str, expected: &str) {
    let problem = avro(writer, Some(reader)).unwrap_err().to_string();
    assert!(problem.contains(" cannot read what ") && problem.contains(expected), "{problem}");
}

#[test]
fn numbers_become_wider_and_keep_their_digits() {
    let most = long(i64::MAX);
    for wider in ["\"long\"", "\"float\"", "\"double\""] {
        check("\"int\"", wider, &long(-7), "-7");
    }
    for wider in ["\"float\"", "\"double\""] {
        check("\"long\"", wider, &most, "9223372036854775807");
    }
    check("\"float\"", "\"double\"", &0.1_f32.to_le_bytes(), "0.10000000149011612");
    check("\"string\"", "\"bytes\"", &[4, 0xc3, 0xa9], "\"w6k=\"");
    check("\"bytes\"", "\"string\"", &[4, 0xc3, 0xa9], "\"é\"");
    check("\"bytes\"", "\"string\"", &[2, 0xc3], "!field x: is not UTF-8");
    for (writer, reader) in [("\"long\"", "\"int\""), ("\"double\"", "\"float\""), ("\"string\"", "\"long\"")] {
        check_unreadable(&x(writer), &x(reader), "cannot be read as");
    }
}

#[test]
fn the_readers_logical_type_counts() {
    let millis = r#"{"type":"long","logicalType":"timestamp-millis"}"#;
    let decimal = |scale| format!(r#"{{"type":"bytes","logicalType":"decimal","precision":9,"scale":{scale}}}"#);
    check("\"long\"", millis, &long(1), "\"1970-01-01T00:00:00.001000Z\"");
    check("\"int\"", millis, &long(1), "\"1970-01-01T00:00:00.001000Z\"");
    check(millis, "\"long\"", &long(1), "1");
    check("\"bytes\"", &decimal(1), &[2, 5], "0.5");
    check(&decimal(1), "\"bytes\"", &[2, 5], "\"BQ==\"");
    check_unreadable(&x(&decimal(1)), &x(&decimal(2)), "another scale");
}

#[test]
fn fields_are_known_by_name_or_alias_and_have_defaults() {
    let writer = record(
        r#"{"name":"gone","type":{"type":"map","values":"string"}},{"name":"b","type":"int"},
        {"name":"old","type":"string"},{"name":"a","type":"boolean"}"#,
    );
    let defaults = r#"{"name":"a","type":"boolean"},{"name":"new","aliases":["older","old"],"type":"string"},
        {"name":"b","type":"long"},
        {"name":"null","type":["null","int"],"default":null},
        {"name":"int","type":["int","null"],"default":-3},
        {"name":"double","type":"double","default":1},
        {"name":"float","type":"float","default":0.1},
        {"name":"bytes","type":"bytes","default":"\u0000\u00ff"},
        {"name":"string","type":"string","default":"é\"\n"},
        {"name":"fixed","type":{"type":"fixed","name":"F","size":2},"default":"ab"},
        {"name":"enum","type":{"type":"enum","name":"E","symbols":["A","B"]},"default":"B"},
        {"name":"array","type":{"type":"array","items":"long"},"default":[1,2]},
        {"name":"map","type":{"type":"map","values":"E"},"default":{"k":"A"}},
        {"name":"record","type":{"type":"record","name":"I","fields":[{"name":"i","type":"int"},
            {"name":"j","type":"string","default":"j"}]},"default":{"i":1}},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"},"default":1},
        {"name":"decimal","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2},
            "default":"\u0004\u00e2"}"#;
    let mut decoder = avro(&writer, Some(&record(defaults))).unwrap();
    let value = [&[2, 2, b'k', 2, b'v', 0][..], &[14, 2, b'o', 1]].concat();
    let expected = "{\"b\":7,\"new\":\"o\",\"a\":true,\"null\":null,\"int\":-3,\"double\":1.0,\
        \"float\":0.10000000149011612,\"bytes\":\"AP8=\",\"string\":\"é\\\"\\n\",\"fixed\":\"YWI=\",\"enum\":\"B\",\
        \"array\":[1,2],\"map\":{\"k\":\"A\"},\"record\":{\"i\":1,\"j\":\"j\"},\
        \"at\":\"1970-01-01T00:00:00.000001Z\",\"decimal\":12.50}";
    assert_eq!(text(&mut decoder, &value).unwrap(), expected);
    let without = record(r#"{"name":"z","type":"int"}"#);
    check_unreadable(&writer, &without, "z: the writer has no such field, and it has no default");
    // Not one field of the writer is wanted.
    let empty = record(r#"{"name":"z","type":"int","default":1}"#);
    assert_eq!(text(&mut avro(&writer, Some(&empty)).unwrap(), &value).unwrap(), r#"{"z":1}"#);
}

#[test]
fn types_are_known_by_name_or_alias() {
    let writer = r#"{"type":"record","name":"Old","namespace":"a.b","fields":[{"name":"x","type":"int"}]}"#;
    let reader = |head: &str| format!(r#"{{"type":"record",{head},"fields":[{{"name":"x","type":"long"}}]}}"#);
    for head in [
        r#""name":"Old""#,
        r#""name":"Old","namespace":"other""#,
        r#""name":"New","aliases":["a.b.Old"]"#,
        r#""name":"New","namespace":"a.b","aliases":["Old"]"#,
    ] {
        assert_eq!(text(&mut avro(writer, Some(&reader(head))).unwrap(), &[2]).unwrap(), r#"{"x":1}"#, "{head}");
    }
    check_unreadable(writer, &reader(r#""name":"New""#), "Record a.b.Old cannot be read as Record New");
    let fixed = |name: &str, size: u32| format!(r#"{{"type":"fixed","name":"{name}","size":{size}}}"#);
    check(&fixed("F", 1), &fixed("F", 1), &[1], "\"AQ==\"");
    check_unreadable(&x(&fixed("F", 1)), &x(&fixed("F", 2)), "cannot be read");
    check_unreadable(&x(&fixed("F", 1)), &x(&fixed("G", 1)), "cannot be read");
}

#[test]
fn symbols_that_are_unknown_become_the_default() {
    let writer = r#"{"type":"enum","name":"E","symbols":["A","B","C"]}"#;
    let reader = r#"{"type":"enum","name":"E","symbols":["C","A"]}"#;
    let default = r#"{"type":"enum","name":"E","symbols":["C","A"],"default":"A"}"#;
    check(writer, reader, &long(2), "\"C\"");
    check(writer, default, &long(1), "\"A\"");
    check(writer, reader, &long(1), "!field x: does not fit the reader's schema: it has no symbol B");
}

#[test]
fn unions_are_read_member_by_member() {
    check(r#"["null","int"]"#, r#"["string","long","null"]"#, &[2, 14], "7");
    check(r#"["null","int"]"#, "\"long\"", &[2, 14], "7");
    check(
        r#"["null","int"]"#,
        "\"long\"",
        &[0],
        "!field x: does not fit the reader's schema: Null cannot be read as",
    );
    check("\"int\"", r#"["null","double","int"]"#, &[14], "7");
    check("\"bytes\"", r#"["string","bytes"]"#, &[2, 7], "\"Bw==\"");
    check_unreadable(&x(r#"["null","int"]"#), &x("\"string\""), "Null cannot be read as String");
    check_unreadable(&x("\"int\""), &x(r#"["null","string"]"#), "cannot be read as");
    let writer = r#"[{"type":"record","name":"A","fields":[{"name":"a","type":"int"}]},
        {"type":"record","name":"B","fields":[{"name":"b","type":"int"}]}]"#;
    check(writer, writer, &[2, 14], r#"{"b":7}"#);
}

#[test]
fn what_contains_itself_is_read_by_what_contains_itself() {
    let list = |ty: &str, more: &str| {
        format!(
            r#"{{"type":"record","name":"L","fields":[{{"name":"v","type":"{ty}"}},
            {{"name":"next","type":["null","L"]}}{more}]}}"#
        )
    };
    let reader = list("long", r#",{"name":"d","type":"int","default":0}"#);
    let mut decoder = avro(&list("int", ""), Some(&reader)).unwrap();
    let expected = r#"{"v":1,"next":{"v":2,"next":null,"d":0},"d":0}"#;
    assert_eq!(text(&mut decoder, &[2, 2, 4, 0]).unwrap(), expected);
    // Where it does not fit, it does not fit inside either.
    check_unreadable(&list("int", ""), &list("string", ""), "v: Int cannot be read as String");
    check_unreadable(&list("int", ""), &list("int", r#",{"name":"d","type":"int"}"#), "no default");
    // A default that would never end.
    let endless = record(
        r#"{"name":"i","type":{"type":"record","name":"I","fields":[
        {"name":"i","type":"I","default":{}}]},"default":{}}"#,
    );
    assert!(avro(&record(""), Some(&endless)).is_err());
}

#[test]
fn fields_of_protobuf_are_known_by_number() {
    let mut first = protobuf("message M { int32 a = 1; string b = 2; }");
    let mut second =
        protobuf("message M { string c = 2; int64 renamed = 1; repeated int32 d = 3; optional bool e = 4; }");
    let value = [0x08, 7, 0x12, 1, b'b'];
    assert_eq!(text(&mut first, &value).unwrap(), r#"{"a":7,"b":"b"}"#);
    assert_eq!(text(&mut second, &value).unwrap(), r#"{"renamed":7,"c":"b","d":[]}"#);
    // Lists come packed, one by one, and in parts; unknown fields of every kind are passed over.
    let newer = [
        &value[..],
        &[0x1a, 2, 1, 2, 0x18, 3, 0x1a, 1, 4, 0x20, 0],
        &[0x28, 1, 0x31, 1, 2, 3, 4, 5, 6, 7, 8, 0x3a, 1, 0, 0x45, 1, 2, 3, 4, 0x4b, 0x08, 1, 0x4c],
    ]
    .concat();
    assert_eq!(text(&mut first, &newer).unwrap(), r#"{"a":7,"b":"b"}"#);
    assert_eq!(text(&mut second, &newer).unwrap(), r#"{"renamed":7,"c":"b","d":[1,2,3,4],"e":false}"#);
    // The last of several counts, of a oneof too, and parts of a message are put together.
    let mut decoder = protobuf(
        "message M { int32 a = 1; oneof o { int32 b = 2; string c = 3; } N n = 4; } \
                                message N { int32 x = 1; int32 y = 2; }",
    );
    let value = [0x08, 1, 0x08, 2, 0x10, 5, 0x1a, 1, b'c', 0x22, 2, 0x08, 1, 0x22, 2, 0x10, 2];
    assert_eq!(text(&mut decoder, &value).unwrap(), r#"{"a":2,"c":"c","n":{"x":1,"y":2}}"#);
}
