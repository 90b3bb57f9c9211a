//! An admitted component.

use std::fmt;
use std::sync::Arc;

use arrow_array::{BinaryArray, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use trifold_model::{ComponentDigest, ComputationId, FeatureView, Field, Tool};

use crate::applied::Applied;
use crate::apply::{Apply, Prepare, Run};
use crate::budget::Budget;
use crate::call::{Allowance, Code, Instance, Stop, Usage};
use crate::caller::Caller;
use crate::config::Semantics;
use crate::error::Unavailable;
use crate::finish::{Finish, WindowTiles};
use crate::fold::{Folded, accumulate, merge};
use crate::pace::Pace;
use crate::permits::Permit;
use crate::sandbox::Shared;
use crate::wire;

/// The most rows of a call that touches little memory.
const FEW_ROWS_MAX: usize = 16;

/// A component that was admitted and compiled, with the view that it describes. Cheap to clone.
#[derive(Clone)]
pub struct Transform(Arc<Inner>);

struct Inner {
    sandbox: Arc<Shared>,
    few_rows: Arc<Code>,
    many_rows: Arc<Code>,
    digest: ComponentDigest,
    computation: ComputationId,
    view: FeatureView,
    name: Arc<str>,
    description: String,
    tools: Vec<Tool>,
    outputs: SchemaRef,
    prepared: SchemaRef,
    states: wire::StateColumn,
    paces: Paces,
}

/// How many rows the calls take, by what they do.
pub(crate) struct Paces {
    /// `apply` and `prepare`.
    pub(crate) rows: Pace,
    /// `accumulate`, in events, and `merge`, in states.
    pub(crate) fold: Pace,
    /// `finish`, in entities.
    pub(crate) finish: Pace,
}

/// What admission found out.
pub(crate) struct Admitted {
    /// The code for calls of few rows.
    pub(crate) few_rows: Arc<Code>,
    /// The same code once more, for calls of many rows. The pool keeps a place for instances of the same code only,
    /// with the memory that they touched, and zeroes that for the next one: a call of one row in a place that had
    /// thousands would spend most of its time so.
    pub(crate) many_rows: Arc<Code>,
    pub(crate) digest: ComponentDigest,
    pub(crate) view: FeatureView,
    pub(crate) description: String,
    pub(crate) tools: Vec<Tool>,
    pub(crate) memory_initial: u64,
}

impl Transform {
    pub(crate) fn new(sandbox: Arc<Shared>, admitted: Admitted) -> Self {
        let Admitted { few_rows, many_rows, digest, view, description, tools, memory_initial } = admitted;
        let pace = || Pace::new(sandbox.config.batch_rows_max, view.limits, memory_initial);
        let paces = Paces { rows: pace(), fold: pace(), finish: pace() };
        let name = view.name.as_str().into();
        let outputs = all_nullable(view.output_schema());
        let prepared = all_nullable(view.prepared_schema().unwrap_or(&Arc::new(Schema::empty())));
        let computation = ComputationId::of(&digest, &Semantics::named());
        Transform(Arc::new(Inner {
            sandbox,
            few_rows,
            many_rows,
            digest,
            computation,
            view,
            name,
            description,
            tools,
            outputs,
            prepared,
            states: wire::StateColumn::new(),
            paces,
        }))
    }

    /// The component's identity.
    pub fn digest(&self) -> ComponentDigest {
        self.0.digest
    }

    /// The identity of what this component computes here: an output that was computed under another one, by another
    /// release of Trifold for instance, may differ.
    pub fn computation(&self) -> ComputationId {
        self.0.computation
    }

    /// The view that the component describes.
    pub fn view(&self) -> &FeatureView {
        &self.0.view
    }

    /// The JSON that `describe` returned.
    pub fn description(&self) -> &str {
        &self.0.description
    }

    /// What made the component, as it says itself; empty where it does not.
    pub fn tools(&self) -> &[Tool] {
        &self.0.tools
    }

    /// Computes one output row for each row of `inputs`, which has the columns of the view's input schema.
    ///
    /// Every call of the guest runs in a fresh instance under the limits of one row, so that a row's verdict
    /// does not depend on the batch it came in. The fuel that was burnt is taken from `budget`. Blocks: waits
    /// while all instances are in use, and needs a thread with a stack of at least 2 MiB.
    pub fn apply(&self, inputs: &RecordBatch, budget: &mut Budget) -> Applied {
        Run::new(Apply(inputs), Caller::new(self, budget, None)).apply()
    }

    /// Prepares events of a window view, which have the columns of its input schema, for folding: one row of the
    /// prepared columns for each. Calls as [`Transform::apply`] does.
    pub fn prepare(&self, events: &RecordBatch, budget: &mut Budget) -> Applied {
        Run::new(Prepare(events), Caller::new(self, budget, None)).apply()
    }

    /// Folds runs of prepared events onto states: one state for each group, in the order of the groups. A group may go
    /// on where an earlier one ended ([`wire::Group::state`]); where that one failed, it fails too.
    pub fn accumulate(
        &self,
        states: &BinaryArray,
        groups: &[wire::Group],
        prepared: &RecordBatch,
        budget: &mut Budget,
    ) -> Folded {
        accumulate(Caller::new(self, budget, None), states, groups, prepared)
    }

    /// Merges runs of states from left to right: one state for each run.
    pub fn merge(&self, states: &BinaryArray, runs: &[wire::Run], budget: &mut Budget) -> Folded {
        merge(Caller::new(self, budget, None), states, runs)
    }

    /// Turns the tiles of entities into one row for each. Calls as [`Transform::apply`] does.
    pub fn finish(&self, tiles: &WindowTiles<'_>, budget: &mut Budget) -> Applied {
        Run::new(Finish(tiles), Caller::new(self, budget, None)).apply()
    }

    /// An instance that is kept over calls, with which the publish gate finds components whose rows depend on
    /// what was computed before. At most a few exist at a time.
    pub fn warm(&self) -> Result<WarmInstance, Unavailable> {
        let unavailable = || Unavailable {
            view: self.0.view.name.clone(),
            message: "too many instances are kept warm; drop one of them first".to_owned(),
        };
        let permit = self.0.sandbox.warm.try_acquire().ok_or_else(unavailable)?;
        Ok(WarmInstance { transform: self.clone(), instance: None, _permit: permit })
    }

    /// An instance for a call of some rows.
    pub(crate) fn instance(&self, rows: usize, allowance: Allowance) -> Result<Instance, (Stop, Usage)> {
        let permit = self.0.sandbox.calls.acquire();
        let code = if rows <= FEW_ROWS_MAX { &self.0.few_rows } else { &self.0.many_rows };
        self.new_instance(code, allowance, Some(permit))
    }

    /// An instance for which the caller holds a permit.
    pub(crate) fn warm_instance(&self, allowance: Allowance) -> Result<Instance, (Stop, Usage)> {
        self.new_instance(&self.0.many_rows, allowance, None)
    }

    fn new_instance(
        &self,
        code: &Arc<Code>,
        allowance: Allowance,
        permit: Option<Permit>,
    ) -> Result<Instance, (Stop, Usage)> {
        let Inner { sandbox, name, .. } = &*self.0;
        Instance::new(&sandbox.engine, code.clone(), name.clone(), allowance, permit)
    }

    /// The output schema with every field nullable.
    pub fn outputs(&self) -> &SchemaRef {
        &self.0.outputs
    }

    /// The schema of prepared events with every field nullable; without fields unless it is a window view.
    pub fn prepared(&self) -> &SchemaRef {
        &self.0.prepared
    }

    pub(crate) fn prepared_fields(&self) -> &[Field] {
        self.0.view.windows().map_or(&[], |windows| &windows.prepared)
    }

    pub(crate) fn states(&self) -> &wire::StateColumn {
        &self.0.states
    }

    pub(crate) fn paces(&self) -> &Paces {
        &self.0.paces
    }

    /// The memory limit of one row.
    pub(crate) fn memory_bytes(&self) -> usize {
        usize::try_from(self.0.view.limits.memory_bytes).unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transform").field("view", &self.0.name).field("digest", &self.0.digest).finish()
    }
}

/// An instance that is kept over calls; see [`Transform::warm`].
pub struct WarmInstance {
    transform: Transform,
    instance: Option<Instance>,
    // Dropped after the instance, whose place in the pool it stands for.
    _permit: Permit,
}

impl WarmInstance {
    /// Like [`Transform::apply`], but in the instance that earlier calls have used. An instance that trapped, or
    /// that has used up half its memory, is replaced.
    pub fn apply(&mut self, inputs: &RecordBatch) -> Applied {
        Run::new(Apply(inputs), self.caller(&mut Budget::unlimited())).apply()
    }

    /// Like [`Transform::prepare`].
    pub fn prepare(&mut self, events: &RecordBatch) -> Applied {
        Run::new(Prepare(events), self.caller(&mut Budget::unlimited())).apply()
    }

    /// Like [`Transform::accumulate`].
    pub fn accumulate(&mut self, states: &BinaryArray, groups: &[wire::Group], prepared: &RecordBatch) -> Folded {
        accumulate(self.caller(&mut Budget::unlimited()), states, groups, prepared)
    }

    /// Like [`Transform::merge`].
    pub fn merge(&mut self, states: &BinaryArray, runs: &[wire::Run]) -> Folded {
        merge(self.caller(&mut Budget::unlimited()), states, runs)
    }

    /// Like [`Transform::finish`].
    pub fn finish(&mut self, tiles: &WindowTiles<'_>) -> Applied {
        Run::new(Finish(tiles), self.caller(&mut Budget::unlimited())).apply()
    }

    fn caller<'a>(&'a mut self, budget: &'a mut Budget) -> Caller<'a> {
        Caller::new(&self.transform, budget, Some(&mut self.instance))
    }
}

fn all_nullable(schema: &Schema) -> SchemaRef {
    let fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    Arc::new(Schema::new(fields))
}
