//! Texts joined and hashed: what a transform costs whose columns have offsets.

use trifold_sdk::{hash64, prelude::*};

/// One departure.
#[derive(Input)]
pub struct Departure<'a> {
    /// Two-letter code of the airline.
    #[entity]
    pub carrier: &'a str,
    /// Airport of departure.
    pub origin: &'a str,
    /// Airport of arrival.
    pub dest: &'a str,
}

/// Where it goes.
#[derive(Output)]
pub struct Route {
    /// Both airports, as in JFK-LAX.
    pub route: String,
    /// Carrier and airports, hashed.
    pub route_hash: i64,
    /// Airline and airport of departure, as in B6@JFK.
    pub station: String,
}

/// The names of a departure's route.
#[row_view(name = "bench_text")]
pub fn text(departure: Departure<'_>) -> Route {
    let route = [departure.origin, "-", departure.dest].concat();
    let hash = hash64(route.as_bytes()) ^ hash64(departure.carrier.as_bytes()).rotate_left(1);
    Route { route, route_hash: hash as i64, station: [departure.carrier, "@", departure.origin].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_departure_has_a_route() {
        let of = |carrier| text(Departure { carrier, origin: "JFK", dest: "LAX" });
        let (route, other) = (of("B6"), of("UA"));
        assert_eq!((route.route.as_str(), route.station.as_str()), ("JFK-LAX", "B6@JFK"));
        assert_ne!(route.route_hash, other.route_hash);
    }
}
