//! Random modules of many functions that call each other, rewritten as at admission: with functions inlined into each
//! other, as the sandbox compiles them, and without; in machine code and interpreted; with the engine's own canonical
//! NaNs on as well. All of it leaves the same, and burns the same fuel.

use arbitrary::Unstructured;
use trifold_sandbox::nan::rewrite_module;
use trifold_tests::random::SplitMix64;
use wasm_smith::Config;
use wasmtime::{Engine, Extern, Instance, Module, Ref, Store, Val, ValType};

use crate::engines::Engines;

const SEEDS: u64 = 1_000;
/// Calls and turns of loops until a module ends itself, few enough for every engine's stack.
const TURNS: u32 = 100;
const FUEL: u64 = 1_000_000_000;

/// What is seen of a value outside.
#[derive(Debug, PartialEq)]
enum Seen {
    Bits(u128),
    /// Of any sign and payload, as it is a float still.
    Nan,
    Reference(bool),
}

/// What a call of an export leaves behind.
#[derive(Debug, PartialEq)]
struct Left {
    /// The results, and the fuel until then; nothing after a trap.
    returned: Option<(Vec<Seen>, u64)>,
    globals: Vec<Seen>,
    memories: Vec<Vec<u8>>,
}

fn module(seed: u64) -> Vec<u8> {
    let mut random = SplitMix64(seed);
    let bytes: Vec<u8> = (0..4096).flat_map(|_| random.bits().to_le_bytes()).collect();
    let config = Config {
        disallow_traps: !seed.is_multiple_of(4),
        export_everything: true,
        exceptions_enabled: false,
        gc_enabled: false,
        max_funcs: 12,
        max_imports: 0,
        max_memory32_bytes: 1 << 18,
        max_table_elements: 10_000,
        memory64_enabled: false,
        memory_max_size_required: true,
        min_funcs: 4,
        // The engine is built without references to what the host has.
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        threads_enabled: false,
        ..Config::default()
    };
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).unwrap();
    module.ensure_termination(TURNS).unwrap();
    module.to_bytes()
}

fn seen(value: &Val) -> Seen {
    match value {
        Val::I32(value) => Seen::Bits(u128::from(*value as u32)),
        Val::I64(value) => Seen::Bits(u128::from(*value as u64)),
        Val::F32(bits) if f32::from_bits(*bits).is_nan() => Seen::Nan,
        Val::F64(bits) if f64::from_bits(*bits).is_nan() => Seen::Nan,
        Val::F32(bits) => Seen::Bits(u128::from(*bits)),
        Val::F64(bits) => Seen::Bits(u128::from(*bits)),
        Val::V128(bits) => Seen::Bits(bits.as_u128()),
        reference => Seen::Reference(reference.ref_().unwrap().is_null()),
    }
}

fn argument(ty: &ValType, random: &mut SplitMix64) -> Val {
    match ty {
        ValType::I32 => Val::I32(random.bits() as i32),
        ValType::I64 => Val::I64(random.bits() as i64),
        ValType::F32 => Val::F32([0x7fa0_0001, 0x3fc0_0000, 0xff80_0000][random.between(0, 3) as usize]),
        ValType::F64 => {
            Val::F64([0xfff4_dead_beef_0001, 0x3ff8 << 48, 0x7ff0 << 48][random.between(0, 3) as usize])
        }
        ValType::V128 => Val::V128((u128::from(random.bits()) << 64 | u128::from(random.bits())).into()),
        ValType::Ref(ty) => Ref::null(ty.heap_type()).into(),
    }
}

/// Calls every function that a module exports, each in an instance of its own.
fn left(engine: &Engine, wasm: &[u8], seed: u64) -> Vec<Left> {
    let module = Module::new(engine, wasm).unwrap();
    let functions = module.exports().filter(|export| export.ty().func().is_some());
    functions.map(|function| call(engine, &module, function.name(), &mut SplitMix64(seed))).collect()
}

fn call(engine: &Engine, module: &Module, name: &str, random: &mut SplitMix64) -> Left {
    let mut store = Store::new(engine, ());
    store.set_fuel(FUEL).unwrap();
    let Ok(instance) = Instance::new(&mut store, module, &[]) else {
        return Left { returned: None, globals: Vec::new(), memories: Vec::new() };
    };
    let function = instance.get_func(&mut store, name).unwrap();
    let ty = function.ty(&store);
    let arguments: Vec<Val> = ty.params().map(|ty| argument(&ty, random)).collect();
    let mut results = vec![Val::I32(0); ty.results().len()];
    let returned = function.call(&mut store, &arguments, &mut results).ok();
    let fuel = FUEL - store.get_fuel().unwrap();
    let exports: Vec<Extern> = instance.exports(&mut store).map(wasmtime::Export::into_extern).collect();
    let globals = exports.iter().filter_map(|export| export.clone().into_global());
    let globals = globals.map(|global| seen(&global.get(&mut store))).collect();
    let memories = exports.into_iter().filter_map(Extern::into_memory);
    let memories = memories.map(|memory| memory.data(&store).to_vec()).collect();
    Left { returned: returned.map(|()| (results.iter().map(seen).collect(), fuel)), globals, memories }
}

#[test]
fn random_modules_leave_the_same_whether_functions_are_inlined_or_not() {
    let engines = Engines::new();
    let (mut calls, mut returned) = (0, 0);
    for seed in 0..SEEDS {
        let rewritten = rewrite_module(&module(seed)).unwrap();
        let expected = left(&engines.cranelift, &rewritten, seed);
        for (what, engine) in [("interpreted", &engines.pulley), ("not inlined, with the flag", &engines.flagged)]
        {
            for (function, (left, expected)) in left(engine, &rewritten, seed).iter().zip(&expected).enumerate() {
                assert!(left == expected, "seed {seed}, function {function}, {what}: {:?}", left.returned);
            }
        }
        calls += expected.len();
        returned += expected.iter().filter(|left| left.returned.is_some()).count();
    }
    // Most must get as far as to leave something.
    assert!(calls > 1000 && returned > calls / 3, "{returned} of {calls} calls returned");
}
