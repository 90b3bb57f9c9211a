//! A server on a real port over a real store, with components that no SDK would build.

#![expect(clippy::unwrap_used, reason = "tests fail where they stand")]

mod crowd;
mod hostile;
mod keys;
mod lifecycle;
mod overload;
mod protocols;
mod refusals;
mod rig;
mod shares;
mod statuses;
mod takeover;
