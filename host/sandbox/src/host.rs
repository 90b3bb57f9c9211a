//! What a guest meets on the host's side: the limits of its memory, and `diagnostics`.

use std::fmt;
use std::sync::Arc;

use wasmtime::component::{ComponentType, Lift, Linker, WasmStr};
use wasmtime::{Engine, ResourceLimiter, StoreContextMut};

use crate::admission::DIAGNOSTICS;
use crate::limits::{LINE_BYTES, LOG_BYTES, LOG_LINES, TABLE_ELEMENTS};
use crate::text::truncated;

/// The state of a store.
pub(crate) struct Host {
    view: Arc<str>,
    memory_limit: usize,
    memory_peak: usize,
    log_lines: u32,
    log_bytes: usize,
    /// Whether it has been told that lines are dropped.
    log_is_full: bool,
    panic: Option<String>,
}

impl Host {
    pub(crate) fn new(view: Arc<str>) -> Self {
        Host { view, memory_limit: 0, memory_peak: 0, log_lines: 0, log_bytes: 0, log_is_full: false, panic: None }
    }

    /// Sets the limit of the next call and forgets what the last one said.
    pub(crate) fn begin(&mut self, memory_limit: usize) {
        self.memory_limit = memory_limit;
        self.log_lines = 0;
        self.log_bytes = 0;
        self.log_is_full = false;
        self.panic = None;
    }

    /// The most memory that the instance has had.
    pub(crate) fn memory_peak(&self) -> usize {
        self.memory_peak
    }

    pub(crate) fn take_panic(&mut self) -> Option<String> {
        self.panic.take()
    }
}

/// The guest asked for more than its limit.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The limit's name.
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) desired: usize,
    pub(crate) limit: usize,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused { what, unit, desired, limit } = self;
        write!(f, "{what} limit of {limit} {unit} reached: the guest asked for {desired}")
    }
}

impl std::error::Error for Refused {}

/// The operating system refused memory that the guest was entitled to.
#[derive(Debug, thiserror::Error)]
#[error("the system has no memory left for the guest: {0}")]
pub(crate) struct SystemMemory(String);

// An error here is a trap. A guest that saw -1 instead could compute another value where memory is short.
impl ResourceLimiter for Host {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let limit = maximum.map_or(self.memory_limit, |maximum| maximum.min(self.memory_limit));
        if desired > limit {
            return Err(Refused { what: "memory", unit: "bytes", desired, limit }.into());
        }
        self.memory_peak = self.memory_peak.max(desired);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(SystemMemory(error.to_string()).into())
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let limit = maximum.map_or(TABLE_ELEMENTS, |maximum| maximum.min(TABLE_ELEMENTS));
        if desired > limit {
            return Err(Refused { what: "table", unit: "elements", desired, limit }.into());
        }
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(SystemMemory(error.to_string()).into())
    }
}

#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "guests make these")]
enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// A linker that knows `diagnostics` and nothing else.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    let mut diagnostics = linker.instance(DIAGNOSTICS)?;
    diagnostics.func_wrap("log", log)?;
    diagnostics.func_wrap("panic", panic)?;
    Ok(linker)
}

// Neither function may fail on a message's content: whether a message is read at all depends on those before
// it, and so on the neighbours of a row.

fn log(mut store: StoreContextMut<'_, Host>, (level, message): (Level, WasmStr)) -> wasmtime::Result<()> {
    let host = store.data_mut();
    if host.log_lines >= LOG_LINES || host.log_bytes >= LOG_BYTES {
        if !std::mem::replace(&mut host.log_is_full, true) {
            let note = format!(
                "log limit of {LOG_LINES} lines or {LOG_BYTES} bytes of one call reached: the rest is dropped"
            );
            emit(level, &host.view, &note);
        }
        return Ok(());
    }
    // Counted before it is read: to find that a message is not UTF-8 costs as much as to log it.
    store.data_mut().log_lines += 1;
    let Ok(message) = message.to_str(&store) else { return Ok(()) };
    let bytes = message.len();
    emit(level, &store.data().view, truncated(&message, LINE_BYTES));
    let host = store.data_mut();
    host.log_bytes = host.log_bytes.saturating_add(bytes);
    Ok(())
}

fn emit(level: Level, view: &str, message: &str) {
    match level {
        Level::Debug => tracing::debug!(view, "{message}"),
        Level::Info => tracing::info!(view, "{message}"),
        Level::Warn => tracing::warn!(view, "{message}"),
        Level::Error => tracing::error!(view, "{message}"),
    }
}

fn panic(mut store: StoreContextMut<'_, Host>, (message,): (WasmStr,)) -> wasmtime::Result<()> {
    if store.data().panic.is_some() {
        return Ok(());
    }
    let message = match message.to_str(&store) {
        Ok(message) => truncated(&message, LINE_BYTES).to_owned(),
        Err(_) => "(a message that is not UTF-8)".to_owned(),
    };
    store.data_mut().panic = Some(message);
    Ok(())
}
