//! Arrow values as JSON text: rows that are set aside, and row files.
//!
//! What the contract's types become can be read back without loss: floats are written with the fewest digits
//! that name them, with a point or an exponent; NaN and the infinities are strings; bytes are base64;
//! timestamps are RFC 3339 text, or integer microseconds outside the years 0 to 9999.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::time;

/// One row as a JSON object. Columns that `file_schema` calls strings are text, whatever carries them.
pub(crate) fn row_object(batch: &RecordBatch, file_schema: &SchemaRef, row: usize) -> String {
    let mut out = String::from("{");
    for (index, (field, column)) in batch.schema().fields().iter().zip(batch.columns()).enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(field.name(), &mut out);
        out.push(':');
        let is_text = file_schema.field_with_name(field.name()).is_ok_and(|field| is_text(field.data_type()));
        match column.as_binary_opt::<i32>() {
            Some(bytes) if is_text && column.is_valid(row) => {
                write_text(&String::from_utf8_lossy(bytes.value(row)), &mut out);
            }
            _ => write_value(column, row, &mut out),
        }
    }
    out.push('}');
    out
}

fn is_text(ty: &DataType) -> bool {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// Appends one value.
pub(crate) fn write_value(array: &dyn Array, row: usize, out: &mut String) {
    if array.is_null(row) {
        out.push_str("null");
        return;
    }
    match array.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => write_plain::<Int8Type>(array, row, out),
        DataType::Int16 => write_plain::<Int16Type>(array, row, out),
        DataType::Int32 => write_plain::<Int32Type>(array, row, out),
        DataType::Int64 => write_plain::<Int64Type>(array, row, out),
        DataType::UInt8 => write_plain::<UInt8Type>(array, row, out),
        DataType::UInt16 => write_plain::<UInt16Type>(array, row, out),
        DataType::UInt32 => write_plain::<UInt32Type>(array, row, out),
        DataType::UInt64 => write_plain::<UInt64Type>(array, row, out),
        DataType::Float16 => write_float(f64::from(array.as_primitive::<Float16Type>().value(row)), out),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            write_special(f64::from(value), out, |out| write!(out, "{value:?}"));
        }
        DataType::Float64 => write_float(array.as_primitive::<Float64Type>().value(row), out),
        DataType::Utf8 => write_text(array.as_string::<i32>().value(row), out),
        DataType::LargeUtf8 => write_text(array.as_string::<i64>().value(row), out),
        DataType::Utf8View => write_text(array.as_string_view().value(row), out),
        DataType::Binary => write_bytes(array.as_binary::<i32>().value(row), out),
        DataType::LargeBinary => write_bytes(array.as_binary::<i64>().value(row), out),
        DataType::BinaryView => write_bytes(array.as_binary_view().value(row), out),
        DataType::FixedSizeBinary(_) => write_bytes(array.as_fixed_size_binary().value(row), out),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            write_time(array.as_primitive::<TimestampMicrosecondType>().value(row), out);
        }
        DataType::List(_) => write_list(&array.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => write_list(&array.as_list::<i64>().value(row), out),
        DataType::FixedSizeList(..) => write_list(&array.as_fixed_size_list().value(row), out),
        _ => write_display(array, row, out),
    }
}

/// Appends a JSON string.
pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => append(out, |out| write!(out, "\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Writing to a string cannot fail.
fn append(out: &mut String, write: impl FnOnce(&mut String) -> std::fmt::Result) {
    let _ = write(out);
}

fn write_plain<T: ArrowPrimitiveType<Native: std::fmt::Display>>(array: &dyn Array, row: usize, out: &mut String) {
    append(out, |out| write!(out, "{}", array.as_primitive::<T>().value(row)));
}

fn write_float(value: f64, out: &mut String) {
    write_special(value, out, |out| write!(out, "{value:?}"));
}

/// Rust writes floats with the fewest digits that name them, and always with a point or an exponent.
fn write_special(value: f64, out: &mut String, finite: impl FnOnce(&mut String) -> std::fmt::Result) {
    match value {
        value if value.is_nan() => out.push_str("\"NaN\""),
        f64::INFINITY => out.push_str("\"Infinity\""),
        f64::NEG_INFINITY => out.push_str("\"-Infinity\""),
        _ => append(out, finite),
    }
}

fn write_bytes(bytes: &[u8], out: &mut String) {
    out.push('"');
    STANDARD.encode_string(bytes, out);
    out.push('"');
}

fn write_time(micros: i64, out: &mut String) {
    match time::format(micros) {
        Some(text) => append(out, |out| write!(out, "\"{text}\"")),
        None => append(out, |out| write!(out, "{micros}")),
    }
}

fn write_list(items: &dyn Array, out: &mut String) {
    out.push('[');
    for item in 0..items.len() {
        if item > 0 {
            out.push(',');
        }
        write_value(items, item, out);
    }
    out.push(']');
}

/// Types outside the contract are shown, not carried.
fn write_display(array: &dyn Array, row: usize, out: &mut String) {
    let options = FormatOptions::default().with_display_error(true);
    match ArrayFormatter::try_new(array, &options) {
        Ok(formatter) => write_text(&formatter.value(row).to_string(), out),
        Err(_) => write_text(&format!("(a value of type {})", array.data_type()), out),
    }
}
