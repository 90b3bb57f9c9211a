//! Different values: exact for few, a HyperLogLog sketch for many.

use std::collections::BTreeSet;

use super::{Aggregate, events, hash64, text};
use crate::Value;

/// The first bits of a hash choose one of 2^12 registers.
const P: u32 = 12;
const REGISTERS: u64 = 1 << P;
/// The bits of a hash that count, and those of them that follow the choice.
const BITS: u32 = 48;
const REST: u32 = BITS - P;

/// `DistinctCount` of the hashes of texts.
pub fn distinct_count(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| {
        let texts = events(tiles).filter_map(|event| text(event, field));
        let hashes: BTreeSet<u64> = texts.map(|text| hash64(text.as_bytes()) >> (64 - BITS)).collect();
        vec![Value::Int(match hashes.len() as u64 {
            few if few <= REGISTERS / 16 => few as i64,
            _ => (estimate(&hashes) + 0.5).floor() as i64,
        })]
    })
}

/// Algorithm 6 of Ertl's "New cardinality estimation algorithms for HyperLogLog sketches".
fn estimate(hashes: &BTreeSet<u64>) -> f64 {
    let rank_of_register = |register: u64| {
        let own = hashes.iter().filter(|hash| **hash >> REST == register);
        let zeros = |hash: &u64| (0..REST).rev().take_while(|bit| hash >> bit & 1 == 0).count() as u32;
        own.map(|hash| zeros(hash) + 1).max().unwrap_or(0)
    };
    let ranks: Vec<u32> = (0..REGISTERS).map(rank_of_register).collect();
    let m = REGISTERS as f64;
    let share = |rank: u32| ranks.iter().filter(|found| **found == rank).count() as f64 / m;
    let mut z = m * tau(1.0 - share(REST + 1));
    for rank in (1..=REST).rev() {
        z = 0.5 * (z + m * share(rank));
    }
    z += m * sigma(share(0));
    m * m / (2.0 * std::f64::consts::LN_2 * z)
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
