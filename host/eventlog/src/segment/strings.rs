//! Reading the strings of a Parquet file as bytes.
//!
//! The Parquet library refuses a whole batch for one string that is not UTF-8. That is one row's problem, so
//! strings are read as plain bytes and checked where rows are converted.

use std::fs::File;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{ConvertedType, LogicalType};
use parquet::errors::Result;
use parquet::schema::types::{SchemaDescriptor, Type};

/// The same file, with every string column as bytes. An error means that the file's schema is beyond this, and
/// is to be read as it is.
pub(crate) fn strings_as_bytes(handle: &File, as_written: &ArrowReaderMetadata) -> Result<ArrowReaderMetadata> {
    let parquet_schema = SchemaDescriptor::new(Arc::new(plain(as_written.parquet_schema().root_schema())?));
    let written = as_written.schema();
    let fields: Vec<FieldRef> = written.fields().iter().map(plain_field).collect();
    let schema = Schema::new_with_metadata(fields, written.metadata().clone());
    let options =
        ArrowReaderOptions::new().with_parquet_schema(Arc::new(parquet_schema)).with_schema(Arc::new(schema));
    ArrowReaderMetadata::load(handle, options)
}

fn plain(ty: &Type) -> Result<Type> {
    let info = ty.get_basic_info();
    let id = info.has_id().then(|| info.id());
    if ty.is_group() {
        let fields =
            ty.get_fields().iter().map(|field| Ok(Arc::new(plain(field)?))).collect::<Result<Vec<_>>>()?;
        let mut group = Type::group_type_builder(info.name())
            .with_converted_type(info.converted_type())
            .with_logical_type(info.logical_type_ref().cloned())
            .with_fields(fields)
            .with_id(id);
        if info.has_repetition() {
            group = group.with_repetition(info.repetition());
        }
        return group.build();
    }
    let text = info.converted_type() == ConvertedType::UTF8
        || matches!(info.logical_type_ref(), Some(LogicalType::String));
    if !text {
        return Ok(ty.clone());
    }
    Type::primitive_type_builder(info.name(), ty.get_physical_type())
        .with_repetition(info.repetition())
        .with_id(id)
        .build()
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let ty = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Binary,
        DataType::Dictionary(_, value)
            if matches!(**value, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) =>
        {
            DataType::Binary
        }
        DataType::List(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) => DataType::LargeList(plain_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain_field(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        _ => return field.clone(),
    };
    Arc::new(Field::new(field.name(), ty, field.is_nullable()).with_metadata(field.metadata().clone()))
}
