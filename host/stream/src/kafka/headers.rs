//! What a record carries that was partitioned anew, in its headers.
//!
//! ```text
//! trifold.source    partition:offset   where the event stood first
//! trifold.arrival   microseconds       when the first log received it, or how far its arrivals are
//! trifold.problem   text               why the value is no event that could be read
//! trifold.clock     partition          the record is no event: it tells how far the arrivals of a partition are
//! ```

use std::str::FromStr;

use rdkafka::message::{Header, Headers, OwnedHeaders};

use crate::kafka::fetch::{Fetched, Origin};

const SOURCE: &str = "trifold.source";
const ARRIVAL: &str = "trifold.arrival";
const PROBLEM: &str = "trifold.problem";
const CLOCK: &str = "trifold.clock";

/// The headers of a record that carries something.
pub(crate) fn written(origin: &Origin, problem: Option<&str>) -> OwnedHeaders {
    let place = match origin.offset {
        Some(offset) => (SOURCE, format!("{}:{offset}", origin.partition)),
        None => (CLOCK, origin.partition.to_string()),
    };
    let arrival = origin.arrival.map(|at| (ARRIVAL, at.to_string()));
    let problem = problem.map(|problem| (PROBLEM, problem.to_owned()));
    let headers = [Some(place), arrival, problem].into_iter().flatten();
    headers.fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(&value) }))
}

/// Takes over what the headers of a record say.
pub(crate) fn read(headers: Option<&impl Headers>, record: &mut Fetched) {
    let text = |name: &str| {
        let found = headers?.iter().find(|header| header.key == name)?;
        std::str::from_utf8(found.value?).ok()
    };
    let place = text(SOURCE).and_then(|place| place.split_once(':'));
    let event = place.and_then(|(partition, offset)| Some((number(partition)?, Some(number(offset)?))));
    let origin = event.or_else(|| Some((number(text(CLOCK)?)?, None)));
    record.problem = text(PROBLEM).map(str::to_owned);
    match origin {
        Some((partition, offset)) => {
            let arrival = text(ARRIVAL).and_then(number);
            record.origin = Some(Origin { partition, offset, arrival });
            record.append_time = arrival;
        }
        None => record.problem = Some("the record is none that a worker partitioned anew".to_owned()),
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let event = Origin { partition: 5, offset: Some(u64::MAX), arrival: Some(-7) };
        let clock = Origin { partition: 0, offset: None, arrival: Some(i64::MAX) };
        let late = Origin { partition: 1, offset: Some(0), arrival: None };
        for (origin, problem) in [(event, None), (clock, None), (late, Some("no JSON"))] {
            let mut record = Fetched::default();
            read(Some(&written(&origin, problem)), &mut record);
            assert_eq!((record.origin, record.append_time), (Some(origin), origin.arrival));
            assert_eq!(record.problem.as_deref(), problem);
        }
    }

    #[test]
    fn records_of_somebody_else_are_no_events() {
        let mut foreign = Fetched::default();
        read(None::<&OwnedHeaders>, &mut foreign);
        assert!(foreign.origin.is_none() && foreign.problem.is_some());
        let header = Header { key: SOURCE, value: Some("3") };
        let mut torn = Fetched::default();
        read(Some(&OwnedHeaders::new().insert(header)), &mut torn);
        assert!(torn.origin.is_none() && torn.problem.is_some());
    }
}
