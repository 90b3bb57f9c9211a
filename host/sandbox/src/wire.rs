//! The contract's types as they cross: parameters and results of every export.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};
use trifold_model::view::arrow_schema;
use trifold_model::{Field, FieldType};
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::slab::Slab;

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Input<'a> {
    pub(crate) rows: u32,
    pub(crate) words: Slab<'a>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Rows {
    pub(crate) rows: u32,
    pub(crate) words: Vec<u64>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Rejection {
    pub(crate) row: u32,
    pub(crate) code: u16,
    pub(crate) message: String,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Outcome {
    pub(crate) rows: Rows,
    pub(crate) rejections: Vec<Rejection>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Failure {
    pub(crate) message: String,
}

/// A run of prepared events that is folded onto one state.
#[derive(ComponentType, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(record)]
pub struct Group {
    /// Which state, if it is less than the number of states; otherwise the answer of an earlier group, counted from
    /// the number of states.
    pub state: u32,
    /// The first prepared event.
    pub first: u32,
    /// How many events; at least one.
    pub count: u32,
}

/// Neighbours: `count` of them from `first`.
#[derive(ComponentType, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(record)]
pub struct Run {
    /// The first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// The result of `describe`.
pub(crate) type DescribeResults = (String,);
/// The parameters of `apply` and `prepare`.
pub(crate) type RowsParams<'a> = (Input<'a>,);
/// The results of `apply`, `prepare` and `finish`.
pub(crate) type RowsResults = (Result<Outcome, Failure>,);
/// The parameters of `accumulate`.
pub(crate) type AccumulateParams<'a> = (Input<'a>, &'a [Group], Input<'a>);
/// The parameters of `merge`.
pub(crate) type MergeParams<'a> = (Input<'a>, &'a [Run]);
/// The results of `accumulate` and `merge`.
pub(crate) type StatesResults = (Result<Rows, Failure>,);
/// The parameters of `finish`.
pub(crate) type FinishParams<'a> = (Input<'a>, &'a [u32], &'a [Run], Input<'a>, &'a [i64]);

impl<'a> Input<'a> {
    pub(crate) fn new(fields: &'a [Field], batch: &'a RecordBatch) -> Self {
        // Batches are chunked far below what 32 bits count.
        Input { rows: batch.num_rows() as u32, words: Slab::new(fields, batch, 0..batch.num_rows()) }
    }
}

/// The one column of a batch of states.
pub(crate) struct StateColumn {
    /// As the contract describes it.
    pub(crate) fields: Vec<Field>,
    /// The same for Arrow.
    pub(crate) schema: SchemaRef,
}

impl StateColumn {
    pub(crate) fn new() -> Self {
        let field = |name| Field { name, ty: FieldType::Binary, nullable: false, doc: String::new() };
        let fields: Vec<Field> = "state".parse().map(field).into_iter().collect();
        StateColumn { schema: arrow_schema(&fields), fields }
    }

    /// States as the batch in which they cross.
    pub(crate) fn batch(&self, states: BinaryArray) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(self.schema.clone(), vec![Arc::new(states) as ArrayRef])
    }
}
