//! Which rows of a question the version in force answers, and which its canary.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, Schema};
use arrow_select::take::take_record_batch;
use trifold_model::EntityKey;

use crate::candidate::Canary;
use crate::rows::Rows;
use crate::version::LiveVersion;

/// The rows of a question that one version answers, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Side {
    /// All of them.
    All,
    /// Some of them.
    Some(Vec<u32>),
}

impl Side {
    /// The rows of the version in force, and those of its canary.
    pub(crate) fn divide(canary: &Canary, keys: &[EntityKey]) -> [Side; 2] {
        let rows = 0..keys.len() as u32;
        let (taken, left): (Vec<_>, Vec<_>) = rows.partition(|&row| canary.takes(&keys[row as usize]));
        match (taken.is_empty(), left.is_empty()) {
            (true, _) => [Side::All, Side::Some(Vec::new())],
            (false, true) => [Side::Some(Vec::new()), Side::All],
            (false, false) => [Side::Some(left), Side::Some(taken)],
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Side::Some(rows) if rows.is_empty())
    }

    /// The row of the question that a row of the side is.
    pub(crate) fn row(&self, place: usize) -> usize {
        match self {
            Side::All => place,
            Side::Some(rows) => rows[place] as usize,
        }
    }

    /// The rows of the question that the side has, of so many.
    pub(crate) fn rows(&self, count: usize) -> Vec<u32> {
        match self {
            Side::All => (0..count as u32).collect(),
            Side::Some(rows) => rows.clone(),
        }
    }

    /// What the side has of something that all rows have.
    pub(crate) fn of<'a, T: Clone>(&self, all: &'a [T]) -> Cow<'a, [T]> {
        match self {
            Side::All => Cow::Borrowed(all),
            Side::Some(rows) => rows.iter().map(|&row| all[row as usize].clone()).collect(),
        }
    }

    /// What the side has of some columns.
    pub(crate) fn of_columns(&self, columns: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        match self {
            Side::All => Ok(columns.clone()),
            Side::Some(rows) => take_record_batch(columns, &UInt32Array::from(rows.clone())),
        }
    }

    /// The rows of both sides in the order of the question, with the outputs of the version in force, all of which its canary
    /// has.
    pub(crate) fn joined(
        serving: (&LiveVersion, Option<&Rows>),
        canary: (&Side, &Rows),
        count: usize,
    ) -> Result<Rows, ArrowError> {
        let fields = serving.0.view().output_schema().fields().iter();
        let fields: Vec<_> = fields.map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let (side, taken) = canary;
        let is_taken: BTreeMap<u32, usize> = side.rows(count).into_iter().zip(0..).collect();
        let mut left = 0;
        let place = |row| match is_taken.get(&row) {
            Some(&place) => (0, place),
            None => {
                left += 1;
                (1, left - 1)
            }
        };
        let places: Vec<_> = (0..count as u32).map(place).collect();
        let pieces = [Some(taken), serving.1].into_iter().flatten().map(|rows| {
            let outputs = rows.outputs();
            let column = |field: &Arc<arrow_schema::Field>| -> Result<ArrayRef, ArrowError> {
                Ok(outputs.column(outputs.schema().index_of(field.name())?).clone())
            };
            let columns = schema.fields().iter().map(column).collect::<Result<_, _>>()?;
            rows.clone().with_outputs(&schema, columns)
        });
        Rows::of_pieces(&schema, pieces.collect::<Result<_, _>>()?, &places)
    }
}
