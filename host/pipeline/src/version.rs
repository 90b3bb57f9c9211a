//! A version of a view, ready to run.

use trifold_model::{ComponentDigest, FeatureView, StateId};
use trifold_sandbox::Transform;

/// A version of a view whose component has been admitted. Cheap to clone.
#[derive(Clone)]
pub struct LiveVersion {
    /// The version's number in the registry.
    pub version: u64,
    /// The release that put it into force, if one did.
    pub release: Option<u64>,
    /// The component.
    pub transform: Transform,
}

impl LiveVersion {
    /// What the component says of itself.
    pub fn view(&self) -> &FeatureView {
        self.transform.view()
    }

    /// The component's identity, which every value names.
    pub fn digest(&self) -> ComponentDigest {
        self.transform.digest()
    }

    /// What the view's state is filed under.
    pub fn state_id(&self) -> StateId {
        self.view().state_id()
    }
}
