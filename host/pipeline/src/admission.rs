//! Which events count: lateness and earliness are judged per event, alike in every runner.

use std::collections::BTreeMap;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::take::{take, take_record_batch};
use trifold_eventlog::{Aside, AsideReason, Events, row_json};
use trifold_model::canonical::ForeignType;
use trifold_model::{ArrivalTime, EventTime, FeatureView, Span};

use crate::size::oversized;

/// Where the time of arrival comes from, checked against what the view needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrivalPolicy {
    /// Every event carries its arrival.
    Recorded,
    /// Events carry no arrival and the view needs none.
    NotNeeded,
    /// Events carry no arrival, and the operator vouches that none is late or early.
    AssumedOnTime,
}

/// A view that judges arrivals over a source that records none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "view {view} limits {limit}, and the source records no arrival times: name the arrival column with \
     `--arrival`, or vouch for the events with `--assume-on-time`"
)]
pub struct ArrivalPolicyError {
    /// The view's name.
    pub view: String,
    /// Which limit needs arrivals.
    pub limit: &'static str,
}

impl ArrivalPolicy {
    /// The policy for a view over a source.
    pub fn new(view: &FeatureView, recorded: bool, assume_on_time: bool) -> Result<Self, ArrivalPolicyError> {
        let limit = match (view.lateness_limit(), view.max_early) {
            (Some(_), _) => Some("lateness"),
            (None, Some(_)) => Some("how early events may be"),
            (None, None) => None,
        };
        match (recorded, limit) {
            (true, _) => Ok(ArrivalPolicy::Recorded),
            (false, None) => Ok(ArrivalPolicy::NotNeeded),
            (false, Some(_)) if assume_on_time => Ok(ArrivalPolicy::AssumedOnTime),
            (false, Some(limit)) => Err(ArrivalPolicyError { view: view.name.to_string(), limit }),
        }
    }
}

/// Why an event does not count, with the sentence for people.
fn refusal(view: &FeatureView, time: EventTime, arrival: ArrivalTime) -> Option<(AsideReason, String)> {
    let delay = arrival.micros_after(time);
    let beyond = |limit: Option<Span>, delay: i64| limit.filter(|limit| delay > limit.micros());
    if let Some(limit) = beyond(view.lateness_limit(), delay) {
        let detail = format!("arrived {delay} us after it happened, the view allows {limit}");
        return Some((AsideReason::Late, detail));
    }
    let lead = delay.saturating_neg();
    beyond(view.max_early, lead).map(|limit| {
        (AsideReason::Early, format!("happened {lead} us after its arrival, the view allows {limit}"))
    })
}

/// Sets the events aside that do not count and keeps the others in order.
pub(crate) fn admit<E>(view: &FeatureView, events: Events) -> Result<Events, E>
where
    E: From<ArrowError> + From<ForeignType>,
{
    let refused = refused(view, &events)?;
    if refused.is_empty() {
        return Ok(events);
    }
    let kept: Vec<u32> =
        (0..events.times.len()).filter(|row| !refused.contains_key(row)).map(|row| row as u32).collect();
    let mut admitted = select(&events, &kept)?;
    for (row, (reason, detail)) in refused {
        admitted.aside.push(Aside {
            partition: events.partition,
            offset: events.offsets[row],
            reason,
            detail,
            event: row_json(&events.inputs, row),
        });
    }
    admitted.aside.sort_by_key(|aside| aside.offset);
    Ok(admitted)
}

/// The events that do not count, by row.
fn refused(view: &FeatureView, events: &Events) -> Result<BTreeMap<usize, (AsideReason, String)>, ForeignType> {
    let too_large =
        oversized(view, events)?.into_iter().map(|(row, detail)| (row, (AsideReason::TooLarge, detail)));
    let mut refused: BTreeMap<_, _> = too_large.collect();
    for (row, &arrival) in events.arrivals.iter().flatten().enumerate() {
        if let Some(reason) = refusal(view, events.times[row], arrival) {
            refused.insert(row, reason);
        }
    }
    Ok(refused)
}

/// Some of the events, in the order of the rows given.
pub(crate) fn select(events: &Events, rows: &[u32]) -> Result<Events, ArrowError> {
    fn pick<T: Clone>(from: &[T], rows: &[u32]) -> Vec<T> {
        rows.iter().map(|&row| from[row as usize].clone()).collect()
    }
    let indices = UInt32Array::from(rows.to_vec());
    let inputs: RecordBatch = take_record_batch(&events.inputs, &indices)?;
    Ok(Events {
        partition: events.partition,
        offsets: pick(&events.offsets, rows),
        times: pick(&events.times, rows),
        ids: arrow_array::cast::AsArray::as_string::<i32>(&take(&events.ids, &indices, None)?).clone(),
        arrivals: events.arrivals.as_ref().map(|arrivals| pick(arrivals, rows)),
        inputs,
        aside: events.aside.clone(),
    })
}
