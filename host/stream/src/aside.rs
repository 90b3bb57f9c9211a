//! Set-aside events as a table.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use crate::sink::AsideLine;

/// One row for each line. `event` is JSON within a string, so that a line which was no JSON can stand there too. The topic
/// is there where views read different ones.
pub(crate) fn table(topic: Option<&str>, partition: u32, lines: &[AsideLine]) -> Result<RecordBatch, ArrowError> {
    let text = |name| Field::new(name, DataType::Utf8, false);
    let mut fields = topic.map(|_| text("topic")).into_iter().collect::<Vec<_>>();
    fields.extend([
        Field::new("partition", DataType::UInt32, false),
        Field::new("offset", DataType::UInt64, false),
        text("reason"),
        text("detail"),
        text("event"),
    ]);
    let texts =
        |of: fn(&AsideLine) -> &str| Arc::new(StringArray::from_iter_values(lines.iter().map(of))) as ArrayRef;
    let topics = topic.map(|topic| StringArray::from_iter_values(lines.iter().map(|_| topic)));
    let columns = topics.map(|topics| Arc::new(topics) as ArrayRef).into_iter();
    let columns = columns.chain([
        Arc::new(UInt32Array::from(vec![partition; lines.len()])) as ArrayRef,
        Arc::new(UInt64Array::from_iter_values(lines.iter().map(|line| line.offset))),
        texts(|line| line.kind.name()),
        texts(|line| &line.detail),
        texts(|line| &line.event),
    ]);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.collect())
}
