//! The engines, which `tests/engines` has too.

use wasmtime::{Config, Engine, Inlining, PoolingAllocationConfig};

/// Three ways to run a module in wasmtime, and one that shares no code with it.
pub(crate) struct Engines {
    /// With functions inlined into each other, as the sandbox has it.
    pub(crate) cranelift: Engine,
    /// Wasmtime's interpreter.
    pub(crate) pulley: Engine,
    /// Cranelift with a canonical NaN after every operation.
    pub(crate) flagged: Engine,
    pub(crate) wasmi: wasmi::Engine,
}

/// One program of a test runs at a time, and one place for all of them is reserved once: an emulator may keep a note of each page
/// that was ever reserved, which filled a machine's memory when each program reserved its own 4 GiB.
fn config() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(1).total_memories(1).total_tables(1);
    let mut config = Config::new();
    // As in the sandbox.
    config.wasm_relaxed_simd(false).consume_fuel(true).allocation_strategy(pool);
    config
}

impl Engines {
    pub(crate) fn new() -> Self {
        Engines {
            cranelift: Engine::new(config().compiler_inlining(Inlining::Yes)).unwrap(),
            pulley: Engine::new(config().target("pulley64").unwrap()).unwrap(),
            flagged: Engine::new(config().cranelift_nan_canonicalization(true)).unwrap(),
            wasmi: wasmi::Engine::default(),
        }
    }
}
