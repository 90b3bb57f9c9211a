//! The few events that are listed of many.

use std::collections::BTreeMap;

use trifold_model::EventTime;

use crate::explain::explanation::{ExplainedEvent, Verdict};

/// What is listed first where not all can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It might have counted by its time.
    Excluded,
    /// It counts, or another is later.
    Reached,
    /// Its time lies after what is asked.
    After,
    /// Its time lies before all windows.
    Before,
}

/// The events nearest to a time, those that might have counted first; and how many there were of all.
pub(crate) struct Nearest {
    /// The earliest time that may count.
    first: EventTime,
    at: EventTime,
    max: usize,
    listed: BTreeMap<(Rank, u64, u64), ExplainedEvent>,
    counts: BTreeMap<&'static str, u64>,
}

impl Nearest {
    pub(crate) fn new(first: EventTime, at: EventTime, max: usize) -> Self {
        Nearest { first, at, max, listed: BTreeMap::new(), counts: BTreeMap::new() }
    }

    /// Counts an event, and lists it if it is near enough.
    pub(crate) fn note(
        &mut self,
        offset: u64,
        time: Option<EventTime>,
        verdict: Verdict,
        event: impl FnOnce(Verdict) -> ExplainedEvent,
    ) {
        *self.counts.entry(verdict.name()).or_default() += 1;
        let distance = time.map_or(u64::MAX, |time| time.0.abs_diff(self.at.0));
        let place = (self.rank(time, &verdict), distance, offset);
        let is_full = self.listed.len() >= self.max;
        if is_full && self.listed.last_key_value().is_none_or(|(last, _)| *last < place) {
            return;
        }
        self.listed.insert(place, event(verdict));
        if is_full {
            self.listed.pop_last();
        }
    }

    fn rank(&self, time: Option<EventTime>, verdict: &Verdict) -> Rank {
        match verdict {
            Verdict::Counts(_) | Verdict::Decides | Verdict::Superseded => Rank::Reached,
            _ if time.is_some_and(|time| time > self.at) => Rank::After,
            _ if time.is_some_and(|time| time < self.first) => Rank::Before,
            _ => Rank::Excluded,
        }
    }

    /// The listed events, the latest first, and the counts.
    pub(crate) fn finish(self) -> (Vec<ExplainedEvent>, BTreeMap<&'static str, u64>) {
        let mut events: Vec<_> = self.listed.into_values().collect();
        events.sort_by(|left, right| {
            let place = |event: &ExplainedEvent| (event.time, event.offset);
            place(right).cmp(&place(left))
        });
        (events, self.counts)
    }
}
