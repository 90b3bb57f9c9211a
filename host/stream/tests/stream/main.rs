//! The worker over real files, a real store and real components.
#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod candidates;
mod checkpoints;
mod crashes;
mod flights;
mod following;
mod identity;
mod kept;
mod refusals;
mod releases;
mod support;
