//! Logs made from seeds: few entities, times and ids, so that ties, copies, conflicts and disorder are common.

use std::collections::BTreeMap;

use trifold_oracle::{Event, Value};
use trifold_tests::random::SplitMix64;

pub(crate) const SECOND: i64 = 1_000_000;

pub(crate) fn pick<T: Copy>(random: &mut SplitMix64, from: &[T]) -> T {
    from[random.between(0, from.len() as u64) as usize]
}

pub(crate) fn one_in(random: &mut SplitMix64, count: u64) -> bool {
    random.between(0, count) == 0
}

/// The values of an entity's key fields.
pub(crate) fn entity(keys: &[&str], number: i64) -> Vec<Value> {
    let value = |name: &&str| match *name {
        "walker" => Value::Text(["ann", "", "ann"][number as usize % 3].to_owned()),
        _ => Value::Int(number - 1),
    };
    keys.iter().map(value).collect()
}

/// The entities of which logs have events, and one of which they have none.
pub(crate) fn entities(keys: &[&str]) -> Vec<Vec<Value>> {
    (0..4).map(|number| entity(keys, number)).collect()
}

/// A log of one partition. `arrivals` says whether it records them.
pub(crate) fn log(random: &mut SplitMix64, keys: &[&str], count: u64, arrivals: bool) -> Vec<Event> {
    let spread = pick(random, &[20, 60, 300, 5_000]) * SECOND;
    // Some logs begin before 1970, some where tiles do.
    let start = pick(random, &[0, -70 * SECOND, 1_700_000_000 * SECOND + 7, -1_700_000_000 * SECOND]);
    let kind = random.between(0, 3);
    // Where ids are long, what is kept of an entity does not fit into one slot.
    let id_length = pick(random, &[1, 1, 1, 2_000]);
    let mut events: Vec<Event> = Vec::new();
    for offset in 0..count {
        let now = start + spread * offset as i64 / count as i64;
        let mut event = match pick(random, &[0, 0, 0, 0, 0, 0, 1, 2]) {
            // A copy, and one that differs from what it copies.
            same if same > 0 && !events.is_empty() => {
                let mut copy = events[random.between(0, offset) as usize].clone();
                if same == 2 {
                    copy.fields = fields(random, kind, &copy);
                }
                copy
            }
            _ => {
                // Whole seconds and what lies next to them; some hang back, and a few are ahead of their arrival.
                let back = pick(random, &[0, 0, 0, 1, 5, 12, 17, 40, 300, -3, -9]);
                let time = now.div_euclid(SECOND) * SECOND - back * SECOND + pick(random, &[0, 0, 0, 1, -1]);
                let mut event = Event {
                    entity: entity(keys, random.between(0, 3) as i64),
                    time,
                    id: pick(random, &["a", "b", "ab", "é", ""]).repeat(id_length),
                    arrival: None,
                    partition: 0,
                    offset,
                    fields: BTreeMap::new(),
                };
                event.fields = fields(random, kind, &event);
                event
            }
        };
        event.offset = offset;
        event.arrival = arrivals.then_some(now + pick(random, &[0, 0, 1, -2 * SECOND]));
        events.push(event);
    }
    events
}

fn fields(random: &mut SplitMix64, kind: u64, event: &Event) -> BTreeMap<&'static str, Value> {
    let word = pick(random, &["", "one", "two", "three", "漢字", "fünf"]);
    let whole = match random.between(0, 12) {
        0 => -1,
        1 => i64::MAX,
        2 => i64::MIN,
        small => small as i64 - 3,
    };
    BTreeMap::from([
        ("event_time", Value::Int(event.time)),
        ("event_id", Value::Text(event.id.clone())),
        ("real", maybe(random, kind)),
        ("length", maybe(random, kind)),
        ("value", if one_in(random, 4) { Value::Null } else { Value::Int(whole) }),
        ("word", if one_in(random, 5) { Value::Null } else { Value::Text(word.to_owned()) }),
        ("flag", Value::Bool(one_in(random, 2))),
    ])
}

fn maybe(random: &mut SplitMix64, kind: u64) -> Value {
    if one_in(random, 6) { Value::Null } else { Value::Float(float(random, kind)) }
}

/// Small numbers, finite numbers of any size, or any double at all.
pub(crate) fn float(random: &mut SplitMix64, kind: u64) -> f64 {
    const FINITE: [f64; 9] = [0.0, -0.0, 5e-324, -5e-324, f64::MIN_POSITIVE, f64::MAX, f64::MIN, 1e300, -0.1];
    const OTHERS: [f64; 4] = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    match random.between(0, 4) {
        0 | 1 if kind == 0 => random.between(0, 4_000) as f64 / 8.0 - 100.0,
        0 if kind == 2 => pick(random, &OTHERS),
        1 => pick(random, &FINITE),
        2 => random.between(0, 1_000) as f64 * 0.1 - 30.0,
        _ => Some(f64::from_bits(random.bits())).filter(|_| kind > 0).filter(|any| any.is_finite()).unwrap_or(0.5),
    }
}
