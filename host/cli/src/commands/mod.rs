//! The commands, one module each. Everything they print goes through `output`.

pub mod archive;
pub mod audit;
pub mod author;
pub mod backfill;
pub mod check;
pub mod clear;
mod component;
pub mod controller;
pub mod diff;
pub mod events;
pub mod explain;
mod fields;
pub mod get;
pub mod inspect;
pub mod loadtest;
pub mod materialize;
mod provenance;
pub mod registry;
pub mod replay;
pub mod retire;
pub mod serve;
pub mod signatures;
mod state;
pub mod status;
pub mod stream;
pub mod timeline;
pub mod trial;
pub mod up;

use crate::exit::Outcome;
use crate::world::World;

/// Prints the configuration in force.
pub fn show_config(world: &World) -> Outcome {
    crate::output::print(world.format, &world.config, crate::config::Config::to_toml)
}
