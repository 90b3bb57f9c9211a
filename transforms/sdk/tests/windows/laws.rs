//! Equal sets of events give equal bytes, however they come.

use trifold_sdk::prelude::*;
use trifold_sdk::rt::{Batch, WindowGuest};

use super::batches::{Random, folded, group, merged, packed, rows, states};

#[derive(Input)]
struct Event<'a> {
    #[entity]
    key: i64,
    event_time: Timestamp,
    event_id: &'a str,
    real: Option<f64>,
    whole: Option<i64>,
}

#[derive(Output, Clone)]
struct Sent {
    key: i64,
    event_time: Timestamp,
    event_id: String,
    real: Option<f64>,
    whole: Option<i64>,
}

#[window_view(event = Event<'_>, windows = "1m, 1h")]
struct Laws {
    #[of(())]
    count: Count,
    #[of(event.real.map(|real| real > 0.0))]
    share: Share,
    #[of(event.real)]
    sum: Sum,
    #[of(event.whole)]
    total: SumInt,
    #[of(event.real)]
    moments: Moments,
    #[of(event.real)]
    least: Min<f64>,
    #[of((event.event_time, event.event_id, event.real))]
    last: Last<f64>,
    #[of(event.whole.map(|whole| hash64(&whole.to_le_bytes())))]
    distinct: DistinctCount,
    #[of(event.real)]
    quantiles: Quantiles<(P50, P99)>,
    #[of(event.whole)]
    top: TopK<i64, 3>,
}

fn event(random: &mut Random) -> Sent {
    let real = match random.below(8) {
        0 => None,
        1 => Some(f64::from_bits(random.next())),
        _ => Some((random.next() % 1000) as f64 / 8.0 - 50.0),
    };
    Sent {
        key: 1,
        event_time: Timestamp::from_micros((random.next() % 50) as i64),
        event_id: random.below(1000).to_string(),
        real: real.filter(|real| !real.is_nan()),
        whole: (random.below(5) > 0).then(|| random.next() as i64 >> (random.next() % 64)),
    }
}

fn prepared(events: &[Sent]) -> Batch {
    TrifoldComponent::prepare(rows(events.iter().cloned())).unwrap().rows
}

#[test]
fn order_splits_and_grouping_do_not_show() {
    let seed = 0x51DE;
    let mut random = Random(seed);
    for turn in 0..200 {
        let count = random.below(24);
        let mut events: Vec<_> = (0..count).map(|_| event(&mut random)).collect();
        let whole = folded::<TrifoldComponent>(rows(events.clone()));
        random.shuffle(&mut events);
        assert_eq!(folded::<TrifoldComponent>(rows(events.clone())), whole, "shuffled, seed {seed}, turn {turn}");

        // Event by event, in one call of chained groups and merged from states of one event each.
        let chain = (0..count as u32).map(|event| group(event, event, 1)).collect();
        let chained = TrifoldComponent::accumulate(packed([Vec::new()]), chain, prepared(&events)).unwrap();
        assert_eq!(states(&chained).pop().unwrap_or_default(), whole, "chained, seed {seed}, turn {turn}");
        let singles: Vec<_> =
            events.iter().map(|event| folded::<TrifoldComponent>(rows([event.clone()]))).collect();
        assert_eq!(merged::<TrifoldComponent>(&singles), whole, "merged, seed {seed}, turn {turn}");

        // Over two calls, and as two parts with empty states around them.
        let (head, tail) = events.split_at(random.below(count + 1));
        let [head, tail] = [head, tail].map(|part| folded::<TrifoldComponent>(rows(part.iter().cloned())));
        let parts = [Vec::new(), head.clone(), Vec::new(), tail.clone(), Vec::new()];
        assert_eq!(merged::<TrifoldComponent>(&parts), whole, "in parts, seed {seed}, turn {turn}");
        assert_eq!(merged::<TrifoldComponent>(&[tail, head]), whole, "swapped, seed {seed}, turn {turn}");
    }
}

#[test]
fn a_split_fold_goes_on_where_it_was() {
    let mut random = Random(7);
    for _ in 0..50 {
        let count = 1 + random.below(20);
        let events: Vec<_> = (0..count).map(|_| event(&mut random)).collect();
        let at = random.below(count + 1);
        let first = folded::<TrifoldComponent>(rows(events[..at].to_vec()));
        let groups = vec![group(0, at as u32, (count - at) as u32)];
        let answer = TrifoldComponent::accumulate(packed([first]), groups, prepared(&events)).unwrap();
        assert_eq!(states(&answer), [folded::<TrifoldComponent>(rows(events))]);
    }
}

#[test]
fn no_bytes_but_those_of_a_state_decode() {
    let mut random = Random(99);
    for _ in 0..2_000 {
        let events: Vec<_> = (0..random.below(6)).map(|_| event(&mut random)).collect();
        let mut bytes = folded::<TrifoldComponent>(rows(events));
        match random.below(3) {
            0 => bytes.truncate(random.below(bytes.len() + 1)),
            1 => bytes.push(random.next() as u8),
            _ => {
                let at = random.below(bytes.len() + 1);
                bytes.splice(at..at, [random.next() as u8]);
            }
        }
        if let Ok(answer) = TrifoldComponent::merge(packed([bytes.clone()]), vec![super::batches::span(0, 1)]) {
            assert_eq!(states(&answer), [bytes], "what decodes is written as it was");
        }
    }
}
