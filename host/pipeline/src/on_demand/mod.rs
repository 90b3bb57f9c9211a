//! On-demand views: what they read of other views, and their values.

mod evaluate;
mod reads;

pub use evaluate::values;
pub use reads::{ReadError, ReadProblem, ReadView, reads};
