//! Sample rows that two versions of a view can both be asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow_schema::ArrowError;
use arrow_select::filter::filter_record_batch;
use trifold_eventlog::{Aside, AsideReason, Events, LogError, RawBatch, decode_columns};
use trifold_model::view::{EVENT_ID, EVENT_TIME};
use trifold_model::{EventTime, FeatureView, FieldName, FieldType};

use crate::samples::synthetic_samples;

/// Where generated events lie whose view does not read their time: one a minute.
const FIRST_MICROS: i64 = 1_400_000_000_000_000;
const STEP_MICROS: i64 = 60_000_000;

/// Generated rows for two versions: inputs that both have, with the same type, have the same values. The same views,
/// seed and count give the same rows on every machine.
pub fn generated_pair(
    left: &FeatureView,
    right: &FeatureView,
    seed: u64,
    rows: usize,
) -> Result<[Events; 2], ArrowError> {
    let mut columns: BTreeMap<(FieldName, FieldType), ArrayRef> = BTreeMap::new();
    for view in [left, right] {
        let samples = synthetic_samples(view, seed, rows)?;
        for (input, column) in view.inputs.iter().zip(samples.columns()) {
            let shared = columns.entry((input.name.clone(), input.ty)).or_insert_with(|| column.clone());
            // Only values that are never null suit both where one side requires them.
            if !input.nullable && shared.null_count() > 0 {
                shared.clone_from(column);
            }
        }
    }
    let column = |name: &str, ty| {
        columns.iter().find(|((field, found), _)| *field == *name && *found == ty).map(|(_, column)| column)
    };
    let times = match column(EVENT_TIME, FieldType::Timestamp) {
        Some(times) => times.as_primitive::<TimestampMicrosecondType>().values().to_vec(),
        None => (0..rows as i64).map(|row| FIRST_MICROS + row * STEP_MICROS).collect(),
    };
    let ids = match column(EVENT_ID, FieldType::Utf8) {
        Some(ids) => ids.as_string().clone(),
        None => (0..rows).map(|row| Some(row.to_string())).collect(),
    };
    let events = |view: &FeatureView| {
        let inputs = view.inputs.iter().filter_map(|input| columns.get(&(input.name.clone(), input.ty)).cloned());
        Ok::<_, ArrowError>(Events {
            partition: 0,
            offsets: (0..rows as u64).collect(),
            times: times.iter().copied().map(EventTime).collect(),
            ids: ids.clone(),
            arrivals: None,
            inputs: RecordBatch::try_new(view.input_schema().clone(), inputs.collect())?,
            aside: Vec::new(),
        })
    };
    Ok([events(left)?, events(right)?])
}

/// The requests of an on-demand view, which stand in a file with all inputs as columns, features of other views
/// among them. They are no events: their times and ids say nothing.
pub fn request_samples(view: &FeatureView, raw: &RawBatch) -> Result<Events, LogError> {
    let wanted: Vec<_> = view.inputs.iter().map(|input| (input.name.as_str(), input.ty)).collect();
    let decoded = decode_columns(raw, &wanted)?;
    let mut bad: BTreeMap<usize, (AsideReason, String)> = BTreeMap::new();
    for (input, column) in view.inputs.iter().zip(&decoded) {
        for (row, problem) in &column.bad {
            let detail = format!("input {}: {problem}", input.name);
            bad.entry(*row).or_insert((AsideReason::Decode, detail));
        }
        for row in (0..raw.rows()).filter(|&row| !input.nullable && column.array.is_null(row)) {
            let detail = format!("input {} is missing or null", input.name);
            bad.entry(row).or_insert((AsideReason::NullInput, detail));
        }
    }
    let offsets: Vec<u64> =
        (0..raw.rows()).filter(|row| !bad.contains_key(row)).map(|row| raw.offset(row)).collect();
    let keep: BooleanArray = (0..raw.rows()).map(|row| Some(!bad.contains_key(&row))).collect();
    let columns = decoded.into_iter().map(|column| column.array);
    let inputs = filtered(view, columns.collect(), &keep).map_err(|source| LogError::Column {
        file: raw.file.to_path_buf(),
        column: "(all)".to_owned(),
        source,
    })?;
    let aside = |(row, (reason, detail))| Aside {
        partition: raw.partition,
        offset: raw.offset(row),
        reason,
        detail,
        event: String::new(),
    };
    Ok(Events {
        partition: raw.partition,
        times: vec![EventTime(0); offsets.len()],
        ids: StringArray::from(vec![""; offsets.len()]),
        offsets,
        arrivals: None,
        inputs,
        aside: bad.into_iter().map(aside).collect(),
    })
}

/// The rows to keep, in the schema of the view's inputs, which may not be null where others are.
fn filtered(view: &FeatureView, columns: Vec<ArrayRef>, keep: &BooleanArray) -> Result<RecordBatch, ArrowError> {
    let schema = view.input_schema();
    let fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let all = RecordBatch::try_new(Arc::new(arrow_schema::Schema::new(fields)), columns)?;
    RecordBatch::try_new(schema.clone(), filter_record_batch(&all, keep)?.columns().to_vec())
}
