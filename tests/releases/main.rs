//! A server that runs while versions are released: [`swap`] under load, [`damage`] in the registry, [`snapshot`]
//! within a request, [`storm`] again and again.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail where they stand")]

mod damage;
mod rig;
mod snapshot;
mod storm;
mod swap;
