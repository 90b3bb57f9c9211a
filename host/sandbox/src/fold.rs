//! `accumulate` and `merge`: from events and states to states.
//!
//! Calls are chunked and halved as those of rows are ([`crate::caller`]). What counts as a row is one event folded onto
//! one state, or one state merged: a group of several events that does not fit into one call is folded by several,
//! which comes to the same bytes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use arrow_array::builder::{ArrayBuilder, BinaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, BinaryArray, RecordBatch};

use crate::applied::{Cause, RowFailure};
use crate::call::Stop;
use crate::caller::{Caller, is_final};
use crate::slab::{AnswerError, decode};
use crate::transform::Transform;
use crate::wire::{self, Group, Input};

/// The result of folding.
#[derive(Debug, Clone)]
pub struct Folded {
    /// One state for each group or run; empty where it failed.
    pub states: BinaryArray,
    /// The groups or runs that have no state, in ascending order.
    pub failures: Vec<RowFailure>,
}

/// What has come of one group so far.
enum Answer {
    /// A place in an answer of the guest.
    State { chunk: usize, row: usize },
    /// Why there is no state.
    Failed(Stop),
}

/// A fold on its way.
struct Fold<'a> {
    caller: Caller<'a>,
    states: &'a BinaryArray,
    prepared: &'a RecordBatch,
    groups: &'a [Group],
    chunks: Vec<BinaryArray>,
    answers: Vec<Answer>,
}

pub(crate) fn accumulate(
    caller: Caller<'_>,
    states: &BinaryArray,
    groups: &[Group],
    prepared: &RecordBatch,
) -> Folded {
    let answers = Vec::with_capacity(groups.len());
    let mut fold = Fold { caller, states, prepared, groups, chunks: Vec::new(), answers };
    while fold.answers.len() < groups.len() {
        let first = fold.answers.len();
        let most = fold.caller.transform.paces().fold.rows();
        let mut events = 0;
        let fitting = groups[first..].iter().take_while(|group| {
            events += group.count as usize;
            events <= most
        });
        let end = first + fitting.count().max(1);
        fold.range(first..end);
    }
    fold.finish()
}

impl Fold<'_> {
    /// Folds neighbouring groups, of which all before have answers.
    fn range(&mut self, groups: Range<usize>) {
        if let [group] = self.groups[groups.clone()] {
            return self.single(group);
        }
        match self.call(groups.clone()) {
            Ok(()) => {}
            Err(stop) if !is_final(stop.verdict) => {
                self.slow_down(&groups);
                let middle = groups.start + groups.len() / 2;
                self.range(groups.start..middle);
                self.range(middle..groups.end);
            }
            Err(stop) => self.answers.extend(groups.map(|_| Answer::Failed(stop.clone()))),
        }
    }

    /// Folds one group, in as many calls as it needs.
    fn single(&mut self, group: Group) {
        let state = match self.base(group.state) {
            Ok(state) => state.to_vec(),
            Err(stop) => return self.answers.push(Answer::Failed(stop)),
        };
        let events = group.first as usize..(group.first + group.count) as usize;
        match self.events(state, events) {
            Ok(state) => {
                self.answers.push(Answer::State { chunk: self.chunks.len(), row: 0 });
                self.chunks.push(BinaryArray::from_iter_values([state]));
            }
            Err(stop) => self.answers.push(Answer::Failed(stop)),
        }
    }

    /// Folds events onto one state, as many in each call as it takes.
    fn events(&mut self, mut state: Vec<u8>, events: Range<usize>) -> Result<Vec<u8>, Stop> {
        let mut next = events.start;
        while next < events.end {
            let end = events.end.min(next + self.caller.transform.paces().fold.rows());
            state = self.run(state, next..end)?;
            next = end;
        }
        Ok(state)
    }

    /// Folds events onto one state in one call, and where that counts for nothing in halves, one after the other.
    fn run(&mut self, state: Vec<u8>, events: Range<usize>) -> Result<Vec<u8>, Stop> {
        let group = Group { state: 0, first: 0, count: events.len() as u32 };
        let prepared = self.prepared.slice(events.start, events.len());
        match self.guest(BinaryArray::from_iter_values([&state]), &[group], &prepared) {
            Ok(answer) => Ok(answer.value(0).to_vec()),
            Err(stop) if events.len() > 1 && !is_final(stop.verdict) => {
                self.caller.transform.paces().fold.slow_down(events.len());
                let middle = events.start + events.len() / 2;
                let state = self.run(state, events.start..middle)?;
                self.run(state, middle..events.end)
            }
            Err(stop) => Err(stop),
        }
    }

    fn slow_down(&self, groups: &Range<usize>) {
        let events: usize = self.groups[groups.clone()].iter().map(|group| group.count as usize).sum();
        self.caller.transform.paces().fold.slow_down(events);
    }

    /// One call for several groups. A group that goes on from one that failed fails the call, so that the groups are
    /// taken one by one.
    fn call(&mut self, groups: Range<usize>) -> Result<(), Stop> {
        let given = self.states.len() as u32;
        let (first, count) = (groups.start as u32, groups.len());
        let all = &self.groups[groups];
        let from = all.iter().map(|group| group.first).min().unwrap_or(0);
        let to = all.iter().map(|group| group.first + group.count).max().unwrap_or(0);
        let mut states = BinaryBuilder::new();
        let mut places = BTreeMap::new();
        for group in all.iter().filter(|group| group.state < given + first) {
            if let Entry::Vacant(place) = places.entry(group.state) {
                place.insert(states.len() as u32);
                states.append_value(self.base(group.state)?);
            }
        }
        let states = states.finish();
        let own = states.len() as u32;
        let remapped = all.iter().map(|group| Group {
            state: places.get(&group.state).copied().unwrap_or_else(|| own + (group.state - given - first)),
            first: group.first - from,
            count: group.count,
        });
        let remapped: Vec<Group> = remapped.collect();
        let prepared = self.prepared.slice(from as usize, (to - from) as usize);
        let answer = self.guest(states, &remapped, &prepared)?;
        let chunk = self.chunks.len();
        self.answers.extend((0..count).map(|row| Answer::State { chunk, row }));
        self.chunks.push(answer);
        Ok(())
    }

    /// The state that a group starts from, if it stands outside of the call.
    fn base(&self, state: u32) -> Result<&[u8], Stop> {
        let given = self.states.len();
        match (state as usize).checked_sub(given) {
            None => Ok(self.states.value(state as usize)),
            Some(group) => match self.answers.get(group) {
                Some(Answer::State { chunk, row }) => Ok(self.chunks[*chunk].value(*row)),
                Some(Answer::Failed(stop)) => Err(stop.clone()),
                None => {
                    let message =
                        format!("group {} goes on from group {group}, which is not before it", self.answers.len());
                    Err(Stop::unavailable(Cause::Inputs, message))
                }
            },
        }
    }

    fn guest(
        &mut self,
        states: BinaryArray,
        groups: &[Group],
        prepared: &RecordBatch,
    ) -> Result<BinaryArray, Stop> {
        let events = groups.iter().map(|group| group.count as usize).sum();
        let transform = self.caller.transform;
        let states = batch(transform, states)?;
        let input = (
            Input::new(&transform.states().fields, &states),
            groups,
            Input::new(transform.prepared_fields(), prepared),
        );
        let answer = self.caller.call(events, &transform.paces().fold, |instance| instance.accumulate(input))?;
        states_of(transform, answer, groups.len())
    }

    fn finish(self) -> Folded {
        let mut states = BinaryBuilder::new();
        let mut failures = Vec::new();
        let in_one = matches!(self.chunks.as_slice(), [one] if one.len() == self.answers.len());
        for (row, answer) in self.answers.into_iter().enumerate() {
            match answer {
                Answer::State { .. } if in_one => {}
                Answer::State { chunk, row } => states.append_value(self.chunks[chunk].value(row)),
                Answer::Failed(stop) => {
                    states.append_value([]);
                    let message = format!("view {}: {}", self.caller.transform.view().name, stop.message);
                    failures.push(RowFailure { row, verdict: stop.verdict, message });
                }
            }
        }
        let states = match <[BinaryArray; 1]>::try_from(self.chunks) {
            Ok([one]) if in_one => one,
            _ => states.finish(),
        };
        Folded { states, failures }
    }
}

pub(crate) fn merge(mut caller: Caller<'_>, states: &BinaryArray, runs: &[wire::Run]) -> Folded {
    let mut merged = BinaryBuilder::new();
    let mut failures = Vec::new();
    for (row, run) in runs.iter().enumerate() {
        let states: Vec<Vec<u8>> =
            (run.first..run.first + run.count).map(|state| states.value(state as usize).to_vec()).collect();
        match merge_run(&mut caller, states) {
            Ok(state) => merged.append_value(state),
            Err(stop) => {
                merged.append_value([]);
                let message = format!("view {}: {}", caller.transform.view().name, stop.message);
                failures.push(RowFailure { row, verdict: stop.verdict, message });
            }
        }
    }
    Folded { states: merged.finish(), failures }
}

/// Merges states from left to right, and where a call counts for nothing the first half before the second, whose
/// states are added to it.
fn merge_run(caller: &mut Caller<'_>, states: Vec<Vec<u8>>) -> Result<Vec<u8>, Stop> {
    let transform = caller.transform;
    let input = batch(transform, BinaryArray::from_iter_values(&states))?;
    let run = [wire::Run { first: 0, count: states.len() as u32 }];
    let input = (Input::new(&transform.states().fields, &input), run.as_slice());
    let answer = caller.call(states.len(), &transform.paces().fold, |instance| instance.merge(input));
    match answer.and_then(|answer| states_of(transform, answer, 1)) {
        Ok(answer) => Ok(answer.value(0).to_vec()),
        Err(stop) if states.len() > 2 && !is_final(stop.verdict) => {
            let (left, right) = states.split_at((states.len() / 2).max(2));
            let left = merge_run(caller, left.to_vec())?;
            merge_run(caller, [&[left], right].concat())
        }
        Err(stop) => Err(stop),
    }
}

fn batch(transform: &Transform, states: BinaryArray) -> Result<RecordBatch, Stop> {
    transform.states().batch(states).map_err(|error| Stop::unavailable(Cause::Engine, error.to_string()))
}

fn states_of(transform: &Transform, answer: wire::Rows, expected: usize) -> Result<BinaryArray, Stop> {
    let column = transform.states();
    let decoded = match answer.rows as usize == expected {
        true => decode(&column.fields, &column.schema, expected, answer.words, &[]),
        false => Err(AnswerError::Rows { found: answer.rows, expected }),
    };
    let columns = decoded.map_err(|error| Stop::answer(&error))?;
    let states = columns.first().map(|column| column.as_binary().clone());
    Ok(states.unwrap_or_else(|| BinaryArray::new_null(expected)))
}
