//! The loop over a batch.

use crate::bindings::trifold::feature::types::{Batch, Failure, Outcome, Rejection};
use crate::error::RowError;
use crate::slab::{Places, Reader, SlabError, join};
use crate::value::{Input, Output, Record, Request};

/// What a view's function returns: its output struct, or a `Result` of it.
#[diagnostic::on_unimplemented(
    message = "a view's function cannot return `{Self}`",
    label = "neither an output struct nor a `Result` of one",
    note = "write `#[derive(Output)]` on the struct, and return it or `Result<_, RowError>`"
)]
pub trait Rows {
    /// The output struct.
    type Output: Output;
    /// The row, or why it is refused.
    fn into_row(self) -> Result<Self::Output, RowError>;
}

impl<O: Output> Rows for O {
    type Output = O;

    fn into_row(self) -> Result<O, RowError> {
        Ok(self)
    }
}

impl<O: Output, E: Into<RowError>> Rows for Result<O, E> {
    type Output = O;

    fn into_row(self) -> Result<O, RowError> {
        self.map_err(Into::into)
    }
}

/// Computes every row of a batch.
pub fn apply<'a, I: Input<'a>, R: Rows>(batch: &'a Batch, function: impl Fn(I) -> R) -> Result<Outcome, Failure> {
    rows(batch, function)
}

/// Computes every row of a batch of an on-demand view.
pub fn apply_on_demand<'a, I: Request<'a>, R: Rows>(
    batch: &'a Batch,
    function: impl Fn(I) -> R,
) -> Result<Outcome, Failure> {
    rows(batch, function)
}

fn rows<'a, I: Record<'a>, R: Rows>(batch: &'a Batch, function: impl Fn(I) -> R) -> Result<Outcome, Failure> {
    report_panics();
    let inputs = read::<I>(batch)?;
    let rows = (0..batch.rows as usize).map(|row| function(I::row(&inputs, row)).into_row());
    Ok(answer(batch.rows, rows))
}

/// The columns of a batch.
pub(crate) fn read<'a, I: Record<'a>>(batch: &'a Batch) -> Result<I::Columns, Failure> {
    columns(batch, I::read)
}

/// The columns that are found in a batch and fill it.
pub(crate) fn columns<'a, C>(
    batch: &'a Batch,
    read: impl FnOnce(&mut Reader<'a>) -> Result<C, SlabError>,
) -> Result<C, Failure> {
    let mut reader = Reader::new(batch.rows as usize, &batch.words);
    let columns = read(&mut reader).and_then(|columns| reader.finish().map(|()| columns));
    columns.map_err(|error| failure(error.to_string()))
}

/// Why the whole call fails.
pub(crate) fn failure(message: String) -> Failure {
    Failure { message }
}

/// An answer of so many rows.
pub(crate) fn answer<O: Output>(count: u32, rows: impl Iterator<Item = Result<O, RowError>>) -> Outcome {
    let mut words = vec![0; O::words(count as usize)];
    let mut outputs = O::columns(&mut Places::new(count as usize, &mut words));
    let mut rejections = Vec::new();
    for (row, result) in rows.enumerate() {
        match result {
            Ok(output) => output.set(&mut outputs, row),
            Err(RowError { code, message }) => {
                O::skip(&mut outputs, row);
                // Within a batch, whose rows are a `u32`.
                rejections.push(Rejection { row: row as u32, code, message });
            }
        }
    }
    let mut tails = Vec::new();
    O::tails(outputs, &mut tails);
    Outcome { rows: Batch { rows: count, words: join(words, tails) }, rejections }
}

/// A panic in a component is a bare trap; the hook is what tells the author the message.
#[cfg(target_arch = "wasm32")]
pub(crate) fn report_panics() {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            crate::bindings::trifold::feature::diagnostics::panic(&info.to_string());
        }));
    });
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn report_panics() {}
