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
use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Schema, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::time;

/// The rows of a table as JSON objects, in the order of its columns.
pub struct JsonObjects<'a> {
    columns: Vec<Column<'a>>,
    /// What an object takes, roughly.
    bytes: usize,
}

/// A column of a table.
struct Column<'a> {
    /// What stands before its values: the name, behind what divides it from the column before.
    name: String,
    values: &'a ArrayRef,
    /// The values, if they are texts that stand as bytes.
    texts: Option<&'a BinaryArray>,
}

/// What a value takes in an object, roughly.
const VALUE_BYTES: usize = 24;

impl<'a> JsonObjects<'a> {
    /// The rows of a table.
    pub fn new(batch: &'a RecordBatch) -> Self {
        JsonObjects::of(batch, batch.schema_ref())
    }

    /// The rows of a table, in which columns that `file_schema` calls strings are text, whatever carries them.
    pub(crate) fn of(batch: &'a RecordBatch, file_schema: &Schema) -> Self {
        let column = |(index, values): (usize, &'a ArrayRef)| {
            let field = batch.schema_ref().field(index);
            let mut name = String::from(if index == 0 { "{" } else { "," });
            write_text(field.name(), &mut name);
            name.push(':');
            let is_text =
                || file_schema.field_with_name(field.name()).is_ok_and(|field| is_text(field.data_type()));
            Column { name, values, texts: values.as_binary_opt().filter(|_| is_text()) }
        };
        let columns: Vec<_> = batch.columns().iter().enumerate().map(column).collect();
        let bytes = columns.iter().map(|column| column.name.len() + VALUE_BYTES).sum();
        JsonObjects { columns, bytes }
    }

    /// What a row takes, roughly.
    pub fn row_bytes(&self) -> usize {
        self.bytes
    }

    /// One row.
    pub fn row(&self, row: usize) -> String {
        let mut out = String::with_capacity(self.bytes);
        self.write_row(row, &mut out);
        out
    }

    /// Appends one row.
    pub fn write_row(&self, row: usize, out: &mut String) {
        for Column { name, values, texts } in &self.columns {
            out.push_str(name);
            match texts {
                Some(texts) if texts.is_valid(row) => {
                    write_text(&String::from_utf8_lossy(texts.value(row)), out);
                }
                _ => write_value(values, row, out),
            }
        }
        out.push_str(if self.columns.is_empty() { "{}" } else { "}" });
    }
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
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => append(out, |out| write!(out, "\\u{control:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
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
    let begun = out.len();
    out.push('"');
    if time::write(micros, out) {
        out.push('"');
    } else {
        out.truncate(begun);
        append(out, |out| write!(out, "{micros}"));
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
