//! The conversions of JSON values.

use trifold_model::{FieldType, ItemType};

use crate::fixtures::{lines, outcomes};

/// Checks what a JSON value becomes; `!` begins a part of what is wrong with it.
#[track_caller]
fn check(ty: FieldType, cases: &[(&str, &str)]) {
    let row = |(n, (json, _)): (usize, &(&str, &str))| {
        format!("{{\"k\":\"key\",\"event_time\":0,\"event_id\":\"{n}\",\"x\":{json}}}\n")
    };
    let text: String = cases.iter().enumerate().map(row).collect();
    let outcomes = outcomes(&lines(&text), ty).unwrap();
    assert_eq!(outcomes.len(), cases.len());
    for (outcome, (json, expected)) in outcomes.iter().zip(cases) {
        match (outcome, expected.strip_prefix('!')) {
            (Ok(value), None) => assert_eq!(value, expected, "{json} as {ty}"),
            (Err(detail), Some(part)) => {
                assert!(
                    detail.starts_with("decode: ") && detail.contains(part),
                    "{json} as {ty}: {detail}, not {part}"
                );
            }
            _ => panic!("{json} as {ty}: {outcome:?}, not {expected}"),
        }
    }
}

#[test]
fn null_is_null_for_every_type() {
    for ty in FieldType::ALL {
        check(ty, &[("null", "null"), ("null,\"y\":1", "null")]);
        check(ty, &[("{}", "!input x: {} is no")]);
    }
}

#[test]
fn bools_and_text() {
    check(
        FieldType::Bool,
        &[("true", "true"), ("false", "false"), ("1", "!1 is no bool"), ("\"true\"", "!is no bool")],
    );
    check(
        FieldType::Utf8,
        &[
            ("\"\"", "\"\""),
            ("\"a\\u00e9\\n\\ud83d\\ude00\"", "\"aé\\n😀\""),
            ("\"\\ud800\"", "!is not UTF-8"),
            ("1", "!1 is no string"),
            ("[\"a\"]", "!is no string"),
        ],
    );
    check(
        FieldType::Binary,
        &[
            ("\"\"", "[]"),
            ("\"AP8=\"", "[00, ff]"),
            ("\"AP8\"", "!base64"),
            ("\"_-8=\"", "!base64"),
            ("1", "!string"),
        ],
    );
}

#[test]
fn integers_come_from_whole_numbers() {
    check(
        FieldType::Int64,
        &[
            ("0", "0"),
            ("-0", "0"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775808", "!9223372036854775808 is no whole number within int64"),
            ("-9223372036854775809", "!within int64"),
            ("7.0", "7"),
            ("7.5", "!7.5 is no whole"),
            ("0.0e-9999999999999999999", "0"),
            ("0.00e99", "0"),
            ("7e2", "700"),
            ("700e-2", "7"),
            ("7.25E+2", "725"),
            ("9.223372036854775807e18", "9223372036854775807"),
            ("9.223372036854775808e18", "!within int64"),
            ("1e18", "1000000000000000000"),
            ("1e19", "!within int64"),
            ("1e400", "!within int64"),
            ("1e-1", "!within int64"),
            ("1e99999999999999999999", "!within int64"),
            ("\"7\"", "!\"7\" is no number"),
            ("true", "!true is no number"),
        ],
    );
}

#[test]
fn floats_round_once_to_their_own_type() {
    check(
        FieldType::Float64,
        &[
            ("0.1", "0.1"),
            ("-0", "-0.0"),
            ("-0.0", "-0.0"),
            ("9007199254740992", "9007199254740992.0"),
            ("9007199254740993", "!9007199254740993 has no exact float64"),
            ("9007199254740993.0", "9007199254740992.0"),
            ("100000000000000000000", "1e20"),
            ("1e308", "1e308"),
            ("1e309", "!no exact float64"),
            ("5e-324", "5e-324"),
            ("\"NaN\"", "NaN"),
            ("\"Infinity\"", "inf"),
            ("\"-Infinity\"", "-inf"),
            ("\"nan\"", "!is no number"),
            ("\"1.0\"", "!is no number"),
        ],
    );
    check(
        FieldType::Float32,
        &[
            ("0.1", "0.1"),
            ("16777216", "16777216.0"),
            ("16777217", "!16777217 has no exact float32"),
            ("3.4028236e38", "!no exact float32"),
            // A hair above the middle of 1 and the next single: rounding to a double first would lose the hair.
            ("1.00000005960464477540", "1.0000001"),
            ("1.0000000596046447753906251", "1.0000001"),
            ("1.000000059604644775390625", "1.0"),
            ("\"NaN\"", "NaN"),
            ("\"-Infinity\"", "-inf"),
        ],
    );
}

#[test]
fn times_are_text_or_microseconds() {
    check(
        FieldType::Timestamp,
        &[
            ("1", "1"),
            ("1.5", "!no whole number"),
            ("\"1970-01-01T00:00:00.000001Z\"", "1"),
            ("\"2013-01-01T05:15:00-05:00\"", "1357035300000000"),
            ("\"1970-01-01T00:00:00.0000001Z\"", "!has a fraction of a microsecond"),
            ("\"1970-01-01T00:00:00\"", "!is not a time of the form"),
            ("\"2013-02-30T00:00:00Z\"", "!names a day that does not exist"),
            ("true", "!true is no string"),
        ],
    );
}

#[test]
fn arrays_convert_item_by_item() {
    check(
        FieldType::List(ItemType::Float32),
        &[
            ("[]", "[]"),
            ("[0.1, \"NaN\" ,1]", "[0.1, NaN, 1.0]"),
            ("[0.1,null]", "!item 1 is null"),
            ("[[1]]", "!item 0: [1] is no number"),
            ("1", "!1 is no array"),
        ],
    );
    check(FieldType::List(ItemType::Float64), &[("[0.1,1e309]", "!item 1: 1e309"), ("[2]", "[2.0]")]);
    check(FieldType::List(ItemType::Int64), &[("[1,2.5]", "!item 1: 2.5"), ("[1,2.0]", "[1, 2]")]);
    check(
        FieldType::List(ItemType::Utf8),
        &[("[\"a\",\"\\t\"]", "[\"a\", \"\\t\"]"), ("[1]", "!item 0: 1 is no string")],
    );
}

#[test]
fn a_key_that_stands_twice_has_no_value() {
    check(FieldType::Int64, &[("1,\"x\":1", "!input x: its key stands twice"), ("1,\"y\":1,\"y\":2", "1")]);
}
