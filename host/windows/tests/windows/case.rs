//! A stream of one entity's events, in batches.

use std::collections::BTreeMap;

use bytes::Bytes;
use trifold_model::{ArrivalTime, EventTime, FoldOrder, Slot, Span, Window, WindowSpec};
use trifold_windows::{Answer, Entity, Layout, Parts, Plan, Question, is_packed, packed, unpacked};

use crate::letters::Letters;
use crate::random::Random;
use crate::rule::{self, Event};

const SECOND: i64 = 1_000_000;

/// Windows and hops in seconds: shared and different hops, hops that do not divide each other, hops longer than the
/// events that are kept together.
const WINDOWS: [&[(u64, u64)]; 7] = [
    &[(10, 1)],
    &[(10, 5), (60, 5)],
    &[(20, 10), (21, 7), (9, 9)],
    &[(60, 20), (3_600, 1_200)],
    &[(120, 60), (180, 90), (1, 1)],
    &[(86_400, 86_400)],
    &[(7_200, 600), (10, 2)],
];

pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) spec: WindowSpec,
    pub(crate) lateness: Option<Span>,
    /// In the order of their positions.
    pub(crate) events: Vec<Event>,
    batches: Vec<usize>,
    /// Whether the entity is kept as bytes between the batches, as a stream does.
    is_stored: bool,
    random: Random,
}

impl Case {
    pub(crate) fn random(seed: u64, order: FoldOrder) -> Case {
        let mut random = Random(seed);
        let windows = random.pick(&WINDOWS);
        let window = |&(length, hop): &(u64, u64)| Window::from_seconds(length, Some(hop)).unwrap();
        let deduplicate = !random.one_in(4);
        let spec =
            WindowSpec { windows: windows.iter().map(window).collect(), prepared: Vec::new(), order, deduplicate };
        // Without limit, or so many seconds.
        let lateness = random.pick(&[None, Some(0), Some(3), Some(30), Some(1_000)]);
        let lateness = lateness.and_then(Span::from_seconds);
        let events = events(&mut random, windows, lateness, random_id_length(seed));
        let mut batches = Vec::new();
        let mut left = events.len();
        while left > 0 {
            let batch = (1 + random.below(random_batch(seed)) as usize).min(left);
            batches.push(batch);
            left -= batch;
        }
        let is_stored = random.one_in(2);
        Case { seed, spec, lateness, events, batches, is_stored, random }
    }
}

/// Some cases have long batches, some are fed event by event.
fn random_batch(seed: u64) -> u64 {
    [1, 4, 40][(seed % 3) as usize]
}

/// In some cases ids are so long that what is kept does not fit into one slot.
fn random_id_length(seed: u64) -> usize {
    if seed % 4 == 1 { 2_000 } else { 1 }
}

/// Few times and ids, so that ties and copies are common, in and out of order, near the ends of time too.
fn events(random: &mut Random, windows: &[(u64, u64)], lateness: Option<Span>, id_length: usize) -> Vec<Event> {
    let reach = windows.iter().map(|(length, _)| *length as i64).max().unwrap() * SECOND;
    let hop = random.pick(windows).1 as i64 * SECOND;
    let step = random.pick(&[hop, hop / 3, SECOND, reach / 8, 1]);
    let base = match random.below(8) {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => random.bits() as i64 / 2,
        _ => random.below(100) as i64 * hop,
    };
    let count = 1 + random.below(40);
    let span = 2 + random.below(40) as i64;
    let mut clock = i64::MIN;
    let mut events: Vec<Event> = Vec::new();
    for number in 0..count {
        let place = match random.below(3) {
            0 => random.below(span as u64) as i64,
            _ => number as i64 * span / count as i64,
        };
        let place = place * step + random.pick(&[0, 0, 0, 1, -1]);
        let time = if base == i64::MAX { base.saturating_sub(place.max(0)) } else { base.saturating_add(place) };
        // Mostly on time, sometimes later than some views allow.
        let delay = if random.one_in(3) { random.below(40) as i64 * SECOND } else { 0 };
        let arrival = time.saturating_add(delay).max(clock);
        clock = arrival;
        if lateness.is_some_and(|lateness| i128::from(arrival) - i128::from(time) > i128::from(lateness.micros()))
        {
            continue;
        }
        let (id, content) = (random.pick(&["", "a", "b", "ab"]).repeat(id_length), random.below(2) as u8);
        // Events that are equal are equal to the letter.
        let same = |event: &&Event| (event.time, &event.id, event.content) == (time, &id, content);
        let letter = events.iter().find(same).map_or(char::from(b'A' + number as u8), |event| event.letter);
        events.push(Event { time, id, content, arrival, letter });
    }
    events
}

/// What is kept of the entity between batches.
pub(crate) type Stored = BTreeMap<Slot, Vec<u8>>;

/// What a stream reads of it before a batch of events.
pub(crate) fn read(layout: &Layout, stored: &Stored, batch: &[Event]) -> Entity {
    let events = |event: &Event| {
        let time = EventTime(event.time);
        let spent = layout.spent_events(time, Some(ArrivalTime(event.arrival)));
        layout.needed_events(time).map(|needed| [needed, spent])
    };
    let events: Vec<_> = batch.iter().filter_map(events).flatten().collect();
    let is_read = |slot: &Slot| match slot {
        Slot::Head | Slot::Tile { .. } => true,
        Slot::Events { start } => events.iter().any(|range| range.contains(start)),
    };
    let slots = stored.iter().filter(|(slot, _)| is_read(slot));
    Entity::decode(layout, slots.map(|(slot, bytes)| (*slot, bytes.clone().into()))).unwrap()
}

/// Keeps what a batch changed, seen by a clock that stands at its last arrival. Whoever has every slot by itself comes
/// to the same.
pub(crate) fn write(layout: &Layout, stored: &mut Stored, entity: &mut Entity, batch: &[Event]) {
    let clock = batch.last().map(|event| ArrivalTime(event.arrival));
    let mut alone = each(stored);
    let changes = entity.take_changes(layout, clock, Parts::Told);
    apply(stored, changes.slots);
    apply(&mut alone, changes.parts);
    assert_eq!(alone, each(stored));
    if stored.values().next().is_some_and(|head| is_packed(head)) {
        assert_eq!(map(packed(slots(&alone)).unwrap()), *stored);
    }
}

fn slots(stored: &Stored) -> Vec<(Slot, Bytes)> {
    stored.iter().map(|(slot, bytes)| (*slot, bytes.clone().into())).collect()
}

fn map(slots: Vec<(Slot, Bytes)>) -> Stored {
    slots.into_iter().map(|(slot, bytes)| (slot, bytes.to_vec())).collect()
}

/// Every slot by itself.
fn each(stored: &Stored) -> Stored {
    map(unpacked(slots(stored)).unwrap())
}

/// Writes and removes slots.
pub(crate) fn apply(stored: &mut Stored, changes: Vec<(Slot, Option<Bytes>)>) {
    for (slot, bytes) in changes {
        match bytes {
            Some(bytes) => stored.insert(slot, bytes.to_vec()),
            None => stored.remove(&slot),
        };
    }
}

/// Streams a case, compares every answer on the way, and returns what is kept at the end.
#[track_caller]
pub(crate) fn check(case: &Case) -> Stored {
    let Case { seed, spec, events, .. } = case;
    let layout = Layout::new(spec, case.lateness);
    let mut stored = Stored::new();
    let mut entity = Entity::new(&layout);
    let mut random = Random(case.random.0);
    let mut known = 0;
    for batch in &case.batches {
        let rows = &events[known..known + batch];
        if case.is_stored {
            entity = read(&layout, &stored, rows);
        }
        let mut plan = Plan::new(&layout);
        let mut asked = Vec::new();
        for (row, event) in rows.iter().enumerate() {
            let content = [event.content; 16];
            let (time, row, kept) = (EventTime(event.time), row as u32, event.letter.to_string().into());
            plan.add(&mut entity, trifold_windows::Event { time, id: &event.id, content, row, kept });
            known += 1;
            let latest = entity.latest().unwrap().0;
            for _ in 0..random.below(3) {
                let quiet = random.pick(&[0, 0, 1, SECOND, 10 * SECOND, 3_600 * SECOND, i64::MAX]);
                let at = latest.saturating_add(quiet);
                plan.ask(&mut entity, Question { key: 0, at: EventTime(at) });
                asked.push((known, at));
            }
        }
        let batch = rows.iter().map(|event| event.letter).collect();
        let mut letters = Letters { order: spec.order, batch, windows: spec.windows.len() };
        let settled = match seed % 2 {
            0 => plan.carry_out(&mut letters).unwrap(),
            _ => plan.carry_out_for(&entity, &mut letters).unwrap(),
        };
        assert_eq!(settled.answers.len(), asked.len());
        for ((known, at), answer) in asked.into_iter().zip(&settled.answers) {
            let Answer::Value { row, is_empty } = answer else { panic!("seed {seed}: {answer:?}") };
            let expected = rule::value(spec, &events[..known], at);
            let found = &settled.values[*row as usize];
            assert_eq!(*found, expected, "seed {seed}, after {known} events, as of {at}");
            assert_eq!(*is_empty, expected.iter().all(Vec::is_empty), "seed {seed}, after {known} events");
        }
        settled.settle(&mut entity);
        if case.is_stored {
            write(&layout, &mut stored, &mut entity, rows);
        }
    }
    stored
}
