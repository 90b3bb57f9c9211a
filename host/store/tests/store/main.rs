//! The embedded store over real files.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod commits;
mod damage;
mod fixtures;
mod holding;
