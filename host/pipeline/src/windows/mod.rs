//! Window views: `trifold-windows` decides what is folded, the sandbox folds it.

mod fold;
mod functions;
mod ingest;
mod lookup;
mod point_in_time;
mod prepare;
mod sweep;

pub use fold::FoldError;
pub(crate) use fold::Kept;
pub use functions::WindowFunctions;
pub use ingest::WindowIngest;
pub(crate) use lookup::WindowRead;
pub(crate) use point_in_time::WindowWalk;
pub use prepare::NotPrepared;
pub(crate) use prepare::{Prepared, contents, prepare, refusal};
pub use sweep::sweep;
