//! From a request to the views, features and columns that it asks for.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use tonic::Status;
use trifold_model::{FeatureView, Field, FieldType, OnDemandSpec, ViewName, canonical_nans};
use trifold_pipeline::{InHand, LiveVersion, LiveViews};

use crate::api::{Column, GetFeaturesRequest};
use crate::columns::{self, ColumnError};
use crate::in_hand;
use crate::server::ServerConfig;

/// What a request asks for.
pub(crate) struct Asked {
    /// The views, in the order in which the request first names them.
    pub(crate) views: Vec<AskedView>,
    /// The key and request fields of the views, by name.
    pub(crate) columns: RecordBatch,
    /// Events in hand, by view.
    pub(crate) in_hand: BTreeMap<ViewName, InHand>,
}

/// One view of a request.
pub(crate) struct AskedView {
    /// The version that answers.
    pub(crate) version: LiveVersion,
    /// The outputs asked for, as places in the view's schema, in the order of the request.
    pub(crate) outputs: Vec<usize>,
}

/// The views that a request asks for, if it is no larger than it may be. This looks at no value.
pub(crate) fn views(
    request: &GetFeaturesRequest,
    live: &LiveViews,
    config: &ServerConfig,
) -> Result<Vec<AskedView>, Status> {
    let views = features(&request.features, live)?;
    let rows = row_count(&request.entities, config.rows_max)?;
    let features: usize = views.iter().map(|view| view.outputs.len()).sum();
    let (cells, most) = (rows.saturating_mul(features), config.cells_max);
    if cells > most {
        return Err(Status::resource_exhausted(format!(
            "the request asks for {cells} values, {features} of each of {rows} rows, this server takes {most}; split it, or \
             raise `cells-max` of the server"
        )));
    }
    Ok(views)
}

/// Every view of which rows are computed for views that are asked for, each once.
pub(crate) fn computed(views: &[AskedView]) -> Vec<ViewName> {
    let views = views.iter().map(|asked| asked.version.view());
    let mut names: Vec<ViewName> = views
        .flat_map(|view| {
            let read = view.on_demand().into_iter().flat_map(OnDemandSpec::views);
            [&view.name].into_iter().chain(read).cloned()
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Checks a request for some views.
pub(crate) fn parse(
    request: &GetFeaturesRequest,
    views: Vec<AskedView>,
    live: &LiveViews,
) -> Result<Asked, Status> {
    let rows = request.entities.first().map_or(0, columns::row_count);
    let mut given = BTreeMap::new();
    for asked in &views {
        let view = asked.version.view();
        for field in view.key_fields().iter().chain(view.request_fields()) {
            let array = match request.entities.iter().find(|column| field.name == *column.name.as_str()) {
                Some(column) => field_column(column, field),
                None if field.nullable => continue,
                None => return Err(missing(view, field)),
            };
            let array = array.map_err(|error| Status::invalid_argument(error.to_string()))?;
            given.insert(field.name.as_str(), array);
        }
    }
    if let Some(column) = request.entities.iter().find(|column| !given.contains_key(column.name.as_str())) {
        return Err(Status::invalid_argument(format!(
            "column `{}` is no key field and no request field of an asked view; leave it out",
            column.name
        )));
    }
    // Those left out are null for every view that takes them.
    let fields = views.iter().flat_map(|asked| asked.version.view().request_fields());
    for field in fields {
        given.entry(field.name.as_str()).or_insert_with(|| new_null_array(&field.ty.to_arrow(), rows));
    }
    let columns = given.into_iter().map(|(name, array)| (name, array, true));
    let columns =
        RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| Status::internal(error.to_string()))?;
    let in_hand = in_hand::parse(&request.in_hand, &views, live, &columns)?;
    Ok(Asked { views, columns, in_hand })
}

fn missing(view: &FeatureView, field: &Field) -> Status {
    let (what, fields): (_, Vec<_>) = match view.on_demand() {
        Some(_) => ("request", view.request_fields().collect()),
        None => ("entity", view.key_fields().iter().collect()),
    };
    let fields = fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
    Status::invalid_argument(format!(
        "view {} needs the {what} columns {fields}; `{}` is missing",
        view.name, field.name
    ))
}

pub(crate) fn features(names: &[String], live: &LiveViews) -> Result<Vec<AskedView>, Status> {
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
                asked.push(AskedView { version: version.clone(), outputs: Vec::new() });
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

/// The version in force of a view.
pub(crate) fn version<'a>(view: &str, live: &'a LiveViews) -> Result<&'a LiveVersion, Status> {
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

/// What a request of too many rows is told.
pub(crate) fn too_many_rows(rows: usize, rows_max: usize) -> Status {
    Status::resource_exhausted(format!(
        "the request asks for {rows} rows, this server takes {rows_max}; split it, or raise `rows-max` of the server"
    ))
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
        return Err(too_many_rows(rows, rows_max));
    }
    let mut names = BTreeSet::new();
    for column in entities {
        if columns::row_count(column) != rows {
            let (name, count) = (&column.name, columns::row_count(column));
            return Err(Status::invalid_argument(format!(
                "entity column `{name}` has {count} rows and `{}` has {rows}",
                first.name
            )));
        }
        if !names.insert(column.name.as_str()) {
            return Err(Status::invalid_argument(format!("entity column `{}` is given twice", column.name)));
        }
    }
    Ok(rows)
}

/// A column as the values of a field.
pub(crate) fn field_column(column: &Column, field: &Field) -> Result<ArrayRef, ColumnError> {
    let array = typed_column(column, field.ty)?;
    match (0..array.len()).find(|&row| array.is_null(row) && !field.nullable) {
        Some(row) => Err(ColumnError::Shape {
            column: column.name.clone(),
            problem: format!("row {row} is null, and the field may not be"),
        }),
        None => Ok(array),
    }
}

/// A column of a type, its NaNs canonical.
pub(crate) fn typed_column(column: &Column, expected: FieldType) -> Result<ArrayRef, ColumnError> {
    let name = || column.name.clone();
    match columns::field_type(column) {
        None => Err(ColumnError::NoValues { column: name() }),
        Some(found) if found != expected => Err(ColumnError::Type { column: name(), found, expected }),
        Some(_) => Ok(canonical_nans(columns::from_message(column)?)),
    }
}
