//! Arrow arrays as columns of messages, and back.

use std::sync::Arc;

use arrow_array::builder::{Float32Builder, Float64Builder, Int64Builder, ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray,
};
use trifold_model::types::UTC;
use trifold_model::{FieldType, ItemType};

pub(crate) use crate::api::column::Values;
use crate::api::{
    Binaries, Bools, Column, Float32Lists, Float32s, Float64Lists, Float64s, Int64Lists, Int64s, TextLists, Texts,
};

/// A column that is not what its message says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// No values were sent.
    #[error("column {column} has no values")]
    NoValues {
        /// The column's name.
        column: String,
    },
    /// The values are of another type.
    #[error("column {column} holds {found} and must hold {expected}")]
    Type {
        /// The column's name.
        column: String,
        /// The type found.
        found: FieldType,
        /// The type needed.
        expected: FieldType,
    },
    /// The parts of the column do not fit each other.
    #[error("column {column}: {problem}")]
    Shape {
        /// The column's name.
        column: String,
        /// What does not fit.
        problem: String,
    },
}

/// A column of a message. `array` is of the type `ty`.
pub fn to_message(name: &str, ty: FieldType, array: &dyn Array) -> Column {
    let null_rows = (0..array.len()).filter(|&row| array.is_null(row)).map(|row| row as u32).collect();
    let values = match ty {
        FieldType::Bool => Values::Bools(Bools { values: array.as_boolean().values().iter().collect() }),
        FieldType::Int64 => Values::Int64s(Int64s { values: array.as_primitive::<Int64Type>().values().to_vec() }),
        FieldType::Timestamp => {
            let values = array.as_primitive::<TimestampMicrosecondType>().values().to_vec();
            Values::Timestamps(Int64s { values })
        }
        FieldType::Float64 => {
            Values::Float64s(Float64s { values: array.as_primitive::<Float64Type>().values().to_vec() })
        }
        FieldType::Float32 => {
            Values::Float32s(Float32s { values: array.as_primitive::<Float32Type>().values().to_vec() })
        }
        FieldType::Utf8 => {
            let array = array.as_string::<i32>();
            Values::Texts(Texts { values: (0..array.len()).map(|row| array.value(row).to_owned()).collect() })
        }
        FieldType::Binary => {
            let array = array.as_binary::<i32>();
            Values::Binaries(Binaries { values: (0..array.len()).map(|row| array.value(row).to_vec()).collect() })
        }
        FieldType::List(item) => list_to_message(array.as_list(), item),
    };
    Column { name: name.to_owned(), null_rows, values: Some(values) }
}

fn list_to_message(list: &ListArray, item: ItemType) -> Values {
    let lengths = (0..list.len()).map(|row| list.value_length(row) as u32).collect();
    let offsets = list.value_offsets();
    let (first, last) = (offsets[0] as usize, offsets[list.len()] as usize);
    let items = list.values().slice(first, last - first);
    match item {
        ItemType::Float32 => Values::Float32Lists(Float32Lists {
            lengths,
            items: items.as_primitive::<Float32Type>().values().to_vec(),
        }),
        ItemType::Float64 => Values::Float64Lists(Float64Lists {
            lengths,
            items: items.as_primitive::<Float64Type>().values().to_vec(),
        }),
        ItemType::Int64 => {
            Values::Int64Lists(Int64Lists { lengths, items: items.as_primitive::<Int64Type>().values().to_vec() })
        }
        ItemType::Utf8 => {
            let items = items.as_string::<i32>();
            let items = (0..items.len()).map(|row| items.value(row).to_owned()).collect();
            Values::TextLists(TextLists { lengths, items })
        }
    }
}

/// The number of rows of a column.
pub fn row_count(column: &Column) -> usize {
    match &column.values {
        None => 0,
        Some(Values::Bools(values)) => values.values.len(),
        Some(Values::Int64s(values) | Values::Timestamps(values)) => values.values.len(),
        Some(Values::Float64s(values)) => values.values.len(),
        Some(Values::Float32s(values)) => values.values.len(),
        Some(Values::Texts(values)) => values.values.len(),
        Some(Values::Binaries(values)) => values.values.len(),
        Some(Values::Float32Lists(lists)) => lists.lengths.len(),
        Some(Values::Float64Lists(lists)) => lists.lengths.len(),
        Some(Values::Int64Lists(lists)) => lists.lengths.len(),
        Some(Values::TextLists(lists)) => lists.lengths.len(),
    }
}

/// The type of a column's values, `None` where none were sent.
pub fn field_type(column: &Column) -> Option<FieldType> {
    Some(match column.values.as_ref()? {
        Values::Bools(_) => FieldType::Bool,
        Values::Int64s(_) => FieldType::Int64,
        Values::Timestamps(_) => FieldType::Timestamp,
        Values::Float64s(_) => FieldType::Float64,
        Values::Float32s(_) => FieldType::Float32,
        Values::Texts(_) => FieldType::Utf8,
        Values::Binaries(_) => FieldType::Binary,
        Values::Float32Lists(_) => FieldType::List(ItemType::Float32),
        Values::Float64Lists(_) => FieldType::List(ItemType::Float64),
        Values::Int64Lists(_) => FieldType::List(ItemType::Int64),
        Values::TextLists(_) => FieldType::List(ItemType::Utf8),
    })
}

/// The Arrow array of a column.
pub fn from_message(column: &Column) -> Result<ArrayRef, ColumnError> {
    let name = || column.name.clone();
    let values = column.values.as_ref().ok_or_else(|| ColumnError::NoValues { column: name() })?;
    let present = present_rows(column)?;
    macro_rules! options {
        ($values:expr) => {
            $values.iter().zip(&present).map(|(value, present)| present.then_some(value))
        };
    }
    let array: ArrayRef = match values {
        Values::Bools(v) => Arc::new(options!(v.values).map(|value| value.copied()).collect::<BooleanArray>()),
        Values::Int64s(v) => Arc::new(options!(v.values).map(|value| value.copied()).collect::<Int64Array>()),
        Values::Timestamps(v) => {
            let array = options!(v.values).map(|value| value.copied()).collect::<TimestampMicrosecondArray>();
            Arc::new(array.with_timezone(UTC))
        }
        Values::Float64s(v) => Arc::new(options!(v.values).map(|value| value.copied()).collect::<Float64Array>()),
        Values::Float32s(v) => Arc::new(options!(v.values).map(|value| value.copied()).collect::<Float32Array>()),
        Values::Texts(v) => Arc::new(options!(v.values).collect::<StringArray>()),
        Values::Binaries(v) => Arc::new(options!(v.values).collect::<BinaryArray>()),
        Values::Float32Lists(v) => {
            lists(column, &present, &v.lengths, &v.items, ItemType::Float32, |b: &mut Float32Builder, v| {
                b.append_value(*v)
            })?
        }
        Values::Float64Lists(v) => {
            lists(column, &present, &v.lengths, &v.items, ItemType::Float64, |b: &mut Float64Builder, v| {
                b.append_value(*v)
            })?
        }
        Values::Int64Lists(v) => {
            lists(column, &present, &v.lengths, &v.items, ItemType::Int64, |b: &mut Int64Builder, v| {
                b.append_value(*v)
            })?
        }
        Values::TextLists(v) => {
            lists(column, &present, &v.lengths, &v.items, ItemType::Utf8, |b: &mut StringBuilder, v| {
                b.append_value(v)
            })?
        }
    };
    Ok(array)
}

fn present_rows(column: &Column) -> Result<Vec<bool>, ColumnError> {
    let mut present = vec![true; row_count(column)];
    for &row in &column.null_rows {
        let count = present.len();
        let place = present.get_mut(row as usize).ok_or_else(|| ColumnError::Shape {
            column: column.name.clone(),
            problem: format!("null row {row} is beyond its {count} rows"),
        })?;
        *place = false;
    }
    Ok(present)
}

fn lists<B, T>(
    column: &Column,
    present: &[bool],
    lengths: &[u32],
    items: &[T],
    item: ItemType,
    append: impl Fn(&mut B, &T),
) -> Result<ArrayRef, ColumnError>
where
    B: arrow_array::builder::ArrayBuilder + Default,
{
    let field = arrow_schema::Field::new("item", item.to_arrow(), false);
    let mut builder = ListBuilder::new(B::default()).with_field(field);
    let total: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
    if total != items.len() as u64 {
        let problem = format!("its lengths add up to {total} and it has {} items", items.len());
        return Err(ColumnError::Shape { column: column.name.clone(), problem });
    }
    let mut rest = items;
    for (&length, &present) in lengths.iter().zip(present) {
        let (own, after) = rest.split_at(length as usize);
        rest = after;
        for value in own.iter().filter(|_| present) {
            append(builder.values(), value);
        }
        builder.append(present);
    }
    Ok(Arc::new(builder.finish()))
}
