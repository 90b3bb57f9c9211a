//! Rows that depend on nothing but themselves, and the publish gate that keeps out components whose rows do not.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod command;
mod differences;
mod identity;
mod refusals;
mod sharing;
