//! Values as clients of ids take them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_types::value::Kind;
use prost_types::{ListValue, Value};

use crate::api::Column;
use crate::api::column::Values;

/// The values of a column, one for each row.
pub(super) fn values(column: &Column) -> Vec<Value> {
    let mut values: Vec<Value> = match &column.values {
        None => Vec::new(),
        Some(Values::Bools(it)) => it.values.iter().map(|&it| value(Kind::BoolValue(it))).collect(),
        Some(Values::Int64s(it) | Values::Timestamps(it)) => it.values.iter().map(|&it| integer(it)).collect(),
        Some(Values::Float64s(it)) => it.values.iter().map(|&it| number(it)).collect(),
        Some(Values::Float32s(it)) => it.values.iter().map(|&it| number(it.into())).collect(),
        Some(Values::Texts(it)) => it.values.iter().map(|it| text(it)).collect(),
        Some(Values::Binaries(it)) => it.values.iter().map(|it| text(&STANDARD.encode(it))).collect(),
        Some(Values::Float32Lists(it)) => lists(&it.lengths, &it.items, |&it| number(it.into())),
        Some(Values::Float64Lists(it)) => lists(&it.lengths, &it.items, |&it| number(it)),
        Some(Values::Int64Lists(it)) => lists(&it.lengths, &it.items, |&it| integer(it)),
        Some(Values::TextLists(it)) => lists(&it.lengths, &it.items, |it| text(it)),
    };
    for &row in &column.null_rows {
        if let Some(value) = values.get_mut(row as usize) {
            *value = null();
        }
    }
    values
}

fn null() -> Value {
    value(Kind::NullValue(0))
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn number(number: f64) -> Value {
    value(Kind::NumberValue(number))
}

fn text(text: &str) -> Value {
    value(Kind::StringValue(text.to_owned()))
}

/// A number where a double is that very integer, and otherwise its text.
fn integer(integer: i64) -> Value {
    let double = integer as f64;
    // In 128 bits, since 2^63 would come back as the largest of 64.
    if double as i128 == i128::from(integer) { number(double) } else { text(&integer.to_string()) }
}

fn lists<T>(lengths: &[u32], items: &[T], each: impl Fn(&T) -> Value) -> Vec<Value> {
    let mut items = items.iter();
    let list = |&length: &u32| {
        let values = items.by_ref().take(length as usize).map(&each).collect();
        value(Kind::ListValue(ListValue { values }))
    };
    lengths.iter().map(list).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_that_no_double_is_are_texts() {
        for exact in [0, -1, (1 << 53), 1 << 62, i64::MIN, (1 << 53) + 2] {
            assert_eq!(integer(exact), number(exact as f64), "{exact}");
        }
        for other in [(1 << 53) + 1, i64::MAX, i64::MIN + 1, -(1 << 53) - 1] {
            assert_eq!(integer(other), text(&other.to_string()), "{other}");
        }
    }
}
