//! What the tests across crates share: components built as `trifold build` builds them, the `trifold` command,
//! a server in this process, logs with the runners over them, and numbers from a seed.
//!
//! Nothing here is a test double of a part: registry, store, sandbox, runners and transport are the real ones.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

pub mod command;
pub mod guests;
pub mod http;
pub mod live;
pub mod memory;
pub mod online;
pub mod plain;
pub mod random;
pub mod recorded;
pub mod rows;
pub mod stores;

use std::path::PathBuf;

/// The events of the example: 51,955 departures, sorted by time and id.
pub const FLIGHTS: u64 = 51_955;
/// Those of them without an aircraft.
pub const FLIGHTS_WITHOUT_TAILNUM: u64 = 601;

/// The workspace's root directory.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The file of the example's events.
pub fn flights() -> PathBuf {
    root().join("examples/flights/flights-2013-01-02.parquet")
}
