//! Logs made from seeds: few entities, few times and few ids, so that ties, copies and disorder are common.

use serde_json::{Value, json};
use trifold_tests::live::{admit, transform};
use trifold_tests::random::SplitMix64;
use trifold_wat_guest::unruly;

use crate::case::Case;
use crate::runner::check;

const SEEDS: std::ops::Range<u64> = 100..104;
const EVENTS: usize = 80;

fn pick<'a>(random: &mut SplitMix64, from: &[&'a str]) -> &'a str {
    from[random.between(0, from.len() as u64) as usize]
}

fn maybe(random: &mut SplitMix64, value: f64) -> Value {
    if random.between(0, 5) == 0 { Value::Null } else { json!(value) }
}

fn departure(random: &mut SplitMix64) -> Value {
    const MINUTE: u64 = 60_000_000;
    let time = 1_357_035_300_000_000 + random.between(0, 12) * MINUTE;
    let number = |random: &mut SplitMix64| random.between(0, 4_000) as f64 / 8.0 - 20.0;
    let (air_time, delay, distance) = (number(random), number(random), number(random));
    json!({
        "event_time": time, "event_id": pick(random, &["a", "b", "", "é"]),
        "tailnum": maybe_text(random, &["N1", "N2", "N3"]), "carrier": pick(random, &["UA", "B6"]),
        "flight": random.between(1, 3), "origin": pick(random, &["EWR", "JFK", "LGA"]),
        "dest": pick(random, &["IAH", "MIA", "漢字", ""]), "cancelled": random.between(0, 6) == 0,
        "scheduled_time": time - random.between(0, 3) * MINUTE, "dep_delay": maybe(random, delay),
        "arr_delay": maybe(random, -delay), "air_time": maybe(random, air_time), "distance": distance
    })
}

fn maybe_text(random: &mut SplitMix64, from: &[&str]) -> Value {
    if random.between(0, 8) == 0 { Value::Null } else { json!(pick(random, from)) }
}

#[track_caller]
fn check_departures(package: &str, features: &[&str]) {
    for seed in SEEDS {
        let mut random = SplitMix64(seed);
        let events: Vec<_> = (0..EVENTS).map(|_| departure(&mut random)).collect();
        check(&Case::new(&format!("{package}, seed {seed}"), transform(package, features), None, &events));
    }
}

#[test]
fn flight_profile() {
    check_departures("flight-profile", &[]);
    check_departures("flight-profile", &["v2"]);
}

#[test]
fn aircraft() {
    check_departures("aircraft", &[]);
}

/// Rows that trap, loop, take memory, refuse and break the contract, in a view that limits arrivals.
#[test]
fn unruly_rows_with_arrivals() {
    let guest = unruly("unruly", |view| {
        view["lateness-seconds"] = json!(5);
        view["max-early-seconds"] = json!(2);
        view["limits"] = json!({"fuel": 50_000, "memory-bytes": 4 << 20});
    });
    let unruly = admit(&guest.build().unwrap());
    for seed in SEEDS {
        let mut random = SplitMix64(seed);
        let event = |random: &mut SplitMix64, number: u64| {
            // All acts but 5 and 14, which have no verdict: native stack, and what the instance has seen.
            let act =
                [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 18, 19][random.between(0, 18) as usize];
            let arrival = number * 200_000;
            json!({
                "event_time": arrival as i64 - 6_000_000 + random.between(0, 9_000_000) as i64,
                "event_id": pick(random, &["a", "b"]), "arrived": arrival, "key": random.between(0, 6),
                "act": act, "n": random.between(0, 300)
            })
        };
        let events: Vec<_> = (0..EVENTS as u64).map(|number| event(&mut random, number)).collect();
        check(&Case::new(&format!("unruly, seed {seed}"), unruly.clone(), Some("arrived"), &events));
    }
}
