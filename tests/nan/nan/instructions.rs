//! The instructions of which programs are made.

use std::iter::repeat_n;

use wasm_encoder::{Instruction as I, ValType as T, ValType};

/// The function that programs call: it takes a double and a single and leaves a double.
pub(crate) const HELPER: u32 = 1;

/// Which NaNs a program may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hunt {
    /// NaNs of all bits, from integers and constants too.
    AnyNan,
    /// The same, without what turns a NaN of one width into one of the other: of a NaN that is not canonical already,
    /// the engine's own way leaves as much as the processor does.
    SameWidth,
    /// NaNs that arithmetic makes, and whose sign nobody asks for.
    ArithmeticNan,
}

/// An instruction that takes values and leaves one.
pub(crate) struct Operation {
    pub(crate) instruction: I<'static>,
    pub(crate) takes: Vec<ValType>,
    pub(crate) leaves: ValType,
}

fn operations(
    takes: &[ValType],
    leaves: ValType,
    instructions: impl IntoIterator<Item = I<'static>>,
) -> impl Iterator<Item = Operation> {
    let operation = move |instruction| Operation { instruction, takes: takes.to_vec(), leaves };
    instructions.into_iter().map(operation).collect::<Vec<_>>().into_iter()
}

/// All operations that a program of a kind may have.
pub(crate) fn all(hunt: Hunt) -> Vec<Operation> {
    let mut all: Vec<_> = scalar().chain(lanes()).collect();
    if hunt != Hunt::ArithmeticNan {
        all.extend(signs());
        all.extend(bits());
    }
    if hunt == Hunt::SameWidth {
        all.retain(|operation| !changes_width(&operation.instruction));
    }
    all
}

fn changes_width(instruction: &I<'_>) -> bool {
    matches!(instruction, I::F32DemoteF64 | I::F64PromoteF32 | I::F32x4DemoteF64x2Zero | I::F64x2PromoteLowF32x4)
}

/// Arithmetic on single values, and what it looks like as an integer.
fn scalar() -> impl Iterator<Item = Operation> {
    let f32 = [I::F32Add, I::F32Sub, I::F32Mul, I::F32Div, I::F32Min, I::F32Max];
    let f64 = [I::F64Add, I::F64Sub, I::F64Mul, I::F64Div, I::F64Min, I::F64Max];
    let f32_alone = [I::F32Ceil, I::F32Floor, I::F32Trunc, I::F32Nearest, I::F32Sqrt];
    let f64_alone = [I::F64Ceil, I::F64Floor, I::F64Trunc, I::F64Nearest, I::F64Sqrt];
    operations(&[T::F32, T::F32], T::F32, f32)
        .chain(operations(&[T::F64, T::F64], T::F64, f64))
        .chain(operations(&[T::F32], T::F32, f32_alone))
        .chain(operations(&[T::F64], T::F64, f64_alone))
        .chain(operations(&[T::F32, T::F32], T::I32, [I::F32Eq, I::F32Lt, I::F32Ge]))
        .chain(operations(&[T::F64, T::F64], T::I32, [I::F64Ne, I::F64Gt, I::F64Le]))
        .chain(operations(&[T::F64], T::F32, [I::F32DemoteF64]))
        .chain(operations(&[T::F32], T::F64, [I::F64PromoteF32]))
        .chain(operations(&[T::I64], T::F32, [I::F32ConvertI64S, I::F32ConvertI64U]))
        .chain(operations(&[T::I32], T::F64, [I::F64ConvertI32S, I::F64ConvertI32U]))
        .chain(operations(&[T::F32], T::I32, [I::I32TruncSatF32S, I::I32TruncSatF32U, I::I32ReinterpretF32]))
        .chain(operations(&[T::F64], T::I64, [I::I64TruncSatF64S, I::I64TruncSatF64U, I::I64ReinterpretF64]))
        .chain(operations(&[T::F32, T::F32, T::I32], T::F32, [I::Select]))
        .chain(operations(&[T::F64, T::F64, T::I32], T::F64, [I::Select]))
        .chain(operations(&[T::I32, T::I32], T::I32, [I::I32Add, I::I32Xor, I::I32And]))
        .chain(operations(&[T::I64, T::I64], T::I64, [I::I64Add, I::I64Or, I::I64Rotl]))
        .chain(operations(&[T::F64, T::F32], T::F64, [I::Call(HELPER)]))
}

/// Arithmetic on lanes.
fn lanes() -> impl Iterator<Item = Operation> {
    const V: ValType = ValType::V128;
    let two = [
        I::F32x4Add,
        I::F32x4Sub,
        I::F32x4Mul,
        I::F32x4Div,
        I::F32x4Min,
        I::F32x4Max,
        I::F32x4PMin,
        I::F32x4PMax,
        I::F64x2Add,
        I::F64x2Sub,
        I::F64x2Mul,
        I::F64x2Div,
        I::F64x2Min,
        I::F64x2Max,
        I::F64x2PMin,
        I::F64x2PMax,
        I::F32x4Lt,
        I::F64x2Eq,
    ];
    let one = [
        I::F32x4Ceil,
        I::F32x4Floor,
        I::F32x4Trunc,
        I::F32x4Nearest,
        I::F32x4Sqrt,
        I::F64x2Ceil,
        I::F64x2Floor,
        I::F64x2Trunc,
        I::F64x2Nearest,
        I::F64x2Sqrt,
        I::F32x4ConvertI32x4S,
        I::F64x2ConvertLowI32x4U,
        I::I32x4TruncSatF32x4S,
        I::I32x4TruncSatF64x2UZero,
    ];
    operations(&[V, V], V, two)
        .chain(operations(&[V], V, one))
        .chain(operations(&[T::F32], V, [I::F32x4Splat]))
        .chain(operations(&[T::F64], V, [I::F64x2Splat]))
        .chain(operations(&[V, T::F32], V, [I::F32x4ReplaceLane(1), I::F32x4ReplaceLane(3)]))
        .chain(operations(&[V, T::F64], V, [I::F64x2ReplaceLane(0), I::F64x2ReplaceLane(1)]))
        .chain(operations(&[V, V, V], V, [I::V128Bitselect]))
}

/// What asks for, or changes, the sign of a NaN.
fn signs() -> impl Iterator<Item = Operation> {
    const V: ValType = ValType::V128;
    // Often, as it shows only where the sign of a NaN goes over to a number that is kept.
    operations(&[T::F32, T::F32], T::F32, repeat_n(I::F32Copysign, 4))
        .chain(operations(&[T::F64, T::F64], T::F64, repeat_n(I::F64Copysign, 4)))
        .chain(operations(&[T::F32], T::F32, [I::F32Abs, I::F32Neg]))
        .chain(operations(&[T::F64], T::F64, [I::F64Abs, I::F64Neg]))
        .chain(operations(&[V], V, [I::F32x4Abs, I::F32x4Neg, I::F64x2Abs, I::F64x2Neg]))
}

/// What makes floats of integers, or integers of lanes, and lanes of one width of those of another.
fn bits() -> impl Iterator<Item = Operation> {
    const V: ValType = ValType::V128;
    operations(&[T::I32], T::F32, [I::F32ReinterpretI32])
        .chain(operations(&[T::I64], T::F64, [I::F64ReinterpretI64]))
        .chain(operations(&[V], T::F32, [I::F32x4ExtractLane(0), I::F32x4ExtractLane(2)]))
        .chain(operations(&[V], T::F64, [I::F64x2ExtractLane(0), I::F64x2ExtractLane(1)]))
        .chain(operations(&[V], T::I64, [I::I64x2ExtractLane(0), I::I64x2ExtractLane(1)]))
        .chain(operations(&[T::I32], V, [I::I32x4Splat, I::I16x8Splat]))
        .chain(operations(&[T::I64], V, [I::I64x2Splat]))
        .chain(operations(&[V, V], V, [I::V128Xor, I::V128And, I::I32x4Add, I::I64x2Sub, I::I8x16Swizzle]))
        .chain(operations(&[V], V, [I::V128Not, I::F32x4DemoteF64x2Zero, I::F64x2PromoteLowF32x4]))
}
