//! The canonical bytes of rows, version 1. `wit/README.md` is the text that other implementations follow.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, ListArray, RecordBatch,
};
use arrow_array::{Int64Array, StringArray, TimestampMicrosecondArray};
use arrow_schema::DataType;

use crate::identity::{EntityKey, RowDigest};
use crate::status::RowStatus;
use crate::types::{FieldType, ItemType};

/// The bits of every NaN double in canonical bytes.
pub const NAN_64: u64 = 0x7ff8_0000_0000_0000;
/// The bits of every NaN single in canonical bytes.
pub const NAN_32: u32 = 0x7fc0_0000;

/// A column whose type is outside the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} has type {ty}, which the contract does not have")]
pub struct ForeignType {
    /// The column's name.
    pub column: String,
    /// Its Arrow type.
    pub ty: DataType,
}

/// The columns of a batch, ready to be written row by row in the canonical coding.
pub struct CanonicalRows<'a> {
    columns: Vec<Column<'a>>,
}

enum Column<'a> {
    Bool(&'a BooleanArray),
    Int64(&'a Int64Array),
    Timestamp(&'a TimestampMicrosecondArray),
    Float64(&'a Float64Array),
    Float32(&'a Float32Array),
    Utf8(&'a StringArray),
    Binary(&'a BinaryArray),
    List(&'a ListArray, ItemType),
}

impl<'a> CanonicalRows<'a> {
    /// Prepares every column of a batch.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, ForeignType> {
        Self::of_columns(batch, 0..batch.num_columns())
    }

    /// Prepares columns that are in no batch, all of the same length.
    pub fn of_arrays(arrays: &'a [ArrayRef]) -> Result<Self, ForeignType> {
        let column = |(index, array): (usize, &'a ArrayRef)| {
            let foreign = || ForeignType { column: index.to_string(), ty: array.data_type().clone() };
            Column::new(array).ok_or_else(foreign)
        };
        Ok(CanonicalRows { columns: arrays.iter().enumerate().map(column).collect::<Result<_, _>>()? })
    }

    /// Prepares some columns of a batch, in the order given.
    pub fn of_columns(
        batch: &'a RecordBatch,
        columns: impl IntoIterator<Item = usize>,
    ) -> Result<Self, ForeignType> {
        let columns = columns
            .into_iter()
            .map(|index| {
                let array = batch.column(index);
                Column::new(array).ok_or_else(|| ForeignType {
                    column: batch.schema().field(index).name().clone(),
                    ty: array.data_type().clone(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(CanonicalRows { columns })
    }

    /// Appends the columns of one row, without a status byte.
    pub fn write_fields(&self, row: usize, out: &mut Vec<u8>) {
        for column in &self.columns {
            column.write(row, out);
        }
    }

    /// Appends one row: the status, then the columns where the status has any.
    pub fn write_row(&self, status: RowStatus, row: usize, out: &mut Vec<u8>) {
        out.push(status.byte());
        match status {
            RowStatus::Value | RowStatus::Empty => self.write_fields(row, out),
            RowStatus::Expired => {}
            RowStatus::Error(code) => out.extend_from_slice(&code.0.to_le_bytes()),
        }
    }

    /// The digest of one row.
    pub fn digest(&self, status: RowStatus, row: usize, scratch: &mut Vec<u8>) -> RowDigest {
        scratch.clear();
        self.write_row(status, row, scratch);
        RowDigest::of(scratch)
    }

    /// The columns of one row as an entity key.
    pub fn key(&self, row: usize, scratch: &mut Vec<u8>) -> EntityKey {
        scratch.clear();
        self.write_fields(row, scratch);
        EntityKey(scratch.as_slice().into())
    }
}

impl<'a> Column<'a> {
    fn new(array: &'a ArrayRef) -> Option<Self> {
        let ty = FieldType::ALL.into_iter().find(|ty| is_arrow_type(*ty, array.data_type()))?;
        Some(match ty {
            FieldType::Bool => Column::Bool(array.as_boolean()),
            FieldType::Int64 => Column::Int64(array.as_primitive()),
            FieldType::Timestamp => Column::Timestamp(array.as_primitive()),
            FieldType::Float64 => Column::Float64(array.as_primitive()),
            FieldType::Float32 => Column::Float32(array.as_primitive()),
            FieldType::Utf8 => Column::Utf8(array.as_string()),
            FieldType::Binary => Column::Binary(array.as_binary()),
            FieldType::List(item) => Column::List(array.as_list(), item),
        })
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let array: &dyn Array = match self {
            Column::Bool(array) => *array,
            Column::Int64(array) => *array,
            Column::Timestamp(array) => *array,
            Column::Float64(array) => *array,
            Column::Float32(array) => *array,
            Column::Utf8(array) => *array,
            Column::Binary(array) => *array,
            Column::List(array, _) => *array,
        };
        if array.is_null(row) {
            out.push(0);
            return;
        }
        out.push(1);
        match self {
            Column::Bool(array) => out.push(array.value(row).into()),
            Column::Int64(array) => out.extend_from_slice(&array.value(row).to_le_bytes()),
            Column::Timestamp(array) => out.extend_from_slice(&array.value(row).to_le_bytes()),
            Column::Float64(array) => out.extend_from_slice(&bits_64(array.value(row)).to_le_bytes()),
            Column::Float32(array) => out.extend_from_slice(&bits_32(array.value(row)).to_le_bytes()),
            Column::Utf8(array) => write_bytes(array.value(row).as_bytes(), out),
            Column::Binary(array) => write_bytes(array.value(row), out),
            Column::List(array, item) => write_list(&array.value(row), *item, out),
        }
    }
}

/// Whether an Arrow type carries a contract type; the name and nullability of a list's items do not matter.
pub fn is_arrow_type(ty: FieldType, arrow: &DataType) -> bool {
    match (ty, arrow) {
        (FieldType::List(item), DataType::List(field)) => *field.data_type() == item.to_arrow(),
        _ => ty.to_arrow() == *arrow,
    }
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    // Arrow's 32-bit offsets keep every length below this bound.
    out.extend_from_slice(&(length as u32).to_le_bytes());
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn write_list(items: &ArrayRef, item: ItemType, out: &mut Vec<u8>) {
    write_length(items.len(), out);
    match item {
        ItemType::Float32 => {
            for value in items.as_primitive::<Float32Type>().values() {
                out.extend_from_slice(&bits_32(*value).to_le_bytes());
            }
        }
        ItemType::Float64 => {
            for value in items.as_primitive::<Float64Type>().values() {
                out.extend_from_slice(&bits_64(*value).to_le_bytes());
            }
        }
        ItemType::Int64 => {
            for value in items.as_primitive::<Int64Type>().values() {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        ItemType::Utf8 => {
            let items = items.as_string::<i32>();
            for index in 0..items.len() {
                write_bytes(items.value(index).as_bytes(), out);
            }
        }
    }
}

fn bits_64(value: f64) -> u64 {
    if value.is_nan() { NAN_64 } else { value.to_bits() }
}

fn bits_32(value: f32) -> u32 {
    if value.is_nan() { NAN_32 } else { value.to_bits() }
}

/// The same column with every NaN in its canonical form. Columns without floats, and float columns without
/// NaNs of another form, are returned as they are.
pub fn canonical_nans(array: ArrayRef) -> ArrayRef {
    let changed: Option<ArrayRef> = match array.data_type() {
        DataType::Float64 => canonical_64(array.as_primitive()).map(|array| Arc::new(array) as ArrayRef),
        DataType::Float32 => canonical_32(array.as_primitive()).map(|array| Arc::new(array) as ArrayRef),
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            let items = canonical_nans(list.values().clone());
            (!Arc::ptr_eq(&items, list.values())).then(|| {
                let (_, offsets, _, nulls) = list.clone().into_parts();
                Arc::new(ListArray::new(field.clone(), offsets, items, nulls)) as ArrayRef
            })
        }
        _ => None,
    };
    changed.unwrap_or(array)
}

fn canonical_64(array: &arrow_array::PrimitiveArray<Float64Type>) -> Option<Float64Array> {
    let foreign = |value: &f64| value.is_nan() && value.to_bits() != NAN_64;
    any(array.values(), |value| value.is_nan(), foreign)
        .then(|| array.unary(|value| f64::from_bits(bits_64(value))))
}

fn canonical_32(array: &arrow_array::PrimitiveArray<Float32Type>) -> Option<Float32Array> {
    let foreign = |value: &f32| value.is_nan() && value.to_bits() != NAN_32;
    any(array.values(), |value| value.is_nan(), foreign)
        .then(|| array.unary(|value| f32::from_bits(bits_32(value))))
}

/// Whether any value is so, which only those may be that a cheaper question lets through. That one is asked of many
/// values without a branch in between, so that the processor takes several at once.
fn any<T>(values: &[T], may_be: impl Fn(&T) -> bool, is: impl Fn(&T) -> bool) -> bool {
    let some_may = |values: &[T]| values.iter().fold(false, |found, value| found | may_be(value));
    values.chunks(256).any(|values| some_may(values) && values.iter().any(&is))
}
