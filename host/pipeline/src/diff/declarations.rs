//! What two versions of a view declare differently, and what that means for those who use the view.

use std::fmt;

use trifold_model::{FeatureView, Field, FieldName, FieldType, Span, ViewSpec, WindowSpec};

/// What two versions of a view declare differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclarationDiff {
    /// What is said of the view as a whole.
    pub settings: Vec<SettingChange>,
    /// The columns that the transform reads.
    pub inputs: Vec<FieldChange>,
    /// The columns into which a window view prepares events.
    pub prepared: Vec<FieldChange>,
    /// The features.
    pub outputs: Vec<FieldChange>,
    /// What becomes of what is stored.
    pub state: StateChange,
    /// What those who use the left version cannot go on with.
    pub breaks: Vec<Break>,
}

/// Something that is said of a view as a whole, on both sides; `None` where a version's kind does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingChange {
    /// What it is.
    pub setting: Setting,
    /// What the left version says.
    pub left: Option<String>,
    /// What the right version says.
    pub right: Option<String>,
}

/// What can be said of a view as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// How values come about.
    Kind,
    /// What the view is for.
    Doc,
    /// The key fields.
    Entity,
    /// The windows and their hops.
    Windows,
    /// In which order events are folded.
    FoldOrder,
    /// Whether copies of events count.
    Copies,
    /// How long values live.
    TimeToLive,
    /// How late events may arrive.
    Lateness,
    /// How far ahead of their arrival events may lie.
    MaxEarly,
    /// What the author raises when stored state changes its meaning.
    StateVersion,
    /// The fuel of one row.
    Fuel,
    /// The bytes of memory of one row.
    Memory,
    /// The order of the inputs that both have.
    InputOrder,
    /// The order of the features that both have.
    OutputOrder,
}

impl Setting {
    /// A word or two for it.
    pub fn name(self) -> &'static str {
        match self {
            Setting::Kind => "kind",
            Setting::Doc => "documentation",
            Setting::Entity => "entity",
            Setting::Windows => "windows",
            Setting::FoldOrder => "fold order",
            Setting::Copies => "copies of events",
            Setting::TimeToLive => "time to live",
            Setting::Lateness => "lateness",
            Setting::MaxEarly => "max early",
            Setting::StateVersion => "state version",
            Setting::Fuel => "fuel of a row",
            Setting::Memory => "memory of a row",
            Setting::InputOrder => "order of inputs",
            Setting::OutputOrder => "order of outputs",
        }
    }
}

/// A field that only one side has, or that is declared differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The field.
    pub name: FieldName,
    /// What the left version declares; `None` where the field is new.
    pub left: Option<Declared>,
    /// What the right version declares; `None` where the field is gone.
    pub right: Option<Declared>,
}

/// What is declared of a field beside its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The type.
    pub ty: FieldType,
    /// Whether a value may be absent.
    pub nullable: bool,
    /// What the field means.
    pub doc: String,
    /// Where an input of an on-demand view comes from: `request`, or a feature as `view.feature`.
    pub source: Option<String>,
}

/// What becomes of what is stored of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateChange {
    /// Nothing is stored of an on-demand view.
    Nothing,
    /// The state ids are equal: one version goes on with what the other stored.
    Shared,
    /// The state ids differ: the right version starts with nothing, and is filled from the beginning of the log.
    Rebuilt,
}

/// Something that those who use the left version cannot go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Break {
    /// Values come about in another way.
    Kind,
    /// Entities are named by other key fields.
    Entity,
    /// A feature is gone.
    Removed(FieldName),
    /// A feature has another type: what it had, and what it has.
    Retyped(FieldName, FieldType, FieldType),
    /// A feature that always had a value may be null.
    Nullable(FieldName),
    /// Requests need a field that they do not bring.
    RequestNeeds(FieldName),
    /// Requests bring a field that is not taken any more, or not with its type.
    RequestBrings(FieldName),
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Break::Kind => write!(f, "it is a view of another kind"),
            Break::Entity => write!(f, "entities have other key fields"),
            Break::Removed(name) => write!(f, "feature {name} is gone"),
            Break::Retyped(name, left, right) => write!(f, "feature {name} was {left} and is {right}"),
            Break::Nullable(name) => write!(f, "feature {name} may be null"),
            Break::RequestNeeds(name) => write!(f, "requests must bring {name}"),
            Break::RequestBrings(name) => write!(f, "requests may not bring {name} as they did"),
        }
    }
}

impl DeclarationDiff {
    /// Whether both versions declare the same.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.inputs.is_empty() && self.prepared.is_empty() && self.outputs.is_empty()
    }
}

/// What changes from the left version of a view to the right one.
pub fn compare_declarations(left: &FeatureView, right: &FeatureView) -> DeclarationDiff {
    let inputs = field_changes(&inputs(left), &inputs(right));
    let outputs = field_changes(&outputs(left), &outputs(right));
    DeclarationDiff {
        settings: setting_changes(left, right),
        prepared: field_changes(&prepared(left), &prepared(right)),
        state: match (left.on_demand(), right.on_demand()) {
            (Some(_), Some(_)) => StateChange::Nothing,
            _ if left.state_id() == right.state_id() => StateChange::Shared,
            _ => StateChange::Rebuilt,
        },
        breaks: breaks(left, right, &inputs, &outputs),
        inputs,
        outputs,
    }
}

fn setting_changes(left: &FeatureView, right: &FeatureView) -> Vec<SettingChange> {
    let mut changes = Vec::new();
    let mut compare = |setting, left: Option<String>, right: Option<String>| {
        if left != right {
            changes.push(SettingChange { setting, left, right });
        }
    };
    for (setting, of) in OF_EVERY_VIEW {
        compare(setting, Some(of(left)), Some(of(right)));
    }
    for (setting, of) in OF_WINDOWS {
        compare(setting, left.windows().map(of), right.windows().map(of));
    }
    for (setting, of) in OF_FIELDS {
        let (left, right) = (of(left), of(right));
        compare(setting, Some(common_names(left, right)), Some(common_names(right, left)));
    }
    changes
}

/// The names of the fields that others have too, in their order.
fn common_names(fields: &[Field], others: &[Field]) -> String {
    let is_common = |field: &&Field| others.iter().any(|other| other.name == field.name);
    fields.iter().filter(is_common).map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
}

type OfView = fn(&ViewSpec) -> String;
type OfWindows = fn(&WindowSpec) -> String;
type OfFields = fn(&ViewSpec) -> &[Field];

/// The source of an input that a request brings.
const REQUEST: &str = "request";

const OF_EVERY_VIEW: [(Setting, OfView); 9] = [
    (Setting::Kind, |view| view.kind.name().to_owned()),
    (Setting::Doc, |view| view.doc.clone()),
    (Setting::Entity, |view| view.entity.iter().map(FieldName::as_str).collect::<Vec<_>>().join(", ")),
    (Setting::TimeToLive, |view| span(view.ttl)),
    (Setting::Lateness, |view| span(view.lateness)),
    (Setting::MaxEarly, |view| span(view.max_early)),
    (Setting::StateVersion, |view| view.state_version.to_string()),
    (Setting::Fuel, |view| view.limits.fuel.to_string()),
    (Setting::Memory, |view| view.limits.memory_bytes.to_string()),
];

const OF_WINDOWS: [(Setting, OfWindows); 3] = [
    (Setting::Windows, |spec| {
        let windows = spec.windows.iter().map(|window| format!("{} in hops of {}", window.length, window.hop));
        windows.collect::<Vec<_>>().join(", ")
    }),
    (Setting::FoldOrder, |spec| spec.order.name().to_owned()),
    (Setting::Copies, |spec| if spec.deduplicate { "count once" } else { "count each time" }.to_owned()),
];

const OF_FIELDS: [(Setting, OfFields); 2] =
    [(Setting::InputOrder, |view| &view.inputs), (Setting::OutputOrder, |view| &view.outputs)];

fn span(span: Option<Span>) -> String {
    span.map_or_else(|| "unlimited".to_owned(), |span| span.to_string())
}

/// The fields of one side, by name.
type Fields = Vec<(FieldName, Declared)>;

fn declared(fields: &[Field], source: impl Fn(&FieldName) -> Option<String>) -> Fields {
    let declared = |field: &Field| {
        let Field { name, ty, nullable, doc } = field.clone();
        let source = source(&name);
        (name, Declared { ty, nullable, doc, source })
    };
    fields.iter().map(declared).collect()
}

fn inputs(view: &FeatureView) -> Fields {
    let source = |name: &FieldName| {
        let feature = view.on_demand()?.feature(name);
        Some(feature.map_or_else(|| REQUEST.to_owned(), ToString::to_string))
    };
    declared(&view.inputs, source)
}

fn prepared(view: &FeatureView) -> Fields {
    declared(view.windows().map_or(&[], |spec| &spec.prepared), |_| None)
}

fn outputs(view: &FeatureView) -> Fields {
    declared(&view.outputs, |_| None)
}

/// The fields that are gone or declared differently, in the left order, then the new ones.
fn field_changes(left: &Fields, right: &Fields) -> Vec<FieldChange> {
    let find = |fields: &Fields, name: &FieldName| {
        fields.iter().find(|(field, _)| field == name).map(|(_, declared)| declared.clone())
    };
    let new = right.iter().filter(|(name, _)| find(left, name).is_none());
    let names = left.iter().chain(new).map(|(name, _)| name);
    let change =
        |name: &FieldName| FieldChange { name: name.clone(), left: find(left, name), right: find(right, name) };
    names.map(change).filter(|change| change.left != change.right).collect()
}

impl Declared {
    fn is_request(&self) -> bool {
        self.source.as_deref() == Some(REQUEST)
    }
}

fn breaks(left: &FeatureView, right: &FeatureView, inputs: &[FieldChange], outputs: &[FieldChange]) -> Vec<Break> {
    if left.kind.name() != right.kind.name() {
        return vec![Break::Kind];
    }
    let keys = |view: &FeatureView| -> Vec<_> {
        view.key_fields().iter().map(|field| (field.name.clone(), field.ty)).collect()
    };
    let entity = (keys(left) != keys(right)).then_some(Break::Entity);
    let of_output = outputs.iter().filter_map(|FieldChange { name, left, right }| match (left, right) {
        (Some(_), None) => Some(Break::Removed(name.clone())),
        (Some(left), Some(right)) if left.ty != right.ty => Some(Break::Retyped(name.clone(), left.ty, right.ty)),
        (Some(left), Some(right)) if right.nullable && !left.nullable => Some(Break::Nullable(name.clone())),
        _ => None,
    });
    let of_input = inputs.iter().filter_map(|FieldChange { name, left, right }| {
        let brought = left.as_ref().filter(|left| left.is_request());
        let taken = right.as_ref().filter(|right| right.is_request());
        match (brought, taken) {
            (Some(brought), Some(taken)) if brought.ty != taken.ty => Some(Break::RequestBrings(name.clone())),
            (Some(_), None) => Some(Break::RequestBrings(name.clone())),
            (Some(brought), Some(taken)) if brought.nullable && !taken.nullable => {
                Some(Break::RequestNeeds(name.clone()))
            }
            (None, Some(taken)) if !taken.nullable => Some(Break::RequestNeeds(name.clone())),
            _ => None,
        }
    });
    entity.into_iter().chain(of_output).chain(of_input).collect()
}
