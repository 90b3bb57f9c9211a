//! The load of an airline: how its departures have been doing lately.

use trifold_sdk::prelude::*;

/// A delay from here on counts as late, in minutes.
pub const LATE: f64 = 15.0;

/// One scheduled departure.
#[derive(Input)]
pub struct Departure<'a> {
    /// Two-letter code of the airline.
    #[entity]
    pub carrier: &'a str,
    /// When it left; when it should have left, if it was cancelled.
    pub event_time: Timestamp,
    /// The departure's id.
    pub event_id: &'a str,
    /// The aircraft's registration.
    pub tailnum: Option<&'a str>,
    /// Airport of arrival.
    pub dest: &'a str,
    /// Minutes behind schedule at arrival; negative when early.
    pub arr_delay: Option<f64>,
    /// Miles between the airports.
    pub distance: f64,
}

/// Which delays are told.
#[cfg(not(feature = "v2"))]
type Delays = Quantiles<(P50, P90, P99)>;
/// Which delays are told.
#[cfg(feature = "v2")]
type Delays = Quantiles<(P50, P75, P99)>;

/// How an airline has been doing. Decays and the most frequent destinations depend on the order of departures, and so
/// they are folded in the order of their times.
#[window_view(event = Departure<'_>, windows = "1h, 1d, 7d/6h")]
pub struct CarrierLoad {
    /// Departures, cancelled ones included.
    #[of(())]
    pub departures: Count,
    /// Miles of all departures.
    #[of(event.distance)]
    pub miles: Sum,
    /// Minutes behind schedule at arrival.
    #[of(event.arr_delay)]
    pub arr_delay: Delays,
    /// The three longest delays at arrival, in minutes.
    #[of(event.arr_delay)]
    pub worst: TopK<f64, 3>,
    /// The share of arrivals that were late.
    #[of(event.arr_delay.map(|minutes| minutes >= LATE))]
    pub share_late: Share,
    /// Late minutes, of which half are forgotten every six hours.
    #[of((event.event_time, event.arr_delay.map(|minutes| minutes.max(0.0))))]
    pub late_minutes: DecayedSum<21_600>,
    /// The three destinations that it flies to most.
    #[of(event.dest)]
    pub busiest: TopFrequent<3>,
    /// The aircraft that left last.
    #[of((event.event_time, event.event_id, event.tailnum))]
    pub last_tailnum: Last<String>,
    /// Different aircraft.
    #[of(event.tailnum.map(hash64))]
    pub aircraft: DistinctCount,
}

#[cfg(test)]
mod tests {
    use super::*;
    use trifold_sdk::aggregate::Aggregate;
    use trifold_sdk::fold;

    fn departure(second: i64, dest: &'static str, arr_delay: Option<f64>) -> Departure<'static> {
        Departure {
            carrier: "B6",
            event_time: Timestamp::from_micros(second * 1_000_000),
            event_id: "B6",
            tailnum: arr_delay.map(|_| "N229JB"),
            dest,
            arr_delay,
            distance: 1_000.5,
        }
    }

    #[test]
    fn a_day_adds_up() {
        let mut day =
            fold::<CarrierLoad>([departure(0, "LAX", Some(-3.0)), departure(60, "BOS", Some(40.0))]).unwrap();
        let later = fold::<CarrierLoad>([departure(21_660, "BOS", Some(20.0)), departure(21_660, "BUF", None)]);
        CarrierLoad::merge(&mut day, &later.unwrap());
        let now = Timestamp::from_micros(21_660_000_000);
        assert_eq!(day.departures.finish(now), 4);
        assert_eq!(day.miles.finish(now), 4_002.0);
        assert_eq!(day.worst.finish(now), [40.0, 20.0, -3.0]);
        assert_eq!(day.share_late.finish(now), Some(2.0 / 3.0));
        assert_eq!(day.busiest.finish(now)[0], "BOS");
        assert_eq!(day.last_tailnum.finish(now).as_deref(), Some("N229JB"));
        assert_eq!(day.aircraft.finish(now), 1);
        // Half of the 40 minutes and all of the 20.
        assert!((day.late_minutes.finish(now) - 40.0).abs() < 1e-9);
    }
}
