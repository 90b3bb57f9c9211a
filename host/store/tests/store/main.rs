//! The embedded store over real files, and what is kept of any.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod cached;
mod commits;
mod damage;
mod fixtures;
mod holding;
mod world;
