//! From a batch to calls and back: functions of the guest that answer one row for each row they are asked.
//!
//! A batch is called in chunks, and a chunk whose call counts for nothing in halves ([`crate::caller`]).

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat;
use trifold_model::{ErrorCode, Field};

use crate::applied::{Applied, Cause, RowFailure, Verdict};
use crate::call::{Instance, Stop, row_message};
use crate::caller::{Caller, is_final};
use crate::pace::Pace;
use crate::slab::{AnswerError, Slab, check_inputs, decode};
use crate::transform::Transform;
use crate::wire::{Input, Outcome, Rejection};

/// A function of the guest with what it is asked.
pub(crate) trait RowCall {
    /// How many rows are asked for.
    fn rows(&self) -> usize;
    /// What is wrong with the question, if anything is.
    fn check(&self, transform: &Transform) -> Result<(), String>;
    /// The columns of the answer: as declared, and with every field nullable.
    fn outputs<'t>(&self, transform: &'t Transform) -> (&'t [Field], &'t SchemaRef);
    /// How many rows a call takes.
    fn pace<'t>(&self, transform: &'t Transform) -> &'t Pace;
    /// Calls the guest for some of the rows.
    fn call(&self, transform: &Transform, instance: &mut Instance, rows: Range<usize>) -> Result<Outcome, Stop>;
}

/// `apply`: the outputs of a row view or an on-demand view.
pub(crate) struct Apply<'a>(pub(crate) &'a RecordBatch);

/// `prepare`: the prepared events of a window view.
pub(crate) struct Prepare<'a>(pub(crate) &'a RecordBatch);

impl RowCall for Apply<'_> {
    fn rows(&self) -> usize {
        self.0.num_rows()
    }

    fn check(&self, transform: &Transform) -> Result<(), String> {
        check_batch(transform, self.0)
    }

    fn outputs<'t>(&self, transform: &'t Transform) -> (&'t [Field], &'t SchemaRef) {
        (&transform.view().outputs, transform.outputs())
    }

    fn pace<'t>(&self, transform: &'t Transform) -> &'t Pace {
        &transform.paces().rows
    }

    fn call(&self, transform: &Transform, instance: &mut Instance, rows: Range<usize>) -> Result<Outcome, Stop> {
        instance.apply((input(transform, self.0, rows),))
    }
}

impl RowCall for Prepare<'_> {
    fn rows(&self) -> usize {
        self.0.num_rows()
    }

    fn check(&self, transform: &Transform) -> Result<(), String> {
        check_batch(transform, self.0)
    }

    fn outputs<'t>(&self, transform: &'t Transform) -> (&'t [Field], &'t SchemaRef) {
        (transform.prepared_fields(), transform.prepared())
    }

    fn pace<'t>(&self, transform: &'t Transform) -> &'t Pace {
        &transform.paces().rows
    }

    fn call(&self, transform: &Transform, instance: &mut Instance, rows: Range<usize>) -> Result<Outcome, Stop> {
        instance.prepare((input(transform, self.0, rows),))
    }
}

fn input<'a>(transform: &'a Transform, batch: &'a RecordBatch, rows: Range<usize>) -> Input<'a> {
    // Batches are chunked far below what 32 bits count.
    Input { rows: rows.len() as u32, words: Slab::new(&transform.view().inputs, batch, rows) }
}

fn check_batch(transform: &Transform, batch: &RecordBatch) -> Result<(), String> {
    let view = transform.view();
    // A batch has the columns of its schema, and the view's own has been checked.
    if Arc::ptr_eq(batch.schema_ref(), view.input_schema()) {
        return Ok(());
    }
    check_inputs(&view.inputs, batch).map_err(|error| error.to_string())
}

/// One question on its way through a transform.
pub(crate) struct Run<'a, C> {
    question: C,
    caller: Caller<'a>,
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

impl<'a, C: RowCall> Run<'a, C> {
    pub(crate) fn new(question: C, caller: Caller<'a>) -> Self {
        Run { question, caller, pieces: Vec::new(), failures: Vec::new() }
    }

    pub(crate) fn apply(mut self) -> Applied {
        let rows = self.question.rows();
        let transform = self.caller.transform;
        if let Err(message) = self.question.check(transform) {
            self.fail(0..rows, Stop::unavailable(Cause::Inputs, message));
            return self.finish();
        }
        let mut next = 0;
        while next < rows {
            let end = rows.min(next + self.question.pace(transform).rows());
            self.range(next..end);
            next = end;
        }
        self.finish()
    }

    fn range(&mut self, rows: Range<usize>) {
        match self.call(rows.clone()) {
            Ok(answer) => self.accept(rows.start, answer),
            Err(stop) if rows.len() > 1 && !is_final(stop.verdict) => {
                self.question.pace(self.caller.transform).slow_down(rows.len());
                let middle = rows.start + rows.len() / 2;
                self.range(rows.start..middle);
                self.range(middle..rows.end);
            }
            Err(stop) => self.fail(rows, stop),
        }
    }

    fn call(&mut self, rows: Range<usize>) -> Result<Answer, Stop> {
        let (transform, question, count) = (self.caller.transform, &self.question, rows.len());
        let pace = question.pace(transform);
        let outcome = self.caller.call(count, pace, |instance| question.call(transform, instance, rows))?;
        self.answer(count, outcome).map_err(|error| Stop::answer(&error))
    }

    fn answer(&self, rows: usize, outcome: Outcome) -> Result<Answer, AnswerError> {
        let Outcome { rows: answered, rejections } = outcome;
        if answered.rows as usize != rows {
            return Err(AnswerError::Rows { found: answered.rows, expected: rows });
        }
        let rejected = rejected_rows(&rejections, rows)?;
        let (fields, schema) = self.question.outputs(self.caller.transform);
        let columns = decode(fields, schema, rows, answered.words, &rejected)?;
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
        let message = format!("view {}: {}", self.caller.transform.view().name, stop.message);
        let failure = |row| RowFailure { row, verdict: stop.verdict, message: message.clone() };
        self.failures.extend(rows.map(failure));
    }

    fn finish(self) -> Applied {
        let Run { question, caller, pieces, failures } = self;
        let (_, schema) = question.outputs(caller.transform);
        match assemble(schema, pieces) {
            Ok(outputs) => Applied { outputs, failures },
            Err(error) => unassembled(caller.transform, schema, question.rows(), &error),
        }
    }
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

fn assemble(schema: &SchemaRef, mut pieces: Vec<Piece>) -> Result<RecordBatch, ArrowError> {
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
    RecordBatch::try_new(schema.clone(), columns)
}

/// The outputs of the chunks do not fit into one batch: a column of more than 2 GiB.
fn unassembled(transform: &Transform, schema: &SchemaRef, rows: usize, error: &ArrowError) -> Applied {
    let message = format!("view {}: the outputs do not fit into one batch: {error}", transform.view().name);
    let verdict = Verdict::Unavailable(Cause::Engine);
    let failures = (0..rows).map(|row| RowFailure { row, verdict, message: message.clone() }).collect();
    let columns = schema.fields().iter().map(|field| new_null_array(field.data_type(), rows));
    let outputs = RecordBatch::try_new(schema.clone(), columns.collect());
    Applied { outputs: outputs.unwrap_or_else(|_| RecordBatch::new_empty(schema.clone())), failures }
}
