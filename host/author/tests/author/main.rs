//! Crates made, tested and built with the real compiler.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod build;
mod publish;
mod refusals;
mod scaffold;
mod workshop;
