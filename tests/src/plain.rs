//! Values of the contract that serves by ids.

use prost_types::Value;
use prost_types::value::Kind;
use trifold_model::{FieldType, ItemType};

/// A value of some type as the JSON text that stands for it among events.
#[track_caller]
pub fn json_text(value: &Value, ty: FieldType) -> String {
    match (value.kind.as_ref().unwrap(), ty) {
        (Kind::NullValue(_), _) => "null".to_owned(),
        (Kind::BoolValue(value), FieldType::Bool) => value.to_string(),
        (Kind::NumberValue(value), FieldType::Int64 | FieldType::Timestamp) => {
            assert_eq!(value.fract(), 0.0);
            (*value as i128).to_string()
        }
        (Kind::StringValue(text), FieldType::Int64 | FieldType::Timestamp) => text.clone(),
        (Kind::NumberValue(value), FieldType::Float64 | FieldType::Float32) => match value {
            value if value.is_nan() => "\"NaN\"".to_owned(),
            value if value.is_infinite() => {
                (if *value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }).to_owned()
            }
            // With a point, it is no integer of its source, which would have to be exact.
            value if ty == FieldType::Float32 => format!("{:?}", *value as f32),
            value => format!("{value:?}"),
        },
        (Kind::StringValue(text), FieldType::Utf8 | FieldType::Binary) => serde_json::to_string(text).unwrap(),
        (Kind::ListValue(list), FieldType::List(item)) => {
            let ty = match item {
                ItemType::Float32 => FieldType::Float32,
                ItemType::Float64 => FieldType::Float64,
                ItemType::Int64 => FieldType::Int64,
                ItemType::Utf8 => FieldType::Utf8,
            };
            let items: Vec<_> = list.values.iter().map(|item| json_text(item, ty)).collect();
            format!("[{}]", items.join(","))
        }
        (kind, ty) => panic!("{kind:?} is no {ty}"),
    }
}
