//! The columns of a spine that are carried through to the rows.
//!
//! Those of a Parquet file keep their types. Those of JSON lines get the narrowest of bool, int64, float64 and
//! utf8 that holds all their values; where there is none (lists, objects, a mixture), a value is carried as its
//! JSON text.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, FieldRef};
use serde_json::Value;
use trifold_eventlog::{RawBatch, RawRows, decode_columns};
use trifold_model::FieldType;

use crate::error::BackfillError;

/// Rows of JSON lines are looked at in batches of this many.
pub(crate) const LOOK_ROWS: usize = 4096;

/// The columns carried, in the file's order or, for JSON lines, in the order of their first appearance.
#[derive(Default)]
pub(crate) struct Carried {
    columns: Vec<Column>,
    places: BTreeMap<String, usize>,
}

struct Column {
    name: String,
    kind: Kind,
}

/// What is known of a column's values.
#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Arrow(DataType),
    Unknown,
    Json(FieldType),
    /// Values of several kinds.
    Mixed,
}

impl Carried {
    /// Looks at a batch. Whether further batches of its file can tell more.
    pub(crate) fn look(&mut self, raw: &RawBatch, taken: &[String]) -> Result<bool, BackfillError> {
        match &raw.rows {
            RawRows::Columns { file_schema, .. } => {
                for field in file_schema.fields().iter().filter(|field| !taken.contains(field.name())) {
                    let kind = Kind::Arrow(field.data_type().clone());
                    self.see(field.name(), kind, raw)?;
                }
                Ok(false)
            }
            RawRows::Lines(lines) => {
                for line in lines.iter() {
                    // A line that is no object is reported when it is asked.
                    let Ok(Value::Object(object)) = serde_json::from_slice(line) else { continue };
                    for (name, value) in object.iter().filter(|(name, _)| !taken.contains(name)) {
                        self.see(name, kind(value), raw)?;
                    }
                }
                Ok(true)
            }
        }
    }

    fn see(&mut self, name: &str, kind: Kind, raw: &RawBatch) -> Result<(), BackfillError> {
        let place = *self.places.entry(name.to_owned()).or_insert_with(|| {
            self.columns.push(Column { name: name.to_owned(), kind: kind.clone() });
            self.columns.len() - 1
        });
        let known = &mut self.columns[place].kind;
        *known = match (&*known, kind) {
            (known, kind) if *known == kind => return Ok(()),
            (Kind::Unknown, kind @ (Kind::Json(_) | Kind::Mixed)) => kind,
            (Kind::Json(_) | Kind::Mixed, Kind::Unknown) => return Ok(()),
            (Kind::Json(FieldType::Int64), Kind::Json(FieldType::Float64))
            | (Kind::Json(FieldType::Float64), Kind::Json(FieldType::Int64)) => Kind::Json(FieldType::Float64),
            (Kind::Json(_) | Kind::Mixed, Kind::Json(_) | Kind::Mixed) => Kind::Mixed,
            _ => return Err(mixed(raw, name)),
        };
        Ok(())
    }

    /// The columns as fields.
    pub(crate) fn fields(&self) -> Vec<FieldRef> {
        self.columns.iter().map(|column| Arc::new(Field::new(&column.name, column.kind.arrow(), true))).collect()
    }

    /// The columns of a batch.
    pub(crate) fn columns(&self, raw: &RawBatch) -> Result<Vec<ArrayRef>, BackfillError> {
        let column = |column: &Column| match (&raw.rows, &column.kind) {
            (RawRows::Columns { batch, .. }, Kind::Arrow(ty)) => as_written(raw, batch, &column.name, ty),
            (RawRows::Lines(_), Kind::Json(ty)) => typed(raw, &column.name, *ty),
            (RawRows::Lines(lines), _) => Ok(Arc::new(texts(lines.iter(), &column.name)) as ArrayRef),
            (RawRows::Columns { .. }, _) => Err(mixed(raw, &column.name)),
        };
        self.columns.iter().map(column).collect()
    }
}

impl Kind {
    fn arrow(&self) -> DataType {
        match self {
            Kind::Arrow(ty) => ty.clone(),
            Kind::Json(ty) => ty.to_arrow(),
            Kind::Unknown | Kind::Mixed => DataType::Utf8,
        }
    }
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Unknown,
        Value::Bool(_) => Kind::Json(FieldType::Bool),
        Value::Number(number) if number.is_i64() => Kind::Json(FieldType::Int64),
        Value::Number(number) if number.is_f64() => Kind::Json(FieldType::Float64),
        Value::String(_) => Kind::Json(FieldType::Utf8),
        _ => Kind::Mixed,
    }
}

fn mixed(raw: &RawBatch, name: &str) -> BackfillError {
    let problem = format!("column {name} has another type than in other files of the spine");
    BackfillError::SpineFile { file: raw.file.to_path_buf(), problem }
}

/// A column of a Parquet file with the type that the file gives it: text is read as bytes.
fn as_written(raw: &RawBatch, batch: &RecordBatch, name: &str, ty: &DataType) -> Result<ArrayRef, BackfillError> {
    let failed = |problem| BackfillError::SpineFile { file: raw.file.to_path_buf(), problem };
    let column = batch.column_by_name(name).ok_or_else(|| failed(format!("it has no column {name}")))?;
    if column.data_type() == ty {
        return Ok(column.clone());
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, ty, &options).map_err(|error| failed(format!("column {name}: {error}")))
}

fn typed(raw: &RawBatch, name: &str, ty: FieldType) -> Result<ArrayRef, BackfillError> {
    let column = decode_columns(raw, &[(name, ty)])?.into_iter().next();
    let column = column.ok_or_else(|| BackfillError::Internal(format!("column {name} was not decoded")))?;
    match column.bad.into_iter().next() {
        None => Ok(column.array),
        Some((row, problem)) => Err(BackfillError::SpineRow {
            file: raw.file.to_path_buf(),
            row: raw.first_offset + row as u64,
            column: name.to_owned(),
            problem,
        }),
    }
}

fn texts<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &str) -> StringArray {
    let text = |line| {
        let Ok(Value::Object(mut object)) = serde_json::from_slice(line) else { return None };
        object.remove(name).filter(|value| !value.is_null()).map(|value| value.to_string())
    };
    lines.map(text).collect()
}
