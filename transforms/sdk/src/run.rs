//! The loop over a batch.

use crate::bindings::trifold::feature::types::{Batch, Failure, Outcome, Rejection};
use crate::error::RowError;
use crate::slab::{Places, Reader, SlabError, join};
use crate::value::{Input, Output};

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
    report_panics();
    let rows = batch.rows as usize;
    let inputs = read::<I>(rows, &batch.words).map_err(|error| Failure { message: error.to_string() })?;
    let mut words = vec![0; R::Output::words(rows)];
    let mut outputs = R::Output::columns(&mut Places::new(rows, &mut words));
    let mut rejections = Vec::new();
    for row in 0..rows {
        match function(I::row(&inputs, row)).into_row() {
            Ok(output) => output.set(&mut outputs, row),
            Err(RowError { code, message }) => {
                R::Output::skip(&mut outputs, row);
                // Within a batch, whose rows are a `u32`.
                rejections.push(Rejection { row: row as u32, code, message });
            }
        }
    }
    let mut tails = Vec::new();
    R::Output::tails(outputs, &mut tails);
    Ok(Outcome { rows: Batch { rows: batch.rows, words: join(words, tails) }, rejections })
}

fn read<'a, I: Input<'a>>(rows: usize, words: &'a [u64]) -> Result<I::Columns, SlabError> {
    let mut reader = Reader::new(rows, words);
    let columns = I::read(&mut reader)?;
    reader.finish()?;
    Ok(columns)
}

/// A panic in a component is a bare trap; the hook is what tells the author the message.
#[cfg(target_arch = "wasm32")]
fn report_panics() {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            crate::bindings::trifold::feature::diagnostics::panic(&info.to_string());
        }));
    });
}

#[cfg(not(target_arch = "wasm32"))]
fn report_panics() {}
