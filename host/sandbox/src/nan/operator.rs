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

/// What is to be done at an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    /// Nothing: no bits of a NaN leave the world of floats here.
    Pass,
    /// The float on top of the stack leaves that world, and is made canonical before.
    Before(Floats),
    /// Arithmetic puts its result where lanes can be read as integers, so it is made canonical after.
    After(Floats),
    /// The argument does not cover the instruction.
    Refuse,
}

/// What is to be done at an instruction. `NAN.md` has the reasons.
pub(super) fn site(operator: &Operator<'_>) -> Site {
    use Operator as Op;
    match operator {
        Op::F32Store { .. }
        | Op::I32ReinterpretF32
        | Op::F32Copysign
        | Op::F32x4Splat
        | Op::F32x4ReplaceLane { .. } => Site::Before(Floats::F32),
        Op::F64Store { .. }
        | Op::I64ReinterpretF64
        | Op::F64Copysign
        | Op::F64x2Splat
        | Op::F64x2ReplaceLane { .. } => Site::Before(Floats::F64),
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
        | Op::F32x4DemoteF64x2Zero => Site::After(Floats::F32x4),
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
        | Op::F64x2PromoteLowF32x4 => Site::After(Floats::F64x2),
        other if is_covered(other) => Site::Pass,
        _ => Site::Refuse,
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
