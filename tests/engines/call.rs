//! Calls of a transform's module, without the component around it, on engines that share little.

use wasmtime::{Engine, Module, Store};

/// More than any of the guests burns.
const FUEL: u64 = 10_000_000_000;

/// What a call leaves behind.
pub(crate) struct Call {
    /// The pointer that `apply` returned, or nothing after a trap.
    pub(crate) answer: Option<i32>,
    /// All of the memory.
    pub(crate) memory: Vec<u8>,
    /// What the call burned, where engines count alike.
    pub(crate) fuel: Option<u64>,
}

/// A module in the hands of one engine.
pub(crate) enum Ready {
    Wasmtime(Module),
    Wasmi(wasmi::Module),
}

impl Ready {
    pub(crate) fn wasmtime(engine: &Engine, wasm: &[u8]) -> Self {
        Ready::Wasmtime(Module::new(engine, wasm).unwrap())
    }

    pub(crate) fn wasmi(engine: &wasmi::Engine, wasm: &[u8]) -> Self {
        Ready::Wasmi(wasmi::Module::new(engine, wasm).unwrap())
    }

    /// Calls `apply` in a fresh instance.
    pub(crate) fn call(&self, rows: u32, words: &[u64]) -> Call {
        match self {
            Ready::Wasmtime(module) => wasmtime_call(module, rows, words),
            Ready::Wasmi(module) => wasmi_call(module, rows, words),
        }
    }
}

fn wasmtime_call(module: &Module, rows: u32, words: &[u64]) -> Call {
    let mut store = Store::new(module.engine(), ());
    store.set_fuel(FUEL).unwrap();
    let mut linker = wasmtime::Linker::new(module.engine());
    linker.define_unknown_imports_as_default_values(&mut store, module).unwrap();
    let instance = linker.instantiate(&mut store, module).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let alloc = instance.get_typed_func::<(i32, i32, i32, i32), i32>(&mut store, "cabi_realloc").unwrap();
    let bytes: &[u8] = bytemuck::cast_slice(words);
    let at = alloc.call(&mut store, (0, 0, 8, bytes.len() as i32)).unwrap();
    memory.write(&mut store, at as usize, bytes).unwrap();
    let apply = instance.get_typed_func::<(i32, i32, i32), i32>(&mut store, "apply").unwrap();
    let answer = apply.call(&mut store, (rows as i32, at, words.len() as i32)).ok();
    let fuel = FUEL - store.get_fuel().unwrap();
    Call { answer, memory: memory.data(&store).to_vec(), fuel: Some(fuel) }
}

fn wasmi_call(module: &wasmi::Module, rows: u32, words: &[u64]) -> Call {
    let mut store = wasmi::Store::new(module.engine(), ());
    let mut linker = wasmi::Linker::new(module.engine());
    for import in module.imports() {
        let ty = import.ty().func().unwrap().clone();
        linker.func_new(import.module(), import.name(), ty, |_, _, _| Ok(())).unwrap();
    }
    let instance = linker.instantiate_and_start(&mut store, module).unwrap();
    let memory = instance.get_memory(&store, "memory").unwrap();
    let alloc = instance.get_typed_func::<(i32, i32, i32, i32), i32>(&store, "cabi_realloc").unwrap();
    let bytes: &[u8] = bytemuck::cast_slice(words);
    let at = alloc.call(&mut store, (0, 0, 8, bytes.len() as i32)).unwrap();
    memory.write(&mut store, at as usize, bytes).unwrap();
    let apply = instance.get_typed_func::<(i32, i32, i32), i32>(&store, "apply").unwrap();
    let answer = apply.call(&mut store, (rows as i32, at, words.len() as i32)).ok();
    Call { answer, memory: memory.data(&store).to_vec(), fuel: None }
}
