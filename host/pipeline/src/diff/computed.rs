//! What one version comes to on each sample row, and the fuel that it takes.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use trifold_eventlog::{Aside, Events};
use trifold_model::{CanonicalRows, RowStatus};
use trifold_sandbox::{Applied, Budget, Verdict};

use super::DiffError;
use crate::admission::{admit, select};
use crate::point_in_time::{Answered, PointInTime};
use crate::rows::Outcome;
use crate::timeline::{Ask, Timeline, TimelineError};
use crate::version::LiveVersion;

/// What a version comes to on each sample row, by the row's number.
pub(super) type Computed = BTreeMap<u64, Row>;

/// What a version comes to on one row.
pub(super) enum Row {
    /// It has a value, or an error in its place.
    Known(Value),
    /// It does not count, or nothing is known of it: why, in a word and in a sentence.
    LeftOut(&'static str, String),
}

/// A value, or what stands in its place.
pub(super) struct Value {
    pub(super) status: RowStatus,
    /// What is said of an error.
    pub(super) message: String,
    /// The canonical bytes of the columns that are compared, where the status has any.
    pub(super) fields: Vec<Vec<u8>>,
    /// What it took to compute.
    pub(super) fuel: u64,
}

/// The word for a row of which nothing is known.
const UNAVAILABLE: &str = "unavailable";

/// Computes sample rows by themselves, or, of a window view, the values after every event. `columns` are the outputs
/// that are compared.
pub(super) fn compute(version: &LiveVersion, samples: &Events, columns: &[usize]) -> Result<Computed, DiffError> {
    let view = version.view();
    let mut computed = Computed::new();
    leave_out(&mut computed, &samples.aside);
    let samples = Events { aside: Vec::new(), ..samples.clone() };
    if view.windows().is_some() {
        after_every_event(version, &samples, columns, &mut computed)?;
        return Ok(computed);
    }
    // What an on-demand view is asked does not arrive.
    let samples = if view.on_demand().is_some() { samples } else { admit::<DiffError>(view, samples)? };
    leave_out(&mut computed, &samples.aside);
    for (row, &offset) in samples.offsets.iter().enumerate() {
        let mut budget = Budget::unlimited();
        let applied = version.transform.apply(&samples.inputs.slice(row, 1), &mut budget);
        computed.insert(offset, of_applied(&applied, columns, budget.spent())?);
    }
    Ok(computed)
}

fn leave_out(computed: &mut Computed, aside: &[Aside]) {
    let rows = aside.iter().map(|aside| (aside.offset, Row::LeftOut(aside.reason.name(), aside.detail.clone())));
    computed.extend(rows);
}

fn of_applied(applied: &Applied, columns: &[usize], fuel: u64) -> Result<Row, DiffError> {
    let (status, message) = match applied.failures.first() {
        None => (RowStatus::Value, String::new()),
        Some(failure) => match failure.verdict {
            Verdict::Error(code) => (RowStatus::Error(code), failure.message.clone()),
            Verdict::Unavailable(_) => return Ok(Row::LeftOut(UNAVAILABLE, failure.message.clone())),
        },
    };
    let fields = fields(&applied.outputs, status, 0, columns)?;
    Ok(Row::Known(Value { status, message, fields, fuel }))
}

/// The canonical bytes of some columns of a row.
fn fields(
    outputs: &RecordBatch,
    status: RowStatus,
    row: usize,
    columns: &[usize],
) -> Result<Vec<Vec<u8>>, DiffError> {
    if !status.has_columns() {
        return Ok(Vec::new());
    }
    let field = |&column| {
        let mut bytes = Vec::new();
        CanonicalRows::of_columns(outputs, [column])?.write_fields(row, &mut bytes);
        Ok(bytes)
    };
    columns.iter().map(field).collect()
}

/// The value of a window view after every event, as the stream emits it. Events are taken one by one, so that it is
/// known what each takes.
fn after_every_event(
    version: &LiveVersion,
    samples: &Events,
    columns: &[usize],
    computed: &mut Computed,
) -> Result<(), DiffError> {
    let timeline = Timeline::new(version, Ask::OwnPosition, false, &[]);
    let (mut rows, mut prepared) = (Vec::new(), BTreeMap::new());
    for (row, &offset) in samples.offsets.iter().enumerate() {
        let mut budget = Budget::unlimited();
        let (events, aside) = match timeline.events_on(select(samples, &[row as u32])?, &mut budget) {
            Err(TimelineError::NotPrepared(unknown)) => {
                computed.insert(offset, Row::LeftOut(UNAVAILABLE, unknown.to_string()));
                continue;
            }
            rows => rows?,
        };
        leave_out(computed, &aside);
        prepared.insert(offset, budget.spent());
        rows.extend((events.num_rows() > 0).then_some(events));
    }
    rows.sort_by(|left, right| place(left).cmp(&place(right)));
    let mut take = |answered: &Answered, fuel: u64| {
        for (row, &number) in answered.numbers().values().iter().enumerate() {
            let taken = fuel + prepared.get(&number).copied().unwrap_or(0);
            computed.insert(number, of_answered(answered, row, columns, taken)?);
        }
        Ok::<_, DiffError>(())
    };
    let mut walk = PointInTime::new(timeline, version.clone());
    for row in rows {
        // Each answers for the row before it, behind which nothing else stands at the same moment.
        let mut budget = Budget::unlimited();
        let answered = walk.push(row, &mut budget)?;
        take(&answered, budget.spent())?;
    }
    let mut budget = Budget::unlimited();
    let answered = walk.finish(&mut budget)?;
    take(&answered, budget.spent())
}

/// Where a timeline's only row is sorted: the entity, and the position, of which each has its own.
fn place(row: &RecordBatch) -> (&[u8], u64) {
    (row.column(0).as_binary::<i32>().value(0), row.column(2).as_primitive::<UInt64Type>().value(0))
}

fn of_answered(answered: &Answered, row: usize, columns: &[usize], fuel: u64) -> Result<Row, DiffError> {
    let status = match &answered.rows.outcomes()[row] {
        Outcome::Known(status) => *status,
        Outcome::Unavailable(reason) => return Ok(Row::LeftOut(UNAVAILABLE, reason.clone())),
    };
    let message = answered.rows.message(row).unwrap_or_default().to_owned();
    let fields = fields(answered.rows.outputs(), status, row, columns)?;
    Ok(Row::Known(Value { status, message, fields, fuel }))
}
