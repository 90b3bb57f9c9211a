//! The engines.

use wasmtime::{Config, Engine, Instance, Module, Store};

/// Three ways to run a module in wasmtime, and one that shares no code with it.
pub(crate) struct Engines {
    pub(crate) cranelift: Engine,
    pub(crate) pulley: Engine,
    /// Cranelift with a canonical NaN after every operation.
    pub(crate) flagged: Engine,
    wasmi: wasmi::Engine,
}

fn config() -> Config {
    let mut config = Config::new();
    config.wasm_relaxed_simd(false);
    config
}

impl Engines {
    pub(crate) fn new() -> Self {
        Engines {
            cranelift: Engine::new(&config()).unwrap(),
            pulley: Engine::new(config().target("pulley64").unwrap()).unwrap(),
            flagged: Engine::new(config().cranelift_nan_canonicalization(true)).unwrap(),
            wasmi: wasmi::Engine::default(),
        }
    }

    /// What the memory of a module holds after its `run`.
    pub(crate) fn memory_after_wasmi(&self, wasm: &[u8]) -> Vec<u8> {
        let module = wasmi::Module::new(&self.wasmi, wasm).unwrap();
        let mut store = wasmi::Store::new(&self.wasmi, ());
        let instance = wasmi::Linker::new(&self.wasmi).instantiate_and_start(&mut store, &module).unwrap();
        instance.get_typed_func::<(), ()>(&store, "run").unwrap().call(&mut store, ()).unwrap();
        instance.get_memory(&store, "memory").unwrap().data(&store).to_vec()
    }
}

/// What the memory of a module holds after its `run`.
pub(crate) fn memory_after(engine: &Engine, wasm: &[u8]) -> Vec<u8> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &Module::new(engine, wasm).unwrap(), &[]).unwrap();
    instance.get_typed_func::<(), ()>(&mut store, "run").unwrap().call(&mut store, ()).unwrap();
    instance.get_memory(&mut store, "memory").unwrap().data(&store).to_vec()
}
