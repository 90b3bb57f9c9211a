//! What computes the states and values of a window view.

use arrow_array::{BinaryArray, RecordBatch};
use trifold_sandbox::{Applied, Budget, Folded, Group, Transform, WindowTiles};

/// The functions of a window view, which are those of its component. Whoever wants to know what the sandbox costs puts
/// others in their place.
pub trait WindowFunctions: Send + Sync {
    /// See [`Transform::prepare`].
    fn prepare(&self, events: &RecordBatch, budget: &mut Budget) -> Applied;

    /// See [`Transform::accumulate`].
    fn accumulate(
        &self,
        states: &BinaryArray,
        groups: &[Group],
        prepared: &RecordBatch,
        budget: &mut Budget,
    ) -> Folded;

    /// See [`Transform::finish`].
    fn finish(&self, tiles: &WindowTiles<'_>, budget: &mut Budget) -> Applied;
}

impl WindowFunctions for Transform {
    fn prepare(&self, events: &RecordBatch, budget: &mut Budget) -> Applied {
        Transform::prepare(self, events, budget)
    }

    fn accumulate(
        &self,
        states: &BinaryArray,
        groups: &[Group],
        prepared: &RecordBatch,
        budget: &mut Budget,
    ) -> Folded {
        Transform::accumulate(self, states, groups, prepared, budget)
    }

    fn finish(&self, tiles: &WindowTiles<'_>, budget: &mut Budget) -> Applied {
        Transform::finish(self, tiles, budget)
    }
}
