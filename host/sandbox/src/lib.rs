//! Runs transform components: admission, compilation, limits, and calls over Arrow batches. Only this crate
//! knows the wasm engine.
//!
//! A component sees its arguments and nothing else, every call is capped in fuel, memory and rows, and a row's
//! verdict does not depend on the batch in which it was computed: see [`Transform::apply`].
//!
//! Reading order: `config` (the engine), `sandbox`, `admission`, [`nan`] and `producers` (how a component gets in),
//! `describe` (what it says of itself), `compile`, `cache`, `transform`, `apply`, `fold` and `finish` (batches to
//! calls), `caller`, `call` and `host` (one call), `wire` and `slab` (what crosses).

mod admission;
mod applied;
mod apply;
mod budget;
mod cache;
mod call;
mod caller;
mod compile;
mod config;
mod describe;
mod error;
mod finish;
mod fold;
mod host;
mod limits;
pub mod nan;
mod pace;
mod permits;
mod producers;
mod sandbox;
mod slab;
mod text;
mod transform;
mod wire;

pub use applied::{Applied, Cause, RowFailure, Verdict};
pub use budget::Budget;
pub use compile::{CompileLimits, Compiler, compile_one};
pub use config::{SandboxConfig, fuel_counted_by};
pub use error::{AdmissionError, CacheError, SandboxError, Unavailable};
pub use finish::WindowTiles;
pub use fold::Folded;
pub use sandbox::Sandbox;
pub use slab::Slab;
pub use transform::{Transform, WarmInstance};
pub use wire::{Group, Run};
