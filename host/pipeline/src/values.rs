//! From the latest events of entities to rows of a row view.

use std::collections::BTreeMap;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use trifold_model::{EventTime, FeatureView, RowStatus};
use trifold_sandbox::{Applied, Budget, Verdict};

use crate::rows::{Outcome, Rows};
use crate::version::LiveVersion;

/// Distinct events, and which of them each asked row is about.
pub struct Latest {
    /// The values of the first events, as far as they are known already, in the schema of the transform's outputs.
    pub known: Option<RecordBatch>,
    /// The inputs of all other events, in the schema of the view's inputs.
    pub inputs: Option<RecordBatch>,
    /// The time of each event.
    pub times: Vec<EventTime>,
    /// For each asked row the entity's latest event, `None` where no event counts.
    pub choice: Vec<Option<u32>>,
}

/// The value of each asked row at its as-of time. An event's value is computed once, however often it is chosen.
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
        .map(|(choice, at)| choice.filter(|&event| !expired(view, latest.times[event as usize], *at)))
        .collect();
    let (computed, place, count) = compute(version, latest, &living, budget)?;
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
    let rows = Rows::new(spread(computed.outputs, place)?, outcomes, messages);
    Ok(rows.with_causes(causes).with_computed(count))
}

/// A value dies when more than the time to live has passed since its event.
fn expired(view: &FeatureView, event: EventTime, at: EventTime) -> bool {
    view.ttl.is_some_and(|ttl| at.micros_since(event) > ttl.micros())
}

/// Applies the transform to every event that is chosen and not known, in ascending order, and says where the answer
/// of each asked row stands, known values first, and how many rows were computed.
fn compute(
    version: &LiveVersion,
    latest: &Latest,
    living: &[Option<u32>],
    budget: &mut Budget,
) -> Result<(Applied, Vec<Option<u32>>, u64), ArrowError> {
    const UNUSED: u32 = u32::MAX;
    let known = latest.known.as_ref().map_or(0, RecordBatch::num_rows);
    let mut places = vec![UNUSED; latest.inputs.as_ref().map_or(0, RecordBatch::num_rows)];
    for &event in living.iter().flatten() {
        if let Some(input) = (event as usize).checked_sub(known) {
            places[input] = 0;
        }
    }
    let mut used = Vec::new();
    for (input, place) in places.iter_mut().enumerate().filter(|(_, place)| **place != UNUSED) {
        *place = (known + used.len()) as u32;
        used.push(input as u32);
    }
    let place = |event: u32| (event as usize).checked_sub(known).map_or(event, |input| places[input]);
    let place = living.iter().map(|event| event.map(place)).collect();
    let count = used.len() as u64;
    let computed = match &latest.inputs {
        Some(inputs) if used.len() == inputs.num_rows() => Some(version.transform.apply(inputs, budget)),
        Some(inputs) if !used.is_empty() => {
            Some(version.transform.apply(&take_record_batch(inputs, &UInt32Array::from(used))?, budget))
        }
        _ => None,
    };
    let schema = version.transform.outputs();
    let values = match (&latest.known, computed) {
        (None, Some(computed)) => computed,
        (Some(values), None) => Applied { outputs: values.clone(), failures: Vec::new() },
        (None, None) => Applied { outputs: RecordBatch::new_empty(schema.clone()), failures: Vec::new() },
        (Some(values), Some(mut computed)) => {
            computed.outputs = concat_batches(schema, [values, &computed.outputs])?;
            computed.failures.iter_mut().for_each(|failure| failure.row += known);
            computed
        }
    };
    Ok((values, place, count))
}

/// Copies the computed rows to the asked rows; null where nothing was computed.
fn spread(outputs: RecordBatch, place: Vec<Option<u32>>) -> Result<RecordBatch, ArrowError> {
    let in_place = place.len() == outputs.num_rows()
        && place.iter().enumerate().all(|(row, place)| *place == Some(row as u32));
    if in_place { Ok(outputs) } else { take_record_batch(&outputs, &UInt32Array::from(place)) }
}
