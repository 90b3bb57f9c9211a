//! Whether the key that a log has a row under is that of the row's entity.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use serde_json::Value;

use crate::text::value_json;

/// Whether a record's key names the entity whose fields stand in a row of some columns. A single text may stand in the
/// key as it is; otherwise the key is JSON: the value of a single field, or an array of all in declared order, or an
/// object with all by their names.
pub(crate) fn names_entity(key: &[u8], fields: &[(&str, &ArrayRef)], row: usize) -> bool {
    if let [(_, only)] = fields
        && *only.data_type() == DataType::Utf8
        && only.as_string::<i32>().value(row).as_bytes() == key
    {
        return true;
    }
    let value = |column: &ArrayRef| value_json(column, row).unwrap_or_default();
    match (serde_json::from_slice(key), fields) {
        (Err(_), _) => false,
        (Ok(Value::Object(named)), _) => {
            named.len() == fields.len()
                && fields.iter().all(|(name, column)| named.get(*name) == Some(&value(column)))
        }
        (Ok(Value::Array(all)), _) => {
            all.iter().eq(fields.iter().map(|(_, column)| value(column)).collect::<Vec<_>>().iter())
        }
        (Ok(one), [(_, only)]) => one == value(only),
        (Ok(_), _) => false,
    }
}

/// The entity as the key of a record: a single text as it is, anything else as a JSON array.
pub fn entity_key(fields: &[&ArrayRef], row: usize) -> Vec<u8> {
    match fields {
        [only] if *only.data_type() == DataType::Utf8 => only.as_string::<i32>().value(row).as_bytes().to_vec(),
        _ => {
            let values = fields.iter().map(|column| value_json(column, row).unwrap_or_default());
            Value::Array(values.collect()).to_string().into_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn keys_are_texts_or_json() {
        let card: ArrayRef = Arc::new(StringArray::from(vec!["c-1", "7"]));
        let account: ArrayRef = Arc::new(Int64Array::from(vec![7, i64::MAX]));
        let (one, number) = ([("card", &card)], [("account", &account)]);
        let both = [("card", &card), ("account", &account)];
        for (key, fields, row, named) in [
            ("c-1", one.as_slice(), 0, true),
            ("\"c-1\"", &one, 0, true),
            ("[\"c-1\"]", &one, 0, true),
            ("{\"card\":\"c-1\"}", &one, 0, true),
            ("c-2", &one, 0, false),
            ("", &one, 0, false),
            ("7", &one, 1, true),
            ("7", &number, 0, true),
            ("9223372036854775807", &number, 1, true),
            ("9223372036854775806", &number, 1, false),
            ("7", &both, 1, false),
            ("[\"c-1\", 7]", &both, 0, true),
            ("[7, \"c-1\"]", &both, 0, false),
            ("{\"account\": 7, \"card\": \"c-1\"}", &both, 0, true),
            ("{\"account\": 7, \"card\": \"c-1\", \"x\": 1}", &both, 0, false),
        ] {
            assert_eq!(names_entity(key.as_bytes(), fields, row), named, "{key}");
        }
        for row in 0..2 {
            for fields in [one.as_slice(), &number, &both] {
                let columns: Vec<_> = fields.iter().map(|(_, column)| *column).collect();
                assert!(names_entity(&entity_key(&columns, row), fields, row));
            }
        }
    }
}
