//! Set-aside events as a table.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use crate::sink::AsideLine;

/// One row for each line, under the place where the event stood first. `event` is JSON within a string, so that a line
/// which was no JSON can stand there too.
pub(crate) fn table(partition: u32, lines: &[AsideLine]) -> Result<RecordBatch, ArrowError> {
    let text = |name| Field::new(name, DataType::Utf8, false);
    let schema = Schema::new(vec![
        Field::new("partition", DataType::UInt32, false),
        Field::new("offset", DataType::UInt64, false),
        text("reason"),
        text("detail"),
        text("event"),
    ]);
    let texts =
        |of: fn(&AsideLine) -> &str| Arc::new(StringArray::from_iter_values(lines.iter().map(of))) as ArrayRef;
    let places = || lines.iter().map(|line| line.first.unwrap_or((partition, line.offset)));
    let columns = vec![
        Arc::new(UInt32Array::from_iter_values(places().map(|(partition, _)| partition))) as ArrayRef,
        Arc::new(UInt64Array::from_iter_values(places().map(|(_, offset)| offset))),
        texts(|line| line.kind.name()),
        texts(|line| &line.detail),
        texts(|line| &line.event),
    ];
    RecordBatch::try_new(Arc::new(schema), columns)
}
