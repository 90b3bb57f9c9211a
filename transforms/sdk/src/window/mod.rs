//! Window views: aggregations of an entity's events over sliding windows.

mod bases;
mod calls;
mod fields;
mod guest;
mod prepared;
mod states;

pub use calls::{accumulate, finish, fold, merge, prepare};
pub use fields::{FieldsReader, FieldsWriter, NameProblem, features, has_names, order};
pub use guest::{Group, Span, WindowGuest};
pub use prepared::{FieldColumns, Once, are_none, prepared, sources};

use crate::Timestamp;
use crate::aggregate::{StateError, StateReader};
use crate::error::RowError;
use crate::value::{Input, InputValues, Output, Record};

/// A window view with a state of its own: what becomes of an event, of a state and of an entity's windows.
///
/// Most views are structs of aggregators and need none of this. A type that implements it, under
/// [`#[window_view]`](macro@crate::window_view), has every freedom and keeps every promise itself:
///
/// - `accumulate`, `merge` and `finish` depend on their arguments alone.
/// - A fold may be split at any point: what was encoded is decoded and folded on, with equal bytes.
/// - Merging with the empty state, on either side, changes nothing.
/// - With `order = "any"`, equal sets of events give equal bytes, however they were ordered, grouped and merged.
///   With `order = "event-time"`, events come in ascending (event time, event id), and states are merged from left
///   to right in ascending time.
pub trait WindowView {
    /// An event.
    type Event<'a>: Input<'a, Key: InputValues<'a>>;
    /// What folds need of an event; derive [`Prepared`](macro@crate::Prepared).
    type Prepared<'a>: Record<'a> + Output;
    /// What a tile keeps.
    type State: State;
    /// What the windows come to.
    type Features: Output;

    /// What is left of an event, or why it does not count.
    fn prepare<'a>(event: Self::Event<'a>) -> Result<Self::Prepared<'a>, RowError>;

    /// Adds an event to a tile.
    fn accumulate(state: &mut Self::State, event: Self::Prepared<'_>);

    /// Adds a later tile.
    fn merge(state: &mut Self::State, later: &Self::State);

    /// The features of an entity as of a moment; `windows` stand in declared order.
    fn finish(windows: &[Self::State], key: Key<'_, Self>, as_of: Timestamp) -> Result<Self::Features, RowError>;
}

/// The key of a view's entity: the type of the field that is marked `#[entity]`, or a tuple where there are several.
pub type Key<'a, V> = <<V as WindowView>::Event<'a> as Input<'a>>::Key;

/// A state that crosses as bytes. Its default is the empty state, the one of no event.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the state of a window view",
    note = "implement `State`, which writes and reads its bytes"
)]
pub trait State: Default + Clone {
    /// Writes the bytes, the same for equal states. The empty state writes none, and every other at least one.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads what `encode` wrote of a state that is not empty, and no byte more. Anything else is an error, never a
    /// panic.
    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError>;
}
