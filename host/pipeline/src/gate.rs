//! The publish gate: what a component must show before it may enter the registry.
//!
//! A row's bytes may depend on the row alone. The gate computes sample rows in every way in which a runner
//! might, one by one, all at once, shuffled, and in instances that have seen other rows, and compares bytes.

use std::collections::BTreeMap;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::take::take_record_batch;
use trifold_model::canonical::ForeignType;
use trifold_model::{CanonicalRows, ErrorCode, RowStatus, first_difference};
use trifold_sandbox::{Applied, Budget, Transform, Unavailable, Verdict};

use crate::samples::SplitMix64;

const ANSWERS: &str = "answers as described";

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
        } else {
            "a row's value may depend on that row alone, so look for state kept between rows and for maps without \
             a fixed order"
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

    /// Whether the component may be published.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.failure.is_none())
    }
}

/// Runs the gate over sample rows in the schema of the view's inputs. `seed` decides the shuffle.
pub fn publish_gate(transform: &Transform, samples: &RecordBatch, seed: u64) -> Result<GateReport, GateError> {
    let count = samples.num_rows();
    let in_order: Vec<u32> = (0..count as u32).collect();
    let shuffled = shuffle(in_order.clone(), seed);
    let alone = one_by_one(samples, |row| Ok(transform.apply(row, &mut Budget::unlimited())))?;
    let gate = Gate { transform, alone: &alone };
    let mut warm = transform.warm()?;
    let mut checks = vec![
        gate.answers(samples),
        gate.check(
            "each row alone, again",
            &in_order,
            one_by_one(samples, |row| Ok(transform.apply(row, &mut Budget::unlimited())))?,
        ),
        gate.check("all rows in one batch", &in_order, at_once(transform, samples, &in_order)?),
        gate.check("all rows in one batch, shuffled", &shuffled, at_once(transform, samples, &shuffled)?),
    ];
    checks.push(gate.check(
        "each row in a used instance",
        &in_order,
        one_by_one(samples, |row| Ok(warm.apply(row)))?,
    ));
    let reordered = take_record_batch(samples, &UInt32Array::from(shuffled.clone()))?;
    let warm_batch = bytes(&warm.apply(&reordered), count)?;
    checks.push(gate.check("all rows, shuffled, in a used instance", &shuffled, warm_batch));
    Ok(GateReport { sample_rows: count, errors: gate.errors(samples), checks })
}

/// A sample row's result: canonical bytes, or why there are none.
#[derive(PartialEq, Eq)]
enum Row {
    Known(Vec<u8>),
    Unavailable(String),
}

impl Row {
    fn error(&self) -> Option<ErrorCode> {
        match self {
            Row::Known(bytes) => match bytes.as_slice() {
                [status, low, high] if *status == RowStatus::Error(ErrorCode(0)).byte() => {
                    Some(ErrorCode(u16::from_le_bytes([*low, *high])))
                }
                _ => None,
            },
            Row::Unavailable(_) => None,
        }
    }
}

struct Gate<'a> {
    transform: &'a Transform,
    alone: &'a [Row],
}

impl Gate<'_> {
    /// An answer that is not of the described outputs is an error row like any other, and the same in every
    /// batch; but no row of such a component is worth publishing.
    fn answers(&self, samples: &RecordBatch) -> GateCheck {
        let first = self.alone.iter().position(|row| row.error() == Some(ErrorCode::ANSWER));
        let failure = first.map(|row| self.message(samples, row));
        GateCheck { name: ANSWERS, rows: self.alone.len(), failure }
    }

    /// The row errors by code.
    fn errors(&self, samples: &RecordBatch) -> Vec<ErrorRows> {
        let mut rows: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for (row, alone) in self.alone.iter().enumerate() {
            if let Some(code) = alone.error() {
                rows.entry(code.0).or_default().push(row);
            }
        }
        let errors = rows.into_iter().map(|(code, rows)| ErrorRows {
            code: ErrorCode(code),
            rows: rows.len(),
            first: self.message(samples, rows[0]),
        });
        errors.collect()
    }

    /// What is said of a row that fails.
    fn message(&self, samples: &RecordBatch, row: usize) -> String {
        let applied = self.transform.apply(&samples.slice(row, 1), &mut Budget::unlimited());
        let message = applied.failures.first().map_or("", |failure| failure.message.as_str());
        format!("sample row {row}: {message}")
    }

    /// Compares rows, the `i`-th being that of sample `order[i]`, with the rows computed alone.
    fn check(&self, name: &'static str, order: &[u32], rows: Vec<Row>) -> GateCheck {
        let failure = order.iter().zip(&rows).find_map(|(&sample, row)| {
            self.difference(&self.alone[sample as usize], row).map(|text| format!("sample row {sample}: {text}"))
        });
        GateCheck { name, rows: rows.len(), failure }
    }

    fn difference(&self, alone: &Row, other: &Row) -> Option<String> {
        match (alone, other) {
            (Row::Known(alone), Row::Known(other)) => {
                first_difference(&self.transform.view().outputs, alone, other)
                    .map(|difference| format!("{difference} (alone against here)"))
            }
            (Row::Unavailable(reason), _) | (_, Row::Unavailable(reason)) => {
                Some(format!("unavailable: {reason}"))
            }
        }
    }
}

fn one_by_one(
    samples: &RecordBatch,
    mut apply: impl FnMut(&RecordBatch) -> Result<Applied, GateError>,
) -> Result<Vec<Row>, GateError> {
    let mut rows = Vec::with_capacity(samples.num_rows());
    for row in 0..samples.num_rows() {
        rows.append(&mut bytes(&apply(&samples.slice(row, 1))?, 1)?);
    }
    Ok(rows)
}

fn at_once(transform: &Transform, samples: &RecordBatch, order: &[u32]) -> Result<Vec<Row>, GateError> {
    let rows = take_record_batch(samples, &UInt32Array::from(order.to_vec()))?;
    bytes(&transform.apply(&rows, &mut Budget::unlimited()), order.len())
}

fn bytes(applied: &Applied, count: usize) -> Result<Vec<Row>, GateError> {
    let columns = CanonicalRows::new(&applied.outputs)?;
    let failures: BTreeMap<usize, _> = applied.failures.iter().map(|failure| (failure.row, failure)).collect();
    let rows = (0..count).map(|row| {
        let status = match failures.get(&row).map(|failure| (&failure.verdict, &failure.message)) {
            None => RowStatus::Value,
            Some((Verdict::Error(code), _)) => RowStatus::Error(*code),
            Some((Verdict::Unavailable(_), message)) => return Row::Unavailable(message.clone()),
        };
        let mut bytes = Vec::new();
        columns.write_row(status, row, &mut bytes);
        Row::Known(bytes)
    });
    Ok(rows.collect())
}

/// Fisher and Yates's shuffle.
fn shuffle(mut order: Vec<u32>, seed: u64) -> Vec<u32> {
    let mut random = SplitMix64(seed);
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last + 1));
    }
    order
}
