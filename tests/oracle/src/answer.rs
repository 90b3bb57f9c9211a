//! The rule.

use std::collections::{BTreeMap, BTreeSet};

use crate::view::{Asked, Cut, Event, Question, Tile, View, Window};
use crate::{Value, coded};

const SECOND: i128 = 1_000_000;
const VALUE: u8 = 0;
const EMPTY: u8 = 1;

/// An event that counts.
#[derive(Debug, Clone, Copy)]
pub struct Admitted<'a> {
    /// The event.
    pub event: &'a Event,
    /// When it arrived: no earlier than those that stand before it.
    pub arrival: Option<i64>,
}

/// The events that count, in the order of their positions: neither late nor early nor refused.
pub fn admitted<'a>(view: &View, log: &'a [Event]) -> Vec<Admitted<'a>> {
    let mut events: Vec<&Event> = log.iter().collect();
    events.sort_by_key(|event| (event.partition, event.offset));
    let mut clocks: BTreeMap<u32, i64> = BTreeMap::new();
    let mut admitted = Vec::new();
    for event in events {
        let arrival = event.arrival.map(|own| {
            let clock = clocks.entry(event.partition).or_insert(own);
            *clock = own.max(*clock);
            *clock
        });
        let delay = arrival.map_or(0, |arrival| i128::from(arrival) - i128::from(event.time));
        let is_late = view.lateness.is_some_and(|most| delay > i128::from(most) * SECOND);
        let is_early = view.max_early.is_some_and(|most| -delay > i128::from(most) * SECOND);
        if !is_late && !is_early && !(view.refuses)(event) {
            admitted.push(Admitted { event, arrival });
        }
    }
    admitted
}

/// The canonical bytes of the row that a question is answered with.
pub fn answer(view: &View, log: &[Event], question: &Question) -> Vec<u8> {
    let mut known = known(view, log, &question.entity, &question.cut, question.at);
    known.retain(|event| event.time < question.at || (event.time == question.at && !question.before));
    if view.deduplicate {
        // They still stand in the order of their positions, so the first of equals stays.
        let mut seen = BTreeSet::new();
        known.retain(|event| seen.insert((event.time, event.id.clone())));
    }
    known.sort_by(|left, right| (left.time, left.id.as_bytes()).cmp(&(right.time, right.id.as_bytes())));
    let windows: Vec<Vec<Tile<'_>>> =
        view.windows.iter().map(|window| tiles(*window, &known, question.at)).collect();
    let is_empty = windows.iter().all(Vec::is_empty);
    let mut row = vec![if is_empty { EMPTY } else { VALUE }];
    let asked = Asked { windows, entity: &question.entity, at: question.at };
    (view.finish)(&asked).iter().for_each(|value| value.write(&mut row));
    row
}

/// The events of an entity that were known, in the order of their positions.
fn known<'a>(view: &View, log: &'a [Event], entity: &[Value], cut: &Cut, at: i64) -> Vec<&'a Event> {
    let key = coded(entity);
    let is_known = |Admitted { event, arrival }: &Admitted<'_>| match cut {
        Cut::All => true,
        Cut::Arrival => arrival.is_some_and(|arrival| arrival <= at),
        Cut::Position(next) => next.get(&event.partition).is_some_and(|next| event.offset < *next),
    };
    let admitted = admitted(view, log).into_iter().filter(is_known).map(|admitted| admitted.event);
    admitted.filter(|event| coded(&event.entity) == key).collect()
}

/// The tiles of a window as of a time, in ascending order, of events in canonical order.
fn tiles<'a>(window: Window, known: &[&'a Event], at: i64) -> Vec<Tile<'a>> {
    let (length, hop) = (i128::from(window.length) * SECOND, i128::from(window.hop) * SECOND);
    let tile_of = |time: i128| time.div_euclid(hop);
    let first = tile_of(i128::from(at) - length);
    let mut tiles: BTreeMap<i128, Tile<'a>> = BTreeMap::new();
    for event in known {
        let tile = tile_of(i128::from(event.time));
        if tile >= first {
            tiles.entry(tile).or_default().push(event);
        }
    }
    tiles.into_values().collect()
}

/// The latest time of an entity's events that were known, of those that count.
pub fn latest(view: &View, log: &[Event], entity: &[Value], cut: &Cut) -> Option<i64> {
    known(view, log, entity, cut, i64::MAX).iter().map(|event| event.time).max()
}

/// The row that each event emits in a stream of one partition, by its offset, with its as-of time: what is known are
/// the events up to it, as of the latest of them.
pub fn emitted(view: &View, log: &[Event]) -> BTreeMap<u64, (i64, Vec<u8>)> {
    let row = |Admitted { event, .. }: &Admitted<'_>| {
        let cut = Cut::Position([(event.partition, event.offset + 1)].into());
        let at = latest(view, log, &event.entity, &cut).unwrap_or(event.time);
        let question = Question { entity: event.entity.clone(), at, before: false, cut };
        (event.offset, (at, answer(view, log, &question)))
    };
    admitted(view, log).iter().map(row).collect()
}
