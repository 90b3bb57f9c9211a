//! One instance of a component, and one call of it.

use std::sync::Arc;

use trifold_model::ErrorCode;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower, TypedFunc,
};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store, Trap};

use crate::admission::{ACCUMULATE, APPLY, DESCRIBE, DIAGNOSTICS, FINISH, MERGE, PREPARE, World};
use crate::applied::{Cause, Verdict};
use crate::error::AdmissionError;
use crate::host::{Host, Refused, SystemMemory};
use crate::limits::{MESSAGE_BYTES, OUTPUT_PER_MEMORY, STACK_BYTES};
use crate::permits::Permit;
use crate::slab::AnswerError;
use crate::text::truncated;
use crate::wire::{
    AccumulateParams, DescribeResults, Failure, FinishParams, MergeParams, Outcome, Rows, RowsParams, RowsResults,
    StatesResults,
};

/// Why a call has no answer.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) verdict: Verdict,
    pub(crate) message: String,
}

impl Stop {
    pub(crate) fn error(code: ErrorCode, message: String) -> Self {
        Stop { verdict: Verdict::Error(code), message }
    }

    pub(crate) fn unavailable(cause: Cause, message: String) -> Self {
        Stop { verdict: Verdict::Unavailable(cause), message }
    }

    pub(crate) fn answer(error: &AnswerError) -> Self {
        Stop::error(ErrorCode::ANSWER, format!("the answer breaks the contract: {error}"))
    }
}

/// What one call may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) fuel: u64,
    pub(crate) memory_bytes: usize,
}

impl Allowance {
    /// The bytes that the answer may have.
    fn output_bytes(self) -> usize {
        self.memory_bytes.saturating_mul(OUTPUT_PER_MEMORY)
    }
}

/// What one call has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) fuel: u64,
    pub(crate) memory_bytes: usize,
}

/// A component's compiled code, ready to be instantiated.
pub(crate) struct Code {
    pre: InstancePre<Host>,
    /// The world's functions, by name.
    exports: Vec<(&'static str, ComponentExportIndex)>,
}

impl Code {
    /// Links a component and finds its exports, whose types [`Instance::check_types`] checks.
    pub(crate) fn link(
        linker: &Linker<Host>,
        component: &Component,
        world: World,
    ) -> Result<Arc<Code>, AdmissionError> {
        let export = |name| component.get_export_index(None, name).ok_or(AdmissionError::MissingExport { name });
        let pre = linker.instantiate_pre(component).map_err(|error| AdmissionError::WrongType {
            name: DIAGNOSTICS.to_owned(),
            message: format!("{error:#}"),
        })?;
        let exports = world.exports().iter().map(|name| Ok((*name, export(name)?)));
        let exports = exports.collect::<Result<_, AdmissionError>>()?;
        Ok(Arc::new(Code { pre, exports }))
    }

    fn export(&self, name: &str) -> Option<&ComponentExportIndex> {
        self.exports.iter().find(|(export, _)| *export == name).map(|(_, index)| index)
    }
}

/// An instance in a store of its own. Once a call has failed it is dropped: a trap leaves guests in any state.
pub(crate) struct Instance {
    store: Store<Host>,
    instance: wasmtime::component::Instance,
    code: Arc<Code>,
    allowance: Allowance,
    // Given back after the store has returned its memory to the pool: fields are dropped in this order.
    _permit: Option<Permit>,
}

impl Instance {
    /// A fresh instance. On an error the usage is what instantiation burnt.
    pub(crate) fn new(
        engine: &Engine,
        code: Arc<Code>,
        view: Arc<str>,
        allowance: Allowance,
        permit: Option<Permit>,
    ) -> Result<Instance, (Stop, Usage)> {
        let mut store = Store::new(engine, Host::new(view));
        store.limiter(|host| host);
        let unusable = |error: wasmtime::Error| {
            let usage = Usage { fuel: 0, memory_bytes: 0 };
            (Stop::unavailable(Cause::Engine, error.to_string()), usage)
        };
        begin(&mut store, allowance).map_err(unusable)?;
        match code.pre.instantiate(&mut store) {
            Ok(instance) => Ok(Instance { store, instance, code, allowance, _permit: permit }),
            Err(error) => {
                let stop = stop(&error, store.data_mut().take_panic(), allowance);
                Err((stop, usage(&store, allowance)))
            }
        }
    }

    /// Sets what the next call may use.
    pub(crate) fn begin(&mut self, allowance: Allowance) -> Result<(), Stop> {
        self.allowance = allowance;
        begin(&mut self.store, allowance).map_err(|error| Stop::unavailable(Cause::Engine, error.to_string()))
    }

    /// What was used since the allowance was set, and the most memory that the instance has had.
    pub(crate) fn usage(&self) -> Usage {
        usage(&self.store, self.allowance)
    }

    /// Whether the exports have the types of the world; the error names the difference.
    pub(crate) fn check_types(&mut self) -> Result<(), (&'static str, wasmtime::Error)> {
        self.check_type::<(), DescribeResults>(DESCRIBE)?;
        self.check_type::<RowsParams<'_>, RowsResults>(APPLY)?;
        self.check_type::<RowsParams<'_>, RowsResults>(PREPARE)?;
        self.check_type::<AccumulateParams<'_>, StatesResults>(ACCUMULATE)?;
        self.check_type::<MergeParams<'_>, StatesResults>(MERGE)?;
        self.check_type::<FinishParams<'_>, RowsResults>(FINISH)
    }

    /// Checks an export if the world has it.
    fn check_type<P, R>(&mut self, name: &'static str) -> Result<(), (&'static str, wasmtime::Error)>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let Some(export) = self.code.export(name) else { return Ok(()) };
        let func = self.instance.get_typed_func::<P, R>(&mut self.store, export);
        func.map(drop).map_err(|error| (name, error))
    }

    /// Calls `describe`.
    pub(crate) fn describe(&mut self) -> Result<String, Stop> {
        let (text,): DescribeResults = self.call(DESCRIBE, ())?;
        Ok(text)
    }

    /// Calls `apply`.
    pub(crate) fn apply(&mut self, params: RowsParams<'_>) -> Result<Outcome, Stop> {
        let (result,): RowsResults = self.call(APPLY, params)?;
        result.map_err(failed)
    }

    /// Calls `prepare`.
    pub(crate) fn prepare(&mut self, params: RowsParams<'_>) -> Result<Outcome, Stop> {
        let (result,): RowsResults = self.call(PREPARE, params)?;
        result.map_err(failed)
    }

    /// Calls `accumulate`.
    pub(crate) fn accumulate(&mut self, params: AccumulateParams<'_>) -> Result<Rows, Stop> {
        let (result,): StatesResults = self.call(ACCUMULATE, params)?;
        result.map_err(failed)
    }

    /// Calls `merge`.
    pub(crate) fn merge(&mut self, params: MergeParams<'_>) -> Result<Rows, Stop> {
        let (result,): StatesResults = self.call(MERGE, params)?;
        result.map_err(failed)
    }

    /// Calls `finish`.
    pub(crate) fn finish(&mut self, params: FinishParams<'_>) -> Result<Outcome, Stop> {
        let (result,): RowsResults = self.call(FINISH, params)?;
        result.map_err(failed)
    }

    /// Calls an export, whose type `check_types` has found right.
    fn call<P, R>(&mut self, export: &str, params: P) -> Result<R, Stop>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let func = self.code.export(export).and_then(|export| self.instance.get_func(&mut self.store, export));
        let func = func.ok_or_else(no_export)?;
        // A call through `get_typed_func` would compare the types again, which costs as much as the call.
        #[expect(unsafe_code, reason = "`check_types` checked the exports of this component at admission")]
        let func = unsafe { TypedFunc::<P, R>::new_unchecked(func) };
        func.call(&mut self.store, params).map_err(|error| self.stop(&error))
    }

    fn stop(&mut self, error: &wasmtime::Error) -> Stop {
        stop(error, self.store.data_mut().take_panic(), self.allowance)
    }
}

fn no_export() -> Stop {
    Stop::unavailable(Cause::Engine, "the component has no such export".to_owned())
}

fn failed(failure: Failure) -> Stop {
    let message = truncated(&failure.message, MESSAGE_BYTES);
    Stop::error(ErrorCode::FAILURE, format!("the guest failed: {message}"))
}

/// Shortens what a guest said of a row.
pub(crate) fn row_message(message: String) -> String {
    if message.len() <= MESSAGE_BYTES {
        return message;
    }
    truncated(&message, MESSAGE_BYTES).to_owned()
}

fn begin(store: &mut Store<Host>, allowance: Allowance) -> wasmtime::Result<()> {
    store.data_mut().begin(allowance.memory_bytes);
    store.set_hostcall_fuel(allowance.output_bytes());
    store.set_fuel(allowance.fuel)
}

fn usage(store: &Store<Host>, allowance: Allowance) -> Usage {
    let left = store.get_fuel().unwrap_or(0);
    Usage { fuel: allowance.fuel.saturating_sub(left), memory_bytes: store.data().memory_peak() }
}

/// How the engine, which keeps the error's type to itself, says that an answer is too large.
const TOO_MUCH: &str = "too much data";

/// Sorts errors by whether they say something of the row. Whatever the guest alone brought about does.
fn stop(error: &wasmtime::Error, panic: Option<String>, allowance: Allowance) -> Stop {
    let panicked = panic.map_or_else(String::new, |message| format!("; the guest panicked: {message}"));
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return Stop::error(ErrorCode::MEMORY, format!("{refused}{panicked}"));
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Stop::unavailable(Cause::Pool, error.to_string());
    }
    if error.is::<SystemMemory>() || error.is::<std::io::Error>() {
        return Stop::unavailable(Cause::Engine, error.to_string());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => {
            Stop::error(ErrorCode::FUEL, format!("fuel limit of {} units reached{panicked}", allowance.fuel))
        }
        // How deep the native stack goes depends on the machine code, and so on the processor.
        Some(Trap::StackOverflow) => {
            let message = format!(
                "native stack limit of {STACK_BYTES} bytes reached: the guest recursed too deeply{panicked}"
            );
            Stop::unavailable(Cause::NativeStack, message)
        }
        Some(trap) if panicked.is_empty() => Stop::error(ErrorCode::TRAP, format!("the guest trapped: {trap}")),
        Some(_) => Stop::error(ErrorCode::TRAP, panicked.trim_start_matches("; ").to_owned()),
        None if error.to_string().starts_with(TOO_MUCH) => Stop::error(
            ErrorCode::ANSWER,
            format!("output limit of {} bytes reached{panicked}", allowance.output_bytes()),
        ),
        // The rest are answers that the canonical ABI cannot read: pointers out of bounds, texts that are not UTF-8.
        None => Stop::error(ErrorCode::ANSWER, format!("the answer breaks the contract: {error}{panicked}")),
    }
}
