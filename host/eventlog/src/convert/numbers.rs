//! Conversion of numbers and times. Each keeps the value or is refused.

use std::fmt::Debug;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use trifold_model::FieldType;

use super::columns::same;
use super::{Converted, Unconvertible, primitive};

pub(super) const NOT_AN_INT64: &str = "is no whole number within int64";
pub(super) const NOT_A_FLOAT64: &str = "has no exact float64";
pub(super) const NOT_A_FLOAT32: &str = "has no exact float32";
const FRACTION: &str = "ns has a fraction of a microsecond";
const TOO_FAR: &str = "lies beyond what int64 microseconds reach";

pub(super) fn to_int64(array: &ArrayRef) -> Result<Converted, Unconvertible> {
    use FieldType::Int64 as TO;
    Ok(match array.data_type() {
        DataType::Int64 => return same(array),
        DataType::Int8 => each::<Int8Type, Int64Type>(array, TO, "", |value| Some(value.into())),
        DataType::Int16 => each::<Int16Type, Int64Type>(array, TO, "", |value| Some(value.into())),
        DataType::Int32 => each::<Int32Type, Int64Type>(array, TO, "", |value| Some(value.into())),
        DataType::UInt8 => each::<UInt8Type, Int64Type>(array, TO, "", |value| Some(value.into())),
        DataType::UInt16 => each::<UInt16Type, Int64Type>(array, TO, "", |value| Some(value.into())),
        DataType::UInt32 => each::<UInt32Type, Int64Type>(array, TO, "", |value| Some(value.into())),
        DataType::UInt64 => each::<UInt64Type, Int64Type>(array, TO, NOT_AN_INT64, |value| value.try_into().ok()),
        DataType::Float16 => each::<Float16Type, Int64Type>(array, TO, NOT_AN_INT64, |value| whole(value.into())),
        DataType::Float32 => each::<Float32Type, Int64Type>(array, TO, NOT_AN_INT64, |value| whole(value.into())),
        DataType::Float64 => each::<Float64Type, Int64Type>(array, TO, NOT_AN_INT64, whole),
        _ => return Err(Unconvertible::Type),
    })
}

pub(super) fn to_float64(array: &ArrayRef) -> Result<Converted, Unconvertible> {
    use FieldType::Float64 as TO;
    let converted = match array.data_type() {
        DataType::Float64 => return same(array),
        DataType::Float16 => each::<Float16Type, Float64Type>(array, TO, "", |value| Some(value.into())),
        DataType::Float32 => each::<Float32Type, Float64Type>(array, TO, "", |value| Some(value.into())),
        DataType::Int8 => each::<Int8Type, Float64Type>(array, TO, "", |value| Some(value.into())),
        DataType::Int16 => each::<Int16Type, Float64Type>(array, TO, "", |value| Some(value.into())),
        DataType::Int32 => each::<Int32Type, Float64Type>(array, TO, "", |value| Some(value.into())),
        DataType::UInt8 => each::<UInt8Type, Float64Type>(array, TO, "", |value| Some(value.into())),
        DataType::UInt16 => each::<UInt16Type, Float64Type>(array, TO, "", |value| Some(value.into())),
        DataType::UInt32 => each::<UInt32Type, Float64Type>(array, TO, "", |value| Some(value.into())),
        DataType::Int64 => each::<Int64Type, Float64Type>(array, TO, NOT_A_FLOAT64, |value| float64(value.into())),
        DataType::UInt64 => {
            each::<UInt64Type, Float64Type>(array, TO, NOT_A_FLOAT64, |value| float64(value.into()))
        }
        _ => return Err(Unconvertible::Type),
    };
    same(&converted.array).map(|with_nans| Converted { array: with_nans.array, bad: converted.bad })
}

pub(super) fn to_float32(array: &ArrayRef) -> Result<Converted, Unconvertible> {
    use FieldType::Float32 as TO;
    let converted = match array.data_type() {
        DataType::Float32 => return same(array),
        DataType::Float16 => each::<Float16Type, Float32Type>(array, TO, "", |value| Some(value.into())),
        DataType::Float64 => each::<Float64Type, Float32Type>(array, TO, NOT_A_FLOAT32, narrowed),
        DataType::Int8 => each::<Int8Type, Float32Type>(array, TO, "", |value| Some(value.into())),
        DataType::Int16 => each::<Int16Type, Float32Type>(array, TO, "", |value| Some(value.into())),
        DataType::UInt8 => each::<UInt8Type, Float32Type>(array, TO, "", |value| Some(value.into())),
        DataType::UInt16 => each::<UInt16Type, Float32Type>(array, TO, "", |value| Some(value.into())),
        DataType::Int32 => each::<Int32Type, Float32Type>(array, TO, NOT_A_FLOAT32, |value| float32(value.into())),
        DataType::UInt32 => {
            each::<UInt32Type, Float32Type>(array, TO, NOT_A_FLOAT32, |value| float32(value.into()))
        }
        DataType::Int64 => each::<Int64Type, Float32Type>(array, TO, NOT_A_FLOAT32, |value| float32(value.into())),
        DataType::UInt64 => {
            each::<UInt64Type, Float32Type>(array, TO, NOT_A_FLOAT32, |value| float32(value.into()))
        }
        _ => return Err(Unconvertible::Type),
    };
    same(&converted.array).map(|with_nans| Converted { array: with_nans.array, bad: converted.bad })
}

/// A zone says how a time is shown; the values of a column with a zone are UTC already, and those of a column
/// without one are taken as UTC.
pub(super) fn to_timestamp(array: &ArrayRef) -> Result<Converted, Unconvertible> {
    use FieldType::Timestamp as TO;
    type To = TimestampMicrosecondType;
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let array = array.as_primitive::<To>().clone().with_data_type(TO.to_arrow());
            return same(&(std::sync::Arc::new(array) as ArrayRef));
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            each::<TimestampSecondType, To>(array, TO, TOO_FAR, |value| value.checked_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            each::<TimestampMillisecondType, To>(array, TO, TOO_FAR, |value| value.checked_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            each::<TimestampNanosecondType, To>(array, TO, FRACTION, |value| {
                (value % 1_000 == 0).then_some(value / 1_000)
            })
        }
        DataType::Date32 => {
            each::<Date32Type, To>(array, TO, TOO_FAR, |days| i64::from(days).checked_mul(86_400_000_000))
        }
        DataType::Date64 => each::<Date64Type, To>(array, TO, TOO_FAR, |value| value.checked_mul(1_000)),
        _ => return Err(Unconvertible::Type),
    })
}

fn each<S, T>(
    array: &dyn Array,
    ty: FieldType,
    why: &str,
    convert: impl Fn(S::Native) -> Option<T::Native>,
) -> Converted
where
    S: ArrowPrimitiveType<Native: Debug>,
    T: ArrowPrimitiveType,
{
    let cell = |value: S::Native| convert(value).ok_or_else(|| format!("{value:?} {why}"));
    primitive::<T>(&ty.to_arrow(), array.as_primitive::<S>().iter().map(|value| value.map(cell).transpose()))
}

/// The integer that a double is. A negative zero is zero.
pub(super) fn whole(value: f64) -> Option<i64> {
    // 2^63 is a double and the first that is too large; -2^63 is the last that fits.
    const END: f64 = 9_223_372_036_854_775_808.0;
    (value.fract() == 0.0 && (-END..END).contains(&value)).then_some(value as i64)
}

/// The double that an integer is.
pub(super) fn float64(value: i128) -> Option<f64> {
    let float = value as f64;
    (float as i128 == value).then_some(float)
}

/// The single that an integer is.
pub(super) fn float32(value: i128) -> Option<f32> {
    let float = value as f32;
    (float as i128 == value).then_some(float)
}

fn narrowed(value: f64) -> Option<f32> {
    let float = value as f32;
    (f64::from(float) == value || value.is_nan()).then_some(float)
}
