//! The registry over real directories.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod damage;
mod fixtures;
mod pushing;
mod timeline;
mod watching;
