//! What an on-demand view is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::name::{FieldName, ViewName};
use crate::view::Field;

/// An output of another view.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureRef {
    /// The other view.
    pub view: ViewName,
    /// The name of its output.
    pub feature: FieldName,
}

impl fmt::Display for FeatureRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.view, self.feature)
    }
}

/// What only an on-demand view declares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OnDemandSpec {
    /// The inputs that are features of other views. All others are fields of the request.
    pub features: BTreeMap<FieldName, FeatureRef>,
}

impl OnDemandSpec {
    /// Where an input's values come from: a feature, or `None` for the request.
    pub fn feature(&self, input: &FieldName) -> Option<&FeatureRef> {
        self.features.get(input)
    }

    /// The views that are read, each once, by name.
    pub fn views(&self) -> BTreeSet<&ViewName> {
        self.features.values().map(|feature| &feature.view).collect()
    }

    /// Everything that is wrong with the features.
    pub(crate) fn problems(&self, view: &ViewName, inputs: &[Field], problems: &mut Vec<String>) {
        for (name, feature) in &self.features {
            match inputs.iter().find(|input| input.name == *name) {
                None => problems.push(format!("the feature {feature} is that of {name}, which is not an input")),
                Some(input) if !input.nullable => problems.push(format!(
                    "input {name} is the feature {feature}, which a lookup may be without, so it must be nullable"
                )),
                Some(_) => {}
            }
            if feature.view == *view {
                problems.push(format!("input {name} is the feature {feature} of the view itself"));
            }
        }
    }
}
