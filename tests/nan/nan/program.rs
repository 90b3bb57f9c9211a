//! Random programs: straight lines of operations over a few locals of each type, with loads and stores between. In the
//! end all locals are in memory.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, Instruction as I, MemArg, MemorySection, MemoryType, Module, TypeSection, ValType as T, ValType,
};

use crate::instructions::{HELPER, Hunt, all};

const TYPES: [ValType; 5] = [T::I32, T::I64, T::F32, T::F64, T::V128];
const LOCALS_PER_TYPE: u32 = 4;
const OPERATIONS: u64 = 120;
/// Memory that loads and stores share; the locals are stored behind it.
const SHARED_BYTES: u64 = 256;

/// The splitmix64 sequence of a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<'a, V>(&mut self, values: &'a [V]) -> &'a V {
        &values[self.below(values.len() as u64) as usize]
    }

    /// A double that is worth a look, as its bits.
    fn bits_64(&mut self, hunt: Hunt) -> u64 {
        const PLAIN: [f64; 10] =
            [0.0, -0.0, 1.0, -1.5, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 5e-324, 1e-310, 3.7];
        // Quiet and signalling ones, of both signs, with and without payload.
        const NANS: [u64; 6] = [
            0x7ff8_0000_0000_0000,
            0xfff8_0000_0000_0000,
            0x7ff0_0000_0000_0001,
            0xfff4_dead_beef_0001,
            0x7fff_ffff_ffff_ffff,
            0x7ff8_0000_0000_0042,
        ];
        match (hunt, self.below(3)) {
            (Hunt::AnyNan | Hunt::SameWidth, 0) => *self.pick(&NANS),
            (Hunt::ArithmeticNan, 0) => NANS[0],
            _ => self.pick(&PLAIN).to_bits(),
        }
    }

    fn bits_32(&mut self, hunt: Hunt) -> u32 {
        const NANS: [u32; 5] = [0x7fc0_0000, 0xffc0_0000, 0x7f80_0001, 0xffa1_2345, 0x7fff_ffff];
        match (hunt, self.below(3)) {
            (Hunt::AnyNan | Hunt::SameWidth, 0) => *self.pick(&NANS),
            (Hunt::ArithmeticNan, 0) => NANS[0],
            _ => (f64::from_bits(self.bits_64(Hunt::ArithmeticNan)) as f32).to_bits(),
        }
    }
}

/// A local of a type. The helper's two parameters do not count here: `run` has none.
fn local(ty: ValType, number: u64) -> u32 {
    let place = TYPES.iter().position(|other| *other == ty).unwrap() as u32;
    place * LOCALS_PER_TYPE + number as u32
}

fn memarg(offset: u64) -> MemArg {
    MemArg { offset, align: 0, memory_index: 0 }
}

fn store(ty: ValType, offset: u64) -> I<'static> {
    match ty {
        T::I32 => I::I32Store(memarg(offset)),
        T::I64 => I::I64Store(memarg(offset)),
        T::F32 => I::F32Store(memarg(offset)),
        T::F64 => I::F64Store(memarg(offset)),
        _ => I::V128Store(memarg(offset)),
    }
}

fn load(ty: ValType, offset: u64) -> I<'static> {
    match ty {
        T::I32 => I::I32Load(memarg(offset)),
        T::I64 => I::I64Load(memarg(offset)),
        T::F32 => I::F32Load(memarg(offset)),
        T::F64 => I::F64Load(memarg(offset)),
        _ => I::V128Load(memarg(offset)),
    }
}

/// The module of a seed. It exports `run` and `memory`.
pub(crate) fn program(seed: u64, hunt: Hunt) -> Vec<u8> {
    let mut random = Random(seed);
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([T::F64, T::F32], [T::F64]);
    let mut functions = FunctionSection::new();
    functions.function(0).function(1);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut globals = GlobalSection::new();
    let global = |val_type| GlobalType { val_type, mutable: true, shared: false };
    globals.global(global(T::F32), &ConstExpr::f32_const(f32::from_bits(random.bits_32(hunt)).into()));
    globals.global(global(T::F64), &ConstExpr::f64_const(f64::from_bits(random.bits_64(hunt)).into()));
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0).export("memory", ExportKind::Memory, 0);
    let mut code = CodeSection::new();
    code.function(&run(&mut random, hunt)).function(&helper());
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&globals).section(&exports);
    module.section(&code);
    module.finish()
}

/// Passes floats through parameters, a local of its own, globals and a branch.
fn helper() -> Function {
    let mut function = Function::new([(1, T::F64)]);
    let instructions = [
        I::LocalGet(0),
        I::GlobalGet(1),
        I::F64Mul,
        I::LocalSet(2),
        I::LocalGet(1),
        I::GlobalSet(0),
        I::Block(BlockType::Result(T::F64)),
        I::LocalGet(2),
        I::LocalGet(0),
        I::GlobalGet(0),
        I::F32Const(0.0.into()),
        I::F32Lt,
        I::BrIf(0),
        I::F64Sub,
        I::End,
        I::End,
    ];
    for instruction in instructions {
        function.instruction(&instruction);
    }
    function
}

fn run(random: &mut Random, hunt: Hunt) -> Function {
    debug_assert_eq!(HELPER, 1);
    let mut function = Function::new(TYPES.map(|ty| (LOCALS_PER_TYPE, ty)));
    let mut put = |instruction: I<'_>| {
        function.instruction(&instruction);
    };
    for ty in TYPES {
        for number in 0..u64::from(LOCALS_PER_TYPE) {
            let bits = random.bits_64(hunt);
            put(match ty {
                T::I32 => I::I32Const((bits >> 32) as i32),
                T::I64 => I::I64Const(bits as i64),
                T::F32 => I::F32Const(f32::from_bits(random.bits_32(hunt)).into()),
                T::F64 => I::F64Const(f64::from_bits(bits).into()),
                _ => I::V128Const(i128::from(bits) << 64 | i128::from(random.bits_64(hunt))),
            });
            put(I::LocalSet(local(ty, number)));
        }
    }
    let operations = all(hunt);
    for _ in 0..OPERATIONS {
        let number = |random: &mut Random| random.below(LOCALS_PER_TYPE.into());
        match random.below(8) {
            0 => {
                let (ty, at) = (*random.pick(&TYPES), random.below(SHARED_BYTES - 16));
                put(I::I32Const(0));
                put(I::LocalGet(local(ty, number(random))));
                put(store(ty, at));
            }
            1 => {
                // Floats of what was stored as integers would be NaNs that no arithmetic made.
                let types = if hunt == Hunt::ArithmeticNan { &TYPES[..2] } else { &TYPES[..] };
                let (ty, at) = (*random.pick(types), random.below(SHARED_BYTES - 16));
                put(I::I32Const(0));
                put(load(ty, at));
                put(I::LocalSet(local(ty, number(random))));
            }
            _ => {
                let operation = random.pick(&operations);
                for ty in &operation.takes {
                    put(I::LocalGet(local(*ty, number(random))));
                }
                put(operation.instruction.clone());
                put(I::LocalSet(local(operation.leaves, number(random))));
            }
        }
    }
    for (place, ty) in TYPES.iter().enumerate() {
        for number in 0..u64::from(LOCALS_PER_TYPE) {
            let at = SHARED_BYTES + 16 * (place as u64 * u64::from(LOCALS_PER_TYPE) + number);
            put(I::I32Const(0));
            put(I::LocalGet(local(*ty, number)));
            put(store(*ty, at));
        }
    }
    put(I::End);
    function
}
