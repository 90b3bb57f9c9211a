//! How a state's events were read, in one line.
//!
//! ```text
//! event_time="dep_at";event_id="id";arrival="seen_at"    arrivals stand in a column
//! event_time="dep_at";event_id="id";arrival=none         there are none, and the view needs none
//! event_time="dep_at";event_id="id";arrival=assumed      there are none, and the operator vouches for the events
//! ```
//!
//! Workers that read a log in different ways would put different events into one state. The arrival column counts
//! for views that judge no arrivals too, since an event without a readable arrival is set aside for every view.
//! Vouching for events makes no difference to such views, and none to the line.

use trifold_eventlog::SourceConfig;
use trifold_pipeline::ArrivalPolicy;

/// The line for the marker of a state.
pub(crate) fn fingerprint(source: &SourceConfig, arrivals: ArrivalPolicy) -> String {
    let arrival = match (arrivals, &source.arrival) {
        (ArrivalPolicy::AssumedOnTime, _) => "assumed".to_owned(),
        (_, Some(column)) => quoted(column),
        (_, None) => "none".to_owned(),
    };
    format!("event_time={};event_id={};arrival={arrival}", quoted(&source.event_time), quoted(&source.event_id))
}

/// A name in quotes, so that no column can pass for another part of the line.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn source(event_time: &str, arrival: Option<&str>) -> SourceConfig {
        let arrival = arrival.map(str::to_owned);
        SourceConfig { event_time: event_time.to_owned(), arrival, ..SourceConfig::default() }
    }

    #[test]
    fn different_readings_have_different_lines() {
        let recorded = ArrivalPolicy::Recorded;
        let lines = [
            (source("t", Some("at")), recorded, r#"event_time="t";event_id="event_id";arrival="at""#),
            (source("t", None), ArrivalPolicy::NotNeeded, r#"event_time="t";event_id="event_id";arrival=none"#),
            (
                source("t", None),
                ArrivalPolicy::AssumedOnTime,
                r#"event_time="t";event_id="event_id";arrival=assumed"#,
            ),
            (source("t", Some("none")), recorded, r#"event_time="t";event_id="event_id";arrival="none""#),
            (source("t", Some("assumed")), recorded, r#"event_time="t";event_id="event_id";arrival="assumed""#),
            (source("u", Some("at")), recorded, r#"event_time="u";event_id="event_id";arrival="at""#),
            (
                source("t\";\\", None),
                ArrivalPolicy::NotNeeded,
                r#"event_time="t\";\\";event_id="event_id";arrival=none"#,
            ),
        ];
        for (source, arrivals, line) in &lines {
            assert_eq!(fingerprint(source, *arrivals), *line);
        }
        let distinct: BTreeSet<_> = lines.iter().map(|(_, _, line)| line).collect();
        assert_eq!(distinct.len(), lines.len());
    }
}
