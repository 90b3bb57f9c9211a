//! Naming the first field in which two rows of canonical bytes differ.

use std::fmt;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};

use crate::canonical::CanonicalRows;
use crate::decode::decode_rows;
use crate::status::{ErrorCode, RowStatus};
use crate::types::FieldType;
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
pub fn first_difference(fields: &[Field], left: &[u8], right: &[u8]) -> Option<Difference> {
    if left == right {
        return None;
    }
    let (left, right) = (Side::new(fields, left), Side::new(fields, right));
    if left.status != right.status {
        return Some(Difference { field: "status".to_owned(), left: left.status, right: right.status });
    }
    for (index, field) in fields.iter().enumerate() {
        if left.bytes(index) != right.bytes(index) {
            let field_name = field.name.to_string();
            return Some(Difference { field: field_name, left: left.text(index, field), right: right.text(index, field) });
        }
    }
    Some(Difference { field: "status".to_owned(), left: left.status, right: right.status })
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
            (3, &[low, high]) => RowStatus::Error(ErrorCode(u16::from_le_bytes([low, high]))),
            _ => return Side { status: format!("malformed row of {} bytes", row.len()), columns: None },
        };
        let columns = status.has_columns().then(|| decode_rows(fields, [rest]));
        match (status, columns) {
            (RowStatus::Error(code), _) => Side { status: format!("error {code}"), columns: None },
            (_, None) => Side { status: status.name().to_owned(), columns: None },
            (_, Some(Ok(columns))) => Side { status: status.name().to_owned(), columns: Some(columns) },
            (_, Some(Err(error))) => Side { status: format!("malformed ({error})"), columns: None },
        }
    }

    fn bytes(&self, column: usize) -> Option<Vec<u8>> {
        let rows = CanonicalRows::of_columns(self.columns.as_ref()?, [column]).ok()?;
        let mut bytes = Vec::new();
        rows.write_fields(0, &mut bytes);
        Some(bytes)
    }

    fn text(&self, column: usize, field: &Field) -> String {
        let Some(columns) = &self.columns else { return self.status.clone() };
        let array = columns.column(column);
        if array.is_null(0) {
            return "null".to_owned();
        }
        match field.ty {
            FieldType::Bool => array.as_boolean().value(0).to_string(),
            FieldType::Int64 => array.as_primitive::<Int64Type>().value(0).to_string(),
            FieldType::Timestamp => array.as_primitive::<TimestampMicrosecondType>().value(0).to_string(),
            FieldType::Float64 => {
                let value = array.as_primitive::<Float64Type>().value(0);
                format!("{value:?} (0x{:016x})", value.to_bits())
            }
            FieldType::Float32 => {
                let value = array.as_primitive::<Float32Type>().value(0);
                format!("{value:?} (0x{:08x})", value.to_bits())
            }
            FieldType::Utf8 => format!("{:?}", array.as_string::<i32>().value(0)),
            FieldType::Binary => format!("0x{}", hex::encode(array.as_binary::<i32>().value(0))),
            FieldType::List(_) => format!("{:?}", array.as_list::<i32>().value(0)),
        }
    }
}
