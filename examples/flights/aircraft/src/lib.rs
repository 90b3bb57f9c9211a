//! The status of an aircraft: where its latest departure from New York takes it.

use trifold_sdk::prelude::*;

/// The code of a departure whose numbers cannot be right.
pub const IMPLAUSIBLE: u16 = 2;
/// The code of a departure that did not arrive where it was to: the aircraft's whereabouts are not known.
pub const DIVERTED: u16 = 3;

const MINUTE: f64 = 60_000_000.0;
/// Minutes on the ground at both ends, on average.
const TAXI: f64 = 20.0;

/// One scheduled departure.
#[derive(Input)]
pub struct Departure<'a> {
    /// The aircraft's registration.
    #[entity]
    pub tailnum: &'a str,
    /// When it left; when it should have left, if it was cancelled.
    pub event_time: Timestamp,
    /// The departure's id.
    pub event_id: &'a str,
    /// Two-letter code of the airline.
    pub carrier: &'a str,
    /// Airport of departure.
    pub origin: &'a str,
    /// Airport of arrival.
    pub dest: &'a str,
    /// Whether it never left.
    pub cancelled: bool,
    /// Minutes behind schedule at departure; negative when early.
    pub dep_delay: Option<f64>,
    /// Minutes behind schedule at arrival; negative when early.
    pub arr_delay: Option<f64>,
    /// Minutes in the air.
    pub air_time: Option<f64>,
    /// Miles between the airports.
    pub distance: f64,
}

/// Where the aircraft is.
#[derive(Output)]
pub struct Status {
    /// The departure that this is known from.
    pub departure: String,
    /// Who flies it.
    pub operator: String,
    /// Where it is, or will be when it has landed.
    pub heading_for: String,
    /// The airports that it touches, in order.
    pub stops: Vec<String>,
    /// About when it can leave again; none for a cancelled departure.
    pub free_at: Option<Timestamp>,
    /// Whole minutes in the air.
    pub air_minutes: Option<i64>,
    /// Miles per hour in the air.
    pub speed_mph: Option<f32>,
    /// Minutes behind schedule, at departure and at arrival; none for a cancelled departure.
    pub delays: Option<Vec<f64>>,
    /// Whether it stayed on the ground.
    pub is_grounded: bool,
}

/// Where an aircraft's latest departure from New York takes it.
#[row_view(name = "aircraft_status", ttl = "14d")]
pub fn aircraft_status(departure: Departure<'_>) -> Result<Status, RowError> {
    check(&departure)?;
    let Departure { origin, dest, cancelled, .. } = departure;
    let stops = if cancelled { vec![origin] } else { vec![origin, dest] };
    Ok(Status {
        departure: departure.event_id.to_owned(),
        operator: departure.carrier.to_owned(),
        heading_for: if cancelled { origin } else { dest }.to_owned(),
        stops: stops.into_iter().map(str::to_owned).collect(),
        free_at: departure.air_time.map(|minutes| free_at(departure.event_time, minutes)),
        air_minutes: departure.air_time.map(|minutes| minutes as i64),
        speed_mph: departure.air_time.map(|minutes| (departure.distance / minutes * 60.0) as f32),
        delays: departure.dep_delay.zip(departure.arr_delay).map(|(left, arrived)| vec![left, arrived]),
        is_grounded: cancelled,
    })
}

fn check(departure: &Departure<'_>) -> Result<(), RowError> {
    if departure.distance.is_nan() || departure.distance <= 0.0 {
        return Err(RowError::new(IMPLAUSIBLE, format!("the distance is {} miles", departure.distance)));
    }
    match departure.air_time {
        Some(minutes) if minutes.is_nan() || minutes <= 0.0 => {
            Err(RowError::new(IMPLAUSIBLE, format!("the time in the air is {minutes} minutes")))
        }
        None if !departure.cancelled => {
            Err(RowError::new(DIVERTED, format!("{} left and did not arrive", departure.event_id)))
        }
        _ => Ok(()),
    }
}

fn free_at(left: Timestamp, air_minutes: f64) -> Timestamp {
    let micros = (air_minutes + TAXI) * MINUTE;
    Timestamp::from_micros(left.micros().saturating_add(micros as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departure() -> Departure<'static> {
        Departure {
            tailnum: "N14228",
            event_time: Timestamp::from_micros(1_357_035_420_000_000),
            event_id: "UA1545-20130101T1015Z-EWR",
            carrier: "UA",
            origin: "EWR",
            dest: "IAH",
            cancelled: false,
            dep_delay: Some(2.0),
            arr_delay: Some(11.0),
            air_time: Some(227.0),
            distance: 1400.0,
        }
    }

    #[test]
    fn an_aircraft_heads_for_its_destination() {
        let status = aircraft_status(departure()).unwrap();
        assert_eq!(status.departure, "UA1545-20130101T1015Z-EWR");
        assert_eq!((status.operator.as_str(), status.heading_for.as_str()), ("UA", "IAH"));
        assert_eq!(status.stops, ["EWR", "IAH"]);
        assert_eq!(status.free_at.unwrap().micros() - departure().event_time.micros(), 247 * 60_000_000);
        assert_eq!(status.air_minutes, Some(227));
        assert_eq!(status.speed_mph, Some(370.044_07));
        assert_eq!(status.delays, Some(vec![2.0, 11.0]));
        assert!(!status.is_grounded);
    }

    #[test]
    fn a_cancelled_departure_leaves_it_on_the_ground() {
        let cancelled =
            Departure { cancelled: true, dep_delay: None, arr_delay: None, air_time: None, ..departure() };
        let status = aircraft_status(cancelled).unwrap();
        assert_eq!(status.heading_for, "EWR");
        assert_eq!(status.stops, ["EWR"]);
        assert_eq!((status.free_at, status.air_minutes, status.delays), (None, None, None));
        assert!(status.is_grounded);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let code = |departure| aircraft_status(departure).map(|_| ()).unwrap_err().code();
        assert_eq!(code(Departure { distance: 0.0, ..departure() }), IMPLAUSIBLE);
        assert_eq!(code(Departure { distance: f64::NAN, ..departure() }), IMPLAUSIBLE);
        assert_eq!(code(Departure { air_time: Some(-5.0), ..departure() }), IMPLAUSIBLE);
        assert_eq!(code(Departure { air_time: None, ..departure() }), DIVERTED);
    }
}
