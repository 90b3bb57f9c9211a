//! The model's promises over seeded random rows: one encoding per row, no panic on any bytes, differences that
//! name the right field, and state ids that change with what shapes state and with nothing else. And the published
//! vectors, which `tests/contract` holds against another language too: here they run on other processors, for which
//! little is built.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod canonical;
mod difference;
mod random;
mod state_id;
#[path = "../../../../tests/contract/values.rs"]
mod values;
#[path = "../../../../tests/contract/vectors.rs"]
mod vectors;
mod view;

/// A JSON file of the folder `wit`.
#[track_caller]
fn read_json(path: &str) -> serde_json::Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit").join(path);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
