//! What is recorded of versions and releases.

use trifold_model::{ComponentDigest, EventTime, StateId, ViewName};

/// When something was done, by whom, and what they say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// When, in microseconds since 1970-01-01T00:00:00Z.
    pub at: EventTime,
    /// By whom, if that is known.
    pub by: Option<String>,
    /// What they say about it.
    pub note: Option<String>,
}

/// Nobody says who it was.
impl From<EventTime> for Act {
    fn from(at: EventTime) -> Self {
        Act { at, by: None, note: None }
    }
}

/// One version of a view: a component that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRecord {
    /// The view.
    pub view: ViewName,
    /// Its number, counting from one.
    pub version: u64,
    /// The component.
    pub digest: ComponentDigest,
    /// The component's size in bytes.
    pub size: u64,
    /// What the view's stored state is filed under.
    pub state_id: StateId,
    /// How it was pushed.
    pub pushed: Act,
    /// What the component's `describe` says, as compact JSON.
    pub description: String,
}

/// What a push came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The version under which the component is registered.
    pub version: VersionRecord,
    /// Whether the push made it; otherwise the same component had been pushed before.
    pub new: bool,
}

/// How far a release reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseKind {
    /// The version serves everybody.
    Full,
}

/// The record that says which version of a view serves from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The view.
    pub view: ViewName,
    /// The release's number, counting from one; the highest of a view is in force.
    pub seq: u64,
    /// The version that serves.
    pub version: u64,
    /// That version's component.
    pub digest: ComponentDigest,
    /// How far it reaches.
    pub kind: ReleaseKind,
    /// The earlier release that it takes back, so that what was in force before that one is in force again.
    pub takes_back: Option<u64>,
    /// How it was released.
    pub released: Act,
}
