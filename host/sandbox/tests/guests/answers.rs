//! Answers as they come from real guests: every type through an echo, and columns that do not hold what the
//! description says.

use std::sync::Arc;

use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray, builder::ListBuilder, builder::StringBuilder,
};
use serde_json::{Value, json};
use trifold_model::{CanonicalRows, ErrorCode, FieldType, RowStatus};
use trifold_sandbox::{Budget, Transform, Verdict};
use trifold_wat_guest::{Guest, escaped, field, row_view};

use crate::rig::admit;

/// A view that answers its inputs: the key, then every type, nullable.
fn echo() -> Transform {
    let mut fields = vec![field("k", "int64")];
    for (index, ty) in FieldType::ALL.into_iter().enumerate() {
        let mut column = field(&format!("c{index}"), ty.name());
        column["nullable"] = json!(true);
        fields.push(column);
    }
    admit(&Guest::new(row_view("echo", &fields, &fields)))
}

fn text_lists(rows: usize) -> ListArray {
    let item = arrow_schema::Field::new("item", arrow_schema::DataType::Utf8, false);
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item);
    for row in 0..rows {
        for item in 0..row % 4 {
            lists.values().append_value(format!("Tromsø {row} {item}"));
        }
        lists.append(row % 6 != 0);
    }
    lists.finish()
}

fn lists<T>(rows: usize, value: impl Fn(usize) -> T::Native) -> ArrayRef
where
    T: arrow_array::ArrowPrimitiveType,
{
    let items = |row: usize| (0..row % 3).map(|item| Some(value(row * 10 + item))).collect::<Vec<_>>();
    let lists = ListArray::from_iter_primitive::<T, _, _>((0..rows).map(|row| (row % 5 != 0).then(|| items(row))));
    let (_, offsets, values, nulls) = lists.into_parts();
    let item = Arc::new(arrow_schema::Field::new("item", T::DATA_TYPE, false));
    Arc::new(ListArray::new(item, offsets, values, nulls))
}

/// Every type with nulls, and NaNs of odd bits, infinities and negative zeros among the floats.
fn columns(rows: usize) -> Vec<ArrayRef> {
    let odd = f64::from_bits(0xfff8_0000_dead_beef);
    let float = move |row: usize| match row % 5 {
        0 => odd,
        1 => -0.0,
        2 => f64::NEG_INFINITY,
        _ => row as f64 / 3.0,
    };
    let some = |row: &usize| !row.is_multiple_of(7);
    let all = || 0..rows;
    vec![
        Arc::new(all().map(|row| row as i64).collect::<Int64Array>()),
        Arc::new(all().map(|row| some(&row).then_some(row % 3 == 0)).collect::<BooleanArray>()),
        Arc::new(all().map(|row| some(&row).then_some(i64::MIN + row as i64)).collect::<Int64Array>()),
        Arc::new(all().map(|row| some(&row).then(|| float(row))).collect::<Float64Array>()),
        Arc::new(all().map(|row| some(&row).then(|| float(row) as f32)).collect::<Float32Array>()),
        Arc::new(all().map(|row| some(&row).then(|| "ø".repeat(row % 9))).collect::<StringArray>()),
        Arc::new(all().map(|row| some(&row).then(|| vec![0xff; row % 5])).collect::<BinaryArray>()),
        Arc::new(
            all()
                .map(|row| some(&row).then_some(-(row as i64)))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        lists::<Float32Type>(rows, move |row| float(row) as f32),
        lists::<Float64Type>(rows, float),
        lists::<Int64Type>(rows, |row| row as i64),
        Arc::new(text_lists(rows)),
    ]
}

fn canonical(batch: &RecordBatch) -> Vec<Vec<u8>> {
    let rows = CanonicalRows::new(batch).unwrap();
    let row = |row| {
        let mut bytes = Vec::new();
        rows.write_row(RowStatus::Value, row, &mut bytes);
        bytes
    };
    (0..batch.num_rows()).map(row).collect()
}

#[test]
fn every_type_crosses_and_comes_back() {
    let transform = echo();
    for rows in [1, 2, 63, 64, 65, 200, 5000] {
        let inputs = RecordBatch::try_new(transform.view().input_schema().clone(), columns(rows)).unwrap();
        let applied = transform.apply(&inputs, &mut Budget::unlimited());
        assert_eq!(applied.failures, [], "{rows} rows");
        assert_eq!(canonical(&applied.outputs), canonical(&inputs), "{rows} rows");
        // The same from the middle of a larger batch.
        let slice = inputs.slice(rows / 3, rows - rows / 3);
        let applied = transform.apply(&slice, &mut Budget::unlimited());
        assert_eq!(canonical(&applied.outputs), canonical(&slice), "a slice of {rows} rows");
    }
}

#[test]
fn nans_come_back_in_one_form() {
    let transform = echo();
    let inputs = RecordBatch::try_new(transform.view().input_schema().clone(), columns(10)).unwrap();
    let outputs = transform.apply(&inputs, &mut Budget::unlimited()).outputs;
    let floats = outputs.column(3).as_any().downcast_ref::<Float64Array>().unwrap();
    assert_eq!(floats.value(5).to_bits(), 0x7ff8_0000_0000_0000);
    assert!(floats.is_null(7) && floats.value(1).is_sign_negative());
}

/// The verdict of a guest that answers these words whatever it is asked.
#[track_caller]
fn check(output: &Value, words: &[u64], message: &str) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let guest = Guest::new(row_view("stubborn", &[field("k", "int64")], std::slice::from_ref(output)))
        .items(&format!(r#"(data (i32.const 2048) "{}")"#, escaped(&bytes)))
        .apply(format!(
            "(call $answer (local.get $rows) (i32.const 2048) (i32.const {}) (i32.const 0) (i32.const 0))",
            words.len()
        ));
    let transform = admit(&guest);
    let column = Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let inputs = RecordBatch::try_new(transform.view().input_schema().clone(), vec![column]).unwrap();
    let applied = transform.apply(&inputs, &mut Budget::unlimited());
    let [failure] = applied.failures.as_slice() else { panic!("{message}: {applied:?}") };
    assert_eq!(failure.verdict, Verdict::Error(ErrorCode::ANSWER), "{message}");
    assert!(failure.message.starts_with("view stubborn: the answer breaks the contract: "), "{}", failure.message);
    assert!(failure.message.contains(message), "`{message}` is not in: {}", failure.message);
    assert!(applied.outputs.column(0).is_null(0));
}

fn offsets(from: u32, to: u32) -> u64 {
    u64::from(from) | u64::from(to) << 32
}

#[test]
fn a_description_that_apply_does_not_keep_shows_at_the_first_row() {
    check(&field("y", "int64"), &[], "ends inside output y: the values need 8 bytes, 0 are left");
    check(&field("y", "int64"), &[1, 2], "goes on for 1 words");
    let mut nullable = field("y", "int64");
    nullable["nullable"] = json!(true);
    check(&nullable, &[7], "ends inside output y: the values need 8 bytes");
    check(&field("y", "utf8"), &[7, 7], "output y: the offsets begin at 7");
}

#[test]
fn texts_and_lists_are_checked() {
    let text = field("city", "utf8");
    check(
        &text,
        &[offsets(0, 4), u64::from(u32::from_le_bytes(*b"Oslo") | 0x80)],
        "text of row 0 is not valid UTF-8",
    );
    check(&text, &[offsets(0, u32::MAX)], "output city: the offsets fall from 0 to -1");
    check(&text, &[offsets(0, 9), 0], "ends inside output city: the bytes need 9 bytes, 8 are left");
    let list = field("path", "list<float64>");
    check(&list, &[offsets(0, 2), 0], "output path: the items need 16 bytes, 8 are left");
    check(&list, &[offsets(2, 0)], "output path: the list offsets begin at 2");
    check(
        &field("tags", "list<utf8>"),
        &[offsets(0, 1), offsets(0, 1), 0xff],
        "output tags: the text of list item 0",
    );
}
