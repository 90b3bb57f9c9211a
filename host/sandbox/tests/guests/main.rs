//! Guests that behave badly, and what becomes of their rows and of those beside them.
#![allow(clippy::unwrap_used, reason = "tests and their helpers stop at the first surprise")]

mod admission;
mod answers;
mod cache;
mod fractions;
mod hostile;
mod rig;
