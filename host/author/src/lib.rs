//! Makes transform crates and builds them: [`scaffold`] writes a crate that builds and tests at once, and
//! [`build`] turns a crate into a component and its digest.
//!
//! The component's bytes are its identity, so a build depends on the source, its locked dependencies and the
//! compiler, and on nothing of the machine: not the directory, not the target directory, not cargo's home.
//! One thing is left: cargo derives symbol names of a path dependency from its directory where that lies
//! outside the crate's workspace, so such a dependency must stand at the same place to give the same bytes.
//!
//! Reading order: `build`, `package`, `toolchain`, `compile`, `module`; `scaffold` stands apart.

mod build;
mod compile;
mod error;
mod metadata;
mod module;
mod package;
mod scaffold;
mod toolchain;

pub use build::{BuildOptions, Built, build};
pub use error::{BuildError, ScaffoldError};
pub use scaffold::{ScaffoldOptions, Scaffolded, SdkSource, scaffold};
