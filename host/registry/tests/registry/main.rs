//! The registry over real directories and a real object store.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod cut_off;
mod damage;
mod fixtures;
mod gateway;
mod provenance;
mod pushing;
mod s3;
mod signatures;
mod site;
mod timeline;
mod trials;
mod watching;
