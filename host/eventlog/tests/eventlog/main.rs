//! The event files of the crate, through its public surface.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod archive;
mod columns;
mod consumed;
mod damage;
mod decode;
mod fixtures;
mod follow;
mod json;
mod offsets;
mod rows;
