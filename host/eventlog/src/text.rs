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

/// One row as a JSON object, in the order of the columns. [`JsonObjects`](crate::JsonObjects) is for many.
pub fn row_json(batch: &RecordBatch, row: usize) -> String {
    json_text::JsonObjects::new(batch).row(row)
}

/// A time written as RFC 3339 text, or as microseconds since 1970-01-01T00:00:00Z; `None` for anything else.
pub fn parse_time(text: &str) -> Option<EventTime> {
    text.parse().ok().or_else(|| time::parse(text).ok()).map(EventTime)
}

/// A time as text that [`parse_time`] reads: RFC 3339, or microseconds since 1970 outside the years 0 to 9999.
pub fn time_text(time: EventTime) -> String {
    time::format(time.0).unwrap_or_else(|| time.0.to_string())
}

#[cfg(test)]
mod tests {
    use arrow_array::Float64Array;

    use super::*;

    #[test]
    fn values_keep_their_bits_on_the_way_through_json() {
        let hard = [0.1, 123_456_789.012_345_68, 8.41e21, 2.225_073_858_507_201e-308, f64::MAX, -0.0];
        let array = Float64Array::from(hard.to_vec());
        for (row, value) in hard.iter().enumerate() {
            let json = value_json(&array, row).unwrap();
            assert_eq!(json.as_f64().map(f64::to_bits), Some(value.to_bits()), "{json}");
        }
    }

    #[test]
    fn times_are_text_or_microseconds() {
        assert_eq!(parse_time("1970-01-01T00:00:01Z"), Some(EventTime(1_000_000)));
        assert_eq!(parse_time("-5"), Some(EventTime(-5)));
        assert_eq!(parse_time("yesterday"), None);
        for time in [0, -1, 1_357_034_400_000_001, i64::MAX].map(EventTime) {
            assert_eq!(parse_time(&time_text(time)), Some(time));
        }
    }
}
