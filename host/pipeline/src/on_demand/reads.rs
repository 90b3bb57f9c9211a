//! What an on-demand view reads, checked against the views that it names.

use std::collections::BTreeMap;
use std::fmt;

use trifold_model::{FeatureRef, FeatureView, Field, FieldName, FieldType, ViewName};

/// How many features are named where one is missing.
const KNOWN_SHOWN: usize = 12;

/// A view that an on-demand view reads, with the places of all that passes between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadView {
    /// The view.
    pub view: ViewName,
    /// For each of its key fields, in declared order, the input of the on-demand view that holds it.
    pub keys: Vec<usize>,
    /// Which input of the on-demand view takes which of its outputs.
    pub features: Vec<(usize, usize)>,
}

/// An on-demand view that asks for something that the views in place do not give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ReadError {
    /// The on-demand view.
    pub view: ViewName,
    /// Everything that is wrong.
    pub problems: Vec<ReadProblem>,
}

/// One thing that an on-demand view cannot have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadProblem {
    /// A feature that an input cannot take.
    Feature {
        /// The input.
        input: FieldName,
        /// What it is to be.
        feature: FeatureRef,
        /// What was found instead.
        found: FeatureFault,
    },
    /// A key field of a view that is read, for which the request brings nothing.
    Key {
        /// The view that is read.
        view: ViewName,
        /// The field.
        key: FieldName,
        /// Its type.
        ty: FieldType,
        /// What was found instead.
        found: KeyFault,
    },
}

/// Why an input cannot take a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeatureFault {
    /// There is no such view.
    NoView,
    /// The view is an on-demand view too.
    OnDemand,
    /// The view has no such output.
    NoFeature(Vec<FieldName>),
    /// The output is of another type than the input.
    Type(FieldType, FieldType),
}

/// Why the request brings no value for a key field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFault {
    /// No input has its name.
    NoInput,
    /// The input of its name is a feature.
    Feature(FeatureRef),
    /// The input of its name has another type.
    Type(FieldType),
    /// The input of its name may be null.
    Nullable,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<_> = self.problems.iter().map(ToString::to_string).collect();
        write!(f, "view {} cannot read what it asks for: {}", self.view, problems.join("; "))
    }
}

impl fmt::Display for ReadProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadProblem::Feature { input, feature, found } => {
                let FeatureRef { view, feature: name } = feature;
                write!(f, "input {input} is the feature {feature}, ")?;
                match found {
                    FeatureFault::NoView => write!(f, "but there is no view {view}: push and release it first"),
                    FeatureFault::OnDemand => {
                        write!(f, "but {view} is an on-demand view itself: read the features that it is made of")
                    }
                    FeatureFault::NoFeature(known) => {
                        let shown: Vec<_> = known.iter().map(FieldName::as_str).take(KNOWN_SHOWN).collect();
                        write!(f, "but view {view} has no feature {name}: it has {}", shown.join(", "))?;
                        match known.len() - shown.len() {
                            0 => Ok(()),
                            more => write!(f, " and {more} more, which `trifold inspect` lists"),
                        }
                    }
                    FeatureFault::Type(feature, input) => {
                        write!(
                            f,
                            "which is of type {feature}, but the input is of type {input}: let it be {feature}"
                        )
                    }
                }
            }
            ReadProblem::Key { view, key, ty, found } => {
                write!(f, "view {view} is keyed by {key} of type {ty}, ")?;
                match found {
                    KeyFault::NoInput => write!(f, "and no input has that name")?,
                    KeyFault::Feature(feature) => {
                        write!(f, "and the input of that name is the feature {feature}")?
                    }
                    KeyFault::Type(found) => write!(f, "and the input of that name is of type {found}")?,
                    KeyFault::Nullable => write!(f, "and the input of that name may be null")?,
                }
                write!(f, ": add a required input {key} of type {ty} that comes from the request")
            }
        }
    }
}

/// The views that an on-demand view reads, by name, with everything that passes between them. `known` finds the views
/// that can be read. Nothing for a view of another kind.
pub fn reads<'a>(
    view: &FeatureView,
    known: impl Fn(&ViewName) -> Option<&'a FeatureView>,
) -> Result<Vec<ReadView>, ReadError> {
    let mut reads: BTreeMap<&ViewName, ReadView> = BTreeMap::new();
    let mut problems = Vec::new();
    let features = view.on_demand().map(|spec| &spec.features).into_iter().flatten();
    for (name, feature) in features {
        let Some((place, input)) = view.inputs.iter().enumerate().find(|(_, input)| input.name == *name) else {
            continue;
        };
        let read = known(&feature.view);
        match read.ok_or(FeatureFault::NoView).and_then(|read| output(read, feature, input)) {
            Err(found) => {
                problems.push(ReadProblem::Feature { input: name.clone(), feature: feature.clone(), found })
            }
            Ok(output) => {
                let new = || ReadView { view: feature.view.clone(), keys: Vec::new(), features: Vec::new() };
                reads.entry(&feature.view).or_insert_with(new).features.push((place, output));
            }
        }
    }
    for read in reads.values_mut() {
        for key in known(&read.view).into_iter().flat_map(FeatureView::key_fields) {
            match request_field(view, key) {
                Ok(place) => read.keys.push(place),
                Err(found) => {
                    let (key, ty) = (key.name.clone(), key.ty);
                    problems.push(ReadProblem::Key { view: read.view.clone(), key, ty, found });
                }
            }
        }
    }
    match problems.is_empty() {
        true => Ok(reads.into_values().collect()),
        false => Err(ReadError { view: view.name.clone(), problems }),
    }
}

/// Where a feature stands among the outputs of its view.
fn output(read: &FeatureView, feature: &FeatureRef, input: &Field) -> Result<usize, FeatureFault> {
    if read.on_demand().is_some() {
        return Err(FeatureFault::OnDemand);
    }
    let Some(place) = read.outputs.iter().position(|output| output.name == feature.feature) else {
        return Err(FeatureFault::NoFeature(read.outputs.iter().map(|output| output.name.clone()).collect()));
    };
    match read.outputs[place].ty {
        ty if ty == input.ty => Ok(place),
        ty => Err(FeatureFault::Type(ty, input.ty)),
    }
}

/// Where a key field stands among the inputs.
fn request_field(view: &FeatureView, key: &Field) -> Result<usize, KeyFault> {
    let place = view.inputs.iter().position(|input| input.name == key.name).ok_or(KeyFault::NoInput)?;
    let input = &view.inputs[place];
    match view.on_demand().and_then(|spec| spec.feature(&input.name)) {
        Some(feature) => Err(KeyFault::Feature(feature.clone())),
        None if input.ty != key.ty => Err(KeyFault::Type(input.ty)),
        None if input.nullable => Err(KeyFault::Nullable),
        None => Ok(place),
    }
}

#[cfg(test)]
mod tests {
    use trifold_model::{OnDemandSpec, RowLimits, ViewKind, ViewSpec};

    use super::*;

    fn field(name: &str, ty: FieldType, nullable: bool) -> Field {
        Field { name: name.parse().unwrap(), ty, nullable, doc: String::new() }
    }

    fn view(name: &str, kind: ViewKind, entity: &[&str], inputs: Vec<Field>, outputs: Vec<Field>) -> FeatureView {
        let spec = ViewSpec {
            name: name.parse().unwrap(),
            kind,
            doc: String::new(),
            entity: entity.iter().map(|name| name.parse().unwrap()).collect(),
            inputs,
            outputs,
            ttl: None,
            lateness: None,
            max_early: None,
            state_version: 1,
            limits: RowLimits::default(),
        };
        FeatureView::new(spec).unwrap()
    }

    fn load() -> FeatureView {
        let inputs = vec![field("origin", FieldType::Utf8, false), field("day", FieldType::Int64, false)];
        let outputs = vec![field("count", FieldType::Int64, false), field("mean", FieldType::Float64, true)];
        view("load", ViewKind::Row, &["origin", "day"], inputs, outputs)
    }

    fn on_demand(inputs: Vec<Field>, features: &[(&str, &str, &str)]) -> FeatureView {
        let feature = |(input, view, feature): &(&str, &str, &str)| {
            let feature = FeatureRef { view: view.parse().unwrap(), feature: feature.parse().unwrap() };
            (input.parse().unwrap(), feature)
        };
        let spec = OnDemandSpec { features: features.iter().map(feature).collect() };
        view("context", ViewKind::OnDemand(spec), &[], inputs, vec![field("y", FieldType::Bool, true)])
    }

    fn check(view: &FeatureView) -> Result<Vec<ReadView>, ReadError> {
        let load = load();
        reads(view, |name| (*name == load.name).then_some(&load))
    }

    #[test]
    fn what_passes_between_views_has_its_place() {
        let inputs = vec![
            field("day", FieldType::Int64, false),
            field("m", FieldType::Float64, true),
            field("origin", FieldType::Utf8, false),
            field("n", FieldType::Int64, true),
        ];
        let reads = check(&on_demand(inputs, &[("m", "load", "mean"), ("n", "load", "count")])).unwrap();
        let expected =
            ReadView { view: "load".parse().unwrap(), keys: vec![2, 0], features: vec![(1, 1), (3, 0)] };
        assert_eq!(reads, [expected]);
        assert_eq!(check(&load()).unwrap(), []);
    }

    #[test]
    fn everything_that_cannot_be_read_is_named() {
        let features = ["a", "b", "c", "d"].map(|name| field(name, FieldType::Int64, true)).into_iter();
        let keys = [field("origin", FieldType::Utf8, true), field("day", FieldType::Utf8, false)];
        let view = on_demand(
            features.chain(keys).collect(),
            &[("a", "gone", "x"), ("b", "other", "x"), ("c", "load", "mode"), ("d", "load", "mean")],
        );
        let error = check(&view).unwrap_err().to_string();
        assert!(
            error.contains("input a is the feature gone.x, but there is no view gone: push and release"),
            "{error}"
        );
        for part in [
            "view context cannot read what it asks for: ",
            "but there is no view other",
            "input c is the feature load.mode, but view load has no feature mode: it has count, mean",
            "input d is the feature load.mean, which is of type float64, but the input is of type int64",
        ] {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
        let inputs = vec![field("n", FieldType::Int64, true), field("origin", FieldType::Utf8, true)];
        let error = check(&on_demand(inputs, &[("n", "load", "count")])).unwrap_err().to_string();
        for part in [
            "view load is keyed by origin of type utf8, and the input of that name may be null: add a required input",
            "view load is keyed by day of type int64, and no input has that name",
        ] {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
        let inputs = vec![field("day", FieldType::Int64, true), field("origin", FieldType::Int64, false)];
        let error = check(&on_demand(inputs, &[("day", "load", "count")])).unwrap_err().to_string();
        for part in ["the input of that name is of type int64", "the input of that name is the feature load.count"]
        {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
        let own = on_demand(vec![field("n", FieldType::Int64, true)], &[("n", "context_2", "y")]);
        let twin = on_demand(vec![field("a", FieldType::Bool, true)], &[]);
        let error = reads(&own, |_| Some(&twin)).unwrap_err().to_string();
        assert!(error.contains("but context_2 is an on-demand view itself"), "{error}");
    }
}
