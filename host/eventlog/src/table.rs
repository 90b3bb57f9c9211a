//! The columns of a raw batch, by name, in whichever shape it has.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{RecordBatch, TimestampMicrosecondArray};
use arrow_schema::SchemaRef;
use trifold_model::FieldType;
use trifold_model::types::UTC;

use crate::LogError;
use crate::convert::{Converted, Unconvertible, columns, json};
use crate::json_rows::{JsonRows, line_text};
use crate::json_text::{JsonObjects, write_text};
use crate::raw::{APPEND_TIME, RawBatch, RawRows};

/// A raw batch whose columns can be asked for.
pub(crate) struct Table<'a> {
    raw: &'a RawBatch,
    rows: Rows<'a>,
}

enum Rows<'a> {
    Columns(&'a RecordBatch, &'a SchemaRef),
    Lines(JsonRows<'a>),
}

impl<'a> Table<'a> {
    /// Prepares the columns named.
    pub(crate) fn new(raw: &'a RawBatch, names: BTreeSet<&'a str>) -> Self {
        let rows = match &raw.rows {
            RawRows::Columns { batch, file_schema } => Rows::Columns(batch, file_schema),
            RawRows::Lines(lines) => Rows::Lines(JsonRows::parse(lines, names, raw.bad())),
        };
        Table { raw, rows }
    }

    /// The rows that cannot be read at all, ascending, each with what is wrong.
    pub(crate) fn bad_rows(&self) -> &[(usize, String)] {
        match &self.rows {
            Rows::Columns(..) => &[],
            Rows::Lines(rows) => &rows.bad,
        }
    }

    /// Whether a row lacks the column altogether, as only a JSON line can.
    pub(crate) fn lacks(&self, name: &str, row: usize) -> bool {
        match &self.rows {
            Rows::Columns(..) => false,
            Rows::Lines(rows) => rows.column(name).get(row).is_none_or(Option::is_none),
        }
    }

    /// A column as values of a contract type. `field` is what needs it, for messages.
    pub(crate) fn column(&self, name: &str, ty: FieldType, field: &str) -> Result<Converted, LogError> {
        let (batch, schema) = match &self.rows {
            Rows::Lines(_) if name == APPEND_TIME => return Ok(self.append_times()),
            Rows::Lines(rows) => return Ok(json::convert(rows.column(name), ty)),
            Rows::Columns(batch, schema) => (batch, schema),
        };
        let Some(array) = batch.column_by_name(name) else {
            return Err(self.absent(schema, name, ty, field));
        };
        if batch.schema().fields().iter().filter(|field| field.name() == name).count() > 1 {
            return Err(LogError::AmbiguousColumn { file: self.file(), column: name.to_owned() });
        }
        columns::convert(array, ty).map_err(|problem| match problem {
            Unconvertible::Arrow(source) => {
                LogError::Column { file: self.file(), column: name.to_owned(), source }
            }
            Unconvertible::Type => LogError::ColumnType {
                file: self.file(),
                column: name.to_owned(),
                field: field.to_owned(),
                found: schema
                    .field_with_name(name)
                    .map_or_else(|_| array.data_type().clone(), |field| field.data_type().clone()),
                wanted: ty,
            },
        })
    }

    /// What the log says of its rows; null where it says nothing.
    fn append_times(&self) -> Converted {
        let times = match self.raw.append_times() {
            Some(times) => times.iter().copied().collect(),
            None => TimestampMicrosecondArray::new_null(self.raw.rows()),
        };
        Converted { array: Arc::new(times.with_timezone(UTC)), bad: Vec::new() }
    }

    fn absent(&self, schema: &SchemaRef, name: &str, ty: FieldType, field: &str) -> LogError {
        let (file, column, field) = (self.file(), name.to_owned(), field.to_owned());
        if schema.field_with_name(name).is_ok() {
            return LogError::UnreadColumn { file, column, field };
        }
        let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
        LogError::MissingColumn { file, column, field, ty, columns }
    }

    fn file(&self) -> PathBuf {
        self.raw.file.to_path_buf()
    }
}

/// A row as JSON text: an object, or a string that holds a line that is none.
pub(crate) fn event_json(raw: &RawBatch, row: usize, is_object: bool) -> String {
    /// What is shown of a line that is no object.
    const LINE_BYTES_SHOWN: usize = 4096;
    match &raw.rows {
        RawRows::Columns { batch, file_schema } => JsonObjects::of(batch, file_schema).row(row),
        RawRows::Lines(lines) => match line_text(lines.line(row)) {
            Ok(text) if is_object => text.trim_ascii().to_owned(),
            _ => {
                let line = lines.line(row);
                let mut out = String::new();
                write_text(&String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES_SHOWN)]), &mut out);
                out
            }
        },
    }
}
