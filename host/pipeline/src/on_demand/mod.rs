//! On-demand views: what they read of other views, and their values.

mod reads;

pub use reads::{ReadError, ReadProblem, ReadView, reads};
