//! Conversion of Arrow columns.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use arrow_select::take::take;
use trifold_model::{FieldType, ItemType, canonical_nans};

use super::{Converted, Unconvertible, lists, nulls, numbers, text};

/// Converts a column to a contract type.
pub(crate) fn convert(array: &ArrayRef, ty: FieldType) -> Result<Converted, Unconvertible> {
    let array = &unpacked(array)?;
    if *array.data_type() == DataType::Null {
        return Ok(Converted::nulls(ty, array.len()));
    }
    match ty {
        FieldType::Bool if *array.data_type() == DataType::Boolean => same(array),
        FieldType::Bool => Err(Unconvertible::Type),
        FieldType::Int64 => numbers::to_int64(array),
        FieldType::Float64 => numbers::to_float64(array),
        FieldType::Float32 => numbers::to_float32(array),
        FieldType::Timestamp => numbers::to_timestamp(array),
        FieldType::Utf8 => text::to_utf8(array),
        FieldType::Binary => text::to_binary(array),
        FieldType::List(item) => lists::to_list(array, item),
    }
}

/// A column that has the contract's type already.
pub(super) fn same(array: &ArrayRef) -> Result<Converted, Unconvertible> {
    Ok(Converted::good(nulls::cleared(&canonical_nans(array.clone()))?))
}

/// The contract type of a list's items.
pub(crate) fn item_type(item: ItemType) -> FieldType {
    match item {
        ItemType::Float32 => FieldType::Float32,
        ItemType::Float64 => FieldType::Float64,
        ItemType::Int64 => FieldType::Int64,
        ItemType::Utf8 => FieldType::Utf8,
    }
}

/// A dictionary column as the values that it stands for.
pub(super) fn unpacked(array: &ArrayRef) -> Result<ArrayRef, Unconvertible> {
    match array.as_any_dictionary_opt() {
        Some(dictionary) => Ok(take(dictionary.values(), dictionary.keys(), None)?),
        None => Ok(array.clone()),
    }
}
