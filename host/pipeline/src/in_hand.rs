//! Events that are in no log yet, and count for one answer.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, StringArray, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::take::{take, take_record_batch};
use trifold_eventlog::{Events, YEARS_1_TO_9999};
use trifold_model::{ArrivalTime, EventTime};
use trifold_sandbox::{Budget, Verdict};
use trifold_windows::Event;

use crate::admission::admit;
use crate::lookup::LookupError;
use crate::version::LiveVersion;
use crate::windows::{Kept, refusal};

/// Events in hand of one view: each is folded in for the answer of one row, which then equals the row that the stream
/// emits when the event arrives.
#[derive(Debug, Clone)]
pub struct InHand {
    /// The row of the lookup that each belongs to, ascending, at most one for each.
    pub rows: Vec<u32>,
    /// The time of each.
    pub times: Vec<EventTime>,
    /// The id of each, none null.
    pub ids: StringArray,
    /// The view's inputs, with the view's input schema and canonical NaNs. The key fields are those of the row's entity.
    pub inputs: RecordBatch,
}

impl InHand {
    /// The events of some rows, ascending, which are then counted from zero.
    pub(crate) fn of_rows(&self, wanted: &[u32]) -> Result<InHand, ArrowError> {
        let found =
            self.rows.iter().zip(0..).filter_map(|(row, event)| Some((wanted.binary_search(row).ok()?, event)));
        let (rows, events): (Vec<u32>, Vec<u32>) =
            found.map(|(place, event): (_, u32)| (place as u32, event)).unzip();
        let places = UInt32Array::from(events.clone());
        Ok(InHand {
            rows,
            times: events.iter().map(|&event| self.times[event as usize]).collect(),
            ids: take(&self.ids, &places, None)?.as_string().clone(),
            inputs: take_record_batch(&self.inputs, &places)?,
        })
    }
}

/// The events in hand, judged as the stream judges events.
pub(crate) struct Admitted {
    /// The events; their offsets are the rows that they belong to.
    pub(crate) events: Events,
    /// Row for row with the events, what they were prepared to; without columns unless it is a window view.
    pub(crate) prepared: RecordBatch,
    /// Why the event of a row does not count, so that the row has no answer.
    refused: BTreeMap<usize, String>,
}

impl Admitted {
    /// Judges events that arrive now.
    pub(crate) fn new(
        version: &LiveVersion,
        in_hand: InHand,
        now: EventTime,
        budget: &mut Budget,
    ) -> Result<Self, LookupError> {
        let InHand { rows, times, ids, inputs } = in_hand;
        let mut refused = BTreeMap::new();
        for (row, _) in rows.iter().zip(&times).filter(|(_, time)| !YEARS_1_TO_9999.contains(&time.0)) {
            refused.insert(*row as usize, "its time lies outside the years 1 to 9999".to_owned());
        }
        let events = Events {
            partition: 0,
            offsets: rows.iter().map(|&row| row.into()).collect(),
            arrivals: Some(vec![ArrivalTime(now.0); times.len()]),
            aside: Vec::new(),
            times,
            ids,
            inputs,
        };
        let events = admit::<LookupError>(version.view(), events)?;
        let aside = events.aside.iter();
        refused.extend(aside.map(|aside| (aside.offset as usize, format!("{}: {}", aside.reason, aside.detail))));
        let mut prepared = RecordBatch::new_empty(version.transform.prepared().clone());
        if version.view().windows().is_some() {
            let applied = version.transform.prepare(&events.inputs, budget);
            for failure in applied.failures {
                let reason = match failure.verdict {
                    Verdict::Error(code) => refusal(code, &failure.message),
                    Verdict::Unavailable(cause) => {
                        format!("it could not be prepared ({}): {}", cause.name(), failure.message)
                    }
                };
                refused.insert(events.offsets[failure.row] as usize, reason);
            }
            prepared = applied.outputs;
        }
        Ok(Admitted { events, prepared, refused })
    }

    /// The place of a row's event among the events, if it has one that counts.
    pub(crate) fn place(&self, row: usize) -> Option<usize> {
        let place = self.events.offsets.binary_search(&(row as u64)).ok()?;
        (!self.refused.contains_key(&row)).then_some(place)
    }

    /// The time of a row's event.
    pub(crate) fn time(&self, row: usize) -> Option<EventTime> {
        self.place(row).map(|place| self.events.times[place])
    }

    /// The place of a row's event, if it comes after another in canonical order. Of copies the other counts, which came
    /// first.
    pub(crate) fn later_than(&self, row: usize, other: Option<(EventTime, &str)>) -> Option<u32> {
        let place = self.place(row)?;
        let own = (self.events.times[place], self.events.ids.value(place));
        other.is_none_or(|other| own > other).then_some(place as u32)
    }

    /// A row's event as a window view folds it. `contents` are the digests of all events.
    pub(crate) fn event(&self, row: usize, contents: &[[u8; 16]], kept: &Kept<'_>) -> Option<Event<'_>> {
        let place = self.place(row)?;
        let (time, id) = (self.events.times[place], self.events.ids.value(place));
        Some(Event { time, id, content: contents[place], row: place as u32, kept: kept.bytes(place) })
    }

    /// The rows without an answer, and why.
    pub(crate) fn into_refused(self) -> BTreeMap<usize, String> {
        let reason = |reason| format!("the event in hand does not count: {reason}");
        self.refused.into_iter().map(|(row, text)| (row, reason(text))).collect()
    }
}
