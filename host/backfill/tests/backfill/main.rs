//! Backfills over logs made from seeds, against an oracle that looks at every event for every question.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod bad_input;
mod cuts;
mod fixture;
mod oracle;
mod plans;
mod replay;
mod resume;
mod spill;
mod spines;
