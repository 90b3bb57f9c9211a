//! The same view as hand-written native Rust over the same aggregators and the same Arrow arrays.

use arrow_array::builder::{BinaryBuilder, Float64Builder, Int64Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch};
use bench_window::Spending;
use std::sync::Arc;
use trifold_pipeline::{LiveVersion, WindowFunctions};
use trifold_sandbox::{Applied, Budget, Folded, Group, WindowTiles};
use trifold_sdk::aggregate::{Aggregate, StateReader};
use trifold_sdk::{State, Timestamp};

const WINDOWS: usize = 3;

/// The functions of `bench-window`, compiled natively.
pub(crate) struct Native(pub(crate) LiveVersion);

impl WindowFunctions for Native {
    fn prepare(&self, events: &RecordBatch, _: &mut Budget) -> Applied {
        let schema = self.0.transform.prepared().clone();
        let amounts = events.column_by_name("amount").cloned();
        let outputs = amounts.and_then(|amounts| RecordBatch::try_new(schema.clone(), vec![amounts]).ok());
        Applied { outputs: outputs.unwrap_or_else(|| RecordBatch::new_empty(schema)), failures: Vec::new() }
    }

    fn accumulate(
        &self,
        states: &BinaryArray,
        groups: &[Group],
        prepared: &RecordBatch,
        _: &mut Budget,
    ) -> Folded {
        let amounts = prepared.column(0).as_primitive::<Float64Type>().values();
        let mut answers: Vec<Spending> = Vec::with_capacity(groups.len());
        let mut encoded = BinaryBuilder::new();
        let mut bytes = Vec::new();
        for group in groups {
            let index = group.state as usize;
            let mut state = match index.checked_sub(states.len()) {
                Some(answer) => answers[answer].clone(),
                None => decode(states.value(index)),
            };
            for &amount in &amounts[group.first as usize..(group.first + group.count) as usize] {
                state.payments.add(());
                state.total.add(Some(amount));
                state.mean.add(Some(amount));
                state.smallest.add(Some(amount));
                state.largest.add(Some(amount));
            }
            bytes.clear();
            state.encode(&mut bytes);
            encoded.append_value(&bytes);
            answers.push(state);
        }
        Folded { states: encoded.finish(), failures: Vec::new() }
    }

    fn finish(&self, tiles: &WindowTiles<'_>, _: &mut Budget) -> Applied {
        let states: Vec<Spending> = tiles.tiles.iter().flatten().map(decode).collect();
        let mut columns: Vec<Columns> = (0..WINDOWS).map(|_| Columns::default()).collect();
        for (windows, at) in tiles.windows.chunks(WINDOWS).zip(tiles.as_of) {
            for (run, columns) in windows.iter().zip(&mut columns) {
                let mut picks = tiles.picks[run.first as usize..(run.first + run.count) as usize].iter();
                let mut window = picks.next().map(|&pick| states[pick as usize].clone()).unwrap_or_default();
                for &pick in picks {
                    merge(&mut window, &states[pick as usize]);
                }
                columns.push(&window, Timestamp::from_micros(at.0));
            }
        }
        let schema = self.0.transform.outputs().clone();
        // All windows of one aggregator stand side by side.
        let columns: Vec<[ArrayRef; 5]> = columns.iter_mut().map(Columns::finish).collect();
        let columns =
            (0..5).flat_map(|field| columns.iter().map(move |of_window| of_window[field].clone())).collect();
        let outputs = RecordBatch::try_new(schema.clone(), columns);
        Applied { outputs: outputs.unwrap_or_else(|_| RecordBatch::new_empty(schema)), failures: Vec::new() }
    }
}

/// The features of one window.
#[derive(Default)]
struct Columns {
    payments: Int64Builder,
    totals: Float64Builder,
    means: Float64Builder,
    smallest: Float64Builder,
    largest: Float64Builder,
}

impl Columns {
    fn push(&mut self, window: &Spending, at: Timestamp) {
        self.payments.append_value(window.payments.finish(at));
        self.totals.append_value(window.total.finish(at));
        self.means.append_option(window.mean.finish(at));
        self.smallest.append_option(window.smallest.finish(at));
        self.largest.append_option(window.largest.finish(at));
    }

    fn finish(&mut self) -> [ArrayRef; 5] {
        let floats = [&mut self.totals, &mut self.means, &mut self.smallest, &mut self.largest];
        let [totals, means, smallest, largest] = floats.map(|floats| Arc::new(floats.finish()) as ArrayRef);
        [Arc::new(self.payments.finish()), totals, means, smallest, largest]
    }
}

fn merge(window: &mut Spending, later: &Spending) {
    window.payments.merge(&later.payments);
    window.total.merge(&later.total);
    window.mean.merge(&later.mean);
    window.smallest.merge(&later.smallest);
    window.largest.merge(&later.largest);
}

/// A state that does not decode becomes the empty one, and the values differ from those of the component.
fn decode(bytes: &[u8]) -> Spending {
    match bytes {
        [] => Spending::default(),
        bytes => State::decode(&mut StateReader::new(bytes)).unwrap_or_default(),
    }
}
