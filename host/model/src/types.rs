//! The types that cross the contract, and the Arrow type that carries each.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};

/// The time zone that every timestamp column carries.
pub const UTC: &str = "UTC";

/// The type of a field of a feature view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FieldType {
    /// True or false.
    Bool,
    /// A signed 64-bit integer.
    Int64,
    /// An IEEE 754 double.
    Float64,
    /// An IEEE 754 single.
    Float32,
    /// UTF-8 text, never normalised.
    Utf8,
    /// Bytes.
    Binary,
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// A list of items, none of them null.
    List(ItemType),
}

/// The item type of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ItemType {
    /// An IEEE 754 single.
    Float32,
    /// An IEEE 754 double.
    Float64,
    /// A signed 64-bit integer.
    Int64,
    /// UTF-8 text.
    Utf8,
}

impl FieldType {
    /// Every type of the contract.
    pub const ALL: [FieldType; 11] = [
        FieldType::Bool,
        FieldType::Int64,
        FieldType::Float64,
        FieldType::Float32,
        FieldType::Utf8,
        FieldType::Binary,
        FieldType::Timestamp,
        FieldType::List(ItemType::Float32),
        FieldType::List(ItemType::Float64),
        FieldType::List(ItemType::Int64),
        FieldType::List(ItemType::Utf8),
    ];

    /// The name that `describe` uses.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Bool => "bool",
            FieldType::Int64 => "int64",
            FieldType::Float64 => "float64",
            FieldType::Float32 => "float32",
            FieldType::Utf8 => "utf8",
            FieldType::Binary => "binary",
            FieldType::Timestamp => "timestamp",
            FieldType::List(ItemType::Float32) => "list<float32>",
            FieldType::List(ItemType::Float64) => "list<float64>",
            FieldType::List(ItemType::Int64) => "list<int64>",
            FieldType::List(ItemType::Utf8) => "list<utf8>",
        }
    }

    /// The Arrow type of a column of this type.
    pub fn to_arrow(self) -> DataType {
        match self {
            FieldType::Bool => DataType::Boolean,
            FieldType::Int64 => DataType::Int64,
            FieldType::Float64 => DataType::Float64,
            FieldType::Float32 => DataType::Float32,
            FieldType::Utf8 => DataType::Utf8,
            FieldType::Binary => DataType::Binary,
            FieldType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            FieldType::List(item) => DataType::List(Arc::new(Field::new("item", item.to_arrow(), false))),
        }
    }

    /// Whether values of this type may name an entity: floats and lists have no useful equality.
    pub fn is_key(self) -> bool {
        !matches!(self, FieldType::Float32 | FieldType::Float64 | FieldType::List(_))
    }
}

impl ItemType {
    /// The Arrow type of the items.
    pub fn to_arrow(self) -> DataType {
        match self {
            ItemType::Float32 => DataType::Float32,
            ItemType::Float64 => DataType::Float64,
            ItemType::Int64 => DataType::Int64,
            ItemType::Utf8 => DataType::Utf8,
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A type name that the contract does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown type `{0}`; the types are bool, int64, float64, float32, utf8, binary, timestamp, \
     list<float32>, list<float64>, list<int64> and list<utf8>"
)]
pub struct TypeError(pub String);

impl FromStr for FieldType {
    type Err = TypeError;

    fn from_str(name: &str) -> Result<Self, TypeError> {
        FieldType::ALL.into_iter().find(|ty| ty.name() == name).ok_or_else(|| TypeError(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_round_trips_through_its_name() {
        for ty in FieldType::ALL {
            assert_eq!(ty.name().parse(), Ok(ty));
        }
        assert!("list<bool>".parse::<FieldType>().is_err());
    }
}
