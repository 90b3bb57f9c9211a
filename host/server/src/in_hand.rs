//! From the events in hand of a request to those of the views that it asks for.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow_select::take::take;
use tonic::Status;
use trifold_model::view::{EVENT_ID, EVENT_TIME};
use trifold_model::{EventTime, FeatureView, Field, FieldType, OnDemandSpec, ViewName};
use trifold_pipeline::{InHand, LiveViews};

use crate::api::{Column, InHandEvents};
use crate::columns;
use crate::request::{AskedView, typed_column, version};

/// Checks events in hand against the views that a request reads. `entities` are the request's columns.
pub(crate) fn parse(
    messages: &[InHandEvents],
    views: &[AskedView],
    live: &LiveViews,
    entities: &RecordBatch,
) -> Result<BTreeMap<ViewName, InHand>, Status> {
    let mut in_hand = BTreeMap::new();
    if messages.is_empty() {
        return Ok(in_hand);
    }
    let read: BTreeSet<&ViewName> = views.iter().flat_map(|asked| reads(asked.version.view())).collect();
    for message in messages {
        let view = version(&message.view, live)?.view();
        if !read.contains(&view.name) {
            return Err(refused(view, "it is neither asked for nor read by an asked on-demand view"));
        }
        if in_hand.insert(view.name.clone(), Given { view, message, entities }.parse()?).is_some() {
            return Err(refused(view, "it is named twice"));
        }
    }
    Ok(in_hand)
}

/// The row and window views of which a view is made.
fn reads(view: &FeatureView) -> Vec<&ViewName> {
    match view.on_demand().map(OnDemandSpec::views) {
        Some(views) => views.into_iter().collect(),
        None => vec![&view.name],
    }
}

fn refused(view: &FeatureView, problem: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("events in hand of view {}: {problem}", view.name))
}

/// The events of one view as they were sent.
struct Given<'a> {
    view: &'a FeatureView,
    message: &'a InHandEvents,
    entities: &'a RecordBatch,
}

impl Given<'_> {
    fn parse(&self) -> Result<InHand, Status> {
        self.check_columns()?;
        let times = self.column(EVENT_TIME, FieldType::Timestamp)?;
        let times = times.ok_or_else(|| self.refused(format!("the column `{EVENT_TIME}` is missing")))?;
        let rows: Vec<u32> = (0..times.len()).filter(|&row| times.is_valid(row)).map(|row| row as u32).collect();
        let places = UInt32Array::from(rows.clone());
        let times = self.pick(&times, &places)?;
        let ids = self.required(EVENT_ID, FieldType::Utf8, &rows, &places)?;
        let input = |field: &Field| match field.name.as_str() {
            EVENT_TIME => Ok(times.clone()),
            EVENT_ID => Ok(ids.clone()),
            name if self.is_key(name) => match self.entities.column_by_name(name) {
                Some(key) => self.pick(key, &places),
                None => Err(self.refused(format!("the request has no column `{name}`"))),
            },
            name if !field.nullable => self.required(name, field.ty, &rows, &places),
            name => match self.column(name, field.ty)? {
                Some(column) => self.pick(&column, &places),
                None => Ok(new_null_array(&field.ty.to_arrow(), rows.len())),
            },
        };
        let inputs = self.view.inputs.iter().map(input).collect::<Result<_, _>>()?;
        let inputs = RecordBatch::try_new(self.view.input_schema().clone(), inputs);
        let micros = times.as_primitive::<TimestampMicrosecondType>().values();
        Ok(InHand {
            times: micros.iter().copied().map(EventTime).collect(),
            ids: ids.as_string().clone(),
            inputs: inputs.map_err(|error| Status::internal(error.to_string()))?,
            rows,
        })
    }

    /// Refuses columns that are not of the events, and those of another length than the request.
    fn check_columns(&self) -> Result<(), Status> {
        let rows = self.entities.num_rows();
        for (place, column) in self.message.columns.iter().enumerate() {
            let name = column.name.as_str();
            let own = [EVENT_TIME, EVENT_ID].contains(&name);
            let known = own || self.view.inputs.iter().any(|input| input.name == *name);
            let problem = if self.is_key(name) && !own {
                "is a key field, which is taken from the columns of the request; leave it out".to_owned()
            } else if !known {
                "is no field of its events; leave it out".to_owned()
            } else if self.message.columns[..place].iter().any(|other| other.name == name) {
                "is given twice".to_owned()
            } else if column.values.is_some() && columns::row_count(column) != rows {
                format!("has {} rows and the request has {rows}", columns::row_count(column))
            } else {
                continue;
            };
            return Err(self.refused(format!("column `{name}` {problem}")));
        }
        Ok(())
    }

    fn is_key(&self, name: &str) -> bool {
        self.view.key_fields().iter().any(|key| key.name == *name)
    }

    fn column(&self, name: &str, ty: FieldType) -> Result<Option<ArrayRef>, Status> {
        let column: Option<&Column> = self.message.columns.iter().find(|column| column.name == name);
        column.map(|column| typed_column(column, ty)).transpose().map_err(|error| self.refused(error))
    }

    /// The values of a field that every event has.
    fn required(&self, name: &str, ty: FieldType, rows: &[u32], places: &UInt32Array) -> Result<ArrayRef, Status> {
        let column = self.column(name, ty)?;
        let column = column.ok_or_else(|| self.refused(format!("the column `{name}` is missing")))?;
        let picked = self.pick(&column, places)?;
        match (0..picked.len()).find(|&event| picked.is_null(event)) {
            Some(event) => Err(self.refused(format!("column `{name}` is null in row {}", rows[event]))),
            None => Ok(picked),
        }
    }

    fn pick(&self, array: &ArrayRef, places: &UInt32Array) -> Result<ArrayRef, Status> {
        take(array, places, None).map_err(|error| Status::internal(error.to_string()))
    }

    fn refused(&self, problem: impl std::fmt::Display) -> Status {
        refused(self.view, problem)
    }
}
