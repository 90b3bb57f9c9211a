//! Values as the text that row files and messages use, for commands that print and parse them.

use arrow_array::{Array, RecordBatch};
use trifold_model::EventTime;

use crate::{json_text, time};

/// One value in the JSON form of row files.
pub fn value_json(array: &dyn Array, row: usize) -> Result<serde_json::Value, serde_json::Error> {
    let mut text = String::new();
    json_text::write_value(array, row, &mut text);
    serde_json::from_str(&text)
}

/// One row as a JSON object, in the order of the columns.
pub fn row_json(batch: &RecordBatch, row: usize) -> String {
    json_text::row_object(batch, &batch.schema(), row)
}

/// A time written as RFC 3339 text, or as microseconds since 1970-01-01T00:00:00Z; `None` for anything else.
pub fn parse_time(text: &str) -> Option<EventTime> {
    text.parse().ok().or_else(|| time::parse(text).ok()).map(EventTime)
}
