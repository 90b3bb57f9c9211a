//! A server on a real port over a real store, with components that no SDK would build.

#![expect(clippy::unwrap_used, reason = "tests fail where they stand")]

mod keys;
mod lifecycle;
mod refusals;
mod rig;
mod statuses;
mod takeover;
