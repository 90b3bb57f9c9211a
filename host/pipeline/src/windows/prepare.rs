//! The events of a window view that count, prepared for folding.

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::take::take_record_batch;
use trifold_eventlog::{Aside, AsideReason, Events, row_json};
use trifold_model::canonical::ForeignType;
use trifold_model::{CanonicalRows, ErrorCode};
use trifold_sandbox::{Budget, Cause, Verdict};

use crate::admission::{admit, select};
use crate::version::LiveVersion;
use crate::windows::WindowFunctions;

/// An event could not be prepared for a reason that says nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("view {view}: the event at offset {offset} could not be prepared ({}): {reason}", cause.name())]
pub struct NotPrepared {
    /// The view's name.
    pub view: String,
    /// The event's offset.
    pub offset: u64,
    /// Why not.
    pub cause: Cause,
    /// The same in words.
    pub reason: String,
}

/// Events that count, with what they were prepared to.
pub(crate) struct Prepared {
    pub(crate) events: Events,
    /// Row for row with the events.
    pub(crate) columns: RecordBatch,
}

/// Sets the events aside that do not count, those among them that the transform refuses, and prepares the others.
pub(crate) fn prepare<E>(
    version: &LiveVersion,
    functions: &dyn WindowFunctions,
    events: Events,
    budget: &mut Budget,
) -> Result<Prepared, E>
where
    E: From<ArrowError> + From<ForeignType> + From<NotPrepared>,
{
    let view = version.view();
    let events = admit::<E>(view, events)?;
    let applied = functions.prepare(&events.inputs, budget);
    if applied.failures.is_empty() {
        return Ok(Prepared { events, columns: applied.outputs });
    }
    let mut aside = Vec::with_capacity(applied.failures.len());
    let mut kept: Vec<u32> = Vec::with_capacity(events.times.len());
    let mut failures = applied.failures.iter().peekable();
    for row in 0..events.times.len() {
        let Some(failure) = failures.next_if(|failure| failure.row == row) else {
            kept.push(row as u32);
            continue;
        };
        let (offset, reason) = (events.offsets[row], &failure.message);
        let code = match failure.verdict {
            Verdict::Error(code) => code,
            Verdict::Unavailable(cause) => {
                let (view, reason) = (view.name.to_string(), reason.clone());
                return Err(NotPrepared { view, offset, cause, reason }.into());
            }
        };
        aside.push(Aside {
            partition: events.partition,
            offset,
            reason: AsideReason::Refused,
            detail: refusal(code, reason),
            event: row_json(&events.inputs, row),
        });
    }
    let columns = take_record_batch(&applied.outputs, &UInt32Array::from(kept.clone()))?;
    let mut events = select(&events, &kept)?;
    events.aside.extend(aside);
    events.aside.sort_by_key(|aside| aside.offset);
    Ok(Prepared { events, columns })
}

/// What is said of an event that a transform refuses.
pub(crate) fn refusal(code: ErrorCode, message: &str) -> String {
    if message.is_empty() {
        format!("refused with code {code}")
    } else {
        format!("refused with code {code}: {message}")
    }
}

/// A digest of all inputs of each event, by which a copy that differs is known: the first 16 bytes of BLAKE3 over their
/// canonical coding.
pub(crate) fn contents(inputs: &RecordBatch) -> Result<Vec<[u8; 16]>, ForeignType> {
    let rows = CanonicalRows::new(inputs)?;
    let mut scratch = Vec::new();
    let content = |row| {
        scratch.clear();
        rows.write_fields(row, &mut scratch);
        let mut content = [0; 16];
        content.copy_from_slice(&blake3::hash(&scratch).as_bytes()[..16]);
        content
    };
    Ok((0..inputs.num_rows()).map(content).collect())
}
