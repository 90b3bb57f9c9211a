//! Which columns of a source carry what every event has.

use std::collections::BTreeSet;

use trifold_model::FeatureView;
use trifold_model::view::{EVENT_ID, EVENT_TIME};

/// The columns that carry an event's time, id and arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// The column of the event time; it also feeds an input named `event_time`.
    pub event_time: String,
    /// The column of the event id; it also feeds an input named `event_id`.
    pub event_id: String,
    /// The column of the arrival time, or `None` where arrivals were not recorded.
    pub arrival: Option<String>,
}

impl Default for SourceConfig {
    fn default() -> Self {
        SourceConfig { event_time: EVENT_TIME.to_owned(), event_id: EVENT_ID.to_owned(), arrival: None }
    }
}

impl SourceConfig {
    /// The column that an input reads.
    pub fn column<'a>(&'a self, input: &'a str) -> &'a str {
        match input {
            EVENT_TIME => &self.event_time,
            EVENT_ID => &self.event_id,
            payload => payload,
        }
    }

    /// The columns that decoding for these views needs: what to give to [`crate::LogOptions::columns`].
    pub fn columns<'a>(&self, views: impl IntoIterator<Item = &'a FeatureView>) -> BTreeSet<String> {
        let own = [&self.event_time, &self.event_id].into_iter().chain(&self.arrival).cloned();
        let mut columns: BTreeSet<String> = own.collect();
        for view in views {
            columns.extend(view.inputs.iter().map(|input| self.column(input.name.as_str()).to_owned()));
        }
        columns
    }
}
