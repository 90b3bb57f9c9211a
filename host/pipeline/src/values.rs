//! From the latest inputs of entities to rows of a row view.

use std::collections::BTreeMap;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::take::take_record_batch;
use trifold_model::{EventTime, FeatureView, RowStatus};
use trifold_sandbox::{Applied, Budget, Verdict};

use crate::rows::{Outcome, Rows};
use crate::version::LiveVersion;

/// Which input row each asked row is computed from.
pub struct Latest {
    /// Distinct input rows, in the schema of the view's inputs.
    pub inputs: RecordBatch,
    /// The event time of each input row.
    pub times: Vec<EventTime>,
    /// For each asked row the input row of the entity's latest event, `None` where no event counts.
    pub choice: Vec<Option<u32>>,
}

/// The value of each asked row at its as-of time. An input row is computed once, however often it is chosen.
pub fn values(
    version: &LiveVersion,
    latest: &Latest,
    as_of: &[EventTime],
    budget: &mut Budget,
) -> Result<Rows, ArrowError> {
    let view = version.view();
    let living: Vec<Option<u32>> = latest
        .choice
        .iter()
        .zip(as_of)
        .map(|(choice, at)| choice.filter(|&row| !expired(view, latest.times[row as usize], *at)))
        .collect();
    let (computed, place) = compute(version, &latest.inputs, &living, budget)?;
    let failures: BTreeMap<usize, _> = computed.failures.iter().map(|failure| (failure.row, failure)).collect();
    let (mut messages, mut causes) = (BTreeMap::new(), BTreeMap::new());
    let mut outcomes = Vec::with_capacity(living.len());
    for (row, (chosen, place)) in latest.choice.iter().zip(&place).enumerate() {
        let failure = place.and_then(|place| failures.get(&(place as usize)));
        outcomes.push(match (chosen, place, failure) {
            (None, _, _) => Outcome::Known(RowStatus::Empty),
            (Some(_), None, _) => Outcome::Known(RowStatus::Expired),
            (Some(_), Some(_), None) => Outcome::Known(RowStatus::Value),
            (Some(_), Some(_), Some(failure)) => {
                messages.insert(row, failure.message.clone());
                match &failure.verdict {
                    Verdict::Error(code) => Outcome::Known(RowStatus::Error(*code)),
                    Verdict::Unavailable(cause) => {
                        causes.insert(row, *cause);
                        Outcome::Unavailable(failure.message.clone())
                    }
                }
            }
        });
    }
    Ok(Rows::new(spread(computed.outputs, place)?, outcomes, messages).with_causes(causes))
}

/// A value dies when more than the time to live has passed since its event.
fn expired(view: &FeatureView, event: EventTime, at: EventTime) -> bool {
    view.ttl.is_some_and(|ttl| at.micros_since(event) > ttl.micros())
}

/// Applies the transform to every input row that is chosen, in ascending order, and says where the answer of
/// each asked row stands.
fn compute(
    version: &LiveVersion,
    inputs: &RecordBatch,
    living: &[Option<u32>],
    budget: &mut Budget,
) -> Result<(Applied, Vec<Option<u32>>), ArrowError> {
    const UNUSED: u32 = u32::MAX;
    let mut places = vec![UNUSED; inputs.num_rows()];
    for &row in living.iter().flatten() {
        places[row as usize] = 0;
    }
    let mut used = Vec::new();
    for (row, place) in places.iter_mut().enumerate().filter(|(_, place)| **place != UNUSED) {
        *place = used.len() as u32;
        used.push(row as u32);
    }
    let place = living.iter().map(|row| row.map(|row| places[row as usize])).collect();
    let applied = if used.len() == inputs.num_rows() {
        version.transform.apply(inputs, budget)
    } else {
        version.transform.apply(&take_record_batch(inputs, &UInt32Array::from(used))?, budget)
    };
    Ok((applied, place))
}

/// Copies the computed rows to the asked rows; null where nothing was computed.
fn spread(outputs: RecordBatch, place: Vec<Option<u32>>) -> Result<RecordBatch, ArrowError> {
    let in_place = place.len() == outputs.num_rows()
        && place.iter().enumerate().all(|(row, place)| *place == Some(row as u32));
    if in_place { Ok(outputs) } else { take_record_batch(&outputs, &UInt32Array::from(place)) }
}
