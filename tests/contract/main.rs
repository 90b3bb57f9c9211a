//! The published contract: its vectors, its schema, its WIT texts, and an implementation in another language
//! that was written from the text alone.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod describe;
mod python;
mod random;
mod sdk;
mod stock;
mod values;
mod vectors;
mod wit;

use std::path::PathBuf;

/// A file of the folder `wit`.
pub(crate) fn wit(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wit").join(path)
}

/// A JSON file of the folder `wit`.
#[track_caller]
pub(crate) fn read_json(path: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(wit(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}
