//! Folds: the bytes of a state may depend on its events alone, and not on the calls in which they came.

use std::collections::BTreeSet;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, BinaryArray, RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use trifold_model::view::{EVENT_ID, EVENT_TIME};
use trifold_model::{CanonicalRows, EventTime, FoldOrder, RowStatus, WindowSpec, first_difference};
use trifold_sandbox::{Applied, Budget, Folded, Group, Run, Transform, Verdict, WarmInstance, WindowTiles};

use super::rows::shuffle;
use super::{GateCheck, GateError};
use crate::samples::SplitMix64;

const FOLDS: &str = "events fold";
const SPLITS: &str = "events folded in two calls";
const CHAIN: &str = "events folded one by one in one call";
const USED: &str = "events folded in a used instance";
const EMPTY: &str = "merged with the empty state";
const RUNS: &str = "many merges in one call";
const PERMUTED: &str = "events folded in any order";
const REGROUPED: &str = "events folded in groups that are merged in any order";
const FINISH: &str = "entities finished alone, together, shuffled and in a used instance";
const FINISH_MERGED: &str = "windows finished from their tiles and from the merged state";

/// At how many points the events are split.
const SPLITS_MAX: u32 = 256;

/// What the author of a component that failed a check may do.
pub(super) fn advice(name: &str) -> Option<&'static str> {
    match name {
        FOLDS => Some("accumulate must take every event that prepare accepts; look for what it does not expect"),
        SPLITS | CHAIN => {
            Some("a state must hold all that later events need, so look for what encode leaves out or changes")
        }
        USED => Some("a state may depend on its events alone, so look for statics that change"),
        EMPTY | RUNS => {
            Some("merging must add nothing of its own, so look at what merge does with an empty state")
        }
        PERMUTED | REGROUPED => Some(
            "the fold order `any` promises the same bytes for any order and grouping; fold exactly and commutatively, or \
             declare the order `event-time`",
        ),
        FINISH => {
            Some("an entity's row may depend on its own tiles alone, so look for state kept between entities")
        }
        FINISH_MERGED => Some("finish must merge a window's tiles from left to right, as merge does"),
        _ => None,
    }
}

/// The prepared events of the samples, and what they fold to in one go.
pub(super) struct Folds<'a> {
    transform: &'a Transform,
    spec: &'a WindowSpec,
    prepared: RecordBatch,
    /// The sample of each event.
    samples: Vec<u32>,
    whole: Vec<u8>,
    random: SplitMix64,
}

/// Tries a window view's folds over the sample events that it accepts.
pub(super) fn fold_checks(
    transform: &Transform,
    spec: &WindowSpec,
    samples: &RecordBatch,
    seed: u64,
) -> Result<Vec<GateCheck>, GateError> {
    let mut folds = Folds::new(transform, spec, samples, seed)?;
    let rows = folds.samples.len();
    match folds.all() {
        Ok(whole) => folds.whole = whole,
        Err(failure) => return Ok(vec![GateCheck { name: FOLDS, rows, failure: Some(failure) }]),
    }
    let mut checks = vec![
        GateCheck { name: FOLDS, rows, failure: None },
        folds.check(SPLITS, Folds::splits),
        folds.check(CHAIN, Folds::chain),
        folds.check_used()?,
        folds.check(EMPTY, Folds::empty),
        folds.check(RUNS, Folds::runs),
    ];
    if spec.order == FoldOrder::Any {
        checks.push(folds.check(PERMUTED, Folds::permuted));
        checks.push(folds.check(REGROUPED, Folds::regrouped));
    }
    checks.extend(folds.finish(samples)?);
    Ok(checks)
}

/// The samples by event time and id, as far as the view reads them.
fn canonical_order(samples: &RecordBatch) -> Result<Vec<u32>, GateError> {
    let times = samples.column_by_name(EVENT_TIME).map(|column| column.as_primitive::<TimestampMicrosecondType>());
    let ids = samples.column_by_name(EVENT_ID).map(|column| column.as_string::<i32>());
    let mut order: Vec<u32> = (0..samples.num_rows() as u32).collect();
    order.sort_by_key(|&row| {
        (times.map(|times| times.value(row as usize)), ids.map(|ids| ids.value(row as usize)))
    });
    Ok(order)
}

impl<'a> Folds<'a> {
    /// The sample events that a view accepts, prepared.
    pub(super) fn new(
        transform: &'a Transform,
        spec: &'a WindowSpec,
        samples: &RecordBatch,
        seed: u64,
    ) -> Result<Self, GateError> {
        let applied = transform.prepare(samples, &mut Budget::unlimited());
        let refused: BTreeSet<usize> = applied.failures.iter().map(|failure| failure.row).collect();
        let accepted: Vec<u32> =
            canonical_order(samples)?.into_iter().filter(|row| !refused.contains(&(*row as usize))).collect();
        let prepared = take_record_batch(&applied.outputs, &UInt32Array::from(accepted.clone()))?;
        Ok(Folds { transform, spec, prepared, samples: accepted, whole: Vec::new(), random: SplitMix64(seed) })
    }

    /// The first sample that only one of two views accepts.
    pub(super) fn other_sample(&self, other: &Folds<'_>) -> Option<u32> {
        let (ours, theirs): (BTreeSet<_>, BTreeSet<_>) =
            (self.samples.iter().collect(), other.samples.iter().collect());
        ours.symmetric_difference(&theirs).next().map(|sample| **sample)
    }

    /// The first sample that two views, which accept the same ones, prepare to other bytes.
    pub(super) fn prepared_otherwise(&self, other: &Folds<'_>) -> Result<Option<u32>, GateError> {
        let (ours, theirs) = (CanonicalRows::new(&self.prepared)?, CanonicalRows::new(&other.prepared)?);
        let bytes = |rows: &CanonicalRows, row| {
            let mut bytes = Vec::new();
            rows.write_row(RowStatus::Value, row, &mut bytes);
            bytes
        };
        let differs = |row: &usize| bytes(&ours, *row) != bytes(&theirs, *row);
        Ok((0..self.samples.len()).find(differs).map(|row| self.samples[row]))
    }

    /// The state after each event.
    pub(super) fn states(&self) -> Result<Vec<Vec<u8>>, String> {
        let groups: Vec<_> = (0..self.events()).map(|first| Group { state: first, first, count: 1 }).collect();
        self.fold(&[&[]], &groups, &self.prepared)
    }

    /// What states of neighbouring events merge to, from left to right.
    pub(super) fn merged(&mut self) -> Result<Vec<u8>, String> {
        let parts = self.parts(&self.prepared.clone())?;
        self.merge(&parts)
    }

    pub(super) fn events(&self) -> u32 {
        self.samples.len() as u32
    }

    /// Folds runs of events onto states that the groups name.
    fn fold(&self, states: &[&[u8]], groups: &[Group], prepared: &RecordBatch) -> Result<Vec<Vec<u8>>, String> {
        let states = BinaryArray::from_iter_values(states);
        states_of(self.transform.accumulate(&states, groups, prepared, &mut Budget::unlimited()))
    }

    fn one(&self, state: &[u8], first: u32, count: u32, prepared: &RecordBatch) -> Result<Vec<u8>, String> {
        if count == 0 {
            return Ok(state.to_vec());
        }
        Ok(self.fold(&[state], &[Group { state: 0, first, count }], prepared)?.swap_remove(0))
    }

    fn all(&self) -> Result<Vec<u8>, String> {
        self.one(&[], 0, self.events(), &self.prepared)
    }

    fn merge(&self, states: &[Vec<u8>]) -> Result<Vec<u8>, String> {
        let run = [Run { first: 0, count: states.len() as u32 }];
        let states = BinaryArray::from_iter_values(states);
        Ok(states_of(self.transform.merge(&states, &run, &mut Budget::unlimited()))?.swap_remove(0))
    }

    fn check(
        &mut self,
        name: &'static str,
        attempt: impl FnOnce(&mut Self) -> Result<Option<String>, String>,
    ) -> GateCheck {
        let failure = attempt(self).unwrap_or_else(Some);
        GateCheck { name, rows: self.samples.len(), failure }
    }

    fn differs(&self, state: &[u8], how: impl FnOnce() -> String) -> Option<String> {
        let at = state.iter().zip(&self.whole).position(|(left, right)| left != right);
        let at = at.or_else(|| (state.len() != self.whole.len()).then(|| state.len().min(self.whole.len())))?;
        let (here, whole) = (state.len(), self.whole.len());
        Some(format!("{}: the state differs from byte {at} on ({here} bytes here, {whole} at once)", how()))
    }

    fn splits(&mut self) -> Result<Option<String>, String> {
        // Neighbouring points differ by one event each, so that not all of many need to be tried.
        let step = self.events().div_ceil(SPLITS_MAX).max(1);
        for at in (1..self.events()).step_by(step as usize) {
            let left = self.one(&[], 0, at, &self.prepared)?;
            let both = self.one(&left, at, self.events() - at, &self.prepared)?;
            if let Some(difference) = self.differs(&both, || format!("split after {at} events")) {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }

    fn chain(&mut self) -> Result<Option<String>, String> {
        let states = self.states()?;
        Ok(states.last().and_then(|last| self.differs(last, || "one by one".to_owned())))
    }

    fn empty(&mut self) -> Result<Option<String>, String> {
        let (whole, empty) = (self.whole.clone(), Vec::new());
        let states = [vec![whole.clone()], vec![empty.clone(), whole.clone()], vec![whole, empty.clone(), empty]];
        for states in states {
            let merged = self.merge(&states)?;
            if let Some(difference) = self.differs(&merged, || format!("{} states", states.len())) {
                return Ok(Some(difference));
            }
        }
        let nothing = self.merge(&[])?;
        Ok((!nothing.is_empty()).then(|| format!("no states merge to {} bytes instead of none", nothing.len())))
    }

    /// Merging several runs in one call is merging each.
    fn runs(&mut self) -> Result<Option<String>, String> {
        let parts = self.parts(&self.prepared.clone())?;
        let states = BinaryArray::from_iter_values(&parts);
        let runs: Vec<_> = (0..parts.len() as u32).map(|count| Run { first: 0, count: count + 1 }).collect();
        let merged = states_of(self.transform.merge(&states, &runs, &mut Budget::unlimited()))?;
        for (run, merged) in runs.iter().zip(merged) {
            if self.merge(&parts[..run.count as usize])? != merged {
                return Ok(Some(format!("{} states differ from the same states alone", run.count)));
            }
        }
        Ok(None)
    }

    /// The states of neighbouring events, cut at random.
    fn parts(&mut self, prepared: &RecordBatch) -> Result<Vec<Vec<u8>>, String> {
        let mut parts = Vec::new();
        let mut first = 0;
        while first < self.events() {
            let count = 1 + self.random.below(12).min((self.events() - first) as usize - 1) as u32;
            parts.push(self.one(&[], first, count, prepared)?);
            first += count;
        }
        Ok(parts)
    }

    fn permuted(&mut self) -> Result<Option<String>, String> {
        for attempt in 0..8 {
            let shuffled = self.shuffled()?;
            let state = self.one(&[], 0, self.events(), &shuffled)?;
            if let Some(difference) = self.differs(&state, || format!("order {attempt}")) {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }

    fn shuffled(&mut self) -> Result<RecordBatch, String> {
        let order = shuffle((0..self.events()).collect(), self.random.next());
        take_record_batch(&self.prepared, &UInt32Array::from(order)).map_err(|error| error.to_string())
    }

    fn regrouped(&mut self) -> Result<Option<String>, String> {
        for attempt in 0..8 {
            let shuffled = self.shuffled()?;
            let mut parts = self.parts(&shuffled)?;
            while parts.len() > 1 {
                let left = parts.swap_remove(self.random.below(parts.len()));
                let right = parts.swap_remove(self.random.below(parts.len()));
                parts.push(self.merge(&[left, right])?);
            }
            if let Some(difference) =
                parts.first().and_then(|state| self.differs(state, || format!("tree {attempt}")))
            {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }

    fn check_used(&mut self) -> Result<GateCheck, GateError> {
        let mut warm = self.transform.warm()?;
        Ok(self.check(USED, |folds| folds.used(&mut warm)))
    }

    fn used(&mut self, warm: &mut WarmInstance) -> Result<Option<String>, String> {
        let group = [Group { state: 0, first: 0, count: self.events().max(1) }];
        if self.events() == 0 {
            return Ok(None);
        }
        for attempt in 0..3 {
            let states = BinaryArray::from_iter_values([b""]);
            let state = states_of(warm.accumulate(&states, &group, &self.prepared))?.swap_remove(0);
            if let Some(difference) = self.differs(&state, || format!("call {attempt}")) {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }

    /// Finishes entities that have one tile, several or none in each window.
    fn finish(&mut self, samples: &RecordBatch) -> Result<Vec<GateCheck>, GateError> {
        let parts = match self.parts(&self.prepared.clone()) {
            Ok(parts) => parts,
            Err(failure) => return Ok(vec![GateCheck { name: FINISH, rows: 0, failure: Some(failure) }]),
        };
        let entities = Entities::new(self, samples, parts)?;
        let order: Vec<u32> = (0..entities.count() as u32).collect();
        let alone: Vec<_> =
            order.iter().map(|&entity| entities.rows(&[entity], None)).collect::<Result<Vec<_>, _>>()?;
        let alone: Vec<_> = alone.into_iter().flatten().collect();
        let shuffled = shuffle(order.clone(), self.random.next());
        let mut warm = self.transform.warm()?;
        let mut failure = None;
        for (how, order, warm) in [
            ("together", &order, None),
            ("shuffled", &shuffled, None),
            ("in a used instance", &order, Some(&mut warm)),
        ] {
            let rows = entities.rows(order, warm)?;
            let different = order.iter().zip(&rows).find(|(entity, row)| alone[**entity as usize] != **row);
            failure = failure.or_else(|| different.map(|(entity, row)| self.message(how, *entity, &alone, row)));
        }
        let finish = GateCheck { name: FINISH, rows: entities.count(), failure };
        let merged = entities.merged(self).and_then(|merged| merged.rows(&order, None).map_err(|e| e.to_string()));
        let failure = match merged {
            Ok(rows) => order
                .iter()
                .zip(&rows)
                .find(|(entity, row)| alone[**entity as usize] != **row)
                .map(|(entity, row)| self.message("from merged states", *entity, &alone, row)),
            Err(failure) => Some(failure),
        };
        Ok(vec![finish, GateCheck { name: FINISH_MERGED, rows: entities.count(), failure }])
    }

    fn message(&self, how: &str, entity: u32, alone: &[Finished], row: &Finished) -> String {
        let difference = match (&alone[entity as usize], row) {
            (Ok(alone), Ok(row)) => first_difference(&self.transform.view().outputs, alone, row)
                .map_or_else(String::new, |difference| format!("{difference} (alone against here)")),
            (Err(reason), _) | (_, Err(reason)) => format!("unavailable: {reason}"),
        };
        format!("entity {entity}, {how}: {difference}")
    }
}

/// Canonical bytes, or why there are none.
type Finished = Result<Vec<u8>, String>;

/// Entities made for `finish`: sample keys with some of the states.
struct Entities<'a> {
    transform: &'a Transform,
    tiles: Vec<Vec<u8>>,
    /// By entity, then by window: the tiles.
    windows: Vec<Vec<Vec<u32>>>,
    keys: RecordBatch,
    as_of: Vec<EventTime>,
}

impl<'a> Entities<'a> {
    fn new(folds: &mut Folds<'a>, samples: &RecordBatch, tiles: Vec<Vec<u8>>) -> Result<Self, GateError> {
        let keys = samples.project(folds.transform.view().key_columns())?;
        let count = keys.num_rows().min(64);
        let mut window = || {
            let first = folds.random.below(tiles.len() + 1);
            let count = folds.random.below(5).min(tiles.len() - first);
            (first as u32..(first + count) as u32).collect::<Vec<_>>()
        };
        let windows = (0..count).map(|_| folds.spec.windows.iter().map(|_| window()).collect()).collect();
        // Any time will do; these lie where samples do.
        let as_of =
            (0..count).map(|entity| EventTime(1_400_000_000_000_000 + entity as i64 * 3_600_000_000)).collect();
        let keys = keys.slice(0, count);
        Ok(Entities { transform: folds.transform, tiles, windows, keys, as_of })
    }

    fn count(&self) -> usize {
        self.windows.len()
    }

    fn rows(&self, order: &[u32], warm: Option<&mut WarmInstance>) -> Result<Vec<Finished>, GateError> {
        let (mut given, mut picks, mut windows) = (Vec::new(), Vec::new(), Vec::new());
        let mut places = vec![None; self.tiles.len()];
        for window in order.iter().flat_map(|&entity| &self.windows[entity as usize]) {
            windows.push(Run { first: picks.len() as u32, count: window.len() as u32 });
            // No entity is given the tiles of others, which it could look at.
            picks.extend(window.iter().map(|&tile| {
                *places[tile as usize].get_or_insert_with(|| {
                    given.push(&self.tiles[tile as usize]);
                    given.len() as u32 - 1
                })
            }));
        }
        let as_of: Vec<_> = order.iter().map(|&entity| self.as_of[entity as usize]).collect();
        let question = WindowTiles {
            tiles: &BinaryArray::from_iter_values(given),
            picks: &picks,
            windows: &windows,
            keys: &take_record_batch(&self.keys, &UInt32Array::from(order.to_vec()))?,
            as_of: &as_of,
        };
        let applied = match warm {
            Some(warm) => warm.finish(&question),
            None => self.transform.finish(&question, &mut Budget::unlimited()),
        };
        finished(&applied, order.len())
    }

    /// The same entities, each window with the one state that its tiles merge to.
    fn merged(&self, folds: &Folds<'a>) -> Result<Self, String> {
        let mut tiles = Vec::new();
        let mut windows = Vec::with_capacity(self.count());
        for entity in &self.windows {
            let mut merged = Vec::with_capacity(entity.len());
            for window in entity {
                let states: Vec<_> = window.iter().map(|&tile| self.tiles[tile as usize].clone()).collect();
                tiles.push(folds.merge(&states)?);
                merged.push(vec![tiles.len() as u32 - 1]);
            }
            windows.push(merged);
        }
        Ok(Entities {
            transform: self.transform,
            tiles,
            windows,
            keys: self.keys.clone(),
            as_of: self.as_of.clone(),
        })
    }
}

fn finished(applied: &Applied, count: usize) -> Result<Vec<Finished>, GateError> {
    let columns = CanonicalRows::new(&applied.outputs)?;
    let mut failures = applied.failures.iter().peekable();
    let row = |row| {
        let status = match failures.next_if(|failure| failure.row == row) {
            None => RowStatus::Value,
            Some(failure) => match failure.verdict {
                Verdict::Error(code) => RowStatus::Error(code),
                Verdict::Unavailable(_) => return Err(failure.message.clone()),
            },
        };
        let mut bytes = Vec::new();
        columns.write_row(status, row, &mut bytes);
        Ok(bytes)
    };
    Ok((0..count).map(row).collect())
}

fn states_of(folded: Folded) -> Result<Vec<Vec<u8>>, String> {
    match folded.failures.into_iter().next() {
        Some(failure) => Err(failure.message),
        None => Ok((0..folded.states.len()).map(|row| folded.states.value(row).to_vec()).collect()),
    }
}
