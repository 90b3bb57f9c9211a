//! What each instruction means for the bits of NaNs.

use wasmparser::Operator;

/// What holds floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Floats {
    F32,
    F64,
    F32x4,
    F64x2,
}

/// What an instruction does with floats. `NAN.md` has the reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It computes a float, whose bits are open if it is a NaN; those of the floats that it takes do not matter.
    Arithmetic(Floats),
    /// It makes a float that is a number.
    Number,
    /// The bits of the floats that it takes do not matter, and it leaves no float.
    Blind,
    /// It takes the floats on the stack as they are, and what it leaves has the bits that it should have.
    Plain,
    /// It computes lanes, of which those that are NaNs are open.
    Lanes(Floats),
    /// One of two values.
    Select,
    /// The argument does not cover the instruction.
    Refuse,
}

pub(super) fn effect(operator: &Operator<'_>) -> Effect {
    use Operator as Op;
    match operator {
        Op::F32Add
        | Op::F32Sub
        | Op::F32Mul
        | Op::F32Div
        | Op::F32Min
        | Op::F32Max
        | Op::F32Sqrt
        | Op::F32Ceil
        | Op::F32Floor
        | Op::F32Trunc
        | Op::F32Nearest
        | Op::F32DemoteF64 => Effect::Arithmetic(Floats::F32),
        Op::F64Add
        | Op::F64Sub
        | Op::F64Mul
        | Op::F64Div
        | Op::F64Min
        | Op::F64Max
        | Op::F64Sqrt
        | Op::F64Ceil
        | Op::F64Floor
        | Op::F64Trunc
        | Op::F64Nearest
        | Op::F64PromoteF32 => Effect::Arithmetic(Floats::F64),
        Op::F32Const { value } if !f32::from_bits(value.bits()).is_nan() => Effect::Number,
        Op::F64Const { value } if !f64::from_bits(value.bits()).is_nan() => Effect::Number,
        Op::F32ConvertI32S
        | Op::F32ConvertI32U
        | Op::F32ConvertI64S
        | Op::F32ConvertI64U
        | Op::F64ConvertI32S
        | Op::F64ConvertI32U
        | Op::F64ConvertI64S
        | Op::F64ConvertI64U => Effect::Number,
        Op::F32Eq
        | Op::F32Ne
        | Op::F32Lt
        | Op::F32Gt
        | Op::F32Le
        | Op::F32Ge
        | Op::F64Eq
        | Op::F64Ne
        | Op::F64Lt
        | Op::F64Gt
        | Op::F64Le
        | Op::F64Ge
        | Op::I32TruncF32S
        | Op::I32TruncF32U
        | Op::I32TruncF64S
        | Op::I32TruncF64U
        | Op::I64TruncF32S
        | Op::I64TruncF32U
        | Op::I64TruncF64S
        | Op::I64TruncF64U
        | Op::I32TruncSatF32S
        | Op::I32TruncSatF32U
        | Op::I32TruncSatF64S
        | Op::I32TruncSatF64U
        | Op::I64TruncSatF32S
        | Op::I64TruncSatF32U
        | Op::I64TruncSatF64S
        | Op::I64TruncSatF64U
        | Op::Drop => Effect::Blind,
        Op::F32x4Ceil
        | Op::F32x4Floor
        | Op::F32x4Trunc
        | Op::F32x4Nearest
        | Op::F32x4Sqrt
        | Op::F32x4Add
        | Op::F32x4Sub
        | Op::F32x4Mul
        | Op::F32x4Div
        | Op::F32x4Min
        | Op::F32x4Max
        | Op::F32x4DemoteF64x2Zero => Effect::Lanes(Floats::F32x4),
        Op::F64x2Ceil
        | Op::F64x2Floor
        | Op::F64x2Trunc
        | Op::F64x2Nearest
        | Op::F64x2Sqrt
        | Op::F64x2Add
        | Op::F64x2Sub
        | Op::F64x2Mul
        | Op::F64x2Div
        | Op::F64x2Min
        | Op::F64x2Max
        | Op::F64x2PromoteLowF32x4 => Effect::Lanes(Floats::F64x2),
        Op::Select | Op::TypedSelect { .. } => Effect::Select,
        other if is_covered(other) => Effect::Plain,
        _ => Effect::Refuse,
    }
}

macro_rules! define_is_covered {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $type:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
        /// Whether the proposal that an instruction came with is one that the argument goes through.
        fn is_covered(operator: &Operator<'_>) -> bool {
            let proposal = match operator {
                $(Operator::$op { .. } => stringify!($proposal),)*
                _ => "",
            };
            COVERED.contains(&proposal)
        }
    };
}
wasmparser::for_each_operator!(define_is_covered);

/// Proposals whose instructions are gone through one by one.
const COVERED: [&str; 7] =
    ["mvp", "sign_extension", "saturating_float_to_int", "bulk_memory", "reference_types", "tail_call", "simd"];
