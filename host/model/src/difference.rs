//! Naming the first field in which two rows of canonical bytes differ.

use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

use crate::decode::decode_rows;
use crate::status::{ErrorCode, RowStatus};
use crate::view::Field;

/// The first place in which two rows differ, with both sides as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field's name, or `status`.
    pub field: String,
    /// The left row's value.
    pub left: String,
    /// The right row's value.
    pub right: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} against {}", self.field, self.left, self.right)
    }
}

/// The first field in which two canonical rows of the same fields differ, or `None` when their bytes are equal.
/// Where a list differs, the sides name the first item that does.
pub fn first_difference(fields: &[Field], left: &[u8], right: &[u8]) -> Option<Difference> {
    if left == right {
        return None;
    }
    let named = |field: &str, left, right| Some(Difference { field: field.to_owned(), left, right });
    let (left_side, right_side) = (Side::new(fields, left), Side::new(fields, right));
    if left_side.status != right_side.status {
        return named("status", left_side.status, right_side.status);
    }
    if let (Some(left), Some(right)) = (&left_side.columns, &right_side.columns) {
        for (field, (left, right)) in fields.iter().zip(left.columns().iter().zip(right.columns())) {
            if let Some((left, right)) = value_difference(left, right) {
                return named(field.name.as_str(), left, right);
            }
        }
    }
    // Two rows that are malformed in the same way have nothing but their bytes to tell them apart.
    let with_bytes = |side: Side, row: &[u8]| format!("{} 0x{}", side.status, hex::encode(row));
    named("status", with_bytes(left_side, left), with_bytes(right_side, right))
}

struct Side {
    status: String,
    columns: Option<RecordBatch>,
}

impl Side {
    fn new(fields: &[Field], row: &[u8]) -> Side {
        let Some((&byte, rest)) = row.split_first() else {
            return Side { status: "no bytes".to_owned(), columns: None };
        };
        let status = match (byte, rest) {
            (0, _) => RowStatus::Value,
            (1, _) => RowStatus::Empty,
            (2, []) => RowStatus::Expired,
            (3, &[low, high]) => {
                let code = ErrorCode(u16::from_le_bytes([low, high]));
                return Side { status: format!("error {code}"), columns: None };
            }
            _ => return Side { status: format!("malformed row of {} bytes", row.len()), columns: None },
        };
        match status.has_columns().then(|| decode_rows(&all_nullable(fields), [rest])) {
            None => Side { status: status.name().to_owned(), columns: None },
            Some(Ok(columns)) => Side { status: status.name().to_owned(), columns: Some(columns) },
            Some(Err(error)) => Side { status: format!("malformed ({error})"), columns: None },
        }
    }
}

/// An empty row has nulls in required fields too.
fn all_nullable(fields: &[Field]) -> Vec<Field> {
    fields.iter().map(|field| Field { nullable: true, ..field.clone() }).collect()
}

/// Both sides of a column of one row as text, if they differ.
fn value_difference(left: &ArrayRef, right: &ArrayRef) -> Option<(String, String)> {
    match (left.as_list_opt::<i32>(), right.as_list_opt::<i32>()) {
        (Some(left), Some(right)) if left.is_valid(0) && right.is_valid(0) => {
            item_difference(&left.value(0), &right.value(0))
        }
        _ => Some((text(left, 0), text(right, 0))).filter(|(left, right)| left != right),
    }
}

fn item_difference(left: &ArrayRef, right: &ArrayRef) -> Option<(String, String)> {
    let common = left.len().min(right.len());
    let of = |items: &ArrayRef, index| format!("item {index} of {}: {}", items.len(), text(items, index));
    match (0..common).find(|&index| text(left, index) != text(right, index)) {
        Some(index) => Some((of(left, index), of(right, index))),
        None if left.len() == right.len() => None,
        None => Some((format!("{} items", left.len()), format!("{} items", right.len()))),
    }
}

/// A value as text; values that differ have texts that differ, but for lists, which are only counted.
fn text(array: &ArrayRef, index: usize) -> String {
    if array.is_null(index) {
        return "null".to_owned();
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(index).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(index).to_string(),
        DataType::Timestamp(..) => array.as_primitive::<TimestampMicrosecondType>().value(index).to_string(),
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(index);
            format!("{value:?} (0x{:016x})", value.to_bits())
        }
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(index);
            format!("{value:?} (0x{:08x})", value.to_bits())
        }
        DataType::Utf8 => format!("{:?}", array.as_string::<i32>().value(index)),
        DataType::Binary => format!("0x{}", hex::encode(array.as_binary::<i32>().value(index))),
        // Decoding makes no other type.
        _ => format!("{} items", array.as_list::<i32>().value_length(index)),
    }
}
