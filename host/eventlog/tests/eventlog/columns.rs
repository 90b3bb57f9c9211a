//! The conversions of Arrow columns: every cell of the published table, and the boundaries.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Int32Builder, LargeListBuilder, ListBuilder, StringBuilder};
use arrow_array::types::{
    Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::*;
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer, i256};
use arrow_schema::{DataType, Field, TimeUnit};
use parquet::arrow::ArrowWriter;
use trifold_eventlog::{FileLog, LogError, LogOptions, RawRows};
use trifold_model::{FieldType, ItemType};

use crate::fixtures::{columns, decoded, field, outcomes, shown, view};

const FLOATS: FieldType = FieldType::List(ItemType::Float64);

fn array<A: Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

/// A row of each type that the table names.
fn samples() -> BTreeMap<&'static str, Vec<ArrayRef>> {
    let items = || array(Int32Array::from(vec![1, 2]));
    let item = || Arc::new(Field::new("item", DataType::Int32, true));
    let structs = StructArray::from(vec![(Arc::new(Field::new("a", DataType::Int32, true)), items())]);
    BTreeMap::from([
        ("bool", vec![array(BooleanArray::from(vec![true]))]),
        ("int8", vec![array(Int8Array::from(vec![1]))]),
        ("int16", vec![array(Int16Array::from(vec![1]))]),
        ("int32", vec![array(Int32Array::from(vec![1]))]),
        ("int64", vec![array(Int64Array::from(vec![1]))]),
        ("uint8", vec![array(UInt8Array::from(vec![1]))]),
        ("uint16", vec![array(UInt16Array::from(vec![1]))]),
        ("uint32", vec![array(UInt32Array::from(vec![1]))]),
        ("uint64", vec![array(UInt64Array::from(vec![1]))]),
        ("float16", vec![array(half(&[1.0]))]),
        ("float32", vec![array(Float32Array::from(vec![1.0]))]),
        ("float64", vec![array(Float64Array::from(vec![1.0]))]),
        ("utf8", vec![array(StringArray::from(vec!["a"]))]),
        ("large_utf8", vec![array(LargeStringArray::from(vec!["a"]))]),
        ("utf8_view", vec![array(StringViewArray::from(vec!["a"]))]),
        ("dictionary of utf8", vec![array(DictionaryArray::<Int32Type>::from_iter(["a"]))]),
        ("binary", vec![array(BinaryArray::from(vec![b"a".as_slice()]))]),
        ("large_binary", vec![array(LargeBinaryArray::from(vec![b"a".as_slice()]))]),
        ("binary_view", vec![array(BinaryViewArray::from(vec![b"a".as_slice()]))]),
        ("fixed_size_binary", vec![array(FixedSizeBinaryArray::from(vec![b"a"]))]),
        ("timestamp(s)", vec![array(TimestampSecondArray::from(vec![1]))]),
        ("timestamp(ms)", vec![array(TimestampMillisecondArray::from(vec![1]))]),
        ("timestamp(us)", vec![array(TimestampMicrosecondArray::from(vec![1]))]),
        ("timestamp(ns)", vec![array(TimestampNanosecondArray::from(vec![1_000]))]),
        ("date32", vec![array(Date32Array::from(vec![1]))]),
        ("date64", vec![array(Date64Array::from(vec![1]))]),
        ("list", vec![array(ListArray::new(item(), OffsetBuffer::from_lengths([2]), items(), None))]),
        ("large_list", vec![array(LargeListArray::new(item(), OffsetBuffer::from_lengths([2]), items(), None))]),
        ("fixed_size_list", vec![array(FixedSizeListArray::new(item(), 2, items(), None))]),
        ("null", vec![array(NullArray::new(1))]),
        (
            "decimal128, time64, interval, struct, map",
            vec![
                array(Decimal128Array::from(vec![1])),
                array(Decimal256Array::from(vec![i256::ONE])),
                array(Time64MicrosecondArray::from(vec![1])),
                array(IntervalYearMonthArray::from(vec![1])),
                array(structs),
            ],
        ),
    ])
}

fn half(values: &[f32]) -> Float16Array {
    // The crate of half floats is only reached through their array's native type.
    let native = |value: &f32| <Float16Type as types::ArrowPrimitiveType>::Native::from_f32(*value);
    Float16Array::from_iter_values(values.iter().map(native))
}

fn types_of(column: &str) -> Vec<FieldType> {
    match column {
        "list" => FieldType::ALL.into_iter().filter(|ty| matches!(ty, FieldType::List(_))).collect(),
        scalar => vec![scalar.parse().unwrap()],
    }
}

#[test]
fn the_published_table_says_what_the_code_does() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/CONVERSIONS.md")).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip_while(|line| !line.starts_with("| column |"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let samples = samples();
    assert_eq!(rows.len(), samples.len() + 2, "one row for each sample");
    let mut cells = 0;
    for row in &rows[2..] {
        for (column, cell) in rows[0].iter().zip(row).skip(1) {
            for (ty, sample) in types_of(column).iter().flat_map(|ty| samples[row[0]].iter().map(move |s| (ty, s)))
            {
                let converts = match outcomes(&columns(vec![("x", sample.clone())]), *ty) {
                    Ok(_) => true,
                    Err(LogError::ColumnType { .. }) => false,
                    Err(other) => panic!("{}: {other}", row[0]),
                };
                // The items of the sample lists are integers, which have no conversion to text.
                let expected = *cell != "-" && !(*cell == "items" && *ty == FieldType::List(ItemType::Utf8));
                assert_eq!(converts, expected, "{} ({}) to {ty}", row[0], sample.data_type());
                cells += 1;
            }
        }
    }
    assert_eq!(cells, (30 + 5) * FieldType::ALL.len());
}

/// Checks what values become; `!` begins a part of what is wrong with one.
#[track_caller]
fn check(source: ArrayRef, ty: FieldType, expected: &[&str]) {
    let from = source.data_type().clone();
    // The same values as a slice from the middle of a larger column.
    let padded = arrow_select::concat::concat(&[&source, &source]).unwrap().slice(1, source.len());
    let turned: Vec<&str> = expected[1..].iter().chain(&expected[..1]).copied().collect();
    for (source, expected) in [(source, expected), (padded, &turned)] {
        let outcomes = outcomes(&columns(vec![("x", source)]), ty).unwrap();
        assert_eq!(outcomes.len(), expected.len());
        for (outcome, expected) in outcomes.iter().zip(expected) {
            match (outcome, expected.strip_prefix('!')) {
                (Ok(value), None) => assert_eq!(value, expected, "{from} to {ty}"),
                (Err(detail), Some(part)) => {
                    assert!(
                        detail.starts_with("decode: input x: ") && detail.contains(part),
                        "{detail}, not {part}"
                    );
                }
                _ => panic!("{from} to {ty}: {outcome:?}, not {expected}"),
            }
        }
    }
}

fn numbers<T: types::ArrowPrimitiveType>(values: Vec<T::Native>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_iter_values(values))
}

#[test]
fn integers_keep_their_value_or_are_refused() {
    use FieldType::{Float32, Float64, Int64};
    check(numbers::<Int8Type>(vec![i8::MIN, i8::MAX]), Int64, &["-128", "127"]);
    check(numbers::<Int16Type>(vec![i16::MIN, i16::MAX]), Int64, &["-32768", "32767"]);
    check(numbers::<Int32Type>(vec![i32::MIN, i32::MAX]), Int64, &["-2147483648", "2147483647"]);
    check(numbers::<Int64Type>(vec![i64::MIN, i64::MAX]), Int64, &["-9223372036854775808", "9223372036854775807"]);
    check(numbers::<UInt8Type>(vec![0, u8::MAX]), Int64, &["0", "255"]);
    check(numbers::<UInt16Type>(vec![0, u16::MAX]), Int64, &["0", "65535"]);
    check(numbers::<UInt32Type>(vec![0, u32::MAX]), Int64, &["0", "4294967295"]);
    let end = i64::MAX as u64;
    check(
        numbers::<UInt64Type>(vec![end, end + 1]),
        Int64,
        &["9223372036854775807", "!9223372036854775808 is no whole"],
    );

    let double = 1_i64 << 53;
    check(
        numbers::<Int64Type>(vec![double, -double, double + 1, -double - 1, i64::MAX, i64::MIN]),
        Float64,
        &[
            "9007199254740992.0",
            "-9007199254740992.0",
            "!9007199254740993 has no exact float64",
            "!-9007199254740993",
            "!9223372036854775807",
            "-9.223372036854776e18",
        ],
    );
    check(
        numbers::<UInt64Type>(vec![1 << 53, u64::MAX]),
        Float64,
        &["9007199254740992.0", "!18446744073709551615"],
    );
    check(numbers::<UInt32Type>(vec![u32::MAX]), Float64, &["4294967295.0"]);
    check(numbers::<Int8Type>(vec![-1]), Float64, &["-1.0"]);

    let single = 1_i32 << 24;
    check(
        numbers::<Int32Type>(vec![single, single + 1, -single]),
        Float32,
        &["16777216.0", "!16777217", "-16777216.0"],
    );
    check(numbers::<Int64Type>(vec![1 << 24, (1 << 24) + 1]), Float32, &["16777216.0", "!no exact float32"]);
    check(numbers::<UInt32Type>(vec![1 << 24, (1 << 24) + 1]), Float32, &["16777216.0", "!16777217"]);
    check(numbers::<UInt64Type>(vec![1 << 24, u64::MAX]), Float32, &["16777216.0", "!18446744073709551615"]);
    check(numbers::<UInt16Type>(vec![u16::MAX]), Float32, &["65535.0"]);
}

#[test]
fn floats_keep_their_value_or_are_refused() {
    use FieldType::{Float32, Float64, Int64};
    let specials = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0];
    check(numbers::<Float64Type>(specials.clone()), Float64, &["NaN", "inf", "-inf", "-0.0"]);
    check(numbers::<Float64Type>(specials.clone()), Float32, &["NaN", "inf", "-inf", "-0.0"]);
    check(numbers::<Float64Type>(specials), Int64, &["!NaN is no whole", "!inf", "!-inf", "0"]);
    check(numbers::<Float64Type>(vec![0.5, 0.1, 1e300]), Float32, &["0.5", "!0.1 has no exact float32", "!1e300"]);
    check(
        numbers::<Float64Type>(vec![7.0, 7.5, 9_223_372_036_854_775_808.0, -9_223_372_036_854_775_808.0]),
        Int64,
        &["7", "!7.5 is no whole number", "!9.223372036854776e18", "-9223372036854775808"],
    );
    check(numbers::<Float32Type>(vec![0.1, 1.0]), Float64, &["0.10000000149011612", "1.0"]);
    check(numbers::<Float32Type>(vec![7.0, 7.5]), Int64, &["7", "!7.5"]);
    check(array(half(&[1.5, f32::NAN])), Float64, &["1.5", "NaN"]);
    check(array(half(&[1.5, f32::INFINITY])), Float32, &["1.5", "inf"]);
    check(array(half(&[2.0, 1.5])), Int64, &["2", "!1.5"]);
}

#[test]
fn every_nan_becomes_the_canonical_one() {
    let odd = f64::from_bits(0xfff0_0000_0000_0001);
    let odd_single = f32::from_bits(0xff80_0001);
    let sources: [(ArrayRef, FieldType); 5] = [
        (numbers::<Float64Type>(vec![odd]), FieldType::Float64),
        (numbers::<Float64Type>(vec![odd]), FieldType::Float32),
        (numbers::<Float32Type>(vec![odd_single]), FieldType::Float32),
        (numbers::<Float32Type>(vec![odd_single]), FieldType::Float64),
        (list(vec![Some(vec![Some(odd)])]), FLOATS),
    ];
    for (source, ty) in sources {
        let events = decoded(&columns(vec![("x", source)]), &view(vec![field("x", ty, false)])).unwrap();
        let array = events.inputs.column_by_name("x").unwrap();
        assert_eq!(&trifold_model::canonical_nans(array.clone()).to_data(), &array.to_data());
        let bits = match ty {
            FieldType::Float32 => u64::from(cast::as_primitive_array::<Float32Type>(array).value(0).to_bits()),
            FieldType::Float64 => cast::as_primitive_array::<Float64Type>(array).value(0).to_bits(),
            _ => cast::as_primitive_array::<Float64Type>(cast::as_list_array(array).values()).value(0).to_bits(),
        };
        assert!(bits == 0x7fc0_0000 || bits == 0x7ff8_0000_0000_0000, "{bits:x}");
    }
}

#[test]
fn text_and_bytes_are_kept_and_text_must_be_utf8() {
    let text = ["", "é\u{0}", "long enough to be no inline view at all"];
    let shown = ["\"\"", "\"é\\0\"", "\"long enough to be no inline view at all\""];
    let raw: Vec<&[u8]> = text.iter().map(|text| text.as_bytes()).collect();
    let sources: [ArrayRef; 7] = [
        array(StringArray::from(text.to_vec())),
        array(LargeStringArray::from(text.to_vec())),
        array(StringViewArray::from(text.to_vec())),
        array(DictionaryArray::<Int32Type>::from_iter(text)),
        array(BinaryArray::from(raw.clone())),
        array(LargeBinaryArray::from(raw.clone())),
        array(BinaryViewArray::from(raw.clone())),
    ];
    for source in sources {
        check(source.clone(), FieldType::Utf8, &shown);
        let bytes: Vec<String> = raw.iter().map(|bytes| format!("{bytes:02x?}")).collect();
        check(source, FieldType::Binary, &bytes.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let bad: Vec<&[u8]> = vec![b"ok", b"\xff\xfe", b"\xc3", b"\xa9", "é".as_bytes()];
    let expected = ["\"ok\"", "!is not UTF-8", "!is not UTF-8", "!is not UTF-8", "\"é\""];
    check(array(BinaryArray::from(bad.clone())), FieldType::Utf8, &expected);
    check(array(LargeBinaryArray::from(bad.clone())), FieldType::Utf8, &expected);
    check(array(BinaryViewArray::from(bad)), FieldType::Utf8, &expected);
    check(array(FixedSizeBinaryArray::from(vec![b"ab", b"\xff\xff"])), FieldType::Utf8, &["\"ab\"", "!UTF-8"]);
    check(
        array(FixedSizeBinaryArray::from(vec![b"ab", b"\xff\xff"])),
        FieldType::Binary,
        &["[61, 62]", "[ff, ff]"],
    );
    check(array(BooleanArray::from(vec![true, false])), FieldType::Bool, &["true", "false"]);
}

#[test]
fn times_are_microseconds_in_utc() {
    use FieldType::Timestamp;
    for zone in [None, Some("UTC"), Some("+05:30"), Some("America/New_York")] {
        let zoned = |unit| DataType::Timestamp(unit, zone.map(Into::into));
        let source = |values: ArrayRef, unit| {
            make_array(values.to_data().into_builder().data_type(zoned(unit)).build().unwrap())
        };
        let seconds = numbers::<TimestampSecondType>(vec![1, -1, i64::MAX / 1_000_000, i64::MAX / 1_000_000 + 1]);
        check(
            source(seconds, TimeUnit::Second),
            Timestamp,
            &["1000000", "-1000000", "9223372036854000000", "!lies beyond"],
        );
        let millis = numbers::<TimestampMillisecondType>(vec![1, i64::MIN]);
        check(source(millis, TimeUnit::Millisecond), Timestamp, &["1000", "!lies beyond"]);
        let micros = numbers::<types::TimestampMicrosecondType>(vec![i64::MIN, i64::MAX]);
        check(source(micros, TimeUnit::Microsecond), Timestamp, &["-9223372036854775808", "9223372036854775807"]);
        let nanos = numbers::<TimestampNanosecondType>(vec![1_000, -1_000, 1_001, -1]);
        check(
            source(nanos, TimeUnit::Nanosecond),
            Timestamp,
            &["1", "-1", "!1001 ns has a fraction of a microsecond", "!-1 ns"],
        );
    }
    check(numbers::<Date32Type>(vec![1, i32::MIN]), Timestamp, &["86400000000", "!lies beyond"]);
    check(numbers::<Date64Type>(vec![86_400_000, i64::MAX]), Timestamp, &["86400000000", "!lies beyond"]);
}

fn list(rows: Vec<Option<Vec<Option<f64>>>>) -> ArrayRef {
    array(ListArray::from_iter_primitive::<Float64Type, _, _>(rows))
}

#[test]
fn lists_convert_item_by_item() {
    check(
        list(vec![
            Some(vec![Some(1.0), Some(2.5)]),
            Some(vec![]),
            Some(vec![Some(0.5), None]),
            None,
            Some(vec![Some(7.0)]),
        ]),
        FLOATS,
        &["[1.0, 2.5]", "[]", "!item 1 is null", "null", "[7.0]"],
    );
    check(
        list(vec![
            Some(vec![Some(1.0), Some(2.5)]),
            None,
            Some(vec![Some(0.5), Some(3.0)]),
            Some(vec![Some(4.0)]),
        ]),
        FieldType::List(ItemType::Int64),
        &["!item 1: 2.5 is no whole number", "null", "!item 0: 0.5", "[4]"],
    );
    check(
        list(vec![Some(vec![Some(0.1)]), Some(vec![Some(0.5)])]),
        FieldType::List(ItemType::Float32),
        &["!item 0: 0.1", "[0.5]"],
    );

    let mut large = LargeListBuilder::new(Int32Builder::new());
    large.append_value([Some(1), Some(2)]);
    large.append_null();
    large.append_value([None]);
    let large = array(large.finish());
    check(large.clone(), FieldType::List(ItemType::Int64), &["[1, 2]", "null", "!item 0 is null"]);
    check(large, FLOATS, &["[1.0, 2.0]", "null", "!item 0 is null"]);

    let mut fixed = FixedSizeListBuilder::new(Int32Builder::new(), 2);
    for row in [Some([Some(1), Some(2)]), None, Some([Some(3), None]), Some([Some(5), Some(6)])] {
        row.unwrap_or([None, None]).into_iter().for_each(|item| fixed.values().append_option(item));
        fixed.append(row.is_some());
    }
    check(
        array(fixed.finish()),
        FieldType::List(ItemType::Float32),
        &["[1.0, 2.0]", "null", "!item 1 is null", "[5.0, 6.0]"],
    );

    let mut texts = ListBuilder::new(StringBuilder::new());
    texts.append_value([Some("a"), Some("")]);
    texts.append_value([Some("b")]);
    check(array(texts.finish()), FieldType::List(ItemType::Utf8), &["[\"a\", \"\"]", "[\"b\"]"]);
}

#[test]
fn what_lies_under_a_null_is_not_seen() {
    let nulls = || Some(NullBuffer::from(vec![true, false, true]));
    let offsets = || OffsetBuffer::from_lengths([1, 2, 1]);
    let items = array(Float64Array::from(vec![Some(1.0), None, Some(1e300), Some(2.0)]));
    let item = Arc::new(Field::new("item", DataType::Float64, true));
    let bytes = || b"a\xff\xfeb".as_slice().into();
    let cases: Vec<(ArrayRef, FieldType)> = vec![
        (array(Int64Array::new(ScalarBuffer::from(vec![1, 2, 3]), nulls())), FieldType::Int64),
        (array(Float64Array::new(ScalarBuffer::from(vec![1.0, 0.1, 3.0]), nulls())), FieldType::Float64),
        (array(Float64Array::new(ScalarBuffer::from(vec![1.0, 0.1, 3.0]), nulls())), FieldType::Float32),
        (array(TimestampMicrosecondArray::new(ScalarBuffer::from(vec![1, 2, 3]), nulls())), FieldType::Timestamp),
        (array(BooleanArray::new(vec![true, true, true].into(), nulls())), FieldType::Bool),
        (array(BinaryArray::new(offsets(), bytes(), nulls())), FieldType::Binary),
        (array(BinaryArray::new(offsets(), bytes(), nulls())), FieldType::Utf8),
        (array(ListArray::new(item.clone(), offsets(), items.clone(), nulls())), FLOATS),
        (array(ListArray::new(item, offsets(), items, nulls())), FieldType::List(ItemType::Float32)),
    ];
    for (source, ty) in cases {
        let events = decoded(&columns(vec![("x", source)]), &view(vec![field("x", ty, true)])).unwrap();
        assert_eq!(events.aside, [], "{ty}");
        let got = events.inputs.column_by_name("x").unwrap();
        assert!(got.is_null(1) && got.is_valid(0) && got.is_valid(2));
        let valid = make_array(got.to_data().into_builder().nulls(None).build().unwrap());
        let under = shown(&valid, 1);
        assert!(["0", "0.0", "false", "\"\"", "[]"].contains(&under.as_str()), "{ty}: {under}");
    }
}

#[test]
fn columns_of_the_right_type_are_not_copied() {
    let values = Float64Array::from(vec![1.0, 2.0]);
    let before = values.values().as_ptr();
    let raw = columns(vec![("x", array(values))]);
    let events = decoded(&raw, &view(vec![field("x", FieldType::Float64, false)])).unwrap();
    let after =
        cast::as_primitive_array::<Float64Type>(events.inputs.column_by_name("x").unwrap()).values().as_ptr();
    assert_eq!(before, after);
}

#[test]
fn a_column_of_another_type_or_none_is_named() {
    let view = view(vec![field("x", FieldType::Utf8, true)]);
    let error = decoded(&columns(vec![("x", array(BooleanArray::from(vec![true])))]), &view).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column x of a.parquet has type Boolean, which cannot become utf8 for input x of v: write the column in a \
         type that converts, or declare the input in another"
    );
    let error = decoded(&columns(vec![("y", array(BooleanArray::from(vec![true])))]), &view).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a.parquet has no column x, which input x of v (utf8) needs; it has k, event_time, event_id, y"
    );
    let twice = columns(vec![("x", array(NullArray::new(1))), ("x", array(NullArray::new(1)))]);
    assert!(matches!(decoded(&twice, &view), Err(LogError::AmbiguousColumn { column, .. }) if column == "x"));
}

#[test]
fn every_type_converts_from_a_parquet_file_as_it_does_from_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let mut texts = ListBuilder::new(StringBuilder::new());
    texts.append_value([Some("a"), Some("")]);
    let texts = array(texts.finish());
    let mut compared = 0;
    for sample in samples().into_values().flatten().chain([texts]) {
        let in_memory = columns(vec![("x", sample.clone())]);
        let RawRows::Columns { batch, .. } = &in_memory.rows else { unreachable!() };
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        let from_file = FileLog::open(&path, LogOptions::default()).unwrap().read(0, 9).unwrap().unwrap();
        let RawRows::Columns { batch: read, file_schema } = &from_file.rows else { unreachable!() };
        assert_eq!(*file_schema.field_with_name("x").unwrap().data_type(), *sample.data_type());
        assert_eq!(*read.column_by_name("k").unwrap().data_type(), DataType::Binary, "{}", sample.data_type());
        for ty in FieldType::ALL {
            match (outcomes(&in_memory, ty), outcomes(&from_file, ty)) {
                (Ok(memory), Ok(file)) => assert_eq!(memory, file, "{} to {ty}", sample.data_type()),
                (
                    Err(LogError::ColumnType { found: memory, .. }),
                    Err(LogError::ColumnType { found: file, .. }),
                ) => {
                    assert_eq!(memory, file);
                }
                (memory, file) => panic!("{} to {ty}: {memory:?}, {file:?}", sample.data_type()),
            }
            compared += 1;
        }
    }
    assert_eq!(compared, (30 + 5 + 1) * FieldType::ALL.len());
}
