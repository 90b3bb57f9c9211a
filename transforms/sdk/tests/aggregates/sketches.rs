//! Sketches within the bounds that they document.

use std::collections::{BTreeMap, BTreeSet};

use trifold_sdk::aggregate::{Aggregate, DistinctCount, P50, P99, Permille, Quantiles, TopFrequent};
use trifold_sdk::{Timestamp, hash64};

use super::laws::{Laws, NOW, decoded, encoded};
use super::random::{Random, for_seeds};

fn hashes(random: &mut Random, count: usize) -> Vec<Option<u64>> {
    let different = 1 + random.below(60) as u64;
    (0..count).map(|_| (random.below(9) > 0).then(|| hash64(&(random.next() % different).to_le_bytes()))).collect()
}

#[test]
fn distinct_counts_keep_the_laws() {
    // Small lists, so that folds outgrow them now and then.
    Laws::<DistinctCount<4>, _> { add: |state, item| state.add(*item), events: hashes }.check(200, 30);
    Laws::<DistinctCount<6>, _> { add: |state, item| state.add(*item), events: hashes }.check(200, 30);
    Laws::<DistinctCount<8>, _> { add: |state, item| state.add(*item), events: hashes }.check(200, 60);
    Laws::<DistinctCount, _> { add: |state, item| state.add(*item), events: hashes }.check(50, 60);
}

/// Sets of any two sizes that have some, all or none of their values in common, as a set keeps them one by one.
#[test]
fn merged_sets_are_those_of_all_their_values() {
    for_seeds(2_000, |random| {
        let different = random.pick(&[1, 3, 20, 100, 1_000]);
        let values = |random: &mut Random| -> Vec<u64> {
            let count = random.pick(&[0, 1, 2, 5, 30, 200]);
            (0..random.below(count + 1)).map(|_| hash64(&(random.next() % different).to_le_bytes())).collect()
        };
        let (left, right) = (values(random), values(random));
        let fold = |values: &mut dyn Iterator<Item = &u64>| {
            let mut state = DistinctCount::<12>::default();
            values.for_each(|value| state.add(Some(*value)));
            state
        };
        let mut merged = fold(&mut left.iter());
        merged.merge(&fold(&mut right.iter()));
        let all = left.iter().chain(&right);
        assert_eq!(encoded(&merged), encoded(&fold(&mut all.clone())), "{random}: {left:?} {right:?}");
        let set: BTreeSet<u64> = all.map(|value| value >> 16).collect();
        if set.len() <= 256 {
            let bytes = set.iter().flat_map(|hash| hash.to_le_bytes().into_iter().take(6));
            let length = encoded(&merged).len() - set.len() * 6;
            assert!(bytes.eq(encoded(&merged).into_iter().skip(length)), "{random}: {left:?} {right:?}");
            assert_eq!(merged.finish(NOW), set.len() as i64, "{random}: {left:?} {right:?}");
        }
    });
}

#[test]
fn few_different_values_are_counted_exactly() {
    let mut state = DistinctCount::<12>::default();
    for value in 0..256_i64 {
        for _ in 0..3 {
            state.add(Some(hash64(&value.to_le_bytes())));
        }
        assert_eq!(state.finish(NOW), value + 1);
    }
}

#[test]
fn many_different_values_are_estimated_within_the_standard_error() {
    const TRIALS: u64 = 24;
    for count in [257_u64, 1_000, 4_096, 10_000, 40_000] {
        let (mut squares, mut sum) = (0.0, 0.0);
        for trial in 0..TRIALS {
            let mut state = DistinctCount::<12>::default();
            (0..count).for_each(|value| state.add(Some(hash64(&(trial << 40 | value).to_le_bytes()))));
            let error = state.finish(NOW) as f64 / count as f64 - 1.0;
            assert!(error.abs() < 0.065, "{count} values, trial {trial}: {error}");
            sum += error;
            squares += error * error;
        }
        let (rms, bias) = ((squares / TRIALS as f64).sqrt(), sum / TRIALS as f64);
        assert!(rms < 0.022 && bias.abs() < 0.012, "{count} values: {rms} {bias}");
    }
}

fn doubles(random: &mut Random, count: usize) -> Vec<Option<f64>> {
    let items = random.all_doubles(count);
    items.into_iter().map(|item| (random.below(10) > 0).then_some(item)).collect()
}

type Ends = (Permille<0>, P50, P99, Permille<1000>);

#[test]
fn quantiles_keep_the_laws() {
    Laws::<Quantiles<Ends>, _> { add: |state, item| state.add(*item), events: doubles }.check(400, 60);
    Laws::<Quantiles<P50, 1>, _> { add: |state, item| state.add(*item), events: doubles }.check(100, 60);
    Laws::<Quantiles<P50, 10>, _> { add: |state, item| state.add(*item), events: doubles }.check(100, 60);
}

/// Enough buckets to make them wider, several times over.
#[test]
fn quantiles_of_wide_spreads_keep_the_laws() {
    let spread = |random: &mut Random, count: usize| {
        let exponents = random.pick(&[40, 200, 1_000]);
        let magnitude = |random: &mut Random| (random.unit() * f64::from(exponents)).exp2();
        (0..count * 100).map(|_| if random.coin() { magnitude(random) } else { -magnitude(random) }).collect()
    };
    Laws::<Quantiles<Ends>, f64> { add: |state, item| state.add(Some(*item)), events: spread }.check(12, 120);
    Laws::<Quantiles<Ends, 9>, f64> { add: |state, item| state.add(Some(*item)), events: spread }.check(6, 60);
}

#[test]
fn quantiles_are_within_their_relative_error() {
    for_seeds(400, |random| {
        let count = 1 + random.below(500);
        let mut items = random.doubles(count);
        let mut state = Quantiles::<Ends>::default();
        items.iter().for_each(|item| state.add(Some(*item)));
        let (p0, p50, p99, p100) = state.finish(NOW);
        items.sort_by(f64::total_cmp);
        for (permille, answer) in [(0, p0), (500, p50), (990, p99), (1000, p100)] {
            let Some(last) = items.len().checked_sub(1) else { continue };
            let (truth, answer) = (items[last * permille / 1000], answer.unwrap());
            let bound = truth.abs().max(f64::MIN_POSITIVE) / 128.0;
            assert!((answer - truth).abs() <= bound, "{random}: {permille}: {answer} for {truth}");
        }
    });
}

/// Events of one time, so that a list is in canonical order as it is.
fn texts(random: &mut Random, count: usize) -> Vec<Option<String>> {
    let different = 1 + random.below(40);
    let text = |random: &mut Random| {
        let skewed = random.below(different) * random.below(different) / different;
        format!("text {skewed}")
    };
    (0..count).map(|_| (random.below(9) > 0).then(|| text(random))).collect()
}

fn fold<const K: usize, const CAPACITY: usize>(items: &[Option<String>]) -> TopFrequent<K, CAPACITY> {
    let mut state = TopFrequent::default();
    items.iter().for_each(|item| state.add(item.as_deref()));
    state
}

#[test]
fn frequent_texts_keep_the_laws() {
    Laws::<TopFrequent<3, 8>, Option<String>> { add: |state, item| state.add(item.as_deref()), events: texts }
        .check(300, 80);
    Laws::<TopFrequent<3>, Option<String>> { add: |state, item| state.add(item.as_deref()), events: texts }
        .check(100, 80);
}

#[test]
fn frequent_texts_are_exact_within_the_capacity() {
    for_seeds(200, |random| {
        let items = texts(random, 100);
        let mut counts = BTreeMap::<&str, i64>::new();
        items.iter().flatten().for_each(|text| *counts.entry(text).or_default() += 1);
        let mut expected: Vec<_> = counts.into_iter().collect();
        expected.sort_by_key(|(text, count)| (-count, *text));
        let expected: Vec<_> = expected.into_iter().take(5).map(|(text, _)| text).collect();
        assert_eq!(fold::<5, 64>(&items).finish(NOW), expected, "{random}");
    });
}

/// However a list is divided, a text with more than its share of the items is kept.
#[test]
fn no_frequent_text_is_forgotten() {
    for_seeds(300, |random| {
        const CAPACITY: usize = 7;
        let items = texts(random, 200);
        let mut state = TopFrequent::<CAPACITY, CAPACITY>::default();
        let mut left = items.as_slice();
        while !left.is_empty() {
            let (tile, rest) = left.split_at(1 + random.below(left.len()));
            state.merge(&decoded(&encoded(&fold::<CAPACITY, CAPACITY>(tile))));
            left = rest;
        }
        let kept: BTreeSet<String> = state.finish(NOW).into_iter().collect();
        let given: Vec<&String> = items.iter().flatten().collect();
        for text in given.iter().copied().collect::<BTreeSet<_>>() {
            let count = given.iter().filter(|other| **other == text).count();
            assert!(count <= given.len() / (CAPACITY + 1) || kept.contains(text), "{random}: {text}");
        }
    });
}

#[test]
fn decayed_sums_keep_the_laws_and_are_near_the_sum_of_the_decayed() {
    use trifold_sdk::aggregate::DecayedSum;
    const HALF_LIFE: u32 = 3_600;
    let events = |random: &mut Random, count: usize| -> Vec<(Timestamp, Option<f64>)> {
        let mut time = NOW.micros() - 40_000_000_000;
        let mut next = || {
            time += random.below(900_000_000) as i64;
            (Timestamp::from_micros(time), (random.below(9) > 0).then(|| random.unit() * 100.0))
        };
        (0..count).map(|_| next()).collect()
    };
    Laws::<DecayedSum<HALF_LIFE>, _> { add: |state, item| state.add(*item), events }.check(200, 40);
    for_seeds(200, |random| {
        let events = events(random, 40);
        let mut state = DecayedSum::<HALF_LIFE>::default();
        events.iter().for_each(|event| state.add(*event));
        let age = |time: Timestamp| (NOW.micros() - time.micros()) as f64 / (1e6 * f64::from(HALF_LIFE));
        let truth: f64 = events.iter().map(|(time, value)| value.unwrap_or(0.0) * (-age(*time)).exp2()).sum();
        let answer = state.finish(NOW);
        assert!((answer - truth).abs() <= truth * 150.0 * f64::EPSILON, "{random}: {answer} for {truth}");
    });
}
