//! Zeros and empty values under nulls: what a file holds there is nobody's value and must not be seen.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, UInt64Array};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{ArrowError, DataType};
use arrow_select::take::take;

/// The same column of a contract type with zeros and empty values under its nulls; as it is when it has them.
pub(crate) fn cleared(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if array.null_count() == 0 {
        return Ok(array.clone());
    }
    match array.data_type() {
        DataType::Int64 => Ok(fixed::<Int64Type>(array)),
        DataType::Timestamp(..) => Ok(fixed::<TimestampMicrosecondType>(array)),
        DataType::Float64 => Ok(fixed::<Float64Type>(array)),
        DataType::Float32 => Ok(fixed::<Float32Type>(array)),
        DataType::Boolean => {
            let array = array.as_boolean();
            let (values, nulls) = (array.values(), array.nulls());
            let values = nulls.map_or_else(|| values.clone(), |nulls| values & nulls.inner());
            Ok(Arc::new(BooleanArray::new(values, nulls.cloned())))
        }
        _ => emptied(array),
    }
}

fn fixed<T: ArrowPrimitiveType>(array: &ArrayRef) -> ArrayRef {
    let array = array.as_primitive::<T>();
    let zero = T::Native::default();
    let values: ScalarBuffer<T::Native> = array.iter().map(|value| value.unwrap_or(zero)).collect();
    Arc::new(PrimitiveArray::<T>::new(values, array.nulls().cloned()).with_data_type(array.data_type().clone()))
}

/// Text, bytes and lists: taking a null makes an empty slot.
fn emptied(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let length = |row: usize| match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value_length(row),
        DataType::Binary => array.as_binary::<i32>().value_length(row),
        _ => array.as_list::<i32>().value_length(row),
    };
    if (0..array.len()).all(|row| array.is_valid(row) || length(row) == 0) {
        return Ok(array.clone());
    }
    let rows: UInt64Array = (0..array.len()).map(|row| array.is_valid(row).then_some(row as u64)).collect();
    take(array, &rows, None)
}
