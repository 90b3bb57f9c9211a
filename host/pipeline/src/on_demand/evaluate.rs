//! From the fields of requests and the rows of the views that are read to the rows of an on-demand view.

use std::collections::BTreeMap;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::ArrowError;
use trifold_model::EventTime;
use trifold_sandbox::Budget;

use crate::on_demand::ReadView;
use crate::rows::{Outcome, Rows};
use crate::values::{Latest, values as applied};
use crate::version::LiveVersion;

/// The value of each request. `request` has the request fields by name; `read` has the rows of all views that are read,
/// one for each request. Where one of them is unavailable, so is the value; where one has no value, its features are
/// null.
pub fn values(
    version: &LiveVersion,
    request: &RecordBatch,
    read: &[(&ReadView, &Rows)],
    as_of: &[EventTime],
    budget: &mut Budget,
) -> Result<Rows, ArrowError> {
    let view = version.view();
    let mut unavailable = BTreeMap::new();
    let mut features: BTreeMap<usize, ArrayRef> = BTreeMap::new();
    for (taken, rows) in read {
        for &(input, output) in &taken.features {
            features.insert(input, rows.outputs().column(output).clone());
        }
        for (row, outcome) in rows.outcomes().iter().enumerate() {
            if let Outcome::Unavailable(reason) = outcome {
                let reason = || format!("it reads view {}, which is unavailable: {reason}", taken.view);
                unavailable.entry(row).or_insert_with(reason);
            }
        }
    }
    let missing = |name: &str| ArrowError::SchemaError(format!("view {}: no column {name} was given", view.name));
    let column = |(place, input): (usize, &trifold_model::Field)| match features.remove(&place) {
        Some(feature) => Ok(feature),
        None => request.column_by_name(input.name.as_str()).cloned().ok_or_else(|| missing(input.name.as_str())),
    };
    let columns = view.inputs.iter().enumerate().map(column).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(as_of.len()));
    let latest = Latest {
        known: None,
        inputs: Some(RecordBatch::try_new_with_options(view.input_schema().clone(), columns, &options)?),
        times: as_of.to_vec(),
        choice: (0..as_of.len()).map(|row| (!unavailable.contains_key(&row)).then_some(row as u32)).collect(),
    };
    applied(version, &latest, as_of, budget)?.without(unavailable)
}
