//! Quantiles: the middle of the bucket that the true one lies in.

use std::collections::BTreeSet;

use super::{Aggregate, floats};
use crate::Value;

const BUCKETS_MAX: usize = 2_048;
/// A power of two has 2^6 buckets of the narrowest kind: a double has 52 bits after its power, the rest is inside.
const INSIDE: u32 = 52 - 6;

/// `Quantiles`, in thousandths.
pub fn quantiles(field: &'static str, permille: &'static [usize]) -> Aggregate {
    Box::new(move |tiles, _| {
        // -0.0 counts as 0.0.
        let mut numbers: Vec<f64> = floats(tiles, field).into_iter().map(|number| number + 0.0).collect();
        numbers.retain(|number| !number.is_nan());
        numbers.sort_by(f64::total_cmp);
        let inside = bits_inside(&numbers);
        let quantile = |permille: &usize| {
            let last = numbers.len().checked_sub(1)?;
            Some(middle(numbers[last * permille / 1_000], inside))
        };
        permille.iter().map(|permille| Value::from(quantile(permille))).collect()
    })
}

/// The narrowest buckets that are few enough for all numbers, by how many bits lie inside of one.
fn bits_inside(numbers: &[f64]) -> u32 {
    let finite = || numbers.iter().filter(|number| number.is_finite() && **number != 0.0);
    let buckets = |inside: u32| -> BTreeSet<(bool, u64)> {
        finite().map(|number| (number.is_sign_negative(), number.abs().to_bits() >> inside)).collect()
    };
    let few = |inside: &u32| buckets(*inside).len() <= BUCKETS_MAX;
    (INSIDE..64).find(few).unwrap_or(63)
}

fn middle(number: f64, inside: u32) -> f64 {
    if number == 0.0 || number.is_infinite() {
        return number;
    }
    let low = number.abs().to_bits() >> inside << inside;
    // The widest buckets end beyond the largest double.
    f64::from_bits(low + (1 << (inside - 1))).min(f64::MAX).copysign(number)
}
