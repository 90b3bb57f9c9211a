//! The aggregators on thousands of items, many different: folded by tile, written and read, merged, and compared with
//! the oracle.

use std::collections::BTreeMap;

use trifold_oracle::{Event, Tile, Value, aggregate};
use trifold_sdk::aggregate::{
    Aggregate, DecayedSum, DistinctCount, Mean, Moments, P5, P50, P99, Quantiles, SampleVariance, StateReader,
    Sum, TopFrequent, TopK,
};
use trifold_sdk::{Timestamp, hash64};
use trifold_tests::random::SplitMix64;

use crate::stream::{float, pick};

const CASES: u64 = 120;

fn event(random: &mut SplitMix64, kind: u64, words: u64, time: i64) -> Event {
    let word = format!("w{}", random.between(0, words).min(random.between(0, words)));
    let fields = [("real", Value::Float(float(random, kind))), ("word", Value::Text(word))];
    let (entity, id, fields) = (Vec::new(), String::new(), BTreeMap::from(fields));
    Event { entity, time, id, arrival: None, partition: 0, offset: 0, fields }
}

fn real(event: &Event) -> Option<f64> {
    if let Value::Float(value) = event.get("real") { Some(*value) } else { None }
}

fn word(event: &Event) -> Option<&str> {
    if let Value::Text(word) = event.get("word") { Some(word) } else { None }
}

/// What an aggregator comes to over tiles, every state having been written and read.
macro_rules! folded {
    ($aggregate:ty, $tiles:expr, $at:expr, |$event:ident| $item:expr) => {{
        let mut merged = <$aggregate>::default();
        for tile in $tiles {
            let mut state = <$aggregate>::default();
            for $event in tile {
                state.add($item);
            }
            let mut bytes = Vec::new();
            state.encode(&mut bytes);
            if !bytes.is_empty() {
                merged.merge(&<$aggregate>::decode(&mut StateReader::new(&bytes)).unwrap());
            }
        }
        merged.finish(Timestamp::from_micros($at))
    }};
}

#[track_caller]
fn check(seed: u64, name: &str, oracle: aggregate::Aggregate, tiles: &[Tile<'_>], at: i64, found: Vec<Value>) {
    let expected = oracle(tiles, at);
    assert_eq!(
        trifold_oracle::coded(&expected),
        trifold_oracle::coded(&found),
        "{name}, seed {seed}: {expected:?} against {found:?}"
    );
}

#[test]
fn many_items() {
    for seed in 0..CASES {
        let mut random = SplitMix64(seed);
        let kind = random.between(0, 3);
        let count = pick(&mut random, &[30, 300, 3_000, 6_000]);
        let words = pick(&mut random, &[3, 90, 1_000, 1 << 40]);
        let step = pick(&mut random, &[1, 1_000_003, 90_000_000]);
        let events: Vec<Event> = (0..count).map(|number| event(&mut random, kind, words, number * step)).collect();
        let size = pick(&mut random, &[1, 7, 500, 10_000]);
        let tiles: Vec<Tile<'_>> = events.chunks(size).map(|tile| tile.iter().collect()).collect();
        let (tiles, at) = (tiles.as_slice(), count * step + random.between(0, 100_000_000) as i64);
        let check = |name, oracle, found| check(seed, name, oracle, tiles, at, found);
        check("sum", aggregate::sum("real"), vec![Value::Float(folded!(Sum, tiles, at, |event| real(event)))]);
        check("mean", aggregate::mean("real"), vec![folded!(Mean, tiles, at, |event| real(event)).into()]);
        let (mean, deviation) = folded!(Moments, tiles, at, |event| real(event));
        check("moments", aggregate::moments("real"), vec![mean.into(), deviation.into()]);
        let variance = folded!(SampleVariance, tiles, at, |event| real(event));
        check("variance", aggregate::sample_variance("real"), vec![variance.into()]);
        let distinct = folded!(DistinctCount, tiles, at, |event| word(event).map(|word| hash64(word.as_bytes())));
        check("distinct", aggregate::distinct_count("word"), vec![Value::Int(distinct)]);
        let (p5, p50, p99) = folded!(Quantiles<(P5, P50, P99)>, tiles, at, |event| real(event));
        let quantiles = vec![p5.into(), p50.into(), p99.into()];
        check("quantiles", aggregate::quantiles("real", &[50, 500, 990]), quantiles);
        let largest = folded!(TopK<f64, 10>, tiles, at, |event| real(event));
        check("largest", aggregate::largest("real", 10), vec![Value::Floats(largest)]);
        let frequent = folded!(TopFrequent<5>, tiles, at, |event| word(event));
        check("frequent", aggregate::top_frequent("word", 5, 64), vec![Value::Texts(frequent)]);
        let fading =
            folded!(DecayedSum<3600>, tiles, at, |event| (Timestamp::from_micros(event.time), real(event)));
        check("fading", aggregate::decayed_sum("real", 3_600), vec![Value::Float(fading)]);
    }
}
