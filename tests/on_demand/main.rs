//! On-demand views, and lookups with an event in hand: over a window view of the SDK and a row view, with the real
//! registry, store, worker, server and command.

#![expect(clippy::unwrap_used, reason = "tests fail where they stand")]

mod audits;
mod backfills;
mod canaries;
mod command;
mod forger;
mod kept;
mod lookups;
mod protocols;
mod pushing;
mod site;
mod views;
