//! The engines.

use wasmtime::{Config, Engine, Inlining, Instance, Module, PoolingAllocationConfig, Store};

/// Three ways to run a module in wasmtime, and one that shares no code with it.
pub(crate) struct Engines {
    /// With functions inlined into each other, as the sandbox has it.
    pub(crate) cranelift: Engine,
    pub(crate) pulley: Engine,
    /// Cranelift with a canonical NaN after every operation.
    pub(crate) flagged: Engine,
    wasmi: wasmi::Engine,
}

/// What a module leaves behind after its `run`.
pub(crate) struct Left {
    /// All of its memory.
    pub(crate) memory: Vec<u8>,
    /// The fuel that it burned.
    pub(crate) fuel: u64,
}

/// More than any program burns.
const FUEL: u64 = 1_000_000;

/// One program runs at a time, and one place for all of them is reserved once: an emulator may keep a note of each page
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

    /// What the memory of a module holds after its `run`. Wasmi counts fuel in its own way.
    pub(crate) fn memory_after_wasmi(&self, wasm: &[u8]) -> Vec<u8> {
        let module = wasmi::Module::new(&self.wasmi, wasm).unwrap();
        let mut store = wasmi::Store::new(&self.wasmi, ());
        let instance = wasmi::Linker::new(&self.wasmi).instantiate_and_start(&mut store, &module).unwrap();
        instance.get_typed_func::<(), ()>(&store, "run").unwrap().call(&mut store, ()).unwrap();
        instance.get_memory(&store, "memory").unwrap().data(&store).to_vec()
    }
}

/// What a module leaves behind after its `run`.
pub(crate) fn left(engine: &Engine, wasm: &[u8]) -> Left {
    let mut store = Store::new(engine, ());
    store.set_fuel(FUEL).unwrap();
    let instance = Instance::new(&mut store, &Module::new(engine, wasm).unwrap(), &[]).unwrap();
    instance.get_typed_func::<(), ()>(&mut store, "run").unwrap().call(&mut store, ()).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap().data(&store).to_vec();
    Left { memory, fuel: FUEL - store.get_fuel().unwrap() }
}
