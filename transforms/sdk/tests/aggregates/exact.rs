//! Exact sums, means, variances and deviations against big rationals.

use num_bigint::BigInt;
use trifold_sdk::aggregate::{
    Aggregate, Count, CountIf, Mean, Moments, SampleStdDev, SampleVariance, Share, StdDev, Sum, SumInt, Variance,
    put_varint,
};

use super::laws::{Laws, NOW, decoded, encoded};
use super::oracle::{nearest, nearest_root, units};
use super::random::{Random, for_seeds};

fn maybe(random: &mut Random, count: usize) -> Vec<Option<f64>> {
    let items = random.all_doubles(count);
    items.into_iter().map(|item| (random.below(10) > 0).then_some(item)).collect()
}

fn check_doubles<A>()
where
    A: for<'a> Aggregate<Item<'a> = Option<f64>, Feature: std::fmt::Debug>,
{
    Laws::<A, Option<f64>> { add: |state, item| state.add(*item), events: maybe }.check(400, 40);
}

#[test]
fn exact_aggregators_keep_the_laws() {
    check_doubles::<Sum>();
    check_doubles::<Mean>();
    check_doubles::<Variance>();
    check_doubles::<SampleVariance>();
    check_doubles::<StdDev>();
    check_doubles::<Moments>();
}

#[test]
fn counts_keep_the_laws() {
    Laws::<Count, ()> { add: |state, ()| state.add(()), events: |_, count| vec![(); count] }.check(100, 300);
    let bools =
        |random: &mut Random, count| (0..count).map(|_| random.pick(&[None, Some(true), Some(false)])).collect();
    Laws::<CountIf, Option<bool>> { add: |state, item| state.add(*item), events: bools }.check(100, 300);
    Laws::<Share, Option<bool>> { add: |state, item| state.add(*item), events: bools }.check(100, 300);
}

#[test]
fn sums_of_integers_are_exact_and_keep_the_laws() {
    let integers = |random: &mut Random, count| -> Vec<Option<i64>> {
        let shift = random.below(64);
        (0..count).map(|_| (random.below(9) > 0).then(|| random.next() as i64 >> shift)).collect()
    };
    Laws::<SumInt, Option<i64>> { add: |state, item| state.add(*item), events: integers }.check(200, 40);
    for_seeds(200, |random| {
        let items = integers(random, 20);
        let mut sum = SumInt::default();
        items.iter().for_each(|item| sum.add(*item));
        let exact: i128 = items.iter().flatten().map(|item| i128::from(*item)).sum();
        assert_eq!(sum.finish(NOW), i64::try_from(exact).ok(), "{random}: {items:?}");
    });
}

fn fold<A: for<'a> Aggregate<Item<'a> = Option<f64>>>(items: &[f64]) -> A::Feature {
    let mut state = A::default();
    items.iter().for_each(|item| state.add(Some(*item)));
    state.finish(NOW)
}

#[test]
fn sums_and_means_are_the_nearest_doubles() {
    for_seeds(3_000, |random| {
        let count = 1 + random.below(30);
        let items = random.doubles(count);
        let sum: BigInt = items.iter().map(|item| units(*item)).sum();
        let negative_zeros = !items.is_empty() && items.iter().all(|item| item.to_bits() == (-0.0_f64).to_bits());
        let expected = |count: usize| match negative_zeros {
            true => -0.0,
            false => nearest(&sum, &count.into(), -1074),
        };
        assert_eq!(fold::<Sum>(&items).to_bits(), expected(1).to_bits(), "{random}: {items:?}");
        let mean = (!items.is_empty()).then(|| expected(items.len()).to_bits());
        assert_eq!(fold::<Mean>(&items).map(f64::to_bits), mean, "{random}: {items:?}");
        assert_eq!(fold::<Moments>(&items).0.map(f64::to_bits), mean, "{random}: {items:?}");
    });
}

#[test]
fn variances_and_deviations_are_the_nearest_doubles() {
    for_seeds(1_500, |random| {
        let count = 1 + random.below(20);
        let items = random.doubles(count);
        let count = BigInt::from(items.len());
        let sum: BigInt = items.iter().map(|item| units(*item)).sum();
        let squares: BigInt = items.iter().map(|item| units(*item).pow(2)).sum();
        let numerator = &count * squares - &sum * &sum;
        for ddof in 0..2_usize {
            let (variance, deviation) = match ddof {
                0 => (fold::<Variance>(&items), fold::<StdDev>(&items)),
                _ => (fold::<SampleVariance>(&items), fold::<SampleStdDev>(&items)),
            };
            if items.len() <= ddof {
                assert_eq!((variance, deviation), (None, None));
                continue;
            }
            let denominator = &count * (&count - ddof);
            let expected = nearest(&numerator, &denominator, -2148);
            assert_eq!(variance, Some(expected), "{random}: {items:?}");
            let expected = nearest_root(&numerator, &denominator, -2148);
            assert_eq!(deviation, Some(expected), "{random}: {items:?}");
        }
        assert_eq!(fold::<Moments>(&items).1, fold::<StdDev>(&items));
    });
}

/// The state of a fold with another count in its place, as no fold but a very long one writes it.
fn recounted<A: for<'a> Aggregate<Item<'a> = Option<f64>>>(items: &[f64], count_at: usize, count: u64) -> A {
    let mut state = A::default();
    items.iter().for_each(|item| state.add(Some(*item)));
    let mut bytes = encoded(&state);
    assert_eq!(usize::from(bytes.remove(count_at)), items.len());
    let rest = bytes.split_off(count_at);
    put_varint(&mut bytes, count);
    bytes.extend(rest);
    decoded(&bytes)
}

#[test]
fn counts_of_any_size_divide_to_the_nearest_double() {
    for_seeds(3_000, |random| {
        let (length, shift) = (1 + random.below(20), random.below(64));
        let items = random.doubles(length);
        let count = (random.next() >> shift).saturating_sub(random.below(3) as u64);
        if items.is_empty() || count < 2 || items.iter().all(|item| *item == 0.0) {
            return;
        }
        let sum: BigInt = items.iter().map(|item| units(*item)).sum();
        let squares: BigInt = items.iter().map(|item| units(*item).pow(2)).sum();
        let mean = recounted::<Mean>(&items, 0, count).finish(NOW);
        assert_eq!(mean, Some(nearest(&sum, &count.into(), -1074)), "{random}: {items:?} {count}");

        let numerator = (BigInt::from(count) * squares - &sum * &sum).max(BigInt::ZERO);
        let denominator = BigInt::from(count) * (count - 1);
        let variance = recounted::<SampleVariance>(&items, 1, count).finish(NOW);
        assert_eq!(variance, Some(nearest(&numerator, &denominator, -2148)), "{random}: {items:?} {count}");
        let deviation = recounted::<SampleStdDev>(&items, 1, count).finish(NOW);
        assert_eq!(deviation, Some(nearest_root(&numerator, &denominator, -2148)), "{random}: {items:?} {count}");
    });
}

/// Sums that lie on, just above and just below the middle of two doubles.
#[test]
fn ties_go_to_the_even_double() {
    for_seeds(2_000, |random| {
        let value = random.finite().abs().max(f64::MIN_POSITIVE * 1e20);
        let half = (value.next_up() - value) / 2.0;
        if !half.is_finite() {
            return;
        }
        let nudge = random.pick(&[0.0, 5e-324, -5e-324]);
        let items = [value, half, nudge];
        let sum: BigInt = items.iter().map(|item| units(*item)).sum();
        assert_eq!(fold::<Sum>(&items), nearest(&sum, &1.into(), -1074), "{random}: {items:?}");
    });
}
