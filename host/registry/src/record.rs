//! What is recorded of versions and releases.

use std::collections::BTreeMap;

use trifold_model::{ComponentDigest, ErrorCode, EventTime, FuelSummary, Share, StateId, Tool, ViewName};

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

/// How a component was made and tried before it was pushed, and how it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// When, by whom and why it was pushed.
    pub pushed: Act,
    /// What made it, as it says itself.
    pub tools: Vec<Tool>,
    /// What it showed in the publish gate, if it was there.
    pub gate: Option<GateRecord>,
}

/// A component of which nothing else is said.
impl From<Act> for Provenance {
    fn from(pushed: Act) -> Self {
        Provenance { pushed, tools: Vec::new(), gate: None }
    }
}

/// The same, pushed by nobody in particular.
impl From<EventTime> for Provenance {
    fn from(at: EventTime) -> Self {
        Act::from(at).into()
    }
}

/// What a component showed in the publish gate, which let it through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateRecord {
    /// What a unit of fuel was there: the engine that counted, and the rewriter whose instructions it counted too.
    pub fuel_counted_by: String,
    /// The samples that were tried.
    pub samples: Vec<GateSample>,
}

/// What the rows of one sample came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateSample {
    /// The name of the file that they stood in; `None` for generated rows.
    pub file: Option<String>,
    /// How many there were.
    pub rows: u64,
    /// Those of them that are row errors, by code.
    pub errors: BTreeMap<ErrorCode, u64>,
    /// Rows of the file that were not tried because they do not fit the view, by reason.
    pub aside: BTreeMap<String, u64>,
    /// What each row burnt in a call of its own: of `apply`, or of `prepare` for a window view.
    pub fuel: FuelSummary,
    /// What was tried, each with the number of rows. All of it passed.
    pub checks: Vec<(String, u64)>,
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
    /// What made it, as it says itself; empty where it says nothing.
    pub tools: Vec<Tool>,
    /// What it showed in the publish gate; `None` where that was not recorded.
    pub gate: Option<GateRecord>,
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

/// The record that says that a version is not used any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    /// The view.
    pub view: ViewName,
    /// The version.
    pub version: u64,
    /// When, by whom and why it was retired.
    pub retired: Act,
}

/// The record that says what serves of a view from then on.
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
    /// A version that is tried out beside it.
    pub candidate: Option<Candidate>,
    /// The release with which what this one goes on with began; its own number if it goes on with nothing.
    pub rollout: u64,
    /// The earlier release that it takes back, so that what was in force before that one is in force again.
    pub takes_back: Option<u64>,
    /// How it was released.
    pub released: Act,
}

/// A version that is tried out beside the one that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The version.
    pub version: u64,
    /// That version's component.
    pub digest: ComponentDigest,
    /// What it is for.
    pub trial: Trial,
}

/// What a candidate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// Its state is built, and nothing else.
    Bootstrap,
    /// It is computed beside the version that serves and compared with it, and never served.
    Shadow,
    /// It serves some of the entities.
    Canary {
        /// How many of them; never all.
        share: Share,
        /// How the share is to grow.
        steps: Steps,
    },
}

impl Trial {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Trial::Bootstrap => "bootstrap",
            Trial::Shadow => "shadow",
            Trial::Canary { .. } => "canary",
        }
    }
}

/// How a canary's share is to grow, for a controller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Steps {
    /// How long the share of now is to be held, in seconds; `None` is until somebody decides.
    pub hold: Option<u64>,
    /// What comes then, one after the other.
    pub next: Vec<Step>,
}

/// One step of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The share; all is a release for everybody.
    pub share: Share,
    /// How long it is to be held, in seconds; `None` is until somebody decides.
    pub hold: Option<u64>,
}
