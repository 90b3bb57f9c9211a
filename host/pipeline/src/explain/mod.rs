//! Why a value is what it is: the events of one entity, which of them count, and the tiles between them and the value.
//!
//! Nothing is decided here. Events are admitted, prepared and sorted by [`crate::Timeline`], and the value is answered by
//! [`crate::PointInTime`], as in a backfill; what is noted on the way is the explanation.
//!
//! Reading order: [`Explanation`] is what comes out; `collect` takes events in, `answer` answers;
//! `nearest` bounds what is listed.

mod answer;
mod collect;
mod explanation;
mod nearest;

pub use collect::{Explain, ExplainBounds, ExplainError};
pub use explanation::{
    Behind, ExplainedEvent, ExplainedTile, ExplainedWindow, Explanation, UndecodedEvent, Verdict,
};
