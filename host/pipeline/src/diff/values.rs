//! Comparing what two versions come to on the same sample rows.

use std::collections::{BTreeMap, BTreeSet};

use trifold_eventlog::{Events, row_json};
use trifold_model::{Difference, FeatureView, Field, FieldName, FuelSummary, RowStatus, first_difference};

use super::DiffError;
use super::computed::{Computed, Row, Value, compute};
use crate::gate::state_difference;
use crate::version::LiveVersion;

/// Something of either version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sides<T> {
    /// Of the left one.
    pub left: T,
    /// Of the right one.
    pub right: T,
}

/// How far two versions agree on sample rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueDiff {
    /// How many sample rows there were.
    pub rows: u64,
    /// Rows that have a value or an error in both versions.
    pub compared: u64,
    /// Those of them that differ, in a feature that both have or in their status.
    pub differing: u64,
    /// Those of them whose status differs: errors in one version only, or of other codes.
    pub statuses: u64,
    /// Rows that are errors in one version and not in the other.
    pub errors: Sides<u64>,
    /// Rows that one version takes and the other leaves out.
    pub taken_by_one: Sides<u64>,
    /// The rows that a version leaves out.
    pub left_out: Sides<LeftOut>,
    /// The features that both versions have with the same type, in the right version's order.
    pub features: Vec<FeatureDiff>,
    /// The first rows that differ, or that one version alone takes, in their order.
    pub first: Vec<DifferingRow>,
    /// What the compared rows burnt.
    pub fuel: Sides<FuelSummary>,
    /// For window views that share their stored state: whether both fold the sample to the same.
    pub states: Option<FoldedStates>,
}

/// Rows of the sample that a version leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// How many, by reason: that of an event set aside, or `unavailable`.
    pub by_reason: BTreeMap<&'static str, u64>,
    /// The number of the first row, and what is said of it.
    pub first: Option<(u64, String)>,
}

/// How often a feature differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureDiff {
    /// The feature.
    pub name: FieldName,
    /// Rows in which it has a value, or null, in both versions.
    pub compared: u64,
    /// Those of them in which the canonical bytes differ.
    pub differing: u64,
}

/// A sample row on which two versions disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferingRow {
    /// The row's number.
    pub number: u64,
    /// What was asked, as a JSON object.
    pub inputs: String,
    /// The status if it differs, else each feature that does, with both values.
    pub differences: Vec<Difference>,
}

/// What two versions fold the same sample events to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoldedStates {
    /// The same bytes.
    Equal,
    /// Other bytes: neither version may go on with what the other stored. What the left one does otherwise.
    Differ(String),
}

impl ValueDiff {
    /// Whether the versions agree wherever they could be compared.
    pub fn agrees(&self) -> bool {
        self.differing == 0
            && self.taken_by_one == Sides::default()
            && matches!(self.states, None | Some(FoldedStates::Equal))
    }
}

/// Compares two versions of a view, both of one kind, on the same sample rows. At most `first_max` rows that differ
/// are told.
pub fn compare_values(
    versions: [&LiveVersion; 2],
    samples: &[Events; 2],
    first_max: usize,
) -> Result<ValueDiff, DiffError> {
    let views = versions.map(LiveVersion::view);
    let common = common_features(views);
    let columns = |side: usize| common.iter().map(|places| places[side]).collect::<Vec<_>>();
    let computed =
        [compute(versions[0], &samples[0], &columns(0))?, compute(versions[1], &samples[1], &columns(1))?];
    let features = common.iter().map(|places| &views[1].outputs[places[1]]).collect();
    let mut comparison = Comparison::new(features, first_max);
    let numbers: BTreeSet<u64> = computed.iter().flat_map(|computed| computed.keys().copied()).collect();
    for &number in &numbers {
        comparison.add(number, &computed, samples);
    }
    Ok(ValueDiff {
        rows: numbers.len() as u64,
        left_out: Sides { left: left_out(&computed[0]), right: left_out(&computed[1]) },
        states: folded_states(versions, samples)?,
        ..comparison.finish()
    })
}

/// Where the features stand that both views have with the same type, in the right view's order.
fn common_features([left, right]: [&FeatureView; 2]) -> Vec<[usize; 2]> {
    let place = |(place, field): (usize, &Field)| {
        let is_same = |other: &Field| other.name == field.name && other.ty == field.ty;
        left.outputs.iter().position(is_same).map(|left| [left, place])
    };
    right.outputs.iter().enumerate().filter_map(place).collect()
}

fn left_out(computed: &Computed) -> LeftOut {
    let mut left_out = LeftOut::default();
    for (&number, row) in computed {
        if let Row::LeftOut(reason, detail) = row {
            *left_out.by_reason.entry(*reason).or_default() += 1;
            left_out.first.get_or_insert_with(|| (number, detail.clone()));
        }
    }
    left_out
}

/// Versions with another state id never meet each other's states.
fn folded_states(versions: [&LiveVersion; 2], samples: &[Events; 2]) -> Result<Option<FoldedStates>, DiffError> {
    let [left, right] = versions;
    let Some(spec) = left.view().windows().filter(|_| left.state_id() == right.state_id()) else {
        return Ok(None);
    };
    let difference = state_difference([&left.transform, &right.transform], spec, &samples[0].inputs, 0)?;
    Ok(Some(difference.map_or(FoldedStates::Equal, FoldedStates::Differ)))
}

/// A comparison on its way along the rows.
struct Comparison<'a> {
    fields: Vec<&'a Field>,
    first_max: usize,
    diff: ValueDiff,
    fuel: Sides<Vec<u64>>,
}

impl<'a> Comparison<'a> {
    fn new(fields: Vec<&'a Field>, first_max: usize) -> Self {
        let feature = |field: &&Field| FeatureDiff { name: field.name.clone(), compared: 0, differing: 0 };
        let diff = ValueDiff {
            rows: 0,
            compared: 0,
            differing: 0,
            statuses: 0,
            errors: Sides::default(),
            taken_by_one: Sides::default(),
            left_out: Sides::default(),
            features: fields.iter().map(feature).collect(),
            first: Vec::new(),
            fuel: Sides::default(),
            states: None,
        };
        Comparison { fields, first_max, diff, fuel: Sides::default() }
    }

    fn add(&mut self, number: u64, [left, right]: &[Computed; 2], samples: &[Events; 2]) {
        let (Some(left), Some(right)) = (left.get(&number), right.get(&number)) else { return };
        let differences = match (left, right) {
            (Row::LeftOut(..), Row::LeftOut(..)) => return,
            (Row::Known(left), Row::Known(right)) => self.compare(left, right),
            (Row::Known(value), Row::LeftOut(reason, detail)) => {
                self.diff.taken_by_one.left += 1;
                vec![status_difference(status_text(value), left_out_text(reason, detail))]
            }
            (Row::LeftOut(reason, detail), Row::Known(value)) => {
                self.diff.taken_by_one.right += 1;
                vec![status_difference(left_out_text(reason, detail), status_text(value))]
            }
        };
        if !differences.is_empty() && self.diff.first.len() < self.first_max {
            let asked = samples.iter().rev().find_map(|side| Some(row_json(&side.inputs, side.row_of(number)?)));
            self.diff.first.push(DifferingRow { number, inputs: asked.unwrap_or_default(), differences });
        }
    }

    /// Compares a row that both take, and returns what differs.
    fn compare(&mut self, left: &Value, right: &Value) -> Vec<Difference> {
        self.fuel.left.push(left.fuel);
        self.fuel.right.push(right.fuel);
        self.diff.compared += 1;
        let differences = match left.status == right.status {
            true => self.compare_features(left, right),
            false => {
                let is_error = |value: &Value| matches!(value.status, RowStatus::Error(_));
                self.diff.statuses += 1;
                self.diff.errors.left += u64::from(is_error(left) && !is_error(right));
                self.diff.errors.right += u64::from(is_error(right) && !is_error(left));
                vec![status_difference(status_text(left), status_text(right))]
            }
        };
        self.diff.differing += u64::from(!differences.is_empty());
        differences
    }

    fn compare_features(&mut self, left: &Value, right: &Value) -> Vec<Difference> {
        let mut differences = Vec::new();
        let bytes = left.fields.iter().zip(&right.fields);
        for ((field, feature), (left, right)) in self.fields.iter().zip(&mut self.diff.features).zip(bytes) {
            feature.compared += 1;
            if left != right {
                feature.differing += 1;
                let row = |bytes: &[u8]| [&[RowStatus::Value.byte()], bytes].concat();
                let fields = std::slice::from_ref(*field);
                differences.extend(first_difference(fields, &row(left), &row(right)));
            }
        }
        differences
    }

    fn finish(self) -> ValueDiff {
        let fuel = Sides { left: FuelSummary::of(self.fuel.left), right: FuelSummary::of(self.fuel.right) };
        ValueDiff { fuel, ..self.diff }
    }
}

fn status_difference(left: String, right: String) -> Difference {
    Difference { field: "status".to_owned(), left, right }
}

fn status_text(value: &Value) -> String {
    match value.status {
        RowStatus::Error(code) if value.message.is_empty() => format!("error {code}"),
        RowStatus::Error(code) => format!("error {code}: {}", value.message),
        status => status.name().to_owned(),
    }
}

fn left_out_text(reason: &str, detail: &str) -> String {
    format!("left out, {reason}: {detail}")
}
