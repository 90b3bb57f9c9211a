//! Canonical NaNs where their bits can be seen.
//!
//! WebAssembly leaves open which bits a NaN has that an operation makes, and processors differ in them. The engine can
//! replace every NaN after every operation, which makes arithmetic several times slower. But the bits that arithmetic
//! makes are invisible as long as only arithmetic and comparisons take them. So components are rewritten before they are
//! compiled: what arithmetic made is made canonical where anything else takes it, and nowhere else. `NAN.md` beside the
//! manifest of this crate argues, instruction by instruction, why that is enough.
//!
//! A component keeps the identity of its original bytes.

mod flow;
mod operator;
mod types;

use std::ops::Range;

use trifold_model::canonical::{NAN_32, NAN_64};
use wasm_encoder::{CodeSection, Component, Encode, Instruction, Module, ModuleSection, RawSection, ValType};
use wasmparser::{BinaryReaderError, FunctionBody, Parser, Payload, WasmFeatures};

use flow::canonical_after;
use operator::{Effect, Floats, effect};
use types::Types;

/// Counts the changes of what a rewritten component computes, or of the fuel that it burns.
pub const REWRITER: u32 = 3;

/// The features for which the argument is made.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::COMPONENT_MODEL);

/// What the argument does not cover.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// The bytes do not parse, which validation has found first.
    #[error(transparent)]
    Parse(#[from] BinaryReaderError),
    /// An instruction of another feature.
    #[error("the instruction {instruction} at byte {offset} is not admitted: how it treats NaNs is not known")]
    Instruction {
        /// Its name.
        instruction: String,
        /// Where it stands.
        offset: usize,
    },
    /// Floats that pass from one component to another may be written to memory by the engine itself.
    #[error("a component nested in the component, at byte {offset}, is not admitted: link its modules into one")]
    Nested {
        /// Where it stands.
        offset: usize,
    },
}

/// Rewrites the core modules of a valid component.
pub fn rewrite_component(wasm: &[u8]) -> Result<Vec<u8>, RewriteError> {
    let mut component = Component::new();
    let mut within = 0..0;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                within = unchecked_range.clone();
                component.section(&ModuleSection(&module(wasm, within.clone())?));
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                return Err(RewriteError::Nested { offset: unchecked_range.start });
            }
            Payload::CustomSection(_) => {}
            payload => {
                let section = payload.as_section().filter(|(_, range)| range.start >= within.end);
                if let Some((id, range)) = section {
                    component.section(&RawSection { id, data: &wasm[range] });
                }
            }
        }
    }
    Ok(component.finish())
}

/// Rewrites the functions of a valid core module.
pub fn rewrite_module(wasm: &[u8]) -> Result<Vec<u8>, RewriteError> {
    Ok(module(wasm, 0..wasm.len())?.finish())
}

/// Rewrites the core module that stands in a range of `wasm`.
fn module(wasm: &[u8], range: Range<usize>) -> Result<Module, RewriteError> {
    let mut module = Module::new();
    let mut types = Types::default();
    let mut code = CodeSection::new();
    let mut bodies = 0;
    for payload in Parser::new(range.start as u64).parse_all(&wasm[range]) {
        let payload = payload?;
        match &payload {
            Payload::CustomSection(_) => continue,
            Payload::CodeSectionStart { count, .. } => {
                bodies = *count;
                continue;
            }
            Payload::CodeSectionEntry(body) => {
                code.raw(&rewrite_function(body, code.len(), &types)?);
                if code.len() == bodies {
                    module.section(&code);
                }
                continue;
            }
            Payload::TypeSection(section) => types.read_types(section.clone())?,
            Payload::ImportSection(section) => types.read_imports(section.clone())?,
            Payload::FunctionSection(section) => types.read_functions(section.clone())?,
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            module.section(&RawSection { id, data: &wasm[range] });
        }
    }
    Ok(module)
}

/// Copies the function at a place of the code section and makes floats canonical where their bits could be seen.
fn rewrite_function(body: &FunctionBody<'_>, place: u32, types: &Types) -> Result<Vec<u8>, RewriteError> {
    let (bytes, start) = (body.as_bytes(), body.range().start);
    let canonical = canonical_after(body, place, types)?;
    let params = types.body(place).map_or(0, |function| function.params().len() as u32);
    let mut code = Code::new(body, params)?;
    let mut reader = body.get_operators_reader()?;
    let mut copied = reader.original_position();
    for canonical in canonical {
        let (operator, offset) = reader.read_with_offset()?;
        let floats = match effect(&operator) {
            Effect::Lanes(floats) => Some(floats),
            Effect::Refuse => {
                let instruction = format!("{operator:?}");
                let instruction = instruction.split([' ', '{']).next().unwrap_or_default().to_owned();
                return Err(RewriteError::Instruction { instruction, offset });
            }
            _ => canonical,
        };
        let Some(floats) = floats else { continue };
        let at = reader.original_position();
        code.body.extend_from_slice(&bytes[copied - start..at - start]);
        code.make_canonical(floats);
        copied = at;
    }
    code.body.extend_from_slice(&bytes[copied - start..]);
    Ok(code.finish())
}

/// A function on its way.
struct Code {
    /// The declared groups of locals, as they stand, and how many they are.
    declared: Vec<u8>,
    groups: u32,
    /// The first local that is free.
    free: u32,
    /// The locals that were added.
    added: Vec<ValType>,
    body: Vec<u8>,
}

impl Code {
    fn new(body: &FunctionBody<'_>, params: u32) -> Result<Self, RewriteError> {
        let mut locals = body.get_locals_reader()?;
        let first = locals.original_position();
        let groups = locals.get_count();
        let mut free = params;
        for _ in 0..groups {
            free = free.saturating_add(locals.read()?.0);
        }
        let range = first - body.range().start..locals.original_position() - body.range().start;
        let declared = body.as_bytes()[range].to_vec();
        Ok(Code { declared, groups, free, added: Vec::new(), body: Vec::new() })
    }

    /// The local of a type in which a value is kept for a moment.
    fn scratch(&mut self, ty: ValType) -> u32 {
        let place = self.added.iter().position(|added| *added == ty).unwrap_or_else(|| {
            self.added.push(ty);
            self.added.len() - 1
        });
        self.free + place as u32
    }

    /// Replaces the NaNs in the value on top of the stack: whatever does not compare with itself. Processors tell for
    /// `ge` by one flag and for `eq` by two; for vectors it is the other way round.
    fn make_canonical(&mut self, floats: Floats) {
        let (ty, nan, compare, choose) = match floats {
            Floats::F32 => {
                let nan = f32::from_bits(NAN_32).into();
                (ValType::F32, Instruction::F32Const(nan), Instruction::F32Ge, Instruction::Select)
            }
            Floats::F64 => {
                let nan = f64::from_bits(NAN_64).into();
                (ValType::F64, Instruction::F64Const(nan), Instruction::F64Ge, Instruction::Select)
            }
            Floats::F32x4 => {
                let nans = Instruction::V128Const(i128::from_le_bytes(bytemuck::cast([NAN_32; 4])));
                (ValType::V128, nans, Instruction::F32x4Eq, Instruction::V128Bitselect)
            }
            Floats::F64x2 => {
                let nans = Instruction::V128Const(i128::from_le_bytes(bytemuck::cast([NAN_64; 2])));
                (ValType::V128, nans, Instruction::F64x2Eq, Instruction::V128Bitselect)
            }
        };
        let local = self.scratch(ty);
        let (tee, get) = (Instruction::LocalTee(local), Instruction::LocalGet(local));
        for instruction in [tee, nan, get.clone(), get, compare, choose] {
            instruction.encode(&mut self.body);
        }
    }

    fn finish(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        (self.groups + self.added.len() as u32).encode(&mut bytes);
        bytes.extend(self.declared);
        for ty in self.added {
            1_u32.encode(&mut bytes);
            ty.encode(&mut bytes);
        }
        bytes.extend(self.body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        ExportKind, ExportSection, Function, FunctionSection, NestedComponentSection, TypeSection,
    };

    use super::*;

    /// A module with one function over two doubles and two vectors, whose body leaves nothing.
    fn module_of(body: &[Instruction<'_>]) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([ValType::F64, ValType::V128], []);
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut exports = ExportSection::new();
        exports.export("f", ExportKind::Func, 0);
        let mut function = Function::new([(1, ValType::F64), (1, ValType::V128)]);
        for instruction in body {
            function.instruction(instruction);
        }
        function.instruction(&Instruction::End);
        let mut code = CodeSection::new();
        code.function(&function);
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&exports).section(&code);
        module.finish()
    }

    #[track_caller]
    fn check(body: &[Instruction<'_>], sites: usize) {
        let plain = module_of(body);
        let rewritten = rewrite_module(&plain).unwrap();
        wasmparser::Validator::new_with_features(FEATURES).validate_all(&rewritten).unwrap();
        let compares = |wasm: &[u8]| wasm.windows(1).filter(|byte| byte[0] == 0x66).count();
        assert_eq!(compares(&rewritten) - compares(&plain), sites, "{body:?}");
        assert!(sites > 0 || rewritten == plain, "{body:?}");
    }

    /// Bits that were there before arithmetic are none of ours, and open ones may stay so among arithmetic.
    #[test]
    fn what_needs_nothing_stays_as_it_is() {
        use Instruction as I;
        check(&[I::LocalGet(0), I::F64Neg, I::LocalSet(2)], 0);
        check(&[I::LocalGet(0), I::I64ReinterpretF64, I::Drop], 0);
        check(&[I::LocalGet(0), I::LocalSet(2), I::LocalGet(2), I::I64ReinterpretF64, I::Drop], 0);
        check(&[I::LocalGet(0), I::LocalGet(0), I::F64Add, I::LocalTee(2), I::LocalGet(2), I::F64Mul, I::Drop], 0);
        check(&[I::I64Const(1), I::F64ConvertI64S, I::I64ReinterpretF64, I::Drop], 0);
    }

    #[test]
    fn what_arithmetic_made_is_made_canonical_once() {
        use Instruction as I;
        let sum = [I::LocalGet(0), I::LocalGet(0), I::F64Add];
        let check = |more: &[I<'_>], sites| check(&[&sum[..], more].concat(), sites);
        check(&[I::I64ReinterpretF64, I::Drop], 1);
        check(&[I::F64Neg, I::Drop], 1);
        check(&[I::LocalGet(0), I::F64Copysign, I::Drop], 1);
        check(&[I::F64x2Splat, I::Drop], 1);
        // A local that holds nothing but sums may stay open until its bits are asked for.
        check(&[I::LocalSet(2), I::LocalGet(2), I::I64ReinterpretF64, I::Drop], 1);
        check(&[I::LocalSet(2), I::LocalGet(2), I::F64Sqrt, I::Drop], 0);
        // One that also holds what was passed may not, and is not touched when it is read.
        check(&[I::LocalSet(2), I::LocalGet(0), I::LocalSet(2), I::LocalGet(2), I::I64ReinterpretF64, I::Drop], 1);
        check(&[I::LocalGet(0), I::I32Const(1), I::Select, I::I64ReinterpretF64, I::Drop], 1);
        check(&[I::F64Const(1.0.into()), I::I32Const(1), I::Select, I::I64ReinterpretF64, I::Drop], 1);
    }

    #[test]
    fn a_rewritten_module_is_valid_and_has_locals_of_its_own() {
        let sum = [Instruction::LocalGet(0), Instruction::LocalGet(0), Instruction::F64Add];
        let stored = [&sum[..], &[Instruction::I64ReinterpretF64, Instruction::Drop]].concat();
        let added =
            [Instruction::LocalGet(1), Instruction::LocalGet(3), Instruction::F64x2Add, Instruction::LocalSet(3)];
        let wasm = rewrite_module(&module_of(&[&stored[..], &added, &stored].concat())).unwrap();
        wasmparser::Validator::new_with_features(FEATURES).validate_all(&wasm).unwrap();
        // Parameters, declared locals, and one of each type that is needed.
        let locals = |payload| match payload {
            Payload::CodeSectionEntry(body) => Some(body.get_locals_reader().unwrap().into_iter().count()),
            _ => None,
        };
        let groups: Vec<_> =
            Parser::new(0).parse_all(&wasm).filter_map(|payload| locals(payload.unwrap())).collect();
        assert_eq!(groups, [4]);
    }

    #[test]
    fn an_instruction_that_the_argument_does_not_cover_is_refused_by_name() {
        let body = [
            Instruction::LocalGet(1),
            Instruction::LocalGet(1),
            Instruction::F64x2RelaxedMin,
            Instruction::LocalSet(3),
        ];
        let error = rewrite_module(&module_of(&body)).unwrap_err().to_string();
        assert!(error.starts_with("the instruction F64x2RelaxedMin at byte "), "{error}");
    }

    #[test]
    fn a_nested_component_is_refused() {
        let mut outer = Component::new();
        outer.section(&NestedComponentSection(&Component::new()));
        assert!(matches!(rewrite_component(&outer.finish()), Err(RewriteError::Nested { .. })));
    }
}
