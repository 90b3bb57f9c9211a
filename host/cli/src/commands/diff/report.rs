//! What `diff` has found, as JSON; the text is made from the same.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::Value as Json;
use trifold_pipeline::diff::{
    DeclarationDiff, Declared, DifferingRow, FeatureDiff, FieldChange, FoldedStates, LeftOut, SettingChange,
    Sides, StateChange, ValueDiff,
};
use trifold_sandbox::fuel_counted_by;

use crate::commands::component::Component;
use crate::commands::provenance::{Fuel, ToolLine, tool_lines};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Report {
    pub(super) view: String,
    pub(super) kind: &'static str,
    pub(super) left: Side,
    pub(super) right: Side,
    /// Whether both are the same component, so that nothing differs.
    pub(super) same_component: bool,
    /// Whether anything is declared or computed differently.
    pub(super) differ: bool,
    pub(super) changes: Changes,
    /// None for the same component, and for versions of different kinds.
    pub(super) values: Option<Values>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Side {
    pub(super) name: String,
    /// None for a file.
    pub(super) version: Option<u64>,
    pub(super) digest: String,
    pub(super) bytes: u64,
    pub(super) state_id: String,
    pub(super) toolchain: Vec<ToolLine>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Changes {
    pub(super) settings: Vec<Setting>,
    pub(super) inputs: Vec<Field>,
    pub(super) prepared: Vec<Field>,
    pub(super) outputs: Vec<Field>,
    /// `nothing` is stored, it is `shared` by both versions, or must be `rebuilt` for the right one.
    pub(super) state: &'static str,
    pub(super) breaks: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Setting {
    pub(super) setting: &'static str,
    pub(super) left: Option<String>,
    pub(super) right: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Field {
    pub(super) name: String,
    /// `added`, `removed` or `changed`.
    pub(super) change: &'static str,
    pub(super) left: Option<FieldSide>,
    pub(super) right: Option<FieldSide>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FieldSide {
    pub(super) r#type: &'static str,
    pub(super) nullable: bool,
    pub(super) doc: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Values {
    /// The file of the rows; none for generated ones.
    pub(super) sample: Option<String>,
    pub(super) rows: u64,
    pub(super) compared: u64,
    pub(super) differing: u64,
    pub(super) differing_statuses: u64,
    pub(super) errors_in_one: Both<u64>,
    pub(super) taken_by_one: Both<u64>,
    pub(super) left_out: Both<Out>,
    pub(super) features: Vec<Feature>,
    /// Features that only one version has, or with another type.
    pub(super) not_compared: Vec<String>,
    pub(super) first_differing: Vec<Row>,
    /// Of window views that share their state: whether both fold the sample to the same bytes.
    pub(super) states: Option<States>,
    pub(super) fuel_counted_by: String,
    pub(super) fuel: Both<Fuel>,
}

/// Something of either version.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Both<T> {
    pub(super) left: T,
    pub(super) right: T,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Out {
    pub(super) by_reason: BTreeMap<&'static str, u64>,
    /// The first row, and what is said of it.
    pub(super) first: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Feature {
    pub(super) name: String,
    pub(super) compared: u64,
    pub(super) differing: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Row {
    pub(super) row: u64,
    pub(super) inputs: Json,
    pub(super) differences: Vec<Difference>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Difference {
    pub(super) field: String,
    pub(super) left: String,
    pub(super) right: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct States {
    pub(super) equal: bool,
    /// What the left version does otherwise.
    pub(super) detail: Option<String>,
}

impl Report {
    pub(super) fn new(
        [left, right]: [&Component; 2],
        declarations: &DeclarationDiff,
        sample: Option<&Path>,
        values: Option<ValueDiff>,
    ) -> Self {
        let not_compared = declarations.outputs.iter().filter(|field| match (&field.left, &field.right) {
            (Some(left), Some(right)) => left.ty != right.ty,
            _ => true,
        });
        let not_compared: Vec<_> = not_compared.map(|field| field.name.to_string()).collect();
        let sample = sample.map(|path| path.display().to_string());
        Report {
            view: right.live.view().name.to_string(),
            kind: right.live.view().kind.name(),
            same_component: left.live.digest() == right.live.digest(),
            differ: !declarations.is_empty() || values.as_ref().is_some_and(|values| !values.agrees()),
            left: side(left),
            right: side(right),
            changes: changes(declarations),
            values: values.map(|values| Values::new(sample, not_compared, values)),
        }
    }
}

fn side(component: &Component) -> Side {
    Side {
        name: component.name.clone(),
        version: component.record.as_ref().map(|record| record.version),
        digest: component.live.digest().to_string(),
        bytes: component.bytes,
        state_id: component.live.state_id().to_string(),
        toolchain: tool_lines(component.live.transform.tools()),
    }
}

fn changes(declarations: &DeclarationDiff) -> Changes {
    let fields = |fields: &[FieldChange]| fields.iter().map(field).collect();
    let setting = |SettingChange { setting, left, right }: &SettingChange| Setting {
        setting: setting.name(),
        left: left.clone(),
        right: right.clone(),
    };
    Changes {
        settings: declarations.settings.iter().map(setting).collect(),
        inputs: fields(&declarations.inputs),
        prepared: fields(&declarations.prepared),
        outputs: fields(&declarations.outputs),
        state: match declarations.state {
            StateChange::Nothing => "nothing",
            StateChange::Shared => "shared",
            StateChange::Rebuilt => "rebuilt",
        },
        breaks: declarations.breaks.iter().map(ToString::to_string).collect(),
    }
}

fn field(change: &FieldChange) -> Field {
    let side = |declared: &Declared| FieldSide {
        r#type: declared.ty.name(),
        nullable: declared.nullable,
        doc: declared.doc.clone(),
        source: declared.source.clone(),
    };
    Field {
        name: change.name.to_string(),
        change: match (&change.left, &change.right) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        },
        left: change.left.as_ref().map(side),
        right: change.right.as_ref().map(side),
    }
}

impl Values {
    fn new(sample: Option<String>, not_compared: Vec<String>, diff: ValueDiff) -> Self {
        Values {
            sample,
            rows: diff.rows,
            compared: diff.compared,
            differing: diff.differing,
            differing_statuses: diff.statuses,
            errors_in_one: both(diff.errors),
            taken_by_one: both(diff.taken_by_one),
            left_out: Both { left: out(diff.left_out.left), right: out(diff.left_out.right) },
            features: diff
                .features
                .into_iter()
                .map(|FeatureDiff { name, compared, differing }| Feature {
                    name: name.to_string(),
                    compared,
                    differing,
                })
                .collect(),
            not_compared,
            first_differing: diff.first.into_iter().map(row).collect(),
            states: diff.states.map(states),
            fuel_counted_by: fuel_counted_by(),
            fuel: Both { left: diff.fuel.left.into(), right: diff.fuel.right.into() },
        }
    }
}

fn both<T>(Sides { left, right }: Sides<T>) -> Both<T> {
    Both { left, right }
}

fn out(LeftOut { by_reason, first }: LeftOut) -> Out {
    Out { by_reason, first: first.map(|(row, detail)| format!("row {row}: {detail}")) }
}

fn row(DifferingRow { number, inputs, differences }: DifferingRow) -> Row {
    let differences = differences.into_iter().map(|found| Difference {
        field: found.field,
        left: found.left,
        right: found.right,
    });
    // Inputs are written as a JSON object.
    let inputs = serde_json::from_str(&inputs).unwrap_or(Json::String(inputs));
    Row { row: number, inputs, differences: differences.collect() }
}

fn states(states: FoldedStates) -> States {
    match states {
        FoldedStates::Equal => States { equal: true, detail: None },
        FoldedStates::Differ(difference) => States { equal: false, detail: Some(difference) },
    }
}
