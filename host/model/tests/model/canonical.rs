use arrow_array::{Array, ArrayRef, Float32Array, Float64Array, ListArray, RecordBatch};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use trifold_model::canonical::{NAN_32, NAN_64};
use trifold_model::{
    CanonicalRows, DecodeError, ErrorCode, Field, FieldType, RowStatus, canonical_nans, decode_rows,
};

use crate::random::{Random, field, fields, row};

const SEED: u64 = 0x7219_f01d;

fn encode(batch: &RecordBatch, row: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    CanonicalRows::new(batch).unwrap().write_fields(row, &mut bytes);
    bytes
}

#[test]
fn rows_decode_to_columns_and_encode_to_the_same_bytes() {
    let mut random = Random(SEED);
    for round in 0..500 {
        let fields = fields(&mut random);
        let count = random.below(6);
        let rows: Vec<Vec<u8>> = (0..count).map(|_| row(&mut random, &fields).concat()).collect();
        let batch = decode_rows(&fields, rows.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(batch.num_rows(), rows.len(), "seed {SEED}, round {round}");
        for (index, expected) in rows.iter().enumerate() {
            assert_eq!(&encode(&batch, index), expected, "seed {SEED}, round {round}, row {index}");
        }
        // A slice of a batch has offsets of its own and must not change a byte.
        if count > 1 {
            assert_eq!(encode(&batch.slice(1, count - 1), 0), rows[1], "seed {SEED}, round {round}, sliced");
        }
    }
}

#[test]
fn malformed_bytes_never_panic_and_never_pass_for_canonical() {
    let mut random = Random(SEED);
    let (mut refused, mut accepted) = (0, 0);
    for round in 0..20_000 {
        let fields = fields(&mut random);
        let mut bytes = row(&mut random, &fields).concat();
        for _ in 0..1 + random.below(3) {
            mutate(&mut random, &mut bytes);
        }
        match decode_rows(&fields, [bytes.as_slice()]) {
            Ok(batch) => {
                accepted += 1;
                assert_eq!(encode(&batch, 0), bytes, "seed {SEED}, round {round}: two encodings of one row");
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().starts_with("row 0: "), "seed {SEED}, round {round}: {error}");
            }
        }
    }
    assert!(refused > 1_000 && accepted > 1_000, "{refused} refused, {accepted} accepted: the test tests nothing");
}

fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len().max(1));
    match random.below(4) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[at] = random.one_of(&[0, 1, 2, 0x7f, 0x80, 0xf8, 0xff]),
        2 => bytes.truncate(at),
        _ => bytes.insert(at, random.next() as u8),
    }
}

#[track_caller]
fn check_error(fields: &[Field], rows: &[&[u8]], expected: &str) {
    let error: DecodeError = decode_rows(fields, rows.iter().copied()).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn errors_name_row_and_field() {
    let flag = [field("flag", FieldType::Bool, true)];
    check_error(&flag, &[&[0], &[1, 2]], "row 1: field flag has byte 2 where 0 or 1 must stand");
    check_error(&flag, &[&[]], "row 0: the bytes end or go on where field flag does not");
    check_error(&flag, &[&[0, 0]], "row 0: the bytes end or go on where field flag does not");
    let text = [field("text", FieldType::Utf8, false)];
    check_error(&text, &[&[1, 1, 0, 0, 0, 0xff]], "row 0: field text is not valid UTF-8");
    check_error(&text, &[&[1, 0, 0, 0, 0], &[0]], "row 1: field text is null, and the view requires a value");
    let single = [field("x", FieldType::Float32, false)];
    let message = "row 0: field x has a NaN with the bits 0x7fc00001, which is not the canonical one";
    check_error(&single, &[&[1, 1, 0, 0xc0, 0x7f]], message);
}

#[test]
fn a_status_decides_what_follows() {
    let fields = [field("a", FieldType::Bool, false), field("b", FieldType::Bool, false)];
    let batch = decode_rows(&fields, [[1, 1, 1, 0].as_slice()]).unwrap();
    let rows = CanonicalRows::new(&batch).unwrap();
    let bytes = |status| {
        let mut bytes = Vec::new();
        rows.write_row(status, 0, &mut bytes);
        bytes
    };
    assert_eq!(bytes(RowStatus::Value), [0, 1, 1, 1, 0]);
    assert_eq!(bytes(RowStatus::Empty), [1, 1, 1, 1, 0]);
    assert_eq!(bytes(RowStatus::Expired), [2]);
    assert_eq!(bytes(RowStatus::Error(ErrorCode(0xFF01))), [3, 0x01, 0xFF]);
}

#[test]
fn nans_become_canonical_and_nothing_else_changes() {
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(f64::from_bits(0xfff8_0000_0000_0001)),
        None,
        Some(-0.0),
        Some(f64::NEG_INFINITY),
    ]));
    let clean = canonical_nans(doubles.clone());
    let bits: Vec<_> = clean.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect();
    assert_eq!(bits, [Some(NAN_64), None, Some(1 << 63), Some(f64::NEG_INFINITY.to_bits())]);

    let items = Float32Array::from(vec![f32::from_bits(0x7f80_0001), 1.0, f32::from_bits(0xffc0_0000)]);
    let lists: ArrayRef = Arc::new(list_of_lengths(Arc::new(items), [2, 0, 1]));
    let clean = canonical_nans(lists.slice(1, 2));
    assert_eq!(clean.len(), 2);
    let last = clean.as_list::<i32>().value(1);
    assert_eq!(last.as_primitive::<Float32Type>().value(0).to_bits(), NAN_32);
    assert_eq!(encode(&one_column(lists), 0), [1, 2, 0, 0, 0, 0, 0, 0xc0, 0x7f, 0, 0, 0x80, 0x3f]);
}

fn list_of_lengths(items: ArrayRef, lengths: [usize; 3]) -> ListArray {
    let item = Arc::new(arrow_schema::Field::new("item", items.data_type().clone(), false));
    ListArray::new(item, arrow_buffer::OffsetBuffer::from_lengths(lengths), items, None)
}

fn one_column(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([("x", column)]).unwrap()
}

#[test]
fn a_foreign_column_is_named() {
    let column: ArrayRef = Arc::new(arrow_array::Int32Array::from(vec![1]));
    let message = CanonicalRows::new(&one_column(column)).err().unwrap().to_string();
    assert_eq!(message, "column x has type Int32, which the contract does not have");
}
