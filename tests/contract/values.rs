//! From the JSON form of fields and values (`wit/README.md`, section 6) to Arrow columns.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use serde_json::Value;
use trifold_model::types::UTC;
use trifold_model::view::arrow_schema;
use trifold_model::{Field, FieldType, ItemType};

#[track_caller]
pub(crate) fn fields(json: &Value) -> Vec<Field> {
    let field = |json: &Value| Field {
        name: json["name"].as_str().unwrap().parse().unwrap(),
        ty: json["type"].as_str().unwrap().parse().unwrap(),
        nullable: json["nullable"].as_bool().unwrap(),
        doc: String::new(),
    };
    json.as_array().unwrap().iter().map(field).collect()
}

/// The columns of rows, each an array of values.
#[track_caller]
pub(crate) fn batch(fields: &[Field], rows: &[&Value]) -> RecordBatch {
    let column = |(index, field): (usize, &Field)| {
        let values: Vec<&Value> = rows.iter().map(|row| &row[index]).collect();
        column(field.ty, &values)
    };
    let columns = fields.iter().enumerate().map(column).collect();
    RecordBatch::try_new(arrow_schema(fields), columns).unwrap()
}

#[track_caller]
fn column(ty: FieldType, values: &[&Value]) -> ArrayRef {
    let texts = || values.iter().map(|value| value.as_str());
    let integers = || texts().map(|text| text.map(|text| text.parse::<i64>().unwrap()));
    let bits = || texts().map(|text| text.map(|text| u64::from_str_radix(text, 16).unwrap()));
    let array: ArrayRef = match ty {
        FieldType::Bool => Arc::new(values.iter().map(|value| value.as_bool()).collect::<BooleanArray>()),
        FieldType::Int64 => Arc::new(integers().collect::<Int64Array>()),
        FieldType::Timestamp => Arc::new(integers().collect::<TimestampMicrosecondArray>().with_timezone(UTC)),
        FieldType::Float64 => Arc::new(bits().map(|bits| bits.map(f64::from_bits)).collect::<Float64Array>()),
        FieldType::Float32 => {
            let single = |bits: u64| f32::from_bits(bits.try_into().unwrap());
            Arc::new(bits().map(|bits| bits.map(single)).collect::<Float32Array>())
        }
        FieldType::Utf8 => Arc::new(texts().collect::<StringArray>()),
        FieldType::Binary => {
            Arc::new(texts().map(|text| text.map(|text| hex::decode(text).unwrap())).collect::<BinaryArray>())
        }
        FieldType::List(item) => Arc::new(list(item, values)),
    };
    // A value in the wrong form must not pass for a null.
    for (index, value) in values.iter().enumerate() {
        assert_eq!(array.is_null(index), value.is_null(), "{value} is no {ty}");
    }
    array
}

#[track_caller]
fn list(item: ItemType, values: &[&Value]) -> ListArray {
    let lengths = values.iter().map(|value| value.as_array().map_or(0, Vec::len));
    let items: Vec<&Value> = values.iter().filter_map(|value| value.as_array()).flatten().collect();
    let ty = match item {
        ItemType::Float32 => FieldType::Float32,
        ItemType::Float64 => FieldType::Float64,
        ItemType::Int64 => FieldType::Int64,
        ItemType::Utf8 => FieldType::Utf8,
    };
    let nulls = NullBuffer::from_iter(values.iter().map(|value| value.is_array()));
    let field = Arc::new(arrow_schema::Field::new("item", item.to_arrow(), false));
    ListArray::new(field, OffsetBuffer::from_lengths(lengths), column(ty, &items), Some(nulls))
}
