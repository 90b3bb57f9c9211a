//! Values kept as they came: extremes, edges and the largest few, against sorting.

use trifold_sdk::Timestamp;
use trifold_sdk::aggregate::{Aggregate, First, Kept, Last, Max, Min, TopK};

use super::laws::{Laws, NOW};
use super::random::{Random, for_seeds};

fn doubles(random: &mut Random, count: usize) -> Vec<Option<f64>> {
    let items = random.all_doubles(count);
    items.into_iter().map(|item| (random.below(10) > 0).then_some(item)).collect()
}

fn integers(random: &mut Random, count: usize) -> Vec<Option<i64>> {
    let shift = random.below(64);
    (0..count).map(|_| (random.below(9) > 0).then(|| random.next() as i64 >> shift)).collect()
}

fn times(random: &mut Random, count: usize) -> Vec<Option<Timestamp>> {
    integers(random, count).into_iter().map(|item| item.map(Timestamp::from_micros)).collect()
}

#[test]
fn extremes_keep_the_laws() {
    Laws::<Min<f64>, _> { add: |state, item| state.add(*item), events: doubles }.check(200, 20);
    Laws::<Max<f64>, _> { add: |state, item| state.add(*item), events: doubles }.check(200, 20);
    Laws::<Min<i64>, _> { add: |state, item| state.add(*item), events: integers }.check(200, 20);
    Laws::<Max<Timestamp>, _> { add: |state, item| state.add(*item), events: times }.check(200, 20);
    Laws::<TopK<f64, 1>, _> { add: |state, item| state.add(*item), events: doubles }.check(200, 20);
    Laws::<TopK<f64, 5>, _> { add: |state, item| state.add(*item), events: doubles }.check(200, 40);
    Laws::<TopK<i64, 5>, _> { add: |state, item| state.add(*item), events: integers }.check(200, 40);
}

#[test]
fn extremes_are_those_of_the_sorted_list() {
    for_seeds(500, |random| {
        let items = doubles(random, 20);
        let (mut min, mut max, mut top) = (Min::default(), Max::default(), TopK::<f64, 4>::default());
        for item in &items {
            min.add(*item);
            max.add(*item);
            top.add(*item);
        }
        let mut sorted: Vec<f64> = items.iter().flatten().copied().filter(|item| !item.is_nan()).collect();
        sorted.sort_by(|left, right| right.total_cmp(left));
        let bits = |value: &f64| value.to_bits();
        assert_eq!(min.finish(NOW).as_ref().map(bits), sorted.last().map(bits), "{random}: {items:?}");
        assert_eq!(max.finish(NOW).as_ref().map(bits), sorted.first().map(bits), "{random}: {items:?}");
        sorted.truncate(4);
        let top = top.finish(NOW);
        assert!(top.iter().map(bits).eq(sorted.iter().map(bits)), "{random}: {items:?}: {top:?}");
    });
}

type Event<T> = (Timestamp, String, Option<T>);

/// Events in canonical order, some of them copies of one time and id.
fn events<T>(random: &mut Random, count: usize, value: fn(&mut Random) -> T) -> Vec<Event<T>> {
    let mut events: Vec<_> = (0..count)
        .map(|_| {
            let time = Timestamp::from_micros(random.below(5) as i64 - 2);
            let id = "b".repeat(random.below(3));
            let value = (random.below(5) > 0).then(|| value(random));
            (time, id, value)
        })
        .collect();
    events.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
    events
}

fn check_edges<T>(value: fn(&mut Random) -> T, give: for<'a> fn(&'a T) -> T::Given<'a>, seeds: u64)
where
    T: Kept,
{
    for_seeds(seeds, |random| {
        let events = events(random, 12, value);
        let (mut first, mut last) = (First::<T>::default(), Last::<T>::default());
        for (time, id, value) in &events {
            first.add((*time, id, value.as_ref().map(give)));
            last.add((*time, id, value.as_ref().map(give)));
        }
        let mut valued: Vec<_> =
            events.iter().filter_map(|(time, id, value)| Some((time, id, value.as_ref()?))).collect();
        valued
            .sort_by(|left, right| (left.0, left.1).cmp(&(right.0, right.1)).then_with(|| left.2.order(right.2)));
        let value = |event: Option<&(&Timestamp, &String, &T)>| format!("{:?}", event.map(|event| event.2));
        assert_eq!(format!("{:?}", first.finish(NOW)), value(valued.first()), "{random}");
        assert_eq!(format!("{:?}", last.finish(NOW)), value(valued.last()), "{random}");
    });
}

#[test]
fn edges_are_those_of_the_sorted_list() {
    check_edges::<f64>(|random| random.pick(&[f64::NAN, 0.0, -0.0, 1.5]), |value| *value, 200);
    check_edges::<i64>(|random| random.below(3) as i64, |value| *value, 200);
    check_edges::<bool>(|random| random.coin(), |value| *value, 200);
    check_edges::<Timestamp>(|random| Timestamp::from_micros(random.below(3) as i64), |value| *value, 200);
    check_edges::<String>(|random| "x".repeat(random.below(3)), |value| value.as_str(), 200);
}

#[test]
fn edges_keep_the_laws() {
    Laws::<First<f64>, Event<f64>> {
        add: |state, (time, id, value)| state.add((*time, id, *value)),
        events: |random, count| {
            events(random, count, |random| random.pick(&[f64::NAN, -f64::NAN, 0.0, -0.0, f64::INFINITY, 1.5]))
        },
    }
    .check(300, 12);
    Laws::<Last<String>, Event<String>> {
        add: |state, (time, id, value)| state.add((*time, id, value.as_deref())),
        events: |random, count| events(random, count, |random| "\u{e9}".repeat(random.below(4))),
    }
    .check(300, 12);
    Laws::<Last<bool>, Event<bool>> {
        add: |state, (time, id, value)| state.add((*time, id, *value)),
        events: |random, count| events(random, count, Random::coin),
    }
    .check(300, 12);
}
