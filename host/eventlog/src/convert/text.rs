//! Conversion of text and bytes.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};

use super::columns::same;
use super::{Converted, Unconvertible, nulls, settle, shown};

pub(super) fn to_utf8(array: &ArrayRef) -> Result<Converted, Unconvertible> {
    match array.data_type() {
        DataType::Utf8 => same(array),
        DataType::LargeUtf8 => strings(array.as_string::<i64>().iter()),
        DataType::Utf8View => strings(array.as_string_view().iter()),
        DataType::Binary => match utf8_at_once(array.as_binary()) {
            Some(text) => Ok(Converted::good(nulls::cleared(&(Arc::new(text) as ArrayRef))?)),
            None => utf8_one_by_one(array.as_binary::<i32>().iter()),
        },
        DataType::LargeBinary => utf8_one_by_one(array.as_binary::<i64>().iter()),
        DataType::BinaryView => utf8_one_by_one(array.as_binary_view().iter()),
        DataType::FixedSizeBinary(_) => utf8_one_by_one(array.as_fixed_size_binary().iter()),
        _ => Err(Unconvertible::Type),
    }
}

pub(super) fn to_binary(array: &ArrayRef) -> Result<Converted, Unconvertible> {
    match array.data_type() {
        DataType::Binary => same(array),
        DataType::Utf8 => same(&(Arc::new(BinaryArray::from(array.as_string::<i32>().clone())) as ArrayRef)),
        DataType::LargeUtf8 => bytes(array.as_string::<i64>().iter().map(|text| text.map(str::as_bytes))),
        DataType::Utf8View => bytes(array.as_string_view().iter().map(|text| text.map(str::as_bytes))),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().iter()),
        DataType::BinaryView => bytes(array.as_binary_view().iter()),
        DataType::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary().iter()),
        _ => Err(Unconvertible::Type),
    }
}

/// The same buffers as text, if they are UTF-8 throughout. Only what the column covers is looked at: it may be
/// a small part of what was decoded at once.
fn utf8_at_once(array: &BinaryArray) -> Option<StringArray> {
    let offsets = array.value_offsets();
    let (first, last) = (*offsets.first()?, *offsets.last()?);
    let values = array.values().slice_with_length(first as usize, (last - first) as usize);
    let offsets = match first {
        0 => array.offsets().clone(),
        _ => OffsetBuffer::new(offsets.iter().map(|offset| offset - first).collect::<ScalarBuffer<i32>>()),
    };
    StringArray::try_new(offsets, values, array.nulls().cloned()).ok()
}

fn utf8_one_by_one<'a>(
    values: impl Iterator<Item = Option<&'a [u8]>> + Clone,
) -> Result<Converted, Unconvertible> {
    check_length(values.clone().flatten().map(<[u8]>::len))?;
    let (mut bad, mut text) = (Vec::new(), StringBuilder::new());
    for (row, value) in values.enumerate() {
        let cell = value.map(|bytes| std::str::from_utf8(bytes).map_err(|_| not_utf8(bytes))).transpose();
        text.append_option(settle(row, cell, &mut bad));
    }
    Ok(Converted { array: Arc::new(text.finish()), bad })
}

fn strings<'a>(values: impl Iterator<Item = Option<&'a str>> + Clone) -> Result<Converted, Unconvertible> {
    check_length(values.clone().flatten().map(str::len))?;
    Ok(Converted::good(Arc::new(values.collect::<StringArray>())))
}

fn bytes<'a>(values: impl Iterator<Item = Option<&'a [u8]>> + Clone) -> Result<Converted, Unconvertible> {
    check_length(values.clone().flatten().map(<[u8]>::len))?;
    Ok(Converted::good(Arc::new(values.collect::<BinaryArray>())))
}

/// Fails where 32-bit offsets would not reach.
pub(super) fn check_length(lengths: impl Iterator<Item = usize>) -> Result<(), ArrowError> {
    let total: usize = lengths.sum();
    i32::try_from(total).map_or(Err(ArrowError::OffsetOverflowError(total)), |_| Ok(()))
}

fn not_utf8(bytes: &[u8]) -> String {
    format!("{:?} is not UTF-8", shown(&String::from_utf8_lossy(bytes)))
}
