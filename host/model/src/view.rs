//! Feature views: what a component says of itself, checked.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};

use crate::identity::StateId;
use crate::name::{FieldName, ViewName};
use crate::on_demand::OnDemandSpec;
use crate::time::Span;
use crate::types::FieldType;
use crate::window::WindowSpec;

/// The most inputs, and the most outputs, of a view.
pub const FIELDS_MAX: usize = 1024;

/// The input that carries an event's time; its type is `timestamp`.
pub const EVENT_TIME: &str = "event_time";
/// The input that carries an event's id; its type is `utf8`.
pub const EVENT_ID: &str = "event_id";

/// How a view's values come about, with what only that kind declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewKind {
    /// Stateless: the value is the row of the entity's latest event in canonical order.
    Row,
    /// Aggregation over sliding windows.
    Window(WindowSpec),
    /// Stateless at read time, from request fields and features of other views.
    OnDemand(OnDemandSpec),
}

impl ViewKind {
    /// The word that `describe` uses.
    pub fn name(&self) -> &'static str {
        match self {
            ViewKind::Row => "row",
            ViewKind::Window(_) => "window",
            ViewKind::OnDemand(_) => "on-demand",
        }
    }
}

/// A named, typed column of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name, unique among the view's inputs or outputs.
    pub name: FieldName,
    /// The type.
    pub ty: FieldType,
    /// Whether a value may be absent.
    pub nullable: bool,
    /// What the field means, for people. Empty when the author wrote nothing.
    pub doc: String,
}

/// The limits of one row's computation. They belong to the version, because the verdicts are part of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowLimits {
    /// Units of fuel that one row may burn.
    pub fuel: u64,
    /// Bytes that the guest's linear memory may reach.
    pub memory_bytes: u64,
}

impl Default for RowLimits {
    /// 20 million units, some 10 ms of guest work, and 64 MiB: a hundred times what a heavy row of strings and
    /// lists takes, and small enough that a runaway row is stopped before anybody notices.
    fn default() -> Self {
        RowLimits { fuel: 20_000_000, memory_bytes: 64 << 20 }
    }
}

impl RowLimits {
    /// The bounds within which a version may set its limits.
    pub const FUEL: std::ops::RangeInclusive<u64> = 10_000..=2_000_000_000;
    /// At least two pages beyond what a Rust guest needs for its stack; at most what a pooled slot holds.
    pub const MEMORY_BYTES: std::ops::RangeInclusive<u64> = (2 << 20)..=(256 << 20);
}

/// Everything that `describe` says of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewSpec {
    /// The view's name.
    pub name: ViewName,
    /// How values come about.
    pub kind: ViewKind,
    /// What the view is for. Empty when the author wrote nothing.
    pub doc: String,
    /// The entity's key fields in declared order; each is the name of a required input.
    pub entity: Vec<FieldName>,
    /// The columns that the transform reads.
    pub inputs: Vec<Field>,
    /// The columns that the transform writes.
    pub outputs: Vec<Field>,
    /// How long the value of a row view lives after its event. An entity of a window view is forgotten so long after its
    /// latest event, and events that arrive later than that do not count.
    pub ttl: Option<Span>,
    /// How long after it happened an event may arrive; `None` is without limit.
    pub lateness: Option<Span>,
    /// How far an event's time may lie ahead of its arrival; `None` is without limit.
    pub max_early: Option<Span>,
    /// Raised by the author when stored state changes its meaning.
    pub state_version: u32,
    /// The limits of one row.
    pub limits: RowLimits,
}

/// Everything that is wrong with a [`ViewSpec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ViewError {
    /// The view's name.
    pub view: ViewName,
    /// One sentence each.
    pub problems: Vec<String>,
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view {}: {}", self.view, self.problems.join("; "))
    }
}

/// A checked [`ViewSpec`], cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct FeatureView(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    spec: ViewSpec,
    state_id: StateId,
    input_schema: SchemaRef,
    output_schema: SchemaRef,
    prepared_schema: Option<SchemaRef>,
    key_columns: Vec<usize>,
    key_fields: Vec<Field>,
}

impl FeatureView {
    /// Checks a declaration and reports everything that is wrong with it.
    pub fn new(spec: ViewSpec) -> Result<Self, ViewError> {
        let problems = problems(&spec);
        if !problems.is_empty() {
            return Err(ViewError { view: spec.name, problems });
        }
        let key_columns: Vec<usize> =
            spec.entity.iter().filter_map(|key| spec.inputs.iter().position(|input| input.name == *key)).collect();
        let key_fields = key_columns.iter().map(|&column| spec.inputs[column].clone()).collect();
        Ok(FeatureView(Arc::new(Inner {
            state_id: StateId::of(&spec),
            input_schema: arrow_schema(&spec.inputs),
            output_schema: arrow_schema(&spec.outputs),
            prepared_schema: match &spec.kind {
                ViewKind::Window(windows) => Some(arrow_schema(&windows.prepared)),
                ViewKind::Row | ViewKind::OnDemand(_) => None,
            },
            key_columns,
            key_fields,
            spec,
        })))
    }

    /// What the view's stored state is filed under.
    pub fn state_id(&self) -> StateId {
        self.0.state_id
    }

    /// The Arrow schema of the inputs.
    pub fn input_schema(&self) -> &SchemaRef {
        &self.0.input_schema
    }

    /// The Arrow schema of the outputs.
    pub fn output_schema(&self) -> &SchemaRef {
        &self.0.output_schema
    }

    /// The Arrow schema of the prepared columns of a window view.
    pub fn prepared_schema(&self) -> Option<&SchemaRef> {
        self.0.prepared_schema.as_ref()
    }

    /// Where the entity's key fields stand among the inputs, in declared order.
    pub fn key_columns(&self) -> &[usize] {
        &self.0.key_columns
    }

    /// How long after it happened an event may arrive and count; `None` is without limit.
    pub fn lateness_limit(&self) -> Option<Span> {
        match (&self.0.spec.kind, self.0.spec.ttl) {
            (ViewKind::Window(_), Some(ttl)) => {
                Some(self.0.spec.lateness.map_or(ttl, |lateness| lateness.min(ttl)))
            }
            _ => self.0.spec.lateness,
        }
    }

    /// What the view declares if it is a window view.
    pub fn windows(&self) -> Option<&WindowSpec> {
        match &self.0.spec.kind {
            ViewKind::Window(windows) => Some(windows),
            ViewKind::Row | ViewKind::OnDemand(_) => None,
        }
    }

    /// What the view declares if it is an on-demand view.
    pub fn on_demand(&self) -> Option<&OnDemandSpec> {
        match &self.0.spec.kind {
            ViewKind::OnDemand(spec) => Some(spec),
            ViewKind::Row | ViewKind::Window(_) => None,
        }
    }

    /// The fields that a request brings along, in the order of the inputs; none unless it is an on-demand view.
    pub fn request_fields(&self) -> impl Iterator<Item = &Field> {
        let spec = self.on_demand();
        self.0.spec.inputs.iter().filter(move |input| spec.is_some_and(|spec| spec.feature(&input.name).is_none()))
    }

    /// The entity's key fields, in declared order.
    pub fn key_fields(&self) -> &[Field] {
        &self.0.key_fields
    }
}

impl Deref for FeatureView {
    type Target = ViewSpec;

    fn deref(&self) -> &ViewSpec {
        &self.0.spec
    }
}

impl fmt::Debug for FeatureView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.spec.fmt(f)
    }
}

/// The Arrow schema of a list of fields.
pub fn arrow_schema(fields: &[Field]) -> SchemaRef {
    let fields: Vec<_> = fields
        .iter()
        .map(|field| arrow_schema::Field::new(field.name.as_str(), field.ty.to_arrow(), field.nullable))
        .collect();
    Arc::new(Schema::new(fields))
}

fn problems(spec: &ViewSpec) -> Vec<String> {
    let mut problems = Vec::new();
    field_problems("input", &spec.inputs, &mut problems);
    field_problems("output", &spec.outputs, &mut problems);
    match &spec.kind {
        ViewKind::Row => {}
        ViewKind::Window(windows) => {
            windows.problems(&mut problems);
            field_problems("prepared", &windows.prepared, &mut problems);
        }
        ViewKind::OnDemand(on_demand) => {
            on_demand.problems(&spec.name, &spec.inputs, &mut problems);
            stateless_problems(spec, &mut problems);
        }
    }
    if !matches!(spec.kind, ViewKind::OnDemand(_)) {
        entity_problems(spec, &mut problems);
        reserved_problems(spec, &mut problems);
    }
    if !RowLimits::FUEL.contains(&spec.limits.fuel) {
        problems.push(format!(
            "the fuel limit {} is outside {} to {}",
            spec.limits.fuel,
            RowLimits::FUEL.start(),
            RowLimits::FUEL.end()
        ));
    }
    if !RowLimits::MEMORY_BYTES.contains(&spec.limits.memory_bytes) {
        problems.push(format!(
            "the memory limit of {} bytes is outside {} to {}",
            spec.limits.memory_bytes,
            RowLimits::MEMORY_BYTES.start(),
            RowLimits::MEMORY_BYTES.end()
        ));
    }
    problems
}

fn field_problems(what: &str, fields: &[Field], problems: &mut Vec<String>) {
    if fields.is_empty() {
        problems.push(format!("it has no {what} fields"));
    }
    if fields.len() > FIELDS_MAX {
        problems.push(format!("it has {} {what} fields, the most is {FIELDS_MAX}", fields.len()));
    }
    let mut seen = BTreeSet::new();
    for field in fields {
        if !seen.insert(&field.name) {
            problems.push(format!("{what} field {} is declared twice", field.name));
        }
    }
}

/// What is said of entities and events would go unheard: an on-demand view has neither.
fn stateless_problems(spec: &ViewSpec, problems: &mut Vec<String>) {
    let said = [
        ("entity fields", !spec.entity.is_empty()),
        ("a time to live", spec.ttl.is_some()),
        ("an allowed lateness", spec.lateness.is_some()),
        ("a limit of earliness", spec.max_early.is_some()),
    ];
    let said = said.into_iter().filter(|(_, said)| *said);
    problems.extend(said.map(|(what, _)| format!("it has {what}, but an on-demand view sees no events")));
}

fn entity_problems(spec: &ViewSpec, problems: &mut Vec<String>) {
    if spec.entity.is_empty() {
        problems.push("it has no entity fields".to_owned());
    }
    let mut seen = BTreeSet::new();
    for key in &spec.entity {
        if !seen.insert(key) {
            problems.push(format!("entity field {key} is declared twice"));
        }
        match spec.inputs.iter().find(|input| input.name == *key) {
            None => problems.push(format!("entity field {key} is not an input")),
            Some(input) if !input.ty.is_key() => {
                problems.push(format!("entity field {key} has type {}, which cannot be a key", input.ty));
            }
            Some(input) if input.nullable => problems.push(format!("entity field {key} may not be nullable")),
            Some(_) => {}
        }
    }
}

fn reserved_problems(spec: &ViewSpec, problems: &mut Vec<String>) {
    for (name, ty) in [(EVENT_TIME, FieldType::Timestamp), (EVENT_ID, FieldType::Utf8)] {
        if let Some(input) = spec.inputs.iter().find(|input| input.name == *name)
            && (input.ty != ty || input.nullable)
        {
            problems.push(format!("input {name} is the event's own and must be a required {ty}"));
        }
    }
}
