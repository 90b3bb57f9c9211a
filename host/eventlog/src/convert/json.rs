//! Conversion of JSON values. Numbers are read from their text, so that a float rounds once.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, Float32Builder, Float64Builder, Int64Builder, ListBuilder, StringBuilder,
};
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_schema::Field;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use trifold_model::canonical::NAN_64;
use trifold_model::{FieldType, ItemType};

use super::numbers::{NOT_A_FLOAT32, NOT_A_FLOAT64, NOT_AN_INT64, float32, float64};
use super::{Cell, Converted, booleans, primitive, settle, shown};
use crate::json_rows::TWICE;
use crate::time;

/// Converts one value of each row, given as JSON text; `None` where the row has none.
pub(crate) fn convert(cells: &[Option<&str>], ty: FieldType) -> Converted {
    match ty {
        FieldType::Bool => booleans(each(cells, bool)),
        FieldType::Int64 => primitive::<Int64Type>(&ty.to_arrow(), each(cells, int64)),
        FieldType::Timestamp => primitive::<TimestampMicrosecondType>(&ty.to_arrow(), each(cells, timestamp)),
        FieldType::Float64 => primitive::<Float64Type>(&ty.to_arrow(), each(cells, double)),
        FieldType::Float32 => primitive::<Float32Type>(&ty.to_arrow(), each(cells, single)),
        FieldType::Utf8 => texts(cells),
        FieldType::Binary => binaries(cells),
        FieldType::List(item) => match item {
            ItemType::Float32 => list(cells, item, Float32Builder::new(), single, Float32Builder::append_value),
            ItemType::Float64 => list(cells, item, Float64Builder::new(), double, Float64Builder::append_value),
            ItemType::Int64 => list(cells, item, Int64Builder::new(), int64, Int64Builder::append_value),
            ItemType::Utf8 => {
                list(cells, item, StringBuilder::new(), text, |items, text| items.append_value(text))
            }
        },
    }
}

fn each<'a, T>(
    cells: &[Option<&'a str>],
    parse: impl Fn(&'a str) -> Result<T, String>,
) -> impl Iterator<Item = Cell<T>> {
    cells.iter().map(move |cell| match *cell {
        None | Some("null") => Ok(None),
        Some(TWICE) => Err("its key stands twice".to_owned()),
        Some(json) => parse(json).map(Some),
    })
}

fn texts(cells: &[Option<&str>]) -> Converted {
    let (mut bad, mut values) = (Vec::new(), StringBuilder::new());
    for (row, cell) in each(cells, text).enumerate() {
        values.append_option(settle(row, cell, &mut bad));
    }
    Converted { array: Arc::new(values.finish()), bad }
}

fn binaries(cells: &[Option<&str>]) -> Converted {
    let (mut bad, mut values) = (Vec::new(), BinaryBuilder::new());
    for (row, cell) in each(cells, bytes).enumerate() {
        values.append_option(settle(row, cell, &mut bad));
    }
    Converted { array: Arc::new(values.finish()), bad }
}

fn list<'a, B: ArrayBuilder, T>(
    cells: &[Option<&'a str>],
    item: ItemType,
    items: B,
    parse: impl Fn(&'a str) -> Result<T, String>,
    append: impl Fn(&mut B, T),
) -> Converted {
    let mut bad = Vec::new();
    let mut lists = ListBuilder::new(items).with_field(Field::new("item", item.to_arrow(), false));
    for (row, cell) in each(cells, |json| array(json, &parse)).enumerate() {
        let values = settle(row, cell, &mut bad);
        let present = values.is_some();
        for value in values.into_iter().flatten() {
            append(lists.values(), value);
        }
        lists.append(present);
    }
    Converted { array: Arc::new(lists.finish()), bad }
}

fn array<'a, T>(json: &'a str, parse: impl Fn(&'a str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| no(json, "array"))?;
    let parse_item = |(index, item): (usize, &'a RawValue)| match item.get() {
        "null" => Err(format!("item {index} is null")),
        json => parse(json).map_err(|problem| format!("item {index}: {problem}")),
    };
    items.into_iter().enumerate().map(parse_item).collect()
}

fn no(json: &str, what: &str) -> String {
    format!("{} is no {what}", shown(json))
}

fn bool(json: &str) -> Result<bool, String> {
    match json {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(no(json, "bool")),
    }
}

/// The text of a number, or `None` for another value.
fn number(json: &str) -> Option<&str> {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit()).then_some(json)
}

pub(crate) fn int64(json: &str) -> Result<i64, String> {
    let number = number(json).ok_or_else(|| no(json, "number"))?;
    number.parse().ok().or_else(|| whole(number)).ok_or_else(|| format!("{} {NOT_AN_INT64}", shown(json)))
}

/// The integer that a number with a fraction or an exponent is.
fn whole(number: &str) -> Option<i64> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or((1, mantissa), |rest| (-1, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let shift = (digits.len() - significant.len()) as i64 - fraction.len() as i64;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let exponent = exponent.parse::<i64>().ok()?.checked_add(shift)?;
    // 19 digits reach beyond int64, so that nothing is missed and nothing overflows.
    if exponent < 0 || significant.len() as i64 > 19 - exponent.min(19) {
        return None;
    }
    let power = 10_i128.pow(u32::try_from(exponent).ok()?);
    i64::try_from(sign * significant.parse::<i128>().ok()? * power).ok()
}

fn double(json: &str) -> Result<f64, String> {
    let Some(text) = number(json) else {
        return special(json).ok_or_else(|| no(json, "number"));
    };
    let exact = integer(text).is_none_or(|value| value.and_then(float64).is_some());
    let value = text.parse().ok().filter(|value: &f64| value.is_finite() && exact);
    value.ok_or_else(|| format!("{} {NOT_A_FLOAT64}", shown(json)))
}

fn single(json: &str) -> Result<f32, String> {
    let Some(text) = number(json) else {
        return special(json).map(|value| value as f32).ok_or_else(|| no(json, "number"));
    };
    let exact = integer(text).is_none_or(|value| value.and_then(float32).is_some());
    let value = text.parse().ok().filter(|value: &f32| value.is_finite() && exact);
    value.ok_or_else(|| format!("{} {NOT_A_FLOAT32}", shown(json)))
}

/// The integer that a number without point and exponent is, `Some(None)` where it is too long to tell. Such
/// numbers are integers of their source, and must be exact; all others are rounded.
fn integer(number: &str) -> Option<Option<i128>> {
    (!number.contains(['.', 'e', 'E'])).then(|| number.parse().ok())
}

fn special(json: &str) -> Option<f64> {
    match json {
        "\"NaN\"" => Some(f64::from_bits(NAN_64)),
        "\"Infinity\"" => Some(f64::INFINITY),
        "\"-Infinity\"" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn text(json: &str) -> Result<Cow<'_, str>, String> {
    let inner =
        json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).ok_or_else(|| no(json, "string"))?;
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(json).map(Cow::Owned).map_err(|_| format!("{} is not UTF-8", shown(json)))
}

fn bytes(json: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text(json)?.as_bytes()).map_err(|error| format!("{} is no base64 ({error})", shown(json)))
}

pub(crate) fn timestamp(json: &str) -> Result<i64, String> {
    if number(json).is_some() {
        return int64(json);
    }
    time::parse(&text(json)?).map_err(|problem| format!("{} {problem}", shown(json)))
}
