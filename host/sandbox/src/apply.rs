//! From a batch to calls and back.
//!
//! A batch is called in chunks. Each call gets what *one* row may use, and a call that fails or uses more than
//! half of it is repeated in halves, down to one row, whose verdict counts: so no row lives on its neighbours'
//! allowance. A call of several rows is therefore stopped at half: what lies beyond is never accepted.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::ArrowError;
use arrow_select::concat::concat;
use trifold_model::ErrorCode;

use crate::applied::{Applied, Cause, RowFailure, Verdict};
use crate::budget::Budget;
use crate::call::{Allowance, Input, Instance, Outcome, Rejection, Stop, Usage, row_message};
use crate::slab::{AnswerError, Slab, check_inputs, decode};
use crate::transform::Transform;

/// The part of a row's limits that a call of several rows may use.
const SHARE: u64 = 2;

/// One batch on its way through a transform.
pub(crate) struct Run<'a> {
    transform: &'a Transform,
    inputs: &'a RecordBatch,
    budget: &'a mut Budget,
    /// The instance that calls share, for the publish gate alone; otherwise every call has a fresh one.
    kept: Option<&'a mut Option<Instance>>,
    pieces: Vec<Piece>,
    failures: Vec<RowFailure>,
}

/// The outputs of some rows.
enum Piece {
    Columns(Vec<ArrayRef>),
    Failed(usize),
}

struct Answer {
    columns: Vec<ArrayRef>,
    rejections: Vec<Rejection>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        transform: &'a Transform,
        inputs: &'a RecordBatch,
        budget: &'a mut Budget,
        kept: Option<&'a mut Option<Instance>>,
    ) -> Self {
        let (pieces, failures) = (Vec::new(), Vec::new());
        Run { transform, inputs, budget, kept, pieces, failures }
    }

    pub(crate) fn apply(mut self) -> Applied {
        let rows = self.inputs.num_rows();
        let view = self.transform.view();
        // A batch has the columns of its schema, and the view's own has been checked.
        if !Arc::ptr_eq(self.inputs.schema_ref(), view.input_schema())
            && let Err(error) = check_inputs(&view.inputs, self.inputs)
        {
            self.fail(0..rows, Stop::unavailable(Cause::Inputs, error.to_string()));
            return self.finish();
        }
        let mut next = 0;
        while next < rows {
            let end = rows.min(next + self.transform.pace().rows());
            self.range(next..end);
            next = end;
        }
        self.finish()
    }

    fn range(&mut self, rows: Range<usize>) {
        match self.call(rows.clone()) {
            Ok(answer) => self.accept(rows.start, answer),
            Err(stop) if rows.len() > 1 && says_nothing_yet(stop.verdict) => {
                self.transform.pace().slow_down(rows.len());
                let middle = rows.start + rows.len() / 2;
                self.range(rows.start..middle);
                self.range(middle..rows.end);
            }
            Err(stop) => self.fail(rows, stop),
        }
    }

    fn call(&mut self, rows: Range<usize>) -> Result<Answer, Stop> {
        let allowance = self.allowance(rows.len());
        if allowance.fuel == 0 {
            return Err(self.over_budget());
        }
        let (result, usage) = self.call_instance(&rows, allowance);
        self.budget.spend(usage.fuel);
        let outcome = result.map_err(|stop| match stop.verdict {
            Verdict::Error(ErrorCode::FUEL) if allowance.fuel < self.row_fuel(rows.len()) => self.over_budget(),
            _ => stop,
        })?;
        // Fuel is checked at loops and calls, so that the last stretch may use up the rest and still return.
        if rows.len() > 1 && usage.fuel == allowance.fuel {
            return Err(Stop::error(ErrorCode::FUEL, String::new()));
        }
        self.transform.pace().learn(rows.len(), usage);
        self.answer(rows.len(), outcome).map_err(|error| Stop::answer(&error))
    }

    fn call_instance(&mut self, rows: &Range<usize>, allowance: Allowance) -> (Result<Outcome, Stop>, Usage) {
        let transform = self.transform;
        let mut instance = match self.instance(rows.len(), allowance) {
            Ok(instance) => instance,
            Err((stop, usage)) => return (Err(stop), usage),
        };
        let words = Slab::new(&transform.view().inputs, self.inputs, rows.clone());
        // Batches are chunked far below what 32 bits count.
        let input = Input { rows: rows.len() as u32, words };
        let outcome = instance.apply(input);
        let usage = instance.usage();
        if let (Some(kept), Ok(_)) = (&mut self.kept, &outcome) {
            **kept = Some(instance);
        }
        (outcome, usage)
    }

    /// The kept instance while it leaves the call room, or a fresh one.
    fn instance(&mut self, rows: usize, allowance: Allowance) -> Result<Instance, (Stop, Usage)> {
        let Some(kept) = &mut self.kept else { return self.transform.instance(rows, allowance) };
        match kept.take() {
            Some(mut instance) if instance.usage().memory_bytes <= self.transform.memory_bytes() / 2 => {
                let begun = instance.begin(allowance);
                let usage = instance.usage();
                begun.map(|()| instance).map_err(|stop| (stop, usage))
            }
            _ => self.transform.warm_instance(allowance),
        }
    }

    fn allowance(&self, rows: usize) -> Allowance {
        let share = if rows > 1 { SHARE } else { 1 };
        // The limits are checked to fit the pool's memories.
        let memory_bytes = self.transform.memory_bytes() / share as usize;
        Allowance { fuel: self.row_fuel(rows).min(self.budget.left()), memory_bytes }
    }

    fn row_fuel(&self, rows: usize) -> u64 {
        self.transform.view().limits.fuel / if rows > 1 { SHARE } else { 1 }
    }

    fn over_budget(&self) -> Stop {
        let message = format!("the request's budget of {} units of fuel is spent", self.budget.limit());
        Stop::unavailable(Cause::Budget, message)
    }

    fn answer(&self, rows: usize, outcome: Outcome) -> Result<Answer, AnswerError> {
        let Outcome { rows: answered, rejections } = outcome;
        if answered.rows as usize != rows {
            return Err(AnswerError::Rows { found: answered.rows, expected: rows });
        }
        let rejected = rejected_rows(&rejections, rows)?;
        let fields = &self.transform.view().outputs;
        let columns = decode(fields, self.transform.outputs(), rows, answered.words, &rejected)?;
        Ok(Answer { columns, rejections })
    }

    fn accept(&mut self, first: usize, answer: Answer) {
        self.pieces.push(Piece::Columns(answer.columns));
        self.failures.extend(answer.rejections.into_iter().map(|rejection| RowFailure {
            row: first + rejection.row as usize,
            verdict: Verdict::Error(ErrorCode(rejection.code)),
            message: row_message(rejection.message),
        }));
    }

    fn fail(&mut self, rows: Range<usize>, stop: Stop) {
        self.pieces.push(Piece::Failed(rows.len()));
        let message = format!("view {}: {}", self.transform.view().name, stop.message);
        let failure = |row| RowFailure { row, verdict: stop.verdict, message: message.clone() };
        self.failures.extend(rows.map(failure));
    }

    fn finish(self) -> Applied {
        let Run { transform, inputs, pieces, failures, .. } = self;
        match assemble(transform, pieces) {
            Ok(outputs) => Applied { outputs, failures },
            Err(error) => unassembled(transform, inputs.num_rows(), &error),
        }
    }
}

/// Whether a call of several rows is to be repeated in halves. A spent budget or an engine without memory would
/// stop the halves too.
fn says_nothing_yet(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Error(_) | Verdict::Unavailable(Cause::NativeStack))
}

fn rejected_rows(rejections: &[Rejection], rows: usize) -> Result<Vec<usize>, AnswerError> {
    let mut rejected = Vec::with_capacity(rejections.len());
    let mut previous = None;
    for (index, &Rejection { row, code, .. }) in rejections.iter().enumerate() {
        if row as usize >= rows {
            return Err(AnswerError::RejectedRow { index, row, rows });
        }
        if let Some(previous) = previous.filter(|previous| *previous >= row) {
            return Err(AnswerError::RejectionOrder { index, row, previous });
        }
        if !ErrorCode(code).is_guest() {
            return Err(AnswerError::RejectionCode { row, code });
        }
        previous = Some(row);
        rejected.push(row as usize);
    }
    Ok(rejected)
}

fn assemble(transform: &Transform, mut pieces: Vec<Piece>) -> Result<RecordBatch, ArrowError> {
    let schema = transform.outputs();
    if let [Piece::Columns(columns)] = pieces.as_mut_slice() {
        return RecordBatch::try_new(schema.clone(), std::mem::take(columns));
    }
    let column = |index: usize| -> Result<ArrayRef, ArrowError> {
        let ty = schema.field(index).data_type();
        let parts = pieces.iter().map(|piece| match piece {
            Piece::Columns(columns) => columns[index].clone(),
            Piece::Failed(rows) => new_null_array(ty, *rows),
        });
        let parts: Vec<_> = parts.collect();
        match parts.as_slice() {
            [] => Ok(new_null_array(ty, 0)),
            [one] => Ok(one.clone()),
            parts => concat(&parts.iter().map(|part| part.as_ref() as &dyn Array).collect::<Vec<_>>()),
        }
    };
    let columns = (0..schema.fields().len()).map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// The outputs of the chunks do not fit into one batch: a column of more than 2 GiB.
fn unassembled(transform: &Transform, rows: usize, error: &ArrowError) -> Applied {
    let message = format!("view {}: the outputs do not fit into one batch: {error}", transform.view().name);
    let verdict = Verdict::Unavailable(Cause::Engine);
    let failures = (0..rows).map(|row| RowFailure { row, verdict, message: message.clone() }).collect();
    let columns = transform.outputs().fields().iter().map(|field| new_null_array(field.data_type(), rows));
    let outputs = RecordBatch::try_new(transform.outputs().clone(), columns.collect());
    Applied { outputs: outputs.unwrap_or_else(|_| RecordBatch::new_empty(transform.outputs().clone())), failures }
}
