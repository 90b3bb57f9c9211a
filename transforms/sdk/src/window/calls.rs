//! What the exports of a window view's component do.

use std::ops::Range;

use crate::Timestamp;
use crate::bindings::trifold::feature::types::{Batch, Failure, Outcome};
use crate::error::RowError;
use crate::run::{answer, apply, columns, failure, read, report_panics};
use crate::value::{InputValues, Record};
use crate::window::bases::Bases;
use crate::window::guest::{Group, Span};
use crate::window::states::{Answer, States};
use crate::window::{Key, WindowView};

/// Prepares every event of a batch.
pub fn prepare<V: WindowView>(events: &Batch) -> Result<Outcome, Failure> {
    apply(events, V::prepare)
}

/// Folds groups of prepared events onto states.
pub fn accumulate<V: WindowView>(states: &Batch, groups: &[Group], prepared: &Batch) -> Result<Batch, Failure> {
    report_panics();
    let states = States::read("states", states)?;
    let columns = read::<V::Prepared<'_>>(prepared)?;
    let mut bases = Bases::<V::State>::new(&states, groups)?;
    let mut answer = Answer::new(groups.len());
    for (place, group) in groups.iter().enumerate() {
        let events = range("group", place, "events", group.first, group.count, prepared.rows as usize)?;
        let state = bases.next(group)?;
        for row in events {
            V::accumulate(state, V::Prepared::row(&columns, row));
        }
        answer.push(state);
    }
    Ok(answer.into_batch())
}

/// The tile of these events, by way of the columns of a component: for tests. The first refusal is an error.
pub fn fold<'a, V: WindowView>(events: impl IntoIterator<Item = V::Event<'a>>) -> Result<V::State, RowError> {
    let prepared = events.into_iter().map(V::prepare).collect::<Result<Vec<_>, _>>()?;
    let batch = answer(prepared.len() as u32, prepared.into_iter().map(Ok)).rows;
    let columns = read::<V::Prepared<'_>>(&batch).map_err(|failure| RowError::from(failure.message))?;
    let mut state = V::State::default();
    (0..batch.rows as usize).for_each(|row| V::accumulate(&mut state, V::Prepared::row(&columns, row)));
    Ok(state)
}

/// Merges spans of states.
pub fn merge<V: WindowView>(states: &Batch, spans: &[Span]) -> Result<Batch, Failure> {
    report_panics();
    let states = States::read("states", states)?.decode_all::<V::State>()?;
    let mut answer = Answer::new(spans.len());
    for (place, span) in spans.iter().enumerate() {
        let span = range("span", place, "states", span.first, span.count, states.len())?;
        answer.push(&merged::<V>(states[span].iter()));
    }
    Ok(answer.into_batch())
}

/// Turns the windows of each entity, so many to each, into its features.
pub fn finish<V: WindowView>(
    window_count: usize,
    tiles: &Batch,
    picks: &[u32],
    windows: &[Span],
    keys: &Batch,
    as_of: &[i64],
) -> Result<Outcome, Failure> {
    report_panics();
    let tiles = States::read("tiles", tiles)?.decode_all::<V::State>()?;
    let (entities, moments) = (keys.rows as usize, as_of.len());
    if moments != entities || Some(windows.len()) != entities.checked_mul(window_count) {
        let windows = windows.len();
        return Err(failure(format!(
            "{entities} keys come with {moments} moments and {windows} windows, not {window_count} for each"
        )));
    }
    if let Some((place, pick)) = picks.iter().enumerate().find(|(_, pick)| **pick as usize >= tiles.len()) {
        return Err(failure(format!("pick {place}: tile {pick} is not one of the {} tiles", tiles.len())));
    }
    for (place, span) in windows.iter().enumerate() {
        range("window", place, "picks", span.first, span.count, picks.len())?;
    }
    let key_columns = columns(keys, <Key<'_, V> as InputValues<'_>>::read)?;
    let mut states = Vec::with_capacity(window_count);
    let rows = (0..entities).map(|entity| {
        states.clear();
        states.extend(windows[entity * window_count..][..window_count].iter().map(|span| {
            let picks = &picks[span.first as usize..][..span.count as usize];
            merged::<V>(picks.iter().map(|pick| &tiles[*pick as usize]))
        }));
        let key = <Key<'_, V> as InputValues<'_>>::get(&key_columns, entity);
        V::finish(&states, key, Timestamp::from_micros(as_of[entity]))
    });
    Ok(answer(keys.rows, rows))
}

/// The states merged from left to right. The first is taken as it is, for merging with the empty state changes
/// nothing.
fn merged<'s, V: WindowView<State: 's>>(mut states: impl Iterator<Item = &'s V::State>) -> V::State {
    let mut merged = states.next().cloned().unwrap_or_default();
    states.for_each(|later| V::merge(&mut merged, later));
    merged
}

/// Where a run of items lies, if they are all there.
fn range(
    what: &str,
    place: usize,
    items: &str,
    first: u32,
    count: u32,
    there: usize,
) -> Result<Range<usize>, Failure> {
    let (first, count) = (first as usize, count as usize);
    if count > there || first > there - count {
        return Err(failure(format!("{what} {place}: of {there} {items} it wants {count} from {first}")));
    }
    Ok(first..first + count)
}
