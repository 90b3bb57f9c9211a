//! The rules of points in time, written out event by event.

use trifold_model::{Cut, EventTime, RowStatus};
use trifold_pipeline::Ask;

use crate::fixture::{Event, Limits, seconds, span};

/// What a question must be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) as_of: EventTime,
    pub(crate) status: RowStatus,
    pub(crate) value: Option<i64>,
}

pub(crate) struct Oracle<'a> {
    events: &'a [Event],
    /// Whether the source records arrivals.
    recorded: bool,
    limits: Limits,
    before: bool,
    /// When each event arrived: never before an earlier one.
    arrivals: Vec<i64>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question {
    Event(usize),
    Spine { key: i64, as_of: i64 },
}

impl<'a> Oracle<'a> {
    pub(crate) fn new(events: &'a [Event], recorded: bool, limits: Limits, before: bool) -> Self {
        let mut latest = i64::MIN;
        let arrivals = events.iter().map(|event| {
            latest = latest.max(event.arrival);
            latest
        });
        Oracle { arrivals: arrivals.collect(), events, recorded, limits, before }
    }

    /// Whether an event is neither late nor early.
    pub(crate) fn is_admitted(&self, offset: usize) -> bool {
        let delay = self.arrivals[offset] - self.events[offset].time;
        let late = self.limits.lateness.is_some_and(|limit| delay > limit as i64);
        let early = self.limits.max_early.is_some_and(|limit| -delay > limit as i64);
        !self.recorded || !(late || early)
    }

    fn is_before(&self, time: i64, at: i64) -> bool {
        if self.before { time < at } else { time <= at }
    }

    /// Whether an event counts for a question.
    fn counts(&self, offset: usize, question: Question, ask: &Ask) -> bool {
        let at = match question {
            Question::Event(own) => self.events[own].time,
            Question::Spine { as_of, .. } => as_of,
        };
        let in_time = self.is_before(self.events[offset].time, at);
        self.is_admitted(offset)
            && match (ask, question) {
                (Ask::OwnPosition, Question::Event(own)) => self.is_before(offset as i64, own as i64),
                (Ask::EveryEvent(cut) | Ask::Spine(cut), _) => match cut {
                    Cut::All => in_time,
                    Cut::Arrival => in_time && self.arrivals[offset] <= at,
                    Cut::Position(cut) => in_time && cut.includes(0, offset as u64),
                },
                (Ask::OwnPosition, Question::Spine { .. }) | (Ask::Emitted(_), _) => unreachable!(),
            }
    }

    pub(crate) fn answer(&self, question: Question, ask: &Ask) -> Expected {
        let (key, at) = match question {
            Question::Event(own) => (self.events[own].key, self.events[own].time),
            Question::Spine { key, as_of } => (key, as_of),
        };
        let counting = (0..self.events.len())
            .filter(|&offset| self.events[offset].key == key && self.counts(offset, question, ask));
        // Of equal events the first one is kept: the last of the maxima after turning the offsets round.
        let latest = counting.max_by_key(|&offset| {
            let event = &self.events[offset];
            (event.time, event.id.as_bytes(), std::cmp::Reverse(offset))
        });
        let as_of = match (ask, latest) {
            (Ask::OwnPosition, Some(latest)) => at.max(self.events[latest].time),
            _ => at,
        };
        let status = match latest {
            None => RowStatus::Empty,
            Some(latest) => {
                let age = seconds(as_of).micros_since(seconds(self.events[latest].time));
                let expired = self.limits.ttl.is_some_and(|ttl| age > span(ttl).micros());
                if expired { RowStatus::Expired } else { RowStatus::Value }
            }
        };
        let value = latest.filter(|_| status == RowStatus::Value).map(|latest| latest as i64);
        Expected { as_of: seconds(as_of), status, value }
    }
}
