//! The conversion of source values to the contract's types. `CONVERSIONS.md` is its text.

use std::sync::Arc;

use arrow_array::builder::BooleanBuilder;
use arrow_array::{ArrayRef, PrimitiveArray, new_null_array, types::ArrowPrimitiveType};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};
use trifold_model::FieldType;

pub(crate) mod columns;
pub(crate) mod json;
mod lists;
mod nulls;
mod numbers;
mod text;

/// A column of a contract type, one value for each source row. Nulls stand over zeros and empty values.
pub(crate) struct Converted {
    pub(crate) array: ArrayRef,
    /// The rows whose value has no lossless conversion, ascending; the array has a null there.
    pub(crate) bad: Vec<Bad>,
}

/// A value that cannot be converted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) row: usize,
    /// The value and what is wrong with it.
    pub(crate) problem: String,
}

/// Why a whole column cannot be converted.
#[derive(Debug)]
pub(crate) enum Unconvertible {
    /// Its type has no conversion.
    Type,
    /// Arrow refused.
    Arrow(ArrowError),
}

impl From<ArrowError> for Unconvertible {
    fn from(error: ArrowError) -> Self {
        Unconvertible::Arrow(error)
    }
}

impl Converted {
    fn good(array: ArrayRef) -> Self {
        Converted { array, bad: Vec::new() }
    }

    pub(crate) fn nulls(ty: FieldType, rows: usize) -> Self {
        Converted::good(new_null_array(&ty.to_arrow(), rows))
    }
}

/// One row's value on its way: null, a value, or what is wrong with it.
type Cell<T> = Result<Option<T>, String>;

/// Puts values of fixed width into a column.
pub(crate) fn primitive<T: ArrowPrimitiveType>(
    ty: &DataType,
    cells: impl Iterator<Item = Cell<T::Native>>,
) -> Converted {
    let mut bad = Vec::new();
    let (values, valid): (Vec<T::Native>, Vec<bool>) = cells
        .enumerate()
        .map(|(row, cell)| settle(row, cell, &mut bad))
        .map(|value| (value.unwrap_or_default(), value.is_some()))
        .unzip();
    let nulls = NullBuffer::from(valid);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls).with_data_type(ty.clone());
    Converted { array: Arc::new(array), bad }
}

fn booleans(cells: impl Iterator<Item = Cell<bool>>) -> Converted {
    let (mut bad, mut values) = (Vec::new(), BooleanBuilder::new());
    for (row, cell) in cells.enumerate() {
        values.append_option(settle(row, cell, &mut bad));
    }
    Converted { array: Arc::new(values.finish()), bad }
}

/// The value of a cell; a problem is noted and becomes a null.
fn settle<T>(row: usize, cell: Cell<T>, bad: &mut Vec<Bad>) -> Option<T> {
    cell.unwrap_or_else(|problem| {
        bad.push(Bad { row, problem });
        None
    })
}

/// A value as problems show it: not more than fits a line.
fn shown(value: &str) -> String {
    const SHOWN_CHARS: usize = 80;
    match value.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_owned(),
    }
}
