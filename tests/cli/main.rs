//! Bad input, given to the real command: each time a clear error that names the place, the right exit code or gRPC
//! status, and a neighbour that does not notice.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod bucket;
mod compiler;
mod components;
mod diff;
mod events;
mod explain;
mod files;
mod follow;
mod hostile;
mod limits;
mod loadtest;
mod operating;
mod processes;
mod progress;
mod protocols;
mod readme;
mod registry;
mod requests;
mod settings;
mod signatures;
mod site;
mod state;
mod through;
mod trials;
