//! Rows that use a part of their limits get the same verdict in batches of every size.

use serde_json::json;
use trifold_model::ErrorCode;
use trifold_sandbox::{Budget, Transform};
use trifold_wat_guest::{Act, unruly};

use crate::rig::{Fate, admit, fates, fates_in_batches, rows};

const FRACTIONS: [f64; 4] = [0.45, 0.55, 0.9, 1.1];
const FUEL: u64 = 100_000;
const MEMORY_BYTES: u64 = 4 << 20;

fn transform() -> Transform {
    let limits = json!({"fuel": FUEL, "memory-bytes": MEMORY_BYTES});
    admit(&unruly("fractions", |view| view["limits"] = limits))
}

fn spent(transform: &Transform, n: i64) -> u64 {
    let mut budget = Budget::unlimited();
    let applied = transform.apply(&rows(transform, &[(Act::Burn, n)]), &mut budget);
    assert_eq!(fates(&applied), [Fate::Value(n)]);
    budget.spent()
}

/// The turns of the loop that burn a part of the limit.
fn turns(transform: &Transform, fraction: f64) -> i64 {
    let (base, per_thousand) = (spent(transform, 0), spent(transform, 1000) - spent(transform, 0));
    ((FUEL as f64 * fraction - base as f64) * 1000.0 / per_thousand as f64) as i64
}

#[track_caller]
fn check(transform: &Transform, acts: &[(Act, i64)], expected: impl Fn(usize) -> Fate) {
    let expected: Vec<_> = (0..acts.len()).map(expected).collect();
    let inputs = rows(transform, acts);
    for size in [1, 7, 4096] {
        let fates = fates_in_batches(transform, &inputs, size);
        for (row, (fate, expected)) in fates.iter().zip(&expected).enumerate() {
            assert_eq!(fate, expected, "row {row} in batches of {size}");
        }
    }
}

#[test]
fn fuel() {
    let transform = transform();
    let turns = FRACTIONS.map(|fraction| turns(&transform, fraction));
    let burn = |row: usize| (Act::Burn, turns[row % 4]);
    let expected = |row: usize| match row % 4 {
        3 => Fate::Error(ErrorCode::FUEL),
        part => Fate::Value(turns[part]),
    };
    check(&transform, &(0..4096).map(burn).collect::<Vec<_>>(), expected);
    // Each fraction among rows that need next to nothing, and alone.
    for part in 0..4 {
        let acts = |row: usize| if row.is_multiple_of(97) { burn(part) } else { (Act::Value, 1) };
        let expected = |row: usize| if row.is_multiple_of(97) { expected(part) } else { Fate::Value(1) };
        check(&transform, &(0..4096).map(acts).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn memory() {
    let transform = transform();
    let bytes = FRACTIONS.map(|fraction| (MEMORY_BYTES as f64 * fraction) as i64);
    let grow = |row: usize| (Act::Grow, bytes[row % 4]);
    let expected = |row: usize| match row % 4 {
        3 => Fate::Error(ErrorCode::MEMORY),
        part => Fate::Value(bytes[part]),
    };
    check(&transform, &(0..4096).map(grow).collect::<Vec<_>>(), expected);
    for part in 0..4 {
        let acts = |row: usize| if row.is_multiple_of(97) { grow(part) } else { (Act::Value, 1) };
        let expected = |row: usize| if row.is_multiple_of(97) { expected(part) } else { Fate::Value(1) };
        check(&transform, &(0..4096).map(acts).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn limits_belong_to_the_row_and_not_to_what_was_computed_before() {
    let transform = transform();
    let dear = turns(&transform, 0.9);
    let acts: Vec<_> = (0..500).map(|row| if row < 250 { (Act::Loop, 0) } else { (Act::Burn, dear) }).collect();
    let expected = |row| if row < 250 { Fate::Error(ErrorCode::FUEL) } else { Fate::Value(dear) };
    check(&transform, &acts, expected);
}

#[test]
fn a_warm_instance_gives_the_same_verdicts() {
    let transform = transform();
    let turns = FRACTIONS.map(|fraction| turns(&transform, fraction));
    let acts: Vec<_> = (0..64).map(|row| (Act::Burn, turns[row % 4])).collect();
    let inputs = rows(&transform, &acts);
    let fresh = fates_in_batches(&transform, &inputs, 64);
    let mut warm = transform.warm().unwrap();
    assert_eq!(fates(&warm.apply(&inputs)), fresh);
    let singly: Vec<_> = (0..64).flat_map(|row| fates(&warm.apply(&inputs.slice(row, 1)))).collect();
    assert_eq!(singly, fresh);
}
