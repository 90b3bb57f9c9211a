//! A message as text.

use prost_reflect::{DynamicMessage, MapKey, Value};

use super::shape::{Cardinality, Field, Item, ShapeId, Shapes};
use crate::error::{Bad, Reason};
use crate::limits::TEXT_BYTES_MAX;
use crate::{text, time};

/// The seconds that a `google.protobuf.Timestamp` may have: the years 1 to 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Appends a message. How deep it is nested was limited when it was read.
pub(super) fn write(
    shapes: &Shapes,
    shape: ShapeId,
    value: &DynamicMessage,
    out: &mut Vec<u8>,
) -> Result<(), Bad> {
    let out_bytes_max = out.len() + TEXT_BYTES_MAX;
    Writer { shapes, out_bytes_max, out }.message(shape, value)
}

struct Writer<'s, 'o> {
    shapes: &'s Shapes,
    out: &'o mut Vec<u8>,
    out_bytes_max: usize,
}

impl Writer<'_, '_> {
    fn message(&mut self, shape: ShapeId, message: &DynamicMessage) -> Result<(), Bad> {
        self.out.push(b'{');
        for field in &self.shapes.shapes[shape] {
            self.field(field, message).map_err(|bad| bad.in_field(field.descriptor.name()))?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn field(&mut self, field: &Field, message: &DynamicMessage) -> Result<(), Bad> {
        if field.is_optional && !message.has_field(&field.descriptor) {
            return Ok(());
        }
        let value = message.get_field(&field.descriptor);
        if field.cardinality == Cardinality::Once && !is_there(&field.kind, &value) {
            // What is not there has its default, if it has one.
            return match field.is_optional {
                true => Ok(()),
                false => {
                    self.key(field);
                    self.item(&field.kind, &field.descriptor.default_value())
                }
            };
        }
        self.key(field);
        match &*value {
            Value::List(items) => self.list(&field.kind, items),
            Value::Map(entries) => {
                // The library's order differs from run to run.
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_unstable_by_key(|(key, _)| *key);
                self.map(&field.kind, entries)
            }
            once => self.item(&field.kind, once),
        }
    }

    fn key(&mut self, field: &Field) {
        text::separate(self.out);
        self.out.extend_from_slice(&field.key);
    }

    fn list(&mut self, kind: &Item, items: &[Value]) -> Result<(), Bad> {
        self.out.push(b'[');
        for (index, item) in items.iter().filter(|item| is_there(kind, item)).enumerate() {
            text::separate(self.out);
            self.item(kind, item).map_err(|bad| bad.in_item(index))?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(&mut self, kind: &Item, entries: Vec<(&MapKey, &Value)>) -> Result<(), Bad> {
        self.out.push(b'{');
        for (key, value) in entries.into_iter().filter(|(_, value)| is_there(kind, value)) {
            text::separate(self.out);
            let key = match key {
                MapKey::String(key) => key.clone(),
                MapKey::Bool(key) => key.to_string(),
                MapKey::I32(key) => key.to_string(),
                MapKey::I64(key) => key.to_string(),
                MapKey::U32(key) => key.to_string(),
                MapKey::U64(key) => key.to_string(),
            };
            text::write(&key, self.out);
            self.out.push(b':');
            self.item(kind, value).map_err(|bad| bad.in_item(text::shown(&key)))?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn item(&mut self, kind: &Item, value: &Value) -> Result<(), Bad> {
        if self.out.len() > self.out_bytes_max {
            return Err(Reason::TooLarge.into());
        }
        match (kind, value) {
            (Item::Message(shape), Value::Message(message)) => return self.message(*shape, message),
            (Item::Timestamp, Value::Message(message)) => self.timestamp(message)?,
            (Item::Wrapper, Value::Message(message)) => {
                if let Some(value) = message.get_field_by_number(1) {
                    self.scalar(&value);
                }
            }
            (Item::Enum { names, .. }, Value::EnumNumber(number)) => match names.get(number) {
                Some(name) => self.out.extend_from_slice(name),
                None => text::write(number, self.out),
            },
            (_, scalar) => self.scalar(scalar),
        }
        Ok(())
    }

    fn scalar(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => text::write(value, self.out),
            Value::I32(value) | Value::EnumNumber(value) => text::write(value, self.out),
            Value::I64(value) => text::write(value, self.out),
            Value::U32(value) => text::write(value, self.out),
            Value::U64(value) => text::write(value, self.out),
            Value::F32(value) => text::write_float(f64::from(*value), self.out),
            Value::F64(value) => text::write_float(*value, self.out),
            Value::String(value) => text::write(value, self.out),
            Value::Bytes(value) => text::write_base64(value, self.out),
            // A scalar is none of these.
            Value::Message(_) | Value::List(_) | Value::Map(_) => self.out.extend_from_slice(b"null"),
        }
    }

    fn timestamp(&mut self, message: &DynamicMessage) -> Result<(), Reason> {
        let part = |number| message.get_field_by_number(number);
        let seconds = part(1).and_then(|value| value.as_i64()).unwrap_or_default();
        let nanos = part(2).and_then(|value| value.as_i32()).unwrap_or_default();
        if !SECONDS.contains(&seconds) || !(0..=999_999_999).contains(&nanos) {
            return Err(Reason::Timestamp { seconds, nanos });
        }
        time::write_instant(seconds, nanos.into(), self.out);
        Ok(())
    }
}

/// Whether a value counts: a number that a closed enum does not have is as if it were not there.
fn is_there(kind: &Item, value: &Value) -> bool {
    match (kind, value) {
        (Item::Enum { names, is_closed: true }, Value::EnumNumber(number)) => names.contains_key(number),
        _ => true,
    }
}
