//! What is kept stays within bounds, and what does not fit makes values unavailable, of that entity and time alone.

use bytes::Bytes;
use trifold_model::{ArrivalTime, EventTime, FoldOrder, Slot, Span, Window, WindowSpec};
use trifold_windows::{Answer, Entity, Layout, Parts, Plan, Question};

use crate::case::{Stored, apply, read, write};
use crate::letters::Letters;
use crate::rule::Event;

const SECOND: i64 = 1_000_000;

fn layout(order: FoldOrder, lateness: Option<u64>) -> Layout {
    let windows = vec![Window::from_seconds(60, Some(20)).unwrap(), Window::from_seconds(600, Some(300)).unwrap()];
    let spec = WindowSpec { windows, prepared: Vec::new(), order, deduplicate: true };
    Layout::new(&spec, lateness.and_then(Span::from_seconds))
}

/// Feeds one event as a stream does, with the answer as of its time.
fn feed(layout: &Layout, stored: &mut Stored, event: Event) -> Answer {
    let batch = [event];
    let mut entity = read(layout, stored, &batch);
    let [event] = &batch;
    let (time, content) = (EventTime(event.time), [event.content; 16]);
    let mut plan = Plan::new(layout);
    let kept = event.letter.to_string().into();
    plan.add(&mut entity, trifold_windows::Event { time, id: &event.id, content, row: 0, kept });
    plan.ask(&mut entity, Question { key: 0, at: time });
    let mut letters = Letters { order: layout.order, batch: vec![event.letter], windows: layout.windows.len() };
    let settled = plan.carry_out(&mut letters).unwrap();
    settled.settle(&mut entity);
    write(layout, stored, &mut entity, &batch);
    settled.answers[0].clone()
}

/// An event that arrives when it happens.
fn event(time: i64, id: &str) -> Event {
    Event { time, id: id.to_owned(), content: 0, arrival: time, letter: 'x' }
}

#[track_caller]
fn check_bounded(order: FoldOrder, lateness: Option<u64>) {
    let layout = layout(order, lateness);
    let mut stored = Stored::new();
    for number in 0..2_000_i64 {
        feed(&layout, &mut stored, event(number * 7 * SECOND, "a"));
        let oldest = EventTime((number * 7 - 900) * SECOND);
        let is_old = |slot: &&Slot| match slot {
            Slot::Head => false,
            Slot::Tile { start, .. } | Slot::Events { start } => *start < oldest,
        };
        let old: Vec<_> = stored.keys().filter(is_old).collect();
        assert!(old.is_empty(), "{order:?}, lateness {lateness:?}, event {number}: {old:?}");
    }
}

/// The windows reach back 900 seconds, hops included: nothing older than that is kept.
#[test]
fn what_no_window_reaches_goes_away() {
    for order in [FoldOrder::Any, FoldOrder::EventTime] {
        for lateness in [None, Some(10), Some(100_000)] {
            check_bounded(order, lateness);
        }
    }
}

/// Of a large entity a stream reads a part, so that it cannot tell whether anything is left: a sweep, which reads all,
/// removes it, and as a whole.
#[test]
fn a_large_entity_goes_as_a_whole() {
    let layout = layout(FoldOrder::Any, Some(100_000));
    let mut stored = Stored::new();
    feed(&layout, &mut stored, event(0, &"a".repeat(20_000)));
    assert!(stored.len() > 1 && stored.contains_key(&Slot::Events { start: EventTime(0) }));
    let batch = [event(500 * SECOND, "b")];
    let mut entity = read(&layout, &stored, &batch);
    let mut plan = Plan::new(&layout);
    let (time, id, kept) = (EventTime(batch[0].time), &batch[0].id, Bytes::new());
    plan.add(&mut entity, trifold_windows::Event { time, id, content: [0; 16], row: 0, kept });
    let mut letters = Letters { order: layout.order, batch: vec!['x'], windows: layout.windows.len() };
    plan.carry_out(&mut letters).unwrap().settle(&mut entity);
    // The batch ends long after.
    let clock = Some(ArrivalTime(1_000_000 * SECOND));
    apply(&mut stored, entity.take_changes(&layout, clock, Parts::Untold).slots);
    let left: Vec<_> = stored.keys().copied().collect();
    assert_eq!(left, [Slot::Head, Slot::Events { start: EventTime(0) }]);
    let all = stored.iter().map(|(slot, bytes)| (*slot, bytes.clone().into()));
    let mut whole = Entity::decode(&layout, all).unwrap();
    apply(&mut stored, whole.take_changes_of_whole(&layout, clock, Parts::Untold).slots);
    assert!(stored.is_empty(), "{:?}", stored.keys());
}

/// Where the limit strikes depends on the events, and not on how many of them come at once.
#[test]
fn a_batch_of_too_many_events_fails_as_its_events_do_one_by_one() {
    let layout = layout(FoldOrder::EventTime, None);
    let large = |number: u8| Bytes::from(vec![number; 150_000]);
    let answers = |at_once: usize| {
        let mut stored = Stored::new();
        let mut answers = Vec::new();
        for first in (0..9).step_by(at_once) {
            let events: Vec<_> =
                (first..9.min(first + at_once)).map(|number| event(0, &number.to_string())).collect();
            let mut entity = read(&layout, &stored, &events);
            let mut plan = Plan::new(&layout);
            for (row, event) in (0..).zip(&events) {
                let (time, kept) = (EventTime(event.time), large(row));
                let (id, content) = (&event.id, [event.content; 16]);
                plan.add(&mut entity, trifold_windows::Event { time, id, content, row: u32::from(row), kept });
                plan.ask(&mut entity, Question { key: 0, at: time });
            }
            let batch = events.iter().map(|event| event.letter).collect();
            let mut letters = Letters { order: layout.order, batch, windows: layout.windows.len() };
            let settled = plan.carry_out(&mut letters).unwrap();
            answers.extend(settled.answers.iter().map(|answer| matches!(answer, Answer::Value { .. })));
            settled.settle(&mut entity);
            write(&layout, &mut stored, &mut entity, &events);
            assert!(stored.values().all(|bytes| bytes.len() <= 1 << 20), "{at_once} events at once");
        }
        answers
    };
    for at_once in [1, 2, 4, 9] {
        let expected = [true, true, true, true, true, true, false, false, false];
        assert_eq!(answers(at_once), expected, "{at_once} events at once");
    }
}

/// Some ten thousand events of one moment are too many; an hour later the entity has values again.
#[test]
fn too_many_events_of_one_time_leave_that_time_unknown() {
    for order in [FoldOrder::Any, FoldOrder::EventTime] {
        let layout = layout(order, None);
        let mut stored = Stored::new();
        let id = |number: usize| number.to_string().repeat(200_000);
        let mut answers = (0..8).map(|number| feed(&layout, &mut stored, event(0, &id(number))));
        assert!(answers.by_ref().take(5).all(|answer| matches!(answer, Answer::Value { .. })));
        let Some(Answer::Unavailable(reason)) = answers.next() else { panic!("{order:?}: no limit") };
        assert!(reason.contains("limit of 1048575 bytes"), "{reason}");
        assert!(answers.all(|answer| matches!(answer, Answer::Unavailable(_))));
        let later = feed(&layout, &mut stored, event(3_600 * SECOND, "a"));
        assert!(matches!(later, Answer::Value { .. }), "{order:?}: {later:?}");
    }
}
