//! Types without parts.

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, SchemaKind, UuidSchema};

use super::names::is_for;
use super::plan::Node;
use crate::time::Unit;

/// The type that is below a logical one: what the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
}

fn base(schema: &Schema) -> Option<Base> {
    Some(match schema {
        Schema::Null => Base::Null,
        Schema::Boolean => Base::Boolean,
        Schema::Int | Schema::Date | Schema::TimeMillis => Base::Int,
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => Base::Long,
        Schema::Float => Base::Float,
        Schema::Double => Base::Double,
        Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Base::Bytes,
        Schema::String | Schema::Uuid(UuidSchema::String) => Base::Text,
        Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
            Base::Fixed(fixed.size)
        }
        Schema::Decimal(decimal) => match &decimal.inner {
            InnerDecimalSchema::Bytes => Base::Bytes,
            InnerDecimalSchema::Fixed(fixed) => Base::Fixed(fixed.size),
        },
        _ => return None,
    })
}

/// Whether two types are of one kind, whatever their names and their logical types.
pub(super) fn are_alike(writer: &Schema, reader: &Schema) -> bool {
    match (base(writer), base(reader)) {
        (Some(writer), Some(reader)) => writer == reader,
        (None, None) => SchemaKind::from(writer) == SchemaKind::from(reader),
        _ => false,
    }
}

/// What a writer's type becomes for a reader's: numbers may be read by wider ones, texts as bytes and the other way
/// round. How it is shown, the reader's logical type says.
pub(super) fn node(writer: &Schema, reader: &Schema) -> Result<Node, String> {
    use Base::{Bytes, Double, Fixed, Float, Int, Long, Text};
    let no = || format!("{} cannot be read as {}", named(writer), named(reader));
    let (from, to) = base(writer).zip(base(reader)).ok_or_else(no)?;
    let fits = match (from, to) {
        (Fixed(from), Fixed(to)) => from == to && is_same_fixed(writer, reader),
        (Int, Long | Float | Double) | (Long, Float | Double) | (Float, Double) => true,
        (Bytes, Text) | (Text, Bytes) => true,
        (from, to) => from == to,
    };
    if !fits {
        return Err(no());
    }
    if let (Schema::Decimal(from), Schema::Decimal(to)) = (writer, reader)
        && (from.scale != to.scale || from.precision != to.precision)
    {
        return Err("a decimal number cannot be read with another scale or precision".to_owned());
    }
    let size = if let Fixed(size) = to { Some(size) } else { None };
    Ok(match reader {
        Schema::Null => Node::Null,
        Schema::Boolean => Node::Boolean,
        Schema::Date => Node::Time(Unit::Days),
        Schema::TimestampMillis | Schema::LocalTimestampMillis => Node::Time(Unit::Millis),
        Schema::TimestampMicros | Schema::LocalTimestampMicros => Node::Time(Unit::Micros),
        Schema::TimestampNanos | Schema::LocalTimestampNanos => Node::Time(Unit::Nanos),
        Schema::Decimal(decimal) => Node::Decimal { scale: decimal.scale, size },
        Schema::BigDecimal => Node::BigDecimal,
        Schema::Uuid(UuidSchema::Bytes | UuidSchema::Fixed(_)) => Node::Uuid(size),
        // What is left is shown as what its bytes are. A number keeps its digits, whoever reads it: as an integer it
        // is not rounded here.
        _ => match (from, to) {
            (_, Text) => Node::Text,
            (_, Bytes) => Node::Bytes,
            (Fixed(size), _) => Node::Fixed(size),
            (Int, _) => Node::Int,
            (Long, _) => Node::Long,
            (Float, _) => Node::Float,
            _ => Node::Double,
        },
    })
}

fn is_same_fixed(writer: &Schema, reader: &Schema) -> bool {
    fn fixed(schema: &Schema) -> Option<(&Name, Option<&Vec<apache_avro::schema::Alias>>)> {
        let fixed = match schema {
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => fixed,
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Fixed(fixed) => fixed,
                InnerDecimalSchema::Bytes => return None,
            },
            _ => return None,
        };
        Some((&fixed.name, fixed.aliases.as_ref()))
    }
    match (fixed(writer), fixed(reader)) {
        (Some((writer, _)), Some((reader, aliases))) => is_for(reader, aliases, writer),
        _ => false,
    }
}

/// A type, for errors.
pub(super) fn named(schema: &Schema) -> String {
    match schema.name() {
        Some(name) => format!("{:?} {}", SchemaKind::from(schema), name.fullname(None)),
        None => format!("{:?}", SchemaKind::from(schema)),
    }
}
