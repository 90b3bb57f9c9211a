//! Reading canonical rows back into columns.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, Float32Builder, Float64Builder, Int64Builder, ListBuilder,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, SchemaRef};

use crate::canonical::{NAN_32, NAN_64};
use crate::identity::EntityKey;
use crate::types::{FieldType, ItemType, UTC};
use crate::view::{Field, arrow_schema};

/// Bytes that are not canonical rows of the given fields.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a field, or go on after the last one.
    #[error("row {row}: the bytes end or go on where field {field} does not")]
    Length {
        /// Which of the rows given.
        row: usize,
        /// The field that could not be read, or the last one.
        field: String,
    },
    /// Bytes that begin with no status.
    #[error("row {row}: the bytes begin with no status")]
    Status {
        /// Which of the rows given.
        row: usize,
    },
    /// A presence or bool byte that is neither 0 nor 1.
    #[error("row {row}: field {field} has byte {byte} where 0 or 1 must stand")]
    Flag {
        /// Which of the rows given.
        row: usize,
        /// The field.
        field: String,
        /// The byte found.
        byte: u8,
    },
    /// Text that is not UTF-8.
    #[error("row {row}: field {field} is not valid UTF-8")]
    Utf8 {
        /// Which of the rows given.
        row: usize,
        /// The field.
        field: String,
    },
    /// A NaN that is not the canonical one.
    #[error("row {row}: field {field} has a NaN with the bits 0x{bits:x}, which is not the canonical one")]
    Nan {
        /// Which of the rows given.
        row: usize,
        /// The field.
        field: String,
        /// The bits found.
        bits: u64,
    },
    /// A null in a required field.
    #[error("row {row}: field {field} is null, and the view requires a value")]
    Null {
        /// Which of the rows given.
        row: usize,
        /// The field.
        field: String,
    },
    /// Arrow refused the columns.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// Decodes rows without status bytes into one batch, one row each.
pub fn decode_rows<'a>(
    fields: &[Field],
    rows: impl IntoIterator<Item = &'a [u8]>,
) -> Result<RecordBatch, DecodeError> {
    decode_rows_as(fields, arrow_schema(fields), rows)
}

/// Like [`decode_rows`], for callers that have the fields' schema already.
pub fn decode_rows_as<'a>(
    fields: &[Field],
    schema: SchemaRef,
    rows: impl IntoIterator<Item = &'a [u8]>,
) -> Result<RecordBatch, DecodeError> {
    let rows = rows.into_iter();
    let (least, most) = rows.size_hint();
    let capacity = most.unwrap_or(least);
    let mut builders: Vec<_> = fields.iter().map(|field| Builder::new(field.ty, capacity)).collect();
    let mut count = 0;
    for (row, bytes) in rows.enumerate() {
        let mut reader = Reader { bytes };
        for (field, builder) in fields.iter().zip(&mut builders) {
            let present = builder.read(&mut reader).map_err(|problem| problem.at(row, field))?;
            if !present && !field.nullable {
                return Err(DecodeError::Null { row, field: field.name.to_string() });
            }
        }
        if !reader.bytes.is_empty() {
            let field = fields.last().map_or_else(String::new, |field| field.name.to_string());
            return Err(DecodeError::Length { row, field });
        }
        count += 1;
    }
    let columns = builders.into_iter().map(Builder::finish).collect();
    batch(schema, columns, count)
}

/// Decodes entity keys into columns, one row each.
pub fn decode_keys<'a>(
    fields: &[Field],
    keys: impl IntoIterator<Item = &'a EntityKey>,
) -> Result<RecordBatch, DecodeError> {
    decode_rows(fields, keys.into_iter().map(|key| &*key.0))
}

fn batch(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, DecodeError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

enum Problem {
    Length,
    Flag(u8),
    Utf8,
    Nan(u64),
}

impl Problem {
    fn at(self, row: usize, field: &Field) -> DecodeError {
        let field = field.name.to_string();
        match self {
            Problem::Length => DecodeError::Length { row, field },
            Problem::Flag(byte) => DecodeError::Flag { row, field, byte },
            Problem::Utf8 => DecodeError::Utf8 { row, field },
            Problem::Nan(bits) => DecodeError::Nan { row, field, bits },
        }
    }
}

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Problem::Length)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(Problem::Length)?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn flag(&mut self) -> Result<bool, Problem> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [byte] => Err(Problem::Flag(byte)),
        }
    }

    fn float_64(&mut self) -> Result<f64, Problem> {
        let value = f64::from_le_bytes(self.array()?);
        let bits = value.to_bits();
        if value.is_nan() && bits != NAN_64 { Err(Problem::Nan(bits)) } else { Ok(value) }
    }

    fn float_32(&mut self) -> Result<f32, Problem> {
        let value = f32::from_le_bytes(self.array()?);
        let bits = value.to_bits();
        if value.is_nan() && bits != NAN_32 { Err(Problem::Nan(bits.into())) } else { Ok(value) }
    }

    fn length(&mut self) -> Result<usize, Problem> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Problem> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<&'a str, Problem> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Problem::Utf8)
    }
}

enum Builder {
    Bool(BooleanBuilder),
    Int64(Int64Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Float64(Float64Builder),
    Float32(Float32Builder),
    Utf8(StringBuilder),
    Binary(BinaryBuilder),
    ListFloat32(ListBuilder<Float32Builder>),
    ListFloat64(ListBuilder<Float64Builder>),
    ListInt64(ListBuilder<Int64Builder>),
    ListUtf8(ListBuilder<StringBuilder>),
}

fn list<B: ArrayBuilder>(items: B, item: ItemType, capacity: usize) -> ListBuilder<B> {
    ListBuilder::with_capacity(items, capacity).with_field(arrow_schema::Field::new(
        "item",
        item.to_arrow(),
        false,
    ))
}

impl Builder {
    /// Arrow's own capacity is a thousand rows, which a lookup of one would pay for in every column.
    fn new(ty: FieldType, rows: usize) -> Self {
        match ty {
            FieldType::Bool => Builder::Bool(BooleanBuilder::with_capacity(rows)),
            FieldType::Int64 => Builder::Int64(Int64Builder::with_capacity(rows)),
            FieldType::Timestamp => {
                Builder::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone(UTC))
            }
            FieldType::Float64 => Builder::Float64(Float64Builder::with_capacity(rows)),
            FieldType::Float32 => Builder::Float32(Float32Builder::with_capacity(rows)),
            FieldType::Utf8 => Builder::Utf8(StringBuilder::with_capacity(rows, 0)),
            FieldType::Binary => Builder::Binary(BinaryBuilder::with_capacity(rows, 0)),
            FieldType::List(item) => match item {
                ItemType::Float32 => Builder::ListFloat32(list(Float32Builder::with_capacity(0), item, rows)),
                ItemType::Float64 => Builder::ListFloat64(list(Float64Builder::with_capacity(0), item, rows)),
                ItemType::Int64 => Builder::ListInt64(list(Int64Builder::with_capacity(0), item, rows)),
                ItemType::Utf8 => Builder::ListUtf8(list(StringBuilder::with_capacity(0, 0), item, rows)),
            },
        }
    }

    /// Reads one value and says whether there was one.
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<bool, Problem> {
        if !reader.flag()? {
            self.append_null();
            return Ok(false);
        }
        match self {
            Builder::Bool(builder) => builder.append_value(reader.flag()?),
            Builder::Int64(builder) => builder.append_value(i64::from_le_bytes(reader.array()?)),
            Builder::Timestamp(builder) => builder.append_value(i64::from_le_bytes(reader.array()?)),
            Builder::Float64(builder) => builder.append_value(reader.float_64()?),
            Builder::Float32(builder) => builder.append_value(reader.float_32()?),
            Builder::Utf8(builder) => builder.append_value(reader.text()?),
            Builder::Binary(builder) => builder.append_value(reader.bytes()?),
            Builder::ListFloat32(builder) => read_list(builder, reader, |items, reader| {
                items.append_value(reader.float_32()?);
                Ok(())
            })?,
            Builder::ListFloat64(builder) => read_list(builder, reader, |items, reader| {
                items.append_value(reader.float_64()?);
                Ok(())
            })?,
            Builder::ListInt64(builder) => read_list(builder, reader, |items, reader| {
                items.append_value(i64::from_le_bytes(reader.array()?));
                Ok(())
            })?,
            Builder::ListUtf8(builder) => read_list(builder, reader, |items, reader| {
                items.append_value(reader.text()?);
                Ok(())
            })?,
        }
        Ok(true)
    }

    fn append_null(&mut self) {
        match self {
            Builder::Bool(builder) => builder.append_null(),
            Builder::Int64(builder) => builder.append_null(),
            Builder::Timestamp(builder) => builder.append_null(),
            Builder::Float64(builder) => builder.append_null(),
            Builder::Float32(builder) => builder.append_null(),
            Builder::Utf8(builder) => builder.append_null(),
            Builder::Binary(builder) => builder.append_null(),
            Builder::ListFloat32(builder) => builder.append_null(),
            Builder::ListFloat64(builder) => builder.append_null(),
            Builder::ListInt64(builder) => builder.append_null(),
            Builder::ListUtf8(builder) => builder.append_null(),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Builder::Bool(mut builder) => Arc::new(builder.finish()),
            Builder::Int64(mut builder) => Arc::new(builder.finish()),
            Builder::Timestamp(mut builder) => Arc::new(builder.finish()),
            Builder::Float64(mut builder) => Arc::new(builder.finish()),
            Builder::Float32(mut builder) => Arc::new(builder.finish()),
            Builder::Utf8(mut builder) => Arc::new(builder.finish()),
            Builder::Binary(mut builder) => Arc::new(builder.finish()),
            Builder::ListFloat32(mut builder) => Arc::new(builder.finish()),
            Builder::ListFloat64(mut builder) => Arc::new(builder.finish()),
            Builder::ListInt64(mut builder) => Arc::new(builder.finish()),
            Builder::ListUtf8(mut builder) => Arc::new(builder.finish()),
        }
    }
}

fn read_list<B: ArrayBuilder>(
    builder: &mut ListBuilder<B>,
    reader: &mut Reader<'_>,
    mut read_item: impl FnMut(&mut B, &mut Reader<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let count = reader.length()?;
    for _ in 0..count {
        read_item(builder.values(), reader)?;
    }
    builder.append(true);
    Ok(())
}
