//! From a request to the views, features and entity keys that it asks for.

use std::collections::BTreeSet;

use arrow_array::{Array, ArrayRef};
use tonic::Status;
use trifold_model::{CanonicalRows, EntityKey, Field, ViewName};
use trifold_pipeline::{LiveVersion, LiveViews};

use crate::api::{Column, GetFeaturesRequest};
use crate::columns::{self, ColumnError};

/// One view of a request.
pub(crate) struct AskedView {
    /// The version that answers.
    pub(crate) version: LiveVersion,
    /// The outputs asked for, as places in the view's schema, in the order of the request.
    pub(crate) outputs: Vec<usize>,
    /// One key for each row.
    pub(crate) keys: Vec<EntityKey>,
}

/// Checks a request against the versions in force.
pub(crate) fn parse(
    request: &GetFeaturesRequest,
    live: &LiveViews,
    rows_max: usize,
) -> Result<Vec<AskedView>, Status> {
    let mut asked = features(&request.features, live)?;
    let rows = row_count(&request.entities, rows_max)?;
    let mut used = BTreeSet::new();
    for view in &mut asked {
        view.keys = keys(view, &request.entities, rows, &mut used)?;
    }
    match request.entities.iter().find(|column| !used.contains(&column.name)) {
        Some(column) => Err(Status::invalid_argument(format!(
            "entity column `{}` is a key field of no asked view; leave it out",
            column.name
        ))),
        None => Ok(asked),
    }
}

fn features(names: &[String], live: &LiveViews) -> Result<Vec<AskedView>, Status> {
    if names.is_empty() {
        return Err(Status::invalid_argument("no features are asked for: name `view` or `view.feature`"));
    }
    let mut asked: Vec<AskedView> = Vec::new();
    for name in names {
        let (view, feature) = name.split_once('.').map_or((name.as_str(), None), |(view, f)| (view, Some(f)));
        let version = version(view, live)?;
        let place = match asked.iter().position(|asked| asked.version.view().name == *view) {
            Some(place) => place,
            None => {
                asked.push(AskedView { version: version.clone(), outputs: Vec::new(), keys: Vec::new() });
                asked.len() - 1
            }
        };
        for output in outputs(version, feature)? {
            if !asked[place].outputs.contains(&output) {
                asked[place].outputs.push(output);
            }
        }
    }
    Ok(asked)
}

fn version<'a>(view: &str, live: &'a LiveViews) -> Result<&'a LiveVersion, Status> {
    let name: Option<ViewName> = view.parse().ok();
    name.and_then(|name| live.views.get(&name)).ok_or_else(|| {
        let known = live.views.keys().map(ViewName::as_str).collect::<Vec<_>>();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Status::not_found(format!("no view `{view}` is in force; views in force: {known}"))
    })
}

fn outputs(version: &LiveVersion, feature: Option<&str>) -> Result<Vec<usize>, Status> {
    let outputs = &version.view().outputs;
    let Some(feature) = feature else { return Ok((0..outputs.len()).collect()) };
    match outputs.iter().position(|output| output.name == *feature) {
        Some(output) => Ok(vec![output]),
        None => {
            let known = outputs.iter().map(|output| output.name.as_str()).collect::<Vec<_>>().join(", ");
            let view = &version.view().name;
            Err(Status::not_found(format!("view {view} has no feature `{feature}`; it has {known}")))
        }
    }
}

fn row_count(entities: &[Column], rows_max: usize) -> Result<usize, Status> {
    let Some(first) = entities.first() else {
        return Err(Status::invalid_argument("no entities are given: send the key fields as columns"));
    };
    if let Some(column) = entities.iter().find(|column| column.values.is_none()) {
        let error = ColumnError::NoValues { column: column.name.clone() };
        return Err(Status::invalid_argument(error.to_string()));
    }
    let rows = columns::row_count(first);
    if rows == 0 {
        return Err(Status::invalid_argument(format!("entity column `{}` has no rows", first.name)));
    }
    if rows > rows_max {
        return Err(Status::resource_exhausted(format!(
            "the request asks for {rows} rows, this server takes {rows_max}; split it"
        )));
    }
    for (place, column) in entities.iter().enumerate() {
        if columns::row_count(column) != rows {
            let (name, count) = (&column.name, columns::row_count(column));
            return Err(Status::invalid_argument(format!(
                "entity column `{name}` has {count} rows and `{}` has {rows}",
                first.name
            )));
        }
        if entities[..place].iter().any(|other| other.name == column.name) {
            return Err(Status::invalid_argument(format!("entity column `{}` is given twice", column.name)));
        }
    }
    Ok(rows)
}

fn keys(
    asked: &AskedView,
    entities: &[Column],
    rows: usize,
    used: &mut BTreeSet<String>,
) -> Result<Vec<EntityKey>, Status> {
    let view = asked.version.view();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for field in view.key_fields() {
        let column = entities.iter().find(|column| field.name == *column.name.as_str()).ok_or_else(|| {
            let keys = view.entity.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ");
            Status::invalid_argument(format!(
                "view {} needs the entity columns {keys}; `{}` is missing",
                view.name, field.name
            ))
        })?;
        arrays.push(key_column(column, field).map_err(|error| Status::invalid_argument(error.to_string()))?);
        used.insert(column.name.clone());
    }
    let canonical = CanonicalRows::of_arrays(&arrays).map_err(|error| Status::internal(error.to_string()))?;
    let mut scratch = Vec::new();
    Ok((0..rows).map(|row| canonical.key(row, &mut scratch)).collect())
}

fn key_column(column: &Column, field: &Field) -> Result<ArrayRef, ColumnError> {
    let name = || column.name.clone();
    match columns::field_type(column) {
        None => Err(ColumnError::NoValues { column: name() }),
        Some(found) if found != field.ty => Err(ColumnError::Type { column: name(), found, expected: field.ty }),
        Some(_) => {
            let array = columns::from_message(column)?;
            match (0..array.len()).find(|&row| array.is_null(row)) {
                Some(row) => Err(ColumnError::Shape {
                    column: name(),
                    problem: format!("row {row} is null, and a key field may not be"),
                }),
                None => Ok(array),
            }
        }
    }
}
