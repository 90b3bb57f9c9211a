//! Functions that answer row by row: a row's bytes may depend on the row alone.

use std::collections::BTreeMap;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use trifold_model::{CanonicalRows, ErrorCode, Field, FuelSummary, RowStatus, first_difference};
use trifold_sandbox::{Applied, Budget, Transform, Verdict, WarmInstance};

use super::{ANSWERS, ErrorRows, GateCheck, GateError};
use crate::samples::SplitMix64;

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

/// A function of a component that answers one row for each row it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Function {
    /// The rows of a row view or an on-demand view.
    Apply,
    /// The prepared events of a window view.
    Prepare,
}

impl Function {
    fn fresh(self, transform: &Transform, rows: &RecordBatch, budget: &mut Budget) -> Applied {
        match self {
            Function::Apply => transform.apply(rows, budget),
            Function::Prepare => transform.prepare(rows, budget),
        }
    }

    fn used(self, warm: &mut WarmInstance, rows: &RecordBatch) -> Applied {
        match self {
            Function::Apply => warm.apply(rows),
            Function::Prepare => warm.prepare(rows),
        }
    }

    fn outputs(self, transform: &Transform) -> &[Field] {
        match (self, transform.view().windows()) {
            (Function::Prepare, Some(windows)) => &windows.prepared,
            _ => &transform.view().outputs,
        }
    }
}

struct Gate<'a> {
    transform: &'a Transform,
    function: Function,
    alone: &'a [Row],
}

/// What rows alone and together came to.
pub(super) struct RowReport {
    pub(super) checks: Vec<GateCheck>,
    /// The row errors by code.
    pub(super) errors: Vec<ErrorRows>,
    /// What each row burnt alone.
    pub(super) fuel: FuelSummary,
}

/// Computes sample rows in every way in which a runner might.
pub(super) fn row_checks(
    transform: &Transform,
    function: Function,
    samples: &RecordBatch,
    seed: u64,
) -> Result<RowReport, GateError> {
    let count = samples.num_rows();
    let in_order: Vec<u32> = (0..count as u32).collect();
    let shuffled = shuffle(in_order.clone(), seed);
    let fresh = |rows: &RecordBatch| Ok(function.fresh(transform, rows, &mut Budget::unlimited()));
    let mut fuel = Vec::with_capacity(count);
    let alone = one_by_one(samples, |row| {
        let mut budget = Budget::unlimited();
        let applied = function.fresh(transform, row, &mut budget);
        fuel.push(budget.spent());
        Ok(applied)
    })?;
    let gate = Gate { transform, function, alone: &alone };
    let mut warm = transform.warm()?;
    let reordered = take_record_batch(samples, &UInt32Array::from(shuffled.clone()))?;
    let mut checks = vec![
        gate.answers(samples),
        gate.check("each row alone, again", &in_order, one_by_one(samples, fresh)?),
        gate.check("all rows in one batch", &in_order, bytes(&fresh(samples)?, count)?),
        gate.check("all rows in one batch, shuffled", &shuffled, bytes(&fresh(&reordered)?, count)?),
    ];
    checks.push(gate.check(
        "each row in a used instance",
        &in_order,
        one_by_one(samples, |row| Ok(function.used(&mut warm, row)))?,
    ));
    let warm_batch = bytes(&function.used(&mut warm, &reordered), count)?;
    checks.push(gate.check("all rows, shuffled, in a used instance", &shuffled, warm_batch));
    Ok(RowReport { checks, errors: gate.errors(samples), fuel: FuelSummary::of(fuel) })
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
        let applied = self.function.fresh(self.transform, &samples.slice(row, 1), &mut Budget::unlimited());
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
                first_difference(self.function.outputs(self.transform), alone, other)
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
pub(super) fn shuffle(mut order: Vec<u32>, seed: u64) -> Vec<u32> {
    let mut random = SplitMix64(seed);
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last + 1));
    }
    order
}
