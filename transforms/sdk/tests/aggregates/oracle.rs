//! Exact arithmetic on rationals, and their nearest doubles by way of decimal digits.

use num_bigint::{BigInt, BigUint, Sign};

/// Enough decimal places that every double, and every number halfway between two, ends before them.
const PLACES: u32 = 1_100;

/// A finite double in units of 2^-1074.
pub(super) fn units(value: f64) -> BigInt {
    let bits = value.to_bits();
    let exponent = (bits >> 52) & 0x7FF;
    let fraction = bits & ((1 << 52) - 1);
    let magnitude = match exponent {
        0 => BigInt::from(fraction),
        _ => BigInt::from(fraction | 1 << 52) << (exponent - 1),
    };
    if value.is_sign_negative() { -magnitude } else { magnitude }
}

/// The double nearest to `numerator` / `denominator` times 2^`exponent`.
pub(super) fn nearest(numerator: &BigInt, denominator: &BigInt, exponent: i32) -> f64 {
    let (scaled, divisor) = shifted(numerator.magnitude(), denominator.magnitude(), exponent);
    let scaled = scaled * BigUint::from(10_u32).pow(PLACES);
    let digits = &scaled / &divisor;
    let exact = &digits * &divisor == scaled;
    signed(numerator, parse(&digits, exact))
}

/// The double nearest to the square root of `numerator` / `denominator` times 2^`exponent`.
pub(super) fn nearest_root(numerator: &BigInt, denominator: &BigInt, exponent: i32) -> f64 {
    let (scaled, divisor) = shifted(numerator.magnitude(), denominator.magnitude(), exponent);
    let scaled = scaled * BigUint::from(10_u32).pow(2 * PLACES);
    let digits = (&scaled / &divisor).sqrt();
    let exact = &digits * &digits * &divisor == scaled;
    parse(&digits, exact)
}

fn shifted(numerator: &BigUint, denominator: &BigUint, exponent: i32) -> (BigUint, BigUint) {
    match exponent {
        0.. => (numerator << exponent, denominator.clone()),
        _ => (numerator.clone(), denominator << -exponent),
    }
}

/// The standard library reads decimals of any length to the nearest double.
fn parse(digits: &BigUint, exact: bool) -> f64 {
    let more = if exact { "0" } else { "1" };
    format!("{digits}{more}e-{}", PLACES + 1).parse().unwrap()
}

fn signed(numerator: &BigInt, magnitude: f64) -> f64 {
    if numerator.sign() == Sign::Minus { -magnitude } else { magnitude }
}
