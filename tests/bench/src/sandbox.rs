//! What a component costs beside the same function compiled natively.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::ensure;
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use bench_numeric::{Payment, numeric};
use bench_text::{Departure, text};
use bench_wide::{Wide, wide};
use trifold_sandbox::{Budget, Transform};

use crate::guests::{Guest, transform};
use crate::measure::{Effort, in_turns};
use crate::random::Random;
use crate::report::Entry;

/// Batches of the numeric component, with their rows.
const NUMERIC: [(&str, usize); 5] = [
    ("sandbox.apply.numeric.1", 1),
    ("sandbox.apply.numeric.16", 16),
    ("sandbox.apply.numeric.256", 256),
    ("sandbox.apply.numeric.4096", 4096),
    ("sandbox.apply.numeric.65536", 65_536),
];
/// Batches of the text component, with their rows.
const TEXT: [(&str, usize); 5] = [
    ("sandbox.apply.text.1", 1),
    ("sandbox.apply.text.16", 16),
    ("sandbox.apply.text.256", 256),
    ("sandbox.apply.text.4096", 4096),
    ("sandbox.apply.text.65536", 65_536),
];
const ONE_ROW: &str = "sandbox.call.one_row";
const COLUMNS_50: &str = "sandbox.call.columns_50";
const INSTANTIATE: &str = "sandbox.instantiate";

/// The entries of this module.
pub(crate) const NAMES: &[&str] = &[
    NUMERIC[0].0,
    NUMERIC[1].0,
    NUMERIC[2].0,
    NUMERIC[3].0,
    NUMERIC[4].0,
    TEXT[0].0,
    TEXT[1].0,
    TEXT[2].0,
    TEXT[3].0,
    TEXT[4].0,
    ONE_ROW,
    COLUMNS_50,
    INSTANTIATE,
];

pub(crate) fn run(effort: Effort, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let numeric = transform(Guest::NUMERIC)?;
    for (name, rows) in NUMERIC.into_iter().filter(|(name, _)| wanted(name)) {
        entries.push(batch(name, &numeric, &payments(&numeric, rows)?, native_numeric, effort)?);
    }
    if TEXT.into_iter().any(|(name, _)| wanted(name)) {
        let text = transform(Guest::TEXT)?;
        for (name, rows) in TEXT.into_iter().filter(|(name, _)| wanted(name)) {
            entries.push(batch(name, &text, &departures(&text, rows)?, native_text, effort)?);
        }
    }
    if wanted(ONE_ROW) || wanted(INSTANTIATE) {
        entries.extend(one_row(&numeric, effort)?);
    }
    if wanted(COLUMNS_50) {
        entries.push(columns_50(effort)?);
    }
    Ok(entries)
}

/// Inputs of the numeric component.
pub(crate) fn payments(transform: &Transform, rows: usize) -> anyhow::Result<RecordBatch> {
    let mut random = Random::new(1);
    let mut floats =
        |end| -> ArrayRef { Arc::new(Float64Array::from_iter_values((0..rows).map(|_| random.float(end)))) };
    let columns = vec![
        Arc::new(Int64Array::from_iter_values(0..rows as i64)) as ArrayRef,
        floats(900.0),
        floats(5e4),
        floats(1e5),
    ];
    Ok(RecordBatch::try_new(transform.view().input_schema().clone(), columns)?)
}

/// Inputs of the text component.
pub(crate) fn departures(transform: &Transform, rows: usize) -> anyhow::Result<RecordBatch> {
    const CARRIERS: [&str; 8] = ["AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN"];
    const ORIGINS: [&str; 3] = ["EWR", "JFK", "LGA"];
    const DESTS: [&str; 8] = ["ATL", "BOS", "CLT", "FLL", "LAX", "MCO", "ORD", "SFO"];
    let mut random = Random::new(2);
    let mut texts = |values: &[&'static str]| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows).map(|_| random.pick(values))))
    };
    let columns = vec![texts(&CARRIERS), texts(&ORIGINS), texts(&DESTS)];
    Ok(RecordBatch::try_new(transform.view().input_schema().clone(), columns)?)
}

/// One batch through the component and through the native function.
fn batch(
    name: &'static str,
    transform: &Transform,
    inputs: &RecordBatch,
    native: fn(&RecordBatch) -> Vec<ArrayRef>,
    effort: Effort,
) -> anyhow::Result<Entry> {
    check_alike(transform, inputs, &native(inputs))?;
    let (value, baseline) = in_turns(
        effort,
        || drop(black_box(transform.apply(black_box(inputs), &mut Budget::unlimited()))),
        || drop(black_box(native(black_box(inputs)))),
    );
    let rows = inputs.num_rows() as f64;
    Entry::new(name, value / rows, baseline / rows)
}

/// Both compute the same thing, but for the last bits of a logarithm, which differ between libraries.
fn check_alike(transform: &Transform, inputs: &RecordBatch, native: &[ArrayRef]) -> anyhow::Result<()> {
    let applied = transform.apply(inputs, &mut Budget::unlimited());
    ensure!(applied.failures.is_empty(), "the component refused {}", applied.failures[0]);
    for (ours, native) in applied.outputs.columns().iter().zip(native) {
        let alike = match ours.as_primitive_opt::<Float64Type>() {
            Some(ours) => {
                let native = native.as_primitive::<Float64Type>().values();
                ours.values()
                    .iter()
                    .zip(native)
                    .all(|(ours, native)| (ours - native).abs() <= native.abs() * 1e-14)
            }
            None => ours == native,
        };
        ensure!(alike, "view {}: the component and the native function differ", transform.view().name);
    }
    Ok(())
}

fn native_numeric(inputs: &RecordBatch) -> Vec<ArrayRef> {
    let floats = |column: usize| inputs.column(column).as_primitive::<Float64Type>().values();
    let accounts = inputs.column(0).as_primitive::<Int64Type>().values();
    let (amounts, balances, limits) = (floats(1), floats(2), floats(3));
    let rows = inputs.num_rows();
    let [mut logs, mut shares, mut headrooms] = [(); 3].map(|()| Vec::with_capacity(rows));
    for row in 0..rows {
        let out = numeric(Payment {
            account: accounts[row],
            amount: amounts[row],
            balance: balances[row],
            limit: limits[row],
        });
        logs.push(out.amount_log);
        shares.push(out.share);
        headrooms.push(out.headroom);
    }
    [logs, shares, headrooms].map(|values| Arc::new(Float64Array::from(values)) as ArrayRef).into()
}

fn native_text(inputs: &RecordBatch) -> Vec<ArrayRef> {
    let texts = |column: usize| inputs.column(column).as_string::<i32>();
    let (carriers, origins, dests) = (texts(0), texts(1), texts(2));
    let rows = inputs.num_rows();
    let (mut routes, mut stations) = (StringBuilder::new(), StringBuilder::new());
    let mut hashes = Vec::with_capacity(rows);
    for row in 0..rows {
        let departure =
            Departure { carrier: carriers.value(row), origin: origins.value(row), dest: dests.value(row) };
        let out = text(departure);
        routes.append_value(out.route);
        hashes.push(out.route_hash);
        stations.append_value(out.station);
    }
    vec![Arc::new(routes.finish()), Arc::new(Int64Array::from(hashes)), Arc::new(stations.finish())]
}

/// A one-row call in an instance that is kept, beside the native function; and what a fresh instance adds to it: what
/// a lookup pays so that no row sees what another left behind.
fn one_row(transform: &Transform, effort: Effort) -> anyhow::Result<[Entry; 2]> {
    let inputs = payments(transform, 1)?;
    let (kept, native) = kept_call(transform, &inputs, native_numeric, effort)?;
    let mut warm = transform.warm()?;
    let (fresh, again) = in_turns(
        effort,
        || drop(black_box(transform.apply(black_box(&inputs), &mut Budget::unlimited()))),
        || drop(black_box(warm.apply(black_box(&inputs)))),
    );
    Ok([
        Entry::new(ONE_ROW, micros(kept), micros(native))?,
        Entry::new(INSTANTIATE, micros(fresh - again), micros(fresh))?,
    ])
}

/// The input of the wide component.
pub(crate) fn wide_row(transform: &Transform) -> anyhow::Result<RecordBatch> {
    let key = Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let numbers = (1..50).map(|number| Arc::new(Float64Array::from(vec![f64::from(number)])) as ArrayRef);
    let columns = std::iter::once(key).chain(numbers).collect();
    Ok(RecordBatch::try_new(transform.view().input_schema().clone(), columns)?)
}

/// A row of fifty columns.
fn columns_50(effort: Effort) -> anyhow::Result<Entry> {
    let transform = transform(Guest::WIDE)?;
    let inputs = wide_row(&transform)?;
    check_alike(&transform, &inputs, &native_wide(&inputs))?;
    let (kept, native) = kept_call(&transform, &inputs, native_wide, effort)?;
    Entry::new(COLUMNS_50, micros(kept), micros(native))
}

/// Nanoseconds of a call in a kept instance, and of the native function.
fn kept_call(
    transform: &Transform,
    inputs: &RecordBatch,
    native: fn(&RecordBatch) -> Vec<ArrayRef>,
    effort: Effort,
) -> anyhow::Result<(f64, f64)> {
    let mut kept = transform.warm()?;
    ensure!(kept.apply(inputs).failures.is_empty(), "the component refused a row");
    Ok(in_turns(
        effort,
        || drop(black_box(kept.apply(black_box(inputs)))),
        || drop(black_box(native(black_box(inputs)))),
    ))
}

fn native_wide(inputs: &RecordBatch) -> Vec<ArrayRef> {
    let number = |column: usize| inputs.column(column).as_primitive::<Float64Type>().value(0);
    let key = inputs.column(0).as_primitive::<Int64Type>().value(0);
    let row = Wide::of_numbers(key, std::array::from_fn(|column| number(column + 1)));
    wide(row).numbers().map(|number| Arc::new(Float64Array::from(vec![number])) as ArrayRef).into()
}

fn micros(nanos: f64) -> f64 {
    nanos / 1e3
}
