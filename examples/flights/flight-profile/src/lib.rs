//! The profile of a flight: what its latest departure from New York looked like.

use trifold_sdk::{hash64, prelude::*};

/// The length of the embedding.
pub const DIMENSIONS: usize = 16;

/// One scheduled departure.
#[derive(Input)]
pub struct Departure<'a> {
    /// Two-letter code of the airline.
    #[entity]
    pub carrier: &'a str,
    /// The airline's flight number.
    #[entity]
    pub flight: i64,
    /// When it left; when it should have left, if it was cancelled.
    pub event_time: Timestamp,
    /// When it should have left.
    pub scheduled_time: Timestamp,
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

/// What the departure looked like.
#[derive(Output)]
pub struct Profile {
    /// Both airports, as in JFK-LAX.
    pub route: String,
    /// Scheduled hour of the week in UTC; 0 is Monday from midnight to one.
    pub hour_of_week: i64,
    /// Whether it never left.
    pub cancelled: bool,
    /// When it left; none if it never did.
    pub departed_at: Option<Timestamp>,
    /// Delay at departure on a logarithmic scale: the sign times ln(1 + minutes).
    pub delay_log: Option<f64>,
    /// Minutes made up on the way.
    pub made_up_minutes: Option<f64>,
    /// Miles per hour in the air.
    pub speed_mph: Option<f64>,
    /// How likely the next departure is late, between 0 and 1, from this one alone.
    pub lateness_risk: f64,
    /// Carrier and airports, hashed into 16 dimensions and normalised.
    pub route_embedding: Vec<f32>,
    /// Whether it was scheduled in the evening rush, 21:00 to 01:00 UTC.
    #[cfg(feature = "v2")]
    pub is_evening: bool,
}

/// What the latest departure of a flight number from New York looked like.
#[row_view(name = "flight_profile", ttl = "60d")]
pub fn flight_profile(departure: Departure<'_>) -> Profile {
    let hour_of_week = departure.scheduled_time.hour_of_week();
    let delay_log = departure.dep_delay.map(signed_log);
    Profile {
        route: [departure.origin, "-", departure.dest].concat(),
        hour_of_week,
        cancelled: departure.cancelled,
        departed_at: (!departure.cancelled).then_some(departure.event_time),
        delay_log,
        made_up_minutes: departure.dep_delay.zip(departure.arr_delay).map(|(left, arrived)| left - arrived),
        speed_mph: departure
            .air_time
            .filter(|minutes| *minutes > 0.0)
            .map(|minutes| departure.distance / minutes * 60.0),
        lateness_risk: lateness_risk(hour_of_week, delay_log, departure.cancelled),
        route_embedding: embed([departure.carrier, departure.origin, departure.dest]),
        #[cfg(feature = "v2")]
        is_evening: is_evening(hour_of_week),
    }
}

fn signed_log(minutes: f64) -> f64 {
    minutes.abs().ln_1p().copysign(minutes)
}

/// A logistic score with weights set by hand.
fn lateness_risk(hour_of_week: i64, delay_log: Option<f64>, cancelled: bool) -> f64 {
    let evening = f64::from(u8::from(is_evening(hour_of_week)));
    // A cancelled departure has no delay and says more than a long one.
    let delay = delay_log.unwrap_or(if cancelled { 6.0 } else { 0.0 });
    #[cfg(not(feature = "v2"))]
    let score = -1.3 + 0.8 * evening + 0.25 * delay;
    #[cfg(feature = "v2")]
    let score = -1.5 + 0.9 * evening + 0.3 * delay + 0.1 * evening * delay;
    1.0 / (1.0 + (-score).exp())
}

fn is_evening(hour_of_week: i64) -> bool {
    matches!(hour_of_week % 24, 21..24 | 0)
}

/// The hashing trick: each word adds plus or minus one in one dimension.
fn embed(words: [&str; 3]) -> Vec<f32> {
    let mut vector = vec![0.0_f32; DIMENSIONS];
    for (position, word) in words.into_iter().enumerate() {
        // The position keeps an origin apart from the same airport as a destination.
        let hash = hash64(word.as_bytes()).rotate_left(position as u32 * 8);
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        vector[hash as usize % DIMENSIONS] += sign;
    }
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|value| *value /= norm);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departure() -> Departure<'static> {
        Departure {
            carrier: "B6",
            flight: 23,
            // Tuesday, 2013-01-01T22:24:00Z.
            event_time: Timestamp::from_micros(1_357_079_040_000_000),
            scheduled_time: Timestamp::from_micros(1_357_077_600_000_000),
            origin: "JFK",
            dest: "LAX",
            cancelled: false,
            dep_delay: Some(24.0),
            arr_delay: Some(10.0),
            air_time: Some(330.0),
            distance: 2475.0,
        }
    }

    #[test]
    fn a_departure_has_a_profile() {
        let profile = flight_profile(departure());
        assert_eq!(profile.route, "JFK-LAX");
        assert_eq!(profile.hour_of_week, 46);
        assert_eq!(profile.departed_at, Some(Timestamp::from_micros(1_357_079_040_000_000)));
        assert_eq!(profile.made_up_minutes, Some(14.0));
        assert_eq!(profile.speed_mph, Some(450.0));
        assert!((profile.delay_log.unwrap() - 25.0_f64.ln()).abs() < 1e-12);
        assert!((0.5..1.0).contains(&profile.lateness_risk));
    }

    #[test]
    fn a_cancelled_flight_has_no_delays_and_a_higher_risk() {
        let late = flight_profile(departure()).lateness_risk;
        let profile = flight_profile(Departure {
            cancelled: true,
            dep_delay: None,
            arr_delay: None,
            air_time: None,
            ..departure()
        });
        assert!(profile.cancelled);
        assert_eq!((profile.departed_at, profile.delay_log, profile.speed_mph), (None, None, None));
        assert!(profile.lateness_risk > late);
    }

    #[test]
    fn delays_keep_their_sign() {
        assert_eq!(signed_log(0.0), 0.0);
        assert_eq!(signed_log(-3.0), -signed_log(3.0));
    }

    #[test]
    fn embeddings_have_unit_length_and_a_direction() {
        let there = embed(["B6", "JFK", "LAX"]);
        let back = embed(["B6", "LAX", "JFK"]);
        assert_ne!(there, back);
        let norm: f32 = there.iter().map(|value| value * value).sum();
        assert!((norm - 1.0).abs() < 1e-6, "{norm}");
    }
}
