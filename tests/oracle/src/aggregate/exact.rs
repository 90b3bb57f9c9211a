//! Sums, means and deviations: exact whole numbers of units, rounded once.

use std::cmp::Ordering;

use num_bigint::{BigInt, BigUint, Sign};

use super::{Aggregate, floats, ints};
use crate::Value;

/// A unit is 2 to this power, of which every finite double is a whole number.
const UNIT: i64 = -1074;

/// `Sum`.
pub fn sum(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![Value::Float(quotient(&floats(tiles, field), 1))])
}

/// `Mean`.
pub fn mean(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![mean_of(&floats(tiles, field)).into()])
}

/// `Variance`.
pub fn variance(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![variance_of(&floats(tiles, field), 0).into()])
}

/// `SampleVariance`.
pub fn sample_variance(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![variance_of(&floats(tiles, field), 1).into()])
}

/// `StdDev`.
pub fn std_dev(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![deviation_of(&floats(tiles, field), 0).into()])
}

/// `SampleStdDev`.
pub fn sample_std_dev(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| vec![deviation_of(&floats(tiles, field), 1).into()])
}

/// `Moments`: mean, then deviation.
pub fn moments(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| {
        let items = floats(tiles, field);
        vec![mean_of(&items).into(), deviation_of(&items, 0).into()]
    })
}

/// `SumInt`.
pub fn sum_int(field: &'static str) -> Aggregate {
    Box::new(move |tiles, _| {
        let sum: i128 = ints(tiles, field).into_iter().map(i128::from).sum();
        vec![i64::try_from(sum).ok().into()]
    })
}

fn mean_of(items: &[f64]) -> Option<f64> {
    (!items.is_empty()).then(|| quotient(items, items.len()))
}

/// The sum of items divided by a number.
fn quotient(items: &[f64], divisor: usize) -> f64 {
    let has = |special: f64| items.contains(&special);
    if items.iter().any(|item| item.is_nan()) || (has(f64::INFINITY) && has(f64::NEG_INFINITY)) {
        return f64::NAN;
    }
    if let Some(infinity) = items.iter().find(|item| item.is_infinite()) {
        return *infinity;
    }
    if !items.is_empty() && items.iter().all(|item| *item == 0.0 && item.is_sign_negative()) {
        return -0.0;
    }
    let sum: BigInt = items.iter().copied().map(units).sum();
    let magnitude = nearest(sum.magnitude(), &BigUint::from(divisor), UNIT);
    if sum.sign() == Sign::Minus { -magnitude } else { magnitude }
}

fn variance_of(items: &[f64], ddof: usize) -> Option<f64> {
    spread(items, ddof).map(|spread| match spread {
        Some((numerator, denominator)) => nearest(&numerator, &denominator, 2 * UNIT),
        None => f64::NAN,
    })
}

fn deviation_of(items: &[f64], ddof: usize) -> Option<f64> {
    spread(items, ddof).map(|spread| match spread {
        Some((numerator, denominator)) => nearest_root(&numerator, &denominator, 2 * UNIT),
        None => f64::NAN,
    })
}

/// The variance in squared units as a fraction: n sum(x^2) - sum(x)^2 over n (n - ddof). None for too few items, and
/// none within where an item is no number.
fn spread(items: &[f64], ddof: usize) -> Option<Option<(BigUint, BigUint)>> {
    let count = items.len();
    if count <= ddof {
        return None;
    }
    if items.iter().any(|item| !item.is_finite()) {
        return Some(None);
    }
    let items: Vec<BigInt> = items.iter().copied().map(units).collect();
    let sum: BigInt = items.iter().sum();
    let squares: BigInt = items.iter().map(|item| item * item).sum();
    let numerator = BigInt::from(count) * squares - &sum * &sum;
    Some(Some((numerator.magnitude().clone(), BigUint::from(count) * BigUint::from(count - ddof))))
}

/// A finite double in units.
fn units(value: f64) -> BigInt {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52) & 0x7FF, bits & ((1 << 52) - 1));
    let magnitude = match exponent {
        0 => BigInt::from(fraction),
        _ => BigInt::from(fraction | 1 << 52) << (exponent - 1),
    };
    if value.is_sign_negative() { -magnitude } else { magnitude }
}

/// The double nearest to `numerator` / `denominator` times 2^`power`, the even one of two.
fn nearest(numerator: &BigUint, denominator: &BigUint, power: i64) -> f64 {
    // In steps of that exponent it has 53 bits, or fewer where doubles have no smaller steps.
    let bits = power + numerator.bits() as i64 - denominator.bits() as i64;
    for exponent in [(bits - 54).max(UNIT), (bits - 53).max(UNIT), (bits - 52).max(UNIT)] {
        let (numerator, denominator) = scaled(numerator, denominator, power - exponent);
        let floor = &numerator / &denominator;
        let rest = (&numerator - &floor * &denominator) * 2_u32;
        if floor.bits() <= 53 {
            return double(floor, rest.cmp(&denominator), exponent);
        }
    }
    unreachable!("a fraction's bits are those of its parts, give or take one")
}

/// The double nearest to the square root of `numerator` / `denominator` times 2^`power`, the even one of two.
fn nearest_root(numerator: &BigUint, denominator: &BigUint, power: i64) -> f64 {
    let bits = (power + numerator.bits() as i64 - denominator.bits() as i64).div_euclid(2);
    for exponent in [(bits - 54).max(UNIT), (bits - 53).max(UNIT), (bits - 52).max(UNIT), (bits - 51).max(UNIT)] {
        let (numerator, denominator) = scaled(numerator, denominator, power - 2 * exponent);
        let floor = (&numerator / &denominator).sqrt();
        if floor.bits() <= 53 {
            // The root against floor + 1/2, both doubled and squared.
            let half = &floor * 2_u32 + 1_u32;
            let order = (numerator * 4_u32).cmp(&(&half * &half * denominator));
            return double(floor, order, exponent);
        }
    }
    unreachable!("a root has half the bits of its square, give or take one")
}

/// A fraction times a power of two.
fn scaled(numerator: &BigUint, denominator: &BigUint, power: i64) -> (BigUint, BigUint) {
    match power {
        0.. => (numerator << power, denominator.clone()),
        _ => (numerator.clone(), denominator << -power),
    }
}

/// `floor` or the number after it, by how the rest stands against one half, times 2^`exponent`.
fn double(floor: BigUint, rest: Ordering, exponent: i64) -> f64 {
    let floor = floor.iter_u64_digits().next().unwrap_or(0);
    let up = match rest {
        Ordering::Less => 0,
        Ordering::Equal => floor & 1,
        Ordering::Greater => 1,
    };
    // Below 2^52 it is subnormal; a number of 54 bits carries into the exponent, as it should.
    let rounded = floor + up;
    match (rounded >> 52, exponent - UNIT) {
        (0, _) => f64::from_bits(rounded),
        (_, 2_046..) => f64::INFINITY,
        (_, steps) => f64::from_bits(((steps as u64) << 52) + rounded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nearest double by way of digits, which the standard library reads exactly.
    fn by_digits(numerator: u64, denominator: u64, power: i64) -> f64 {
        let places = 1_200;
        let (numerator, denominator) = scaled(&numerator.into(), &denominator.into(), power);
        let tens = numerator * BigUint::from(10_u32).pow(places);
        let digits = &tens / &denominator;
        let more = if &digits * &denominator == tens { "0" } else { "1" };
        format!("{digits}{more}e-{}", places + 1).parse().unwrap()
    }

    #[test]
    fn fractions_and_roots_round_to_the_nearest_double() {
        let mut seed = 1_u64;
        for round in 0..2_000_i64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (numerator, denominator) = (seed >> (seed % 50), (seed.rotate_left(32) >> (seed % 61)) | 1);
            let power = round - 1_120;
            let found = nearest(&numerator.into(), &denominator.into(), power);
            assert_eq!(found, by_digits(numerator, denominator, power), "{numerator} {denominator} {power}");
            let square = BigUint::from(numerator) * BigUint::from(numerator);
            let root = nearest_root(&square, &(BigUint::from(denominator) * denominator), 2 * power);
            assert_eq!(root, found, "{numerator} {denominator} {power}");
        }
        let root = |value: u64| nearest_root(&value.into(), &1_u32.into(), 0);
        assert!((0..1_000).all(|value| root(value) == (value as f64).sqrt()));
    }

    #[test]
    fn doubles_are_whole_units() {
        for value in [5e-324, f64::MIN_POSITIVE, 0.1, 1.0, f64::MAX] {
            assert_eq!(quotient(&[value], 1), value);
            assert_eq!(quotient(&[-value], 1), -value);
        }
        assert_eq!(quotient(&[f64::MAX, f64::MAX], 1), f64::INFINITY);
        assert_eq!(quotient(&[f64::MAX, f64::MAX], 2), f64::MAX);
    }
}
