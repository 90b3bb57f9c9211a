//! Calls of a transform's module, without the component around it, on engines that share little.

use wasmtime::{Config, Engine, Inlining, Module, Store};

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

/// Three ways to run a module in wasmtime, and one that shares no code with it.
pub(crate) struct Engines {
    /// With functions inlined into each other, as the sandbox has it.
    pub(crate) cranelift: Engine,
    /// Wasmtime's interpreter.
    pub(crate) pulley: Engine,
    /// Cranelift with a canonical NaN after every operation.
    pub(crate) flagged: Engine,
    wasmi: wasmi::Engine,
}

/// A module in the hands of one engine.
pub(crate) enum Ready {
    Wasmtime(Module),
    Wasmi(wasmi::Module),
}

fn config() -> Config {
    let mut config = Config::new();
    config.wasm_relaxed_simd(false).consume_fuel(true);
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

    pub(crate) fn cranelift(&self, wasm: &[u8]) -> Ready {
        Ready::Wasmtime(Module::new(&self.cranelift, wasm).unwrap())
    }

    pub(crate) fn pulley(&self, wasm: &[u8]) -> Ready {
        Ready::Wasmtime(Module::new(&self.pulley, wasm).unwrap())
    }

    pub(crate) fn flagged(&self, wasm: &[u8]) -> Ready {
        Ready::Wasmtime(Module::new(&self.flagged, wasm).unwrap())
    }

    pub(crate) fn wasmi(&self, wasm: &[u8]) -> Ready {
        Ready::Wasmi(wasmi::Module::new(&self.wasmi, wasm).unwrap())
    }
}

impl Ready {
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
