//! Calls of a transform's module, without the component around it, on engines that share little.

use wasmtime::{Engine, Module, Store, Val};

/// More than any of the guests burns.
const FUEL: u64 = 10_000_000_000;

/// An argument of a function, as it crosses without the component around it.
pub(crate) enum Argument {
    /// A count.
    Number(u32),
    /// So many items of a list, each of so many words of four bytes.
    List { words: Vec<u32>, item_words: usize, align: i32 },
}

impl Argument {
    /// A batch: its rows and its slab.
    pub(crate) fn batch(rows: u32, slab: &[u64]) -> [Self; 2] {
        [Argument::Number(rows), Argument::longs(slab)]
    }

    /// A list of items of eight bytes.
    pub(crate) fn longs(items: &[u64]) -> Self {
        let words = items.iter().flat_map(|item| [*item as u32, (item >> 32) as u32]);
        Argument::List { words: words.collect(), item_words: 2, align: 8 }
    }

    /// A list of records of so many `u32` each.
    pub(crate) fn records<const N: usize>(items: &[[u32; N]]) -> Self {
        Argument::List { words: items.concat(), item_words: N, align: 4 }
    }

    /// What stands for it, given the place of its items if it is a list.
    fn flat(&self, place: impl FnOnce(i32, &[u8]) -> i32) -> Vec<i32> {
        match self {
            Argument::Number(number) => vec![*number as i32],
            Argument::List { words, item_words, align } => {
                vec![place(*align, bytemuck::cast_slice(words)), (words.len() / item_words) as i32]
            }
        }
    }
}

/// What a call leaves behind.
pub(crate) struct Call {
    /// The pointer that the function returned, or nothing after a trap.
    pub(crate) answer: Option<i32>,
    /// All of the memory.
    pub(crate) memory: Vec<u8>,
    /// What the call burned, where engines count alike.
    pub(crate) fuel: Option<u64>,
}

impl Call {
    /// The batch of an answer that is no failure: its rows and its slab.
    pub(crate) fn batch(&self) -> Option<(u32, Vec<u64>)> {
        let at = self.answer? as usize;
        let word = |place: usize| u32::from_le_bytes(self.memory[at + place..][..4].try_into().unwrap());
        let slab = &self.memory[word(8) as usize..][..word(12) as usize * 8];
        let words = slab.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        (self.memory[at] == 0).then(|| (word(4), words.collect()))
    }
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

    /// Calls a function in a fresh instance.
    pub(crate) fn call(&self, function: &str, arguments: &[Argument]) -> Call {
        match self {
            Ready::Wasmtime(module) => wasmtime_call(module, function, arguments),
            Ready::Wasmi(module) => wasmi_call(module, function, arguments),
        }
    }
}

fn wasmtime_call(module: &Module, function: &str, arguments: &[Argument]) -> Call {
    let mut store = Store::new(module.engine(), ());
    store.set_fuel(FUEL).unwrap();
    let mut linker = wasmtime::Linker::new(module.engine());
    linker.define_unknown_imports_as_default_values(&mut store, module).unwrap();
    let instance = linker.instantiate(&mut store, module).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let alloc = instance.get_typed_func::<(i32, i32, i32, i32), i32>(&mut store, "cabi_realloc").unwrap();
    let mut place = |align, bytes: &[u8]| {
        let at = alloc.call(&mut store, (0, 0, align, bytes.len() as i32)).unwrap();
        memory.write(&mut store, at as usize, bytes).unwrap();
        at
    };
    let flat = arguments.iter().flat_map(|argument| argument.flat(&mut place)).map(Val::I32);
    let (flat, mut answer) = (flat.collect::<Vec<_>>(), [Val::I32(0)]);
    let function = instance.get_func(&mut store, function).unwrap();
    let returned = function.call(&mut store, &flat, &mut answer).is_ok();
    let fuel = FUEL - store.get_fuel().unwrap();
    let answer = answer[0].i32().filter(|_| returned);
    Call { answer, memory: memory.data(&store).to_vec(), fuel: Some(fuel) }
}

fn wasmi_call(module: &wasmi::Module, function: &str, arguments: &[Argument]) -> Call {
    let mut store = wasmi::Store::new(module.engine(), ());
    let mut linker = wasmi::Linker::new(module.engine());
    for import in module.imports() {
        let ty = import.ty().func().unwrap().clone();
        linker.func_new(import.module(), import.name(), ty, |_, _, _| Ok(())).unwrap();
    }
    let instance = linker.instantiate_and_start(&mut store, module).unwrap();
    let memory = instance.get_memory(&store, "memory").unwrap();
    let alloc = instance.get_typed_func::<(i32, i32, i32, i32), i32>(&store, "cabi_realloc").unwrap();
    let mut place = |align, bytes: &[u8]| {
        let at = alloc.call(&mut store, (0, 0, align, bytes.len() as i32)).unwrap();
        memory.write(&mut store, at as usize, bytes).unwrap();
        at
    };
    let flat = arguments.iter().flat_map(|argument| argument.flat(&mut place)).map(wasmi::Val::I32);
    let (flat, mut answer) = (flat.collect::<Vec<_>>(), [wasmi::Val::I32(0)]);
    let function = instance.get_func(&store, function).unwrap();
    let returned = function.call(&mut store, &flat, &mut answer).is_ok();
    let answer = answer[0].i32().filter(|_| returned);
    Call { answer, memory: memory.data(&store).to_vec(), fuel: None }
}
