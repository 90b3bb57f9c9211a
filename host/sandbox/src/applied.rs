//! What comes of a call: values, and failures row by row.

use std::fmt;

use arrow_array::RecordBatch;
use trifold_model::ErrorCode;

/// The result of applying a transform to a batch.
#[derive(Debug, Clone)]
pub struct Applied {
    /// One row for each input row, with the view's output columns, all of them nullable: a row that failed is
    /// null in every column.
    pub outputs: RecordBatch,
    /// The rows that have no value, in ascending order.
    pub failures: Vec<RowFailure>,
}

/// A row without a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFailure {
    /// Which row of the batch.
    pub row: usize,
    /// What it means for the row's value.
    pub verdict: Verdict,
    /// What happened. It is for people: two runs may word it differently.
    pub message: String,
}

/// What a failure means for a row's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A row error, which is the row's value everywhere and always.
    Error(ErrorCode),
    /// Nothing is known of the row's value. Never stored, digested or compared.
    Unavailable(Cause),
}

/// Why a row is unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The request's budget, or the view's part of it, is spent.
    Budget,
    /// Nobody waits for the answer any more.
    Unwanted,
    /// The guest recursed beyond the native stack, whose depth differs between processors.
    NativeStack,
    /// The engine had no instance left.
    Pool,
    /// The engine or the system failed.
    Engine,
    /// The batch is not what the view reads, which is the caller's mistake.
    Inputs,
}

impl Cause {
    /// The word that logs and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Budget => "budget",
            Cause::Unwanted => "unwanted",
            Cause::NativeStack => "native-stack",
            Cause::Pool => "pool",
            Cause::Engine => "engine",
            Cause::Inputs => "inputs",
        }
    }
}

impl fmt::Display for RowFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: {}", self.row, self.message)
    }
}
