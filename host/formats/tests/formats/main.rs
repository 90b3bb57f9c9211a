//! Values that are cut off, made up or out of proportion, schemas that evolve, and registries that fail.
//!
//! What values become for views, and a real registry, are in `tests/formats` of the workspace, which may know the crates
//! that this one must not.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod evolution;
mod failures;
mod fake;
mod files;
mod fixtures;
mod hostile;
mod tls;
