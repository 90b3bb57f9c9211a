//! Defaults of fields that the writer does not have.
//!
//! A default stands in the schema as JSON of Avro's own kind, in which bytes are texts of the characters 0 to 255. It is
//! put into Avro's binary encoding, and from there it takes the way that every value takes.

use apache_avro::Schema;
use serde_json::Value;

use super::names::Names;
use super::resolve;
use crate::limits::DEPTH_MAX;

/// Appends the text of a default.
pub(super) fn write<'s>(
    json: &Value,
    schema: &'s Schema,
    names: &Names<'s>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let mut bytes = Vec::new();
    encode(json, schema, names, 0, &mut bytes)?;
    let plan = resolve::plan(schema, names, None)?;
    super::decode(&plan, &bytes, out).map_err(|bad| crate::ValueError::from(bad).to_string())
}

fn encode<'s>(
    json: &Value,
    schema: &'s Schema,
    names: &Names<'s>,
    depth: u32,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    // The default of a record's field may be that record again.
    if depth == DEPTH_MAX {
        return Err(format!("is nested more than {DEPTH_MAX} levels deep"));
    }
    let depth = depth + 1;
    let no = || format!("is {json}, which is no {}", super::leaf::named(schema));
    match (names.follow(schema)?, json) {
        (Schema::Union(union), _) => {
            for (index, member) in union.variants().iter().enumerate() {
                let begin = out.len();
                long(index as i64, out);
                if encode(json, member, names, depth, out).is_ok() {
                    return Ok(());
                }
                out.truncate(begin);
            }
            return Err(no());
        }
        (Schema::Record(record), Value::Object(given)) => {
            for field in &record.fields {
                let value = given.get(&field.name).or(field.default.as_ref()).ok_or_else(no)?;
                encode(value, &field.schema, names, depth, out)?;
            }
        }
        (Schema::Array(array), Value::Array(items)) => {
            for item in items {
                long(1, out);
                encode(item, &array.items, names, depth, out)?;
            }
            long(0, out);
        }
        (Schema::Map(map), Value::Object(entries)) => {
            for (key, value) in entries {
                long(1, out);
                counted(key.as_bytes(), out);
                encode(value, &map.types, names, depth, out)?;
            }
            long(0, out);
        }
        (Schema::Enum(symbols), Value::String(symbol)) => {
            let index = symbols.symbols.iter().position(|known| known == symbol).ok_or_else(no)?;
            long(index as i64, out);
        }
        (leaf, _) => encode_leaf(json, leaf, out).ok_or_else(no)?,
    }
    Ok(())
}

fn encode_leaf(json: &Value, schema: &Schema, out: &mut Vec<u8>) -> Option<()> {
    use apache_avro::schema::{InnerDecimalSchema, UuidSchema};
    match schema {
        Schema::Null => json.as_null()?,
        Schema::Boolean => out.push(json.as_bool()?.into()),
        Schema::Int | Schema::Date | Schema::TimeMillis => {
            long(json.as_i64().filter(|number| i32::try_from(*number).is_ok())?, out);
        }
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => long(json.as_i64()?, out),
        Schema::Float => out.extend((float(json)? as f32).to_le_bytes()),
        Schema::Double => out.extend(float(json)?.to_le_bytes()),
        Schema::String | Schema::Uuid(UuidSchema::String) => counted(json.as_str()?.as_bytes(), out),
        Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => counted(&bytes(json)?, out),
        Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
            out.extend(bytes(json).filter(|bytes| bytes.len() == fixed.size)?);
        }
        Schema::Decimal(decimal) => match &decimal.inner {
            InnerDecimalSchema::Bytes => counted(&bytes(json)?, out),
            InnerDecimalSchema::Fixed(fixed) => {
                out.extend(bytes(json).filter(|bytes| bytes.len() == fixed.size)?);
            }
        },
        _ => return None,
    }
    Some(())
}

fn float(json: &Value) -> Option<f64> {
    match json {
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        number => number.as_f64(),
    }
}

fn bytes(json: &Value) -> Option<Vec<u8>> {
    json.as_str()?.chars().map(|character| u8::try_from(character).ok()).collect()
}

fn long(number: i64, out: &mut Vec<u8>) {
    let mut zigzag = ((number << 1) ^ (number >> 63)) as u64;
    while zigzag >= 0x80 {
        out.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
}

fn counted(bytes: &[u8], out: &mut Vec<u8>) {
    long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}
