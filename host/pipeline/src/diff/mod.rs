//! What changes from one version of a view to another: what they declare ([`compare_declarations`]), and what they
//! compute on sample rows ([`compare_values`]), which both are asked in the same way.
//!
//! Reading order: `declarations`; `samples`, what both are asked; `computed`, what one of them comes to; `values`.

mod computed;
mod declarations;
mod samples;
mod values;

use arrow_schema::ArrowError;
use trifold_model::canonical::ForeignType;

pub use declarations::{
    Break, DeclarationDiff, Declared, FieldChange, Setting, SettingChange, StateChange, compare_declarations,
};
pub use samples::{generated_pair, request_samples};
pub use values::{DifferingRow, FeatureDiff, FoldedStates, LeftOut, Sides, ValueDiff, compare_values};

use crate::gate::GateError;
use crate::timeline::TimelineError;

/// Versions could not be compared to the end.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// Arrow refused an operation.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// A column of a type outside the contract.
    #[error(transparent)]
    Type(#[from] ForeignType),
    /// The events of a window view could not be followed.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// The events of a window view could not be folded as the gate folds them.
    #[error(transparent)]
    Gate(#[from] GateError),
}
