//! One instance of a component, and one call of it.

use std::sync::Arc;

use trifold_model::ErrorCode;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Linker, Lower, TypedFunc,
};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store, Trap};

use crate::admission::{APPLY, DESCRIBE, DIAGNOSTICS};
use crate::applied::{Cause, Verdict};
use crate::error::AdmissionError;
use crate::host::{Host, Refused, SystemMemory};
use crate::limits::{MESSAGE_BYTES, OUTPUT_PER_MEMORY, STACK_BYTES};
use crate::permits::Permit;
use crate::slab::{AnswerError, Slab};
use crate::text::truncated;

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Input<'a> {
    pub(crate) rows: u32,
    pub(crate) words: Slab<'a>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Rows {
    pub(crate) rows: u32,
    pub(crate) words: Vec<u64>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Rejection {
    pub(crate) row: u32,
    pub(crate) code: u16,
    pub(crate) message: String,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Outcome {
    pub(crate) rows: Rows,
    pub(crate) rejections: Vec<Rejection>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Failure {
    message: String,
}

/// The parameters of `apply`.
pub(crate) type ApplyParams<'a> = (Input<'a>,);
/// The results of `apply`.
pub(crate) type ApplyResults = (Result<Outcome, Failure>,);
/// The results of `describe`.
pub(crate) type DescribeResults = (String,);

/// Why a call has no answer.
#[derive(Debug)]
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
    describe: ComponentExportIndex,
    apply: ComponentExportIndex,
}

impl Code {
    /// Links a component and finds its exports, whose types [`Instance::check_types`] checks.
    pub(crate) fn link(linker: &Linker<Host>, component: &Component) -> Result<Arc<Code>, AdmissionError> {
        let export = |name| component.get_export_index(None, name).ok_or(AdmissionError::MissingExport { name });
        let pre = linker.instantiate_pre(component).map_err(|error| AdmissionError::WrongType {
            name: DIAGNOSTICS.to_owned(),
            message: format!("{error:#}"),
        })?;
        Ok(Arc::new(Code { pre, describe: export(DESCRIBE)?, apply: export(APPLY)? }))
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
        let Instance { store, instance, code, .. } = self;
        let describe = instance.get_typed_func::<(), DescribeResults>(&mut *store, &code.describe);
        describe.map_err(|error| (DESCRIBE, error))?;
        let apply = instance.get_typed_func::<ApplyParams<'_>, ApplyResults>(&mut *store, &code.apply);
        apply.map_err(|error| (APPLY, error))?;
        Ok(())
    }

    /// Calls `describe`, whose type `check_types` has found right.
    pub(crate) fn describe(&mut self) -> Result<String, Stop> {
        let func = self.instance.get_func(&mut self.store, &self.code.describe).ok_or_else(no_export)?;
        #[expect(unsafe_code, reason = "`check_types` checked this export of this component at admission")]
        let describe = unsafe { TypedFunc::<(), DescribeResults>::new_unchecked(func) };
        let (text,) = describe.call(&mut self.store, ()).map_err(|error| self.stop(&error))?;
        Ok(text)
    }

    /// Calls `apply`, whose type `check_types` has found right.
    pub(crate) fn apply(&mut self, input: Input<'_>) -> Result<Outcome, Stop> {
        let func = self.instance.get_func(&mut self.store, &self.code.apply).ok_or_else(no_export)?;
        // A call through `get_typed_func` would compare the types again, which costs as much as the call.
        #[expect(unsafe_code, reason = "`check_types` checked this export of this component at admission")]
        let apply = unsafe { TypedFunc::<ApplyParams<'_>, ApplyResults>::new_unchecked(func) };
        let (result,) = apply.call(&mut self.store, (input,)).map_err(|error| self.stop(&error))?;
        result.map_err(|failure| {
            let message = truncated(&failure.message, MESSAGE_BYTES);
            Stop::error(ErrorCode::FAILURE, format!("the guest failed: {message}"))
        })
    }

    fn stop(&mut self, error: &wasmtime::Error) -> Stop {
        stop(error, self.store.data_mut().take_panic(), self.allowance)
    }
}

fn no_export() -> Stop {
    Stop::unavailable(Cause::Engine, "the engine lost an export".to_owned())
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
