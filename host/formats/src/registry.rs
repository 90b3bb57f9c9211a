//! A schema registry.
//!
//! Reading order: `client` (one question and its answer), `registered` (a schema with all that it refers to), `schemas`
//! (those that are known already).

mod client;
mod registered;
mod schemas;

pub(crate) use client::Client;
pub(crate) use registered::{Kind, Registered};
pub(crate) use schemas::Schemas;
