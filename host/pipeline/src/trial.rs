//! What is seen of a version that is tried out, beside what is seen of the one in force, and what that says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use arrow_array::Array;
use trifold_model::canonical::ForeignType;
use trifold_model::{CanonicalRows, FieldName, RowStatus};
use trifold_sandbox::Cause;

use crate::lookup::{Basis, Cost, ViewAnswer};
use crate::rows::{Outcome, Rows};
use crate::version::LiveVersion;

/// What a version's rows came to, and what they took.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tally {
    /// Rows that have a value or an error, or that the component failed to answer.
    pub rows: u64,
    /// Those of them that are errors or failures.
    pub errors: u64,
    /// The features of rows with a value.
    pub features: u64,
    /// Those of them that are null.
    pub nulls: u64,
    /// The fuel of the component's calls.
    pub fuel: FuelSums,
    /// How many calls took how long, by the binary logarithm of the rows that they computed, and by [`duration_bin`].
    pub times: BTreeMap<u32, BTreeMap<u32, u64>>,
}

/// Sums over calls, from which follows what a call burns of whatever rows it computes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FuelSums {
    /// The calls.
    pub calls: f64,
    /// The rows that they computed.
    pub rows: f64,
    /// The squares of those.
    pub rows_squared: f64,
    /// The fuel that they burnt.
    pub fuel: f64,
    /// The products of rows and fuel.
    pub rows_fuel: f64,
}

impl FuelSums {
    fn add(&mut self, rows: f64, fuel: f64) {
        self.append(&FuelSums { calls: 1.0, rows, rows_squared: rows * rows, fuel, rows_fuel: rows * fuel });
    }

    fn append(&mut self, other: &FuelSums) {
        self.calls += other.calls;
        self.rows += other.rows;
        self.rows_squared += other.rows_squared;
        self.fuel += other.fuel;
        self.rows_fuel += other.rows_fuel;
    }

    /// What other calls would have burnt here: by the line of least squares through these, as a call has a price of its own
    /// beside that of its rows. Where all calls are of one size there is no line, and what errs on the side of more is taken:
    /// a smaller call burns as much, and a larger one as much for each row.
    fn expected(&self, others: &FuelSums) -> Option<f64> {
        if self.calls == 0.0 || others.calls == 0.0 {
            return None;
        }
        let (rows, fuel) = (self.rows / self.calls, self.fuel / self.calls);
        let variance = self.rows_squared / self.calls - rows * rows;
        if variance < 0.25 {
            return Some(fuel * others.calls.max(others.rows / rows));
        }
        let slope = ((self.rows_fuel / self.calls - rows * fuel) / variance).clamp(0.0, fuel / rows);
        Some((fuel - slope * rows) * others.calls + slope * others.rows)
    }
}

/// The bin of a duration: four for each doubling, so that a bin is about 19 % wide. The first is that of one nanosecond.
pub fn duration_bin(time: Duration) -> u32 {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
    let octave = nanos.ilog2();
    // The two bits after the first one cut an octave into four parts of equal length, which is near enough.
    let quarter = if octave >= 2 { (nanos >> (octave - 2)) & 3 } else { 0 };
    octave * 4 + quarter as u32
}

/// The shortest duration of a bin.
fn bin_start(bin: u32) -> f64 {
    f64::from(bin / 4).exp2() * (1.0 + f64::from(bin % 4) / 4.0)
}

impl Tally {
    /// Adds rows of a version, of whose outputs the named ones count, and what they took.
    pub fn add(&mut self, rows: &Rows, features: &[FieldName], cost: Cost) {
        // That others left too little to burn, or that nobody waited, is no version's fault.
        let failed = rows.causes().filter(|(_, cause)| !matches!(cause, Cause::Budget | Cause::Unwanted));
        let failed: BTreeSet<usize> = failed.map(|(row, _)| row).collect();
        let mut valued = Vec::new();
        for (row, outcome) in rows.outcomes().iter().enumerate() {
            match outcome {
                Outcome::Known(RowStatus::Value) => valued.push(row),
                Outcome::Known(RowStatus::Error(_)) => self.errors += 1,
                Outcome::Unavailable(_) if failed.contains(&row) => self.errors += 1,
                Outcome::Known(_) | Outcome::Unavailable(_) => continue,
            }
            self.rows += 1;
        }
        let outputs = rows.outputs();
        for column in features.iter().filter_map(|feature| outputs.column_by_name(feature.as_str())) {
            self.features += valued.len() as u64;
            if column.null_count() > 0 {
                self.nulls += valued.iter().filter(|row| column.is_null(**row)).count() as u64;
            }
        }
        if let Some(size) = cost.computed.checked_ilog2() {
            self.fuel.add(cost.computed as f64, cost.fuel as f64);
            // Who has no stopwatch says nothing of time.
            if !cost.time.is_zero() {
                *self.times.entry(size).or_default().entry(duration_bin(cost.time)).or_default() += 1;
            }
        }
    }

    /// Adds what was seen elsewhere.
    pub fn append(&mut self, other: &Tally) {
        self.rows += other.rows;
        self.errors += other.errors;
        self.features += other.features;
        self.nulls += other.nulls;
        self.fuel.append(&other.fuel);
        for (size, times) in &other.times {
            let own = self.times.entry(*size).or_default();
            times.iter().for_each(|(bin, count)| *own.entry(*bin).or_default() += count);
        }
    }
}

/// The time that nine of ten calls stay below, in nanoseconds, of enough calls.
fn p90(times: &BTreeMap<u32, u64>) -> Option<f64> {
    let count: u64 = times.values().sum();
    if count < CALLS_MIN {
        return None;
    }
    let (rank, mut seen) = ((count * 9).div_ceil(10), 0);
    let reached = times.iter().find(|(_, count)| {
        seen += *count;
        seen >= rank
    });
    reached.map(|(bin, _)| bin_start(*bin))
}

/// How the answers of a shadow compare with those of the version in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Rows that both answered, over the same events.
    pub rows: u64,
    /// Those of them that differ, in a feature that both versions have or in their status.
    pub differing: u64,
    /// Those of them whose status differs.
    pub statuses: u64,
    /// By feature, those of them in which it differs.
    pub features: BTreeMap<FieldName, u64>,
    /// Rows that could not be compared: their state had moved on, one side had no answer, or there was no time for it.
    pub skipped: u64,
}

impl Comparison {
    /// Compares two answers to the same question.
    pub fn add(&mut self, serving: &ViewAnswer, shadow: &ViewAnswer) -> Result<(), ForeignType> {
        let count = serving.rows.len();
        if !same_events(&serving.basis, &shadow.basis) {
            self.skipped += count as u64;
            return Ok(());
        }
        let mut differing = vec![false; count];
        let mut compared = vec![false; count];
        for (row, sides) in serving.rows.outcomes().iter().zip(shadow.rows.outcomes()).enumerate() {
            match sides {
                (Outcome::Known(left), Outcome::Known(right)) => {
                    compared[row] = left == right;
                    self.rows += 1;
                    if left != right {
                        self.statuses += 1;
                        differing[row] = true;
                    }
                }
                _ => self.skipped += 1,
            }
        }
        for feature in common_features(&serving.version, &shadow.version) {
            let bytes = |rows: &Rows| -> Result<Vec<Vec<u8>>, ForeignType> {
                let column = rows.outputs().column_by_name(feature.as_str()).cloned();
                let column = CanonicalRows::of_arrays(column.as_slice())?;
                let text = |row| {
                    let mut bytes = Vec::new();
                    column.write_fields(row, &mut bytes);
                    bytes
                };
                Ok((0..rows.len()).map(text).collect())
            };
            let (left, right) = (bytes(&serving.rows)?, bytes(&shadow.rows)?);
            for row in (0..count).filter(|&row| compared[row] && left[row] != right[row]) {
                *self.features.entry(feature.clone()).or_default() += 1;
                differing[row] = true;
            }
        }
        self.differing += differing.iter().filter(|differs| **differs).count() as u64;
        Ok(())
    }

    /// Adds what was seen elsewhere.
    pub fn append(&mut self, other: &Comparison) {
        self.rows += other.rows;
        self.differing += other.differing;
        self.statuses += other.statuses;
        self.skipped += other.skipped;
        for (feature, count) in &other.features {
            *self.features.entry(feature.clone()).or_default() += count;
        }
    }
}

/// The features that two versions of a view both have, with the same type.
pub fn common_features(left: &LiveVersion, right: &LiveVersion) -> Vec<FieldName> {
    let has =
        |name: &FieldName, ty| right.view().outputs.iter().any(|output| output.name == *name && output.ty == ty);
    let outputs = left.view().outputs.iter();
    outputs.filter(|output| has(&output.name, output.ty)).map(|output| output.name.clone()).collect()
}

/// Whether two answers were made of the same events.
fn same_events(left: &Basis, right: &Basis) -> bool {
    let is_same = |left: &Option<crate::lookup::Reach>, right: &Option<crate::lookup::Reach>| match (left, right) {
        (Some(left), Some(right)) => {
            left.marker.log == right.marker.log
                && left.marker.positions == right.marker.positions
                && left.ahead == right.ahead
        }
        (left, right) => left.is_none() && right.is_none(),
    };
    match (left, right) {
        (Basis::State(left), Basis::State(right)) => is_same(left, right),
        (Basis::Views(left), Basis::Views(right)) => left.iter().all(|read| {
            let other = right.iter().find(|other| other.version.view().name == read.version.view().name);
            other.is_none_or(|other| is_same(&read.reach, &other.reach))
        }),
        _ => false,
    }
}

/// By how much a version that is tried out may do worse than the one in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margins {
    /// Fewer rows say nothing.
    pub rows_min: u64,
    /// How much larger the share of errors may be, as a part of all rows.
    pub errors: f64,
    /// How much larger the share of nulls may be, as a part of all features.
    pub nulls: f64,
    /// How many times the fuel of a row may be burnt.
    pub fuel: f64,
    /// How many times the time of a call may be taken, at the ninth decile.
    pub latency: f64,
}

/// What is to be said of a version that is tried out.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// Too little was seen of it.
    Unknown {
        /// Its rows.
        rows: u64,
        /// As many are needed.
        rows_min: u64,
    },
    /// It does as well as the version in force, within the margins.
    Healthy,
    /// It does worse.
    Unhealthy(Vec<Excess>),
}

/// Something that a version does worse than the one in force, beyond its margin.
#[derive(Debug, Clone, PartialEq)]
pub enum Excess {
    /// Errors: its share, that of the version in force, and the margin.
    Errors(Rate, Rate, f64),
    /// Nulls: its share, that of the version in force, and the margin.
    Nulls(Rate, Rate, f64),
    /// Fuel: how many times as much it burns, and the margin.
    Fuel(f64, f64),
    /// Latency: how many times as long its calls take, and the margin.
    Latency(f64, f64),
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many are.
    pub hits: u64,
    /// Of how many.
    pub of: u64,
}

impl Rate {
    fn value(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.hits as f64 / self.of as f64 }
    }

    /// Whether this is larger than another rate by more than a margin, and by more than chance makes it: three standard
    /// errors of the difference of two proportions, by the pooled estimate.
    fn exceeds(self, other: Rate, margin: f64) -> bool {
        let excess = self.value() - other.value();
        let pooled = Rate { hits: self.hits + other.hits, of: self.of + other.of }.value();
        let parts = 1.0 / self.of.max(1) as f64 + 1.0 / other.of.max(1) as f64;
        excess > margin && excess > 3.0 * (pooled * (1.0 - pooled) * parts).sqrt()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} % of {}", self.value() * 100.0, self.of)
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Excess::Errors(own, other, margin) => write!(
                f,
                "{own} rows are errors, and {other} of the version in force: the margin is {} %",
                margin * 100.0
            ),
            Excess::Nulls(own, other, margin) => write!(
                f,
                "{own} feature values are null, and {other} of the version in force: the margin is {} %",
                margin * 100.0
            ),
            Excess::Fuel(ratio, margin) => {
                write!(f, "a row burns {ratio:.2} times the fuel of the version in force: the margin is {margin}")
            }
            Excess::Latency(ratio, margin) => write!(
                f,
                "nine of ten calls take up to {ratio:.2} times as long as of the version in force: the margin is {margin}"
            ),
        }
    }
}

/// So many calls of a size on both sides say something of how long they take.
const CALLS_MIN: u64 = 100;

/// What a version shows beside the one in force.
pub fn judge(serving: &Tally, candidate: &Tally, margins: &Margins) -> Health {
    let mut excesses = Vec::new();
    let rate = |tally: &Tally| Rate { hits: tally.errors, of: tally.rows };
    if rate(candidate).exceeds(rate(serving), margins.errors) {
        excesses.push(Excess::Errors(rate(candidate), rate(serving), margins.errors));
    }
    let rate = |tally: &Tally| Rate { hits: tally.nulls, of: tally.features };
    if rate(candidate).exceeds(rate(serving), margins.nulls) {
        excesses.push(Excess::Nulls(rate(candidate), rate(serving), margins.nulls));
    }
    let fuel = serving.fuel.expected(&candidate.fuel).filter(|expected| *expected > 0.0);
    let fuel = fuel.map(|expected| candidate.fuel.fuel / expected).filter(|ratio| *ratio > margins.fuel);
    excesses.extend(fuel.map(|ratio| Excess::Fuel(ratio, margins.fuel)));
    let slow = slower(serving, candidate).filter(|ratio| *ratio > margins.latency);
    excesses.extend(slow.map(|ratio| Excess::Latency(ratio, margins.latency)));
    if candidate.rows < margins.rows_min {
        return Health::Unknown { rows: candidate.rows, rows_min: margins.rows_min };
    }
    if excesses.is_empty() { Health::Healthy } else { Health::Unhealthy(excesses) }
}

/// How many times as long the candidate's calls take as those of the version in force, each size by its weight. Calls are
/// compared with such of the same size or, if there are too few, of the next larger one, so that none is called slow for being
/// small.
fn slower(serving: &Tally, candidate: &Tally) -> Option<f64> {
    let (mut own, mut other) = (0.0, 0.0);
    for (size, times) in &candidate.times {
        let beside = serving.times.range(size..).find_map(|(_, times)| p90(times));
        if let (Some(takes), Some(beside)) = (p90(times), beside) {
            let weight = times.values().sum::<u64>() as f64;
            own += weight * takes;
            other += weight * beside;
        }
    }
    (other > 0.0).then(|| own / other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGINS: Margins = Margins { rows_min: 200, errors: 0.01, nulls: 0.05, fuel: 2.0, latency: 3.0 };

    fn tally(rows: u64, errors: u64, nulls: u64) -> Tally {
        Tally { rows, errors, features: 3 * rows, nulls, ..Tally::default() }
    }

    /// Adds calls: so many, of so many rows each, that burn so much for the call and for a row, and take so long.
    fn call(tally: &mut Tally, count: u64, rows: u32, (base, fuel): (u32, u32), micros: u64) {
        for _ in 0..count {
            tally.fuel.add(rows.into(), f64::from(base) + f64::from(rows) * f64::from(fuel));
        }
        let bin = duration_bin(Duration::from_micros(micros));
        *tally.times.entry(rows.ilog2()).or_default().entry(bin).or_default() += count;
    }

    fn excesses(serving: &Tally, candidate: &Tally) -> Vec<String> {
        match judge(serving, candidate, &MARGINS) {
            Health::Unhealthy(excesses) => excesses.iter().map(ToString::to_string).collect(),
            Health::Healthy => Vec::new(),
            Health::Unknown { .. } => panic!("unknown"),
        }
    }

    #[test]
    fn what_is_worse_by_more_than_margin_and_chance_is_told() {
        let fine = tally(10_000, 0, 100);
        assert_eq!(judge(&fine, &tally(199, 199, 0), &MARGINS), Health::Unknown { rows: 199, rows_min: 200 });
        assert_eq!(excesses(&fine, &tally(400, 0, 12)), [] as [&str; 0]);
        assert_eq!(
            excesses(&fine, &tally(400, 20, 12)),
            ["5.00 % of 400 rows are errors, and 0.00 % of 10000 of the version in force: the margin is 1 %"]
        );
        assert_eq!(
            excesses(&fine, &tally(400, 0, 400)),
            [
                "33.33 % of 1200 feature values are null, and 0.33 % of 30000 of the version in force: the margin is 5 %"
            ]
        );
        // As many errors as the version in force has, give or take what chance makes.
        let erring = tally(10_000, 500, 0);
        assert_eq!(excesses(&erring, &tally(200, 14, 0)), [] as [&str; 0]);
        assert_eq!(excesses(&erring, &tally(20_000, 1_400, 0)).len(), 1);
        assert_eq!(
            excesses(&Tally::default(), &tally(200, 14, 0)).len(),
            0,
            "beside nothing, chance may be all of it"
        );
    }

    /// What is found of a candidate with 1,000 calls of so many rows, fuel and time.
    fn of_calls(serving: &Tally, rows: u32, fuel: (u32, u32), micros: u64) -> Vec<String> {
        let mut candidate = tally(1000, 0, 0);
        call(&mut candidate, 1000, rows, fuel, micros);
        excesses(serving, &candidate)
    }

    #[test]
    fn the_fuel_of_a_call_is_compared_with_that_of_a_call_of_as_many_rows() {
        let mut serving = tally(1000, 0, 0);
        call(&mut serving, 700, 12, (4000, 100), 90);
        call(&mut serving, 300, 14, (4000, 100), 90);
        for rows in [1, 4, 12, 100] {
            assert_eq!(of_calls(&serving, rows, (4000, 100), 30), [] as [&str; 0]);
            let worse = of_calls(&serving, rows, (40_000, 1000), 30);
            assert_eq!(worse, ["a row burns 10.00 times the fuel of the version in force: the margin is 2"]);
        }
        // Of calls of one size it is not known what a call costs beside its rows.
        let mut serving = tally(1000, 0, 0);
        call(&mut serving, 1000, 12, (4000, 100), 90);
        for rows in [1, 4, 12, 100] {
            assert_eq!(of_calls(&serving, rows, (4000, 100), 30), [] as [&str; 0]);
        }
        assert_eq!(of_calls(&serving, 12, (40_000, 1000), 30).len(), 1);
        assert_eq!(of_calls(&Tally::default(), 12, (40_000, 1000), 30), [] as [&str; 0]);
    }

    #[test]
    fn no_call_is_slow_for_being_small() {
        let mut serving = tally(1000, 0, 0);
        call(&mut serving, 1000, 1, (0, 1), 30);
        call(&mut serving, 1000, 16, (0, 1), 90);
        let fuel = (0, 1);
        assert_eq!(of_calls(&serving, 1, fuel, 30), [] as [&str; 0]);
        assert!(of_calls(&serving, 1, fuel, 300)[0].starts_with("nine of ten calls take"));
        assert_eq!(of_calls(&serving, 4, fuel, 90), [] as [&str; 0], "as calls of sixteen rows");
        assert!(of_calls(&serving, 4, fuel, 900)[0].starts_with("nine of ten calls take"));
        assert_eq!(of_calls(&serving, 100, fuel, 90_000), [] as [&str; 0], "larger than all");
        let mut few = tally(1000, 0, 0);
        call(&mut few, CALLS_MIN - 1, 1, fuel, 300);
        assert_eq!(excesses(&serving, &few), [] as [&str; 0], "too few to tell");
    }

    #[test]
    fn bins_grow_with_durations() {
        let mut last = 0;
        for nanos in (1..10_000).chain([u64::MAX]) {
            let bin = duration_bin(Duration::from_nanos(nanos));
            assert!(bin >= last, "{nanos}");
            assert!(bin_start(bin) <= nanos as f64 && nanos as f64 <= bin_start(bin) * 2.0, "{nanos}");
            last = bin;
        }
    }
}
