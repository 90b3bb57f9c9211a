//! Reading tables of rows back.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, UInt16Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Schema};
use trifold_model::canonical::is_arrow_type;
use trifold_model::{
    CanonicalRows, ComponentDigest, EntityKey, EventTime, FeatureView, FieldType, RowDigest, RowStatus,
};

use super::{RowTableError, UNAVAILABLE, column};
use crate::rows::{Outcome, Rows};

/// Rows read back from a table.
#[derive(Debug, Clone)]
pub struct ReadRows {
    /// The offset of the event, or the number of the spine's row, that each row answers.
    pub numbers: Vec<u64>,
    /// The entity of each row; without fields for an on-demand view.
    pub keys: Vec<EntityKey>,
    /// The events that asked; `None` for the rows of a spine.
    pub events: Option<ReadEvents>,
    /// The as-of time of each row.
    pub as_of: Vec<EventTime>,
    /// The registry's number of the version that computed each row.
    pub versions: Vec<Option<u64>>,
    /// The component that computed each row.
    pub components: Vec<ComponentDigest>,
    /// The rows, whose canonical bytes are those that were written.
    pub rows: Rows,
    /// The digests as written, where the table has them; `None` for unavailable rows.
    pub digests: Option<Vec<Option<RowDigest>>>,
}

/// The events of rows read back.
#[derive(Debug, Clone)]
pub struct ReadEvents {
    /// The time of each row's event.
    pub times: Vec<EventTime>,
    /// The id of each row's event.
    pub ids: StringArray,
}

/// Reads rows of a view from a batch of its table, of events or of a spine, with or without digests. Columns are
/// found by name; others are ignored.
pub fn read_rows(view: &FeatureView, batch: &RecordBatch) -> Result<ReadRows, RowTableError> {
    let table = Table { view, batch };
    let of_events = batch.column_by_name(column::OFFSET).is_some();
    let number = if of_events { column::OFFSET } else { column::SPINE_ROW };
    let versions = table.column(column::VERSION, &DataType::UInt64)?.as_primitive::<UInt64Type>();
    Ok(ReadRows {
        numbers: table.column(number, &DataType::UInt64)?.as_primitive::<UInt64Type>().values().to_vec(),
        keys: table.keys()?,
        events: of_events.then(|| table.events()).transpose()?,
        as_of: table.times(column::AS_OF)?,
        versions: versions.iter().collect(),
        components: table.components()?,
        rows: Rows::new(table.outputs()?, table.outcomes()?, BTreeMap::new()),
        digests: table.digests()?,
    })
}

struct Table<'a> {
    view: &'a FeatureView,
    batch: &'a RecordBatch,
}

impl<'a> Table<'a> {
    fn any_column(&self, name: &str) -> Result<&'a ArrayRef, RowTableError> {
        self.batch
            .column_by_name(name)
            .ok_or_else(|| RowTableError::Missing { column: name.to_owned(), view: self.view.name.to_string() })
    }

    fn column(&self, name: &str, ty: &DataType) -> Result<&'a ArrayRef, RowTableError> {
        let column = self.any_column(name)?;
        if column.data_type() == ty { Ok(column) } else { Err(wrong_type(name, column, ty.to_string())) }
    }

    /// A column of a field of the view.
    fn field(&self, name: &str, ty: FieldType) -> Result<&'a ArrayRef, RowTableError> {
        let column = self.any_column(name)?;
        if is_arrow_type(ty, column.data_type()) {
            Ok(column)
        } else {
            Err(wrong_type(name, column, ty.to_string()))
        }
    }

    fn times(&self, name: &str) -> Result<Vec<EventTime>, RowTableError> {
        let times = self.column(name, &FieldType::Timestamp.to_arrow())?;
        Ok(times.as_primitive::<TimestampMicrosecondType>().values().iter().copied().map(EventTime).collect())
    }

    fn events(&self) -> Result<ReadEvents, RowTableError> {
        let ids = self.column(column::EVENT_ID, &DataType::Utf8)?.as_string::<i32>().clone();
        Ok(ReadEvents { times: self.times(column::EVENT_TIME)?, ids })
    }

    fn keys(&self) -> Result<Vec<EntityKey>, RowTableError> {
        let key = |field: &trifold_model::Field| {
            Ok(self.field(&format!("{}{}", column::KEY_PREFIX, field.name), field.ty)?.clone())
        };
        let arrays = self.view.key_fields().iter().map(key).collect::<Result<Vec<_>, RowTableError>>()?;
        let keys = CanonicalRows::of_arrays(&arrays)?;
        let mut scratch = Vec::new();
        Ok((0..self.batch.num_rows()).map(|row| keys.key(row, &mut scratch)).collect())
    }

    fn outputs(&self) -> Result<RecordBatch, RowTableError> {
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        for output in &self.view.outputs {
            let column = self.field(output.name.as_str(), output.ty)?;
            fields.push(arrow_schema::Field::new(output.name.as_str(), column.data_type().clone(), true));
            columns.push(column.clone());
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }

    fn outcomes(&self) -> Result<Vec<Outcome>, RowTableError> {
        let names = self.column(column::STATUS, &DataType::Utf8)?.as_string::<i32>();
        let codes = self.column(column::ERROR_CODE, &DataType::UInt16)?.as_primitive::<UInt16Type>();
        let outcome = |row: usize| {
            let code = codes.is_valid(row).then(|| codes.value(row));
            match names.value(row) {
                UNAVAILABLE => Ok(Outcome::Unavailable("it was unavailable when it was written".to_owned())),
                name => RowStatus::from_parts(name, code).map(Outcome::Known).ok_or_else(|| RowTableError::Cell {
                    row,
                    column: column::STATUS,
                    found: code.map_or_else(|| name.to_owned(), |code| format!("{name} with error code {code}")),
                    expected: "a status, or an error without its code",
                }),
            }
        };
        (0..self.batch.num_rows()).map(outcome).collect()
    }

    fn components(&self) -> Result<Vec<ComponentDigest>, RowTableError> {
        let texts = self.column(column::COMPONENT, &DataType::Utf8)?.as_string::<i32>();
        let mut last: Option<(&str, ComponentDigest)> = None;
        let mut components = Vec::with_capacity(texts.len());
        for row in 0..texts.len() {
            let text = texts.value(row);
            let digest = match last {
                Some((known, digest)) if known == text => digest,
                _ => text.parse().map_err(|_| RowTableError::Cell {
                    row,
                    column: column::COMPONENT,
                    found: text.to_owned(),
                    expected: "64 hexadecimal digits",
                })?,
            };
            last = Some((text, digest));
            components.push(digest);
        }
        Ok(components)
    }

    fn digests(&self) -> Result<Option<Vec<Option<RowDigest>>>, RowTableError> {
        if self.batch.column_by_name(column::ROW_DIGEST).is_none() {
            return Ok(None);
        }
        let digests = self.column(column::ROW_DIGEST, &DataType::Binary)?.as_binary::<i32>();
        let digest = |(row, bytes): (usize, Option<&[u8]>)| {
            bytes.map(|bytes| bytes.try_into().map(RowDigest)).transpose().map_err(|_| RowTableError::Cell {
                row,
                column: column::ROW_DIGEST,
                found: format!("{} bytes", bytes.map_or(0, <[u8]>::len)),
                expected: "a digest of 16 bytes",
            })
        };
        digests.iter().enumerate().map(digest).collect::<Result<_, _>>().map(Some)
    }
}

fn wrong_type(name: &str, column: &ArrayRef, expected: String) -> RowTableError {
    RowTableError::WrongType { column: name.to_owned(), found: column.data_type().clone(), expected }
}
