//! From ids to the keys of entities.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use trifold_model::FieldType;

use crate::api::Column;
use crate::api::column::Values;
use crate::api::{Binaries, Bools, Int64s, Texts};

/// Whether an id is the text of a key of some type, in the one way in which it is written: otherwise an entity would
/// have several ids.
pub(super) fn fits(id: &str, ty: FieldType) -> bool {
    match ty {
        FieldType::Utf8 => true,
        FieldType::Int64 | FieldType::Timestamp => integer(id).is_some_and(|value| value.to_string() == id),
        FieldType::Bool => ["true", "false"].contains(&id),
        FieldType::Binary => bytes(id).is_some_and(|value| STANDARD.encode(value) == id),
        FieldType::Float64 | FieldType::Float32 | FieldType::List(_) => false,
    }
}

/// The column of ids that fit.
pub(super) fn column(name: &str, ids: &[&str], ty: FieldType) -> Column {
    let integers = || Int64s { values: ids.iter().filter_map(|id| integer(id)).collect() };
    let values = match ty {
        FieldType::Int64 => Some(Values::Int64s(integers())),
        FieldType::Timestamp => Some(Values::Timestamps(integers())),
        FieldType::Utf8 => Some(Values::Texts(Texts { values: ids.iter().map(|&id| id.to_owned()).collect() })),
        FieldType::Bool => Some(Values::Bools(Bools { values: ids.iter().map(|&id| id == "true").collect() })),
        FieldType::Binary => {
            Some(Values::Binaries(Binaries { values: ids.iter().filter_map(|id| bytes(id)).collect() }))
        }
        FieldType::Float64 | FieldType::Float32 | FieldType::List(_) => None,
    };
    Column { name: name.to_owned(), null_rows: Vec::new(), values }
}

fn integer(id: &str) -> Option<i64> {
    id.parse().ok()
}

fn bytes(id: &str) -> Option<Vec<u8>> {
    STANDARD.decode(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_has_one_id() {
        let cases = [
            (FieldType::Utf8, vec!["", "c-1", "007"], vec![]),
            (
                FieldType::Int64,
                vec!["0", "-7", "9223372036854775807"],
                vec!["", "007", "+7", "-0", "9223372036854775808"],
            ),
            (FieldType::Timestamp, vec!["1767225600000000"], vec!["2026-01-01T00:00:00Z", "1.0"]),
            (FieldType::Bool, vec!["true", "false"], vec!["TRUE", "1", ""]),
            (FieldType::Binary, vec!["", "aGk=", "/+8="], vec!["aGk", "aGl=", "_-8=", "a"]),
        ];
        for (ty, good, bad) in cases {
            assert!(good.iter().all(|id| fits(id, ty)), "{ty}: {good:?}");
            assert!(!bad.iter().any(|id| fits(id, ty)), "{ty}: {bad:?}");
        }
    }
}
