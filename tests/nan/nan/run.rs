//! One run of a program.

use wasmtime::{Engine, Instance, Module, Store};

/// What a module leaves behind after its `run`.
pub(crate) struct Left {
    /// All of its memory.
    pub(crate) memory: Vec<u8>,
    /// The fuel that it burned.
    pub(crate) fuel: u64,
}

/// More than any program burns.
const FUEL: u64 = 1_000_000;

/// What the memory of a module holds after its `run`. Wasmi counts fuel in its own way.
pub(crate) fn memory_after_wasmi(engine: &wasmi::Engine, wasm: &[u8]) -> Vec<u8> {
    let module = wasmi::Module::new(engine, wasm).unwrap();
    let mut store = wasmi::Store::new(engine, ());
    let instance = wasmi::Linker::new(engine).instantiate_and_start(&mut store, &module).unwrap();
    instance.get_typed_func::<(), ()>(&store, "run").unwrap().call(&mut store, ()).unwrap();
    instance.get_memory(&store, "memory").unwrap().data(&store).to_vec()
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
