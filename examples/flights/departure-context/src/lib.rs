//! A flight's delay against the last hour of its airport.

use trifold_sdk::prelude::*;

/// The code of a delay that cannot be right.
pub const IMPLAUSIBLE: u16 = 2;

/// A flight that is about to leave, and what its airport has seen lately.
#[derive(Request)]
pub struct Flight<'a> {
    /// Airport of departure.
    pub origin: &'a str,
    /// Minutes behind schedule; negative when early, none before it is known.
    pub dep_delay: Option<f64>,
    /// Departures of the airport in the last hour.
    #[reads("airport_load.departures_1h")]
    pub departures: Option<i64>,
    /// Minutes that they were behind schedule.
    #[reads("airport_load.delay_mean_1h")]
    pub delay_mean: Option<f64>,
    /// By how many minutes they differ from that.
    #[reads("airport_load.delay_deviation_1h")]
    pub delay_deviation: Option<f64>,
}

/// How a flight compares with those before it.
#[derive(Output)]
pub struct Context {
    /// Minutes behind what was usual in the last hour.
    pub excess: Option<f64>,
    /// The same in deviations; none where all departures were alike.
    pub deviations: Option<f64>,
    /// Whether no other flight left in the last hour.
    pub is_alone: bool,
}

/// A flight's delay against the last hour of its airport.
#[on_demand_view]
pub fn departure_context(flight: Flight<'_>) -> Result<Context, RowError> {
    if let Some(minutes) = flight.dep_delay.filter(|minutes| !minutes.is_finite()) {
        return Err(RowError::new(IMPLAUSIBLE, format!("the delay is {minutes} minutes")));
    }
    let excess = flight.dep_delay.zip(flight.delay_mean).map(|(own, usual)| own - usual);
    let excess = if cfg!(feature = "v2") { excess.map(|minutes| minutes.max(0.0)) } else { excess };
    let deviation = flight.delay_deviation.filter(|minutes| *minutes > 0.0);
    Ok(Context {
        excess,
        deviations: excess.zip(deviation).map(|(excess, deviation)| excess / deviation),
        is_alone: flight.departures.is_none_or(|departures| departures == 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLIGHT: Flight<'static> = Flight {
        origin: "JFK",
        dep_delay: Some(25.0),
        departures: Some(12),
        delay_mean: Some(10.0),
        delay_deviation: Some(5.0),
    };

    #[test]
    fn a_delay_is_measured_by_the_last_hour() {
        let context = departure_context(FLIGHT).unwrap();
        assert_eq!((context.excess, context.deviations, context.is_alone), (Some(15.0), Some(3.0), false));
    }

    #[test]
    fn what_is_not_known_is_left_open() {
        let alike = departure_context(Flight { delay_deviation: Some(0.0), ..FLIGHT }).unwrap();
        assert_eq!((alike.excess, alike.deviations), (Some(15.0), None));
        let quiet = Flight { departures: None, delay_mean: None, delay_deviation: None, ..FLIGHT };
        let quiet = departure_context(quiet).unwrap();
        assert_eq!((quiet.excess, quiet.deviations, quiet.is_alone), (None, None, true));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = departure_context(Flight { dep_delay: Some(f64::NAN), ..FLIGHT });
        assert_eq!(refused.map(|_| ()).unwrap_err().code(), IMPLAUSIBLE);
    }
}
