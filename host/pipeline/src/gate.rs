//! The publish gate: what a component must show before it may enter the registry.
//!
//! A row's bytes may depend on the row alone. The gate computes sample rows in every way in which a runner
//! might, one by one, all at once, shuffled, and in instances that have seen other rows, and compares bytes. It folds
//! the events of a window view in every way in which a runner might, too.

mod folds;
mod rows;
mod sharing;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use trifold_model::canonical::ForeignType;
use trifold_model::{ErrorCode, FuelSummary};
use trifold_sandbox::{Transform, Unavailable};

use folds::fold_checks;
use rows::{Function, RowReport, row_checks};
use sharing::sharing_check;
pub(crate) use sharing::state_difference;

const ANSWERS: &str = "answers as described";
const COMPUTED: &str = "a row is computed";

/// How many rows are generated. They are always tried, so that no component is published on friendly samples alone.
pub const GENERATED_ROWS: usize = 256;

/// Decides the generated rows and the shuffles; fixed, so that the gate gives the same verdict every time.
pub const SEED: u64 = 0x7472_6966_6F6C_6431;

/// The gate could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Arrow refused an operation, most often for samples of another schema.
    #[error("the samples do not fit the view's inputs: {0}")]
    Arrow(#[from] ArrowError),
    /// A column of a type outside the contract.
    #[error(transparent)]
    Type(#[from] ForeignType),
    /// No instance could be had.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// One thing that the gate tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateCheck {
    /// What was asked: in most checks, what was compared with computing every row alone in a fresh instance.
    pub name: &'static str,
    /// How many rows were compared.
    pub rows: usize,
    /// The first row that differed or was wrong, in words; `None` when none did.
    pub failure: Option<String>,
}

impl GateCheck {
    /// What the author of a component that failed here may do.
    pub fn advice(&self) -> &'static str {
        if self.name == ANSWERS {
            "its answers are not of the outputs that its describe declares, so build it with trifold-sdk"
        } else if self.name == COMPUTED {
            "every row of the sample traps or goes beyond a limit, so no lookup would ever have a value"
        } else {
            folds::advice(self.name).or_else(|| sharing::advice(self.name)).unwrap_or(
                "a row's value may depend on that row alone, so look for state kept between rows and for maps \
                 without a fixed order",
            )
        }
    }
}

/// What the gate found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateReport {
    /// How many sample rows were used.
    pub sample_rows: usize,
    /// Those of them that are row errors, by code. They count as values, but samples that are all errors show little.
    pub errors: Vec<ErrorRows>,
    /// What each sample row burnt in a call of its own: of `apply`, or of `prepare` for a window view.
    pub fuel: FuelSummary,
    /// Everything that was tried.
    pub checks: Vec<GateCheck>,
}

/// Sample rows that are errors of one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRows {
    /// The code.
    pub code: ErrorCode,
    /// How many rows have it.
    pub rows: usize,
    /// The first of them, and its message.
    pub first: String,
}

impl GateReport {
    /// How many sample rows are row errors.
    pub fn error_rows(&self) -> usize {
        self.errors.iter().map(|errors| errors.rows).sum()
    }

    /// What the rows end with if not one of them is computed or refused by the transform itself: each trapped, or went
    /// beyond a limit.
    pub fn nothing_computed(&self) -> Option<&ErrorRows> {
        let by_host = self.errors.iter().filter(|errors| !errors.code.is_guest());
        let rows: usize = by_host.clone().map(|errors| errors.rows).sum();
        by_host.into_iter().next().filter(|_| rows == self.sample_rows)
    }

    /// Adds the check that a row is computed: generated rows may all be nonsense to a transform, those of its author are
    /// not.
    pub(crate) fn check_computed(&mut self) {
        let failure = self
            .nothing_computed()
            .map(|errors| format!("error {} and the like, {}", errors.code.0, errors.first));
        self.checks.push(GateCheck { name: COMPUTED, rows: self.sample_rows, failure });
    }

    /// Whether the component may be published.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.failure.is_none())
    }
}

/// Runs the gate over sample rows in the schema of the view's inputs. `seed` decides the shuffles. `earlier` are versions
/// of the view, by number: a window view must fold as those of them do that have its state id. What a row view stores are
/// its inputs, whatever the version.
pub fn publish_gate(
    transform: &Transform,
    earlier: &[(u64, Transform)],
    samples: &RecordBatch,
    seed: u64,
) -> Result<GateReport, GateError> {
    let function = if transform.view().windows().is_some() { Function::Prepare } else { Function::Apply };
    let RowReport { mut checks, errors, fuel } = row_checks(transform, function, samples, seed)?;
    if let Some(spec) = transform.view().windows() {
        checks.extend(fold_checks(transform, spec, samples, seed)?);
        let state_id = transform.view().state_id();
        for (number, earlier) in earlier.iter().filter(|(_, earlier)| earlier.view().state_id() == state_id) {
            checks.push(sharing_check(transform, (*number, earlier), spec, samples, seed)?);
        }
    }
    Ok(GateReport { sample_rows: samples.num_rows(), errors, fuel, checks })
}
