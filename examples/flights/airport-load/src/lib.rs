//! The load of an airport: how much left lately, and how far behind schedule.

use trifold_sdk::prelude::*;

/// The code of a departure whose delay cannot be right.
pub const IMPLAUSIBLE: u16 = 2;

/// One scheduled departure.
#[derive(Input)]
pub struct Departure<'a> {
    /// Airport of departure.
    #[entity]
    pub origin: &'a str,
    /// Airport of arrival.
    pub dest: &'a str,
    /// Whether it never left.
    pub cancelled: bool,
    /// Minutes behind schedule at departure; negative when early.
    pub dep_delay: Option<f64>,
}

fn check(departure: &Departure<'_>) -> Result<(), RowError> {
    match departure.dep_delay {
        Some(minutes) if !minutes.is_finite() => {
            Err(RowError::new(IMPLAUSIBLE, format!("the delay is {minutes} minutes")))
        }
        _ => Ok(()),
    }
}

/// What delays come to.
#[cfg(not(feature = "v2"))]
type Delay = Moments;
/// What delays come to.
#[cfg(feature = "v2")]
type Delay = SampleMoments;

/// How busy an airport is, and how far behind schedule.
#[window_view(event = Departure<'_>, windows = "15m, 1h, 1d", check = check)]
pub struct AirportLoad {
    /// Departures, cancelled ones included.
    #[of(())]
    pub departures: Count,
    /// Minutes behind schedule at departure.
    #[of(event.dep_delay)]
    pub delay: Delay,
    /// The longest delay at departure, in minutes.
    #[of(event.dep_delay)]
    pub delay_max: Max<f64>,
    /// Different destinations.
    #[of(hash64(event.dest))]
    pub destinations: DistinctCount,
    /// The share of departures that never left.
    #[of(event.cancelled)]
    pub share_cancelled: Share,
}

#[cfg(test)]
mod tests {
    use super::*;
    use trifold_sdk::aggregate::Aggregate;
    use trifold_sdk::fold;

    const NOW: Timestamp = Timestamp::from_micros(0);

    fn departure(dest: &str, dep_delay: Option<f64>) -> Departure<'_> {
        Departure { origin: "JFK", dest, cancelled: dep_delay.is_none(), dep_delay }
    }

    fn tile(departures: &[(&'static str, Option<f64>)]) -> AirportLoad {
        fold::<AirportLoad>(departures.iter().map(|&(dest, delay)| departure(dest, delay))).unwrap()
    }

    #[test]
    fn a_busy_hour_adds_up() {
        let mut hour = tile(&[("LAX", Some(10.0)), ("SFO", None)]);
        AirportLoad::merge(&mut hour, &tile(&[("LAX", Some(-4.0)), ("BOS", Some(24.0))]));
        assert_eq!(hour.departures.finish(NOW), 4);
        assert_eq!(hour.delay.finish(NOW).0, Some(10.0));
        assert_eq!(hour.delay_max.finish(NOW), Some(24.0));
        assert_eq!(hour.destinations.finish(NOW), 3);
        assert_eq!(hour.share_cancelled.finish(NOW), Some(0.25));
    }

    #[test]
    fn the_order_of_departures_does_not_show() {
        let bytes = |tile: AirportLoad| {
            let mut bytes = Vec::new();
            tile.encode(&mut bytes);
            bytes
        };
        let there = tile(&[("LAX", Some(0.1)), ("SFO", Some(0.2)), ("BOS", Some(1e300))]);
        let back = tile(&[("BOS", Some(1e300)), ("SFO", Some(0.2)), ("LAX", Some(0.1))]);
        assert_eq!(bytes(there), bytes(back));
        assert!(bytes(AirportLoad::default()).is_empty());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = fold::<AirportLoad>([departure("LAX", Some(f64::INFINITY))]);
        assert_eq!(refused.map(|_| ()).unwrap_err().code(), IMPLAUSIBLE);
    }
}
