//! Where in a function a NaN with open bits is taken as it is.
//!
//! A walk over the function follows each float from the instruction that made it to the one that takes it. What
//! arithmetic made is *open*: if it is a NaN, its bits differ between processors. It may stay so while arithmetic and
//! comparisons take it, and is made canonical, right after the instruction that made it, if anything else does. What was
//! loaded, passed or reinterpreted is *kept* and never touched, since a compiler may well carry an integer in a float.

use wasmparser::{BinaryReaderError, BlockType, FunctionBody, Operator, ValType};

use super::operator::{Effect, Floats, effect};
use super::types::Types;

/// After how many walks locals that still change are given up: nested copies are rare in what compilers make.
const WALKS_MAX: usize = 8;

/// A value on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// Anything whose bits are as they should be.
    Kept,
    /// A float that is a number.
    Number,
    /// A float with open bits, made by that instruction.
    Open(usize, Floats),
}

struct Frame {
    base: usize,
    params: usize,
    results: usize,
}

/// A walk over one function.
pub(super) struct Flow<'a> {
    types: &'a Types,
    locals: Vec<ValType>,
    /// Whether a local holds nothing but numbers and open floats, so that it may stay open.
    may_be_open: Vec<bool>,
    changed: bool,
    stack: Vec<Value>,
    frames: Vec<Frame>,
    /// By instruction: what it made, if that must be canonical.
    canonical: Vec<Option<Floats>>,
}

/// After which instructions of a function what was made must be made canonical.
pub(super) fn canonical_after(
    body: &FunctionBody<'_>,
    place: u32,
    types: &Types,
) -> Result<Vec<Option<Floats>>, BinaryReaderError> {
    let function = types.body(place);
    let mut locals: Vec<ValType> = function.map_or_else(Vec::new, |function| function.params().to_vec());
    let params = locals.len();
    for group in body.get_locals_reader()? {
        let (count, ty) = group?;
        locals.resize(locals.len() + count as usize, ty);
    }
    let mut may_be_open: Vec<bool> = locals.iter().map(|ty| floats(*ty).is_some()).collect();
    may_be_open[..params].fill(false);
    let mut flow = Flow {
        types,
        locals,
        may_be_open,
        changed: false,
        stack: Vec::new(),
        frames: Vec::new(),
        canonical: Vec::new(),
    };
    for _ in 0..WALKS_MAX {
        flow.walk(body)?;
        if !flow.changed {
            return Ok(flow.canonical);
        }
    }
    flow.may_be_open.fill(false);
    flow.walk(body)?;
    Ok(flow.canonical)
}

fn floats(ty: ValType) -> Option<Floats> {
    match ty {
        ValType::F32 => Some(Floats::F32),
        ValType::F64 => Some(Floats::F64),
        ValType::I32 | ValType::I64 | ValType::V128 | ValType::Ref(_) => None,
    }
}

impl Flow<'_> {
    fn walk(&mut self, body: &FunctionBody<'_>) -> Result<(), BinaryReaderError> {
        self.changed = false;
        self.stack.clear();
        self.canonical.clear();
        self.frames = vec![Frame { base: 0, params: 0, results: 0 }];
        for operator in body.get_operators_reader()? {
            let at = self.canonical.len();
            self.canonical.push(None);
            self.step(&operator?, at);
        }
        Ok(())
    }

    fn step(&mut self, operator: &Operator<'_>, at: usize) {
        match operator {
            Operator::Block { blockty } | Operator::Loop { blockty } => self.enter(*blockty),
            Operator::If { blockty } => {
                self.pop();
                self.enter(*blockty);
            }
            Operator::Else => {
                self.leave();
                let params = self.frames.last().map_or(0, |frame| frame.params);
                self.push(params, Value::Kept);
            }
            Operator::End => {
                self.leave();
                let results = self.frames.pop().map_or(0, |frame| frame.results);
                self.push(results, Value::Kept);
            }
            Operator::BrIf { .. } => {
                self.pop();
                self.keep_all();
            }
            Operator::Br { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::Unreachable => self.leave(),
            Operator::LocalGet { local_index } => {
                let value = self.local(*local_index, at);
                self.stack.push(value);
            }
            Operator::LocalSet { local_index } => self.set(*local_index),
            Operator::LocalTee { local_index } => {
                self.set(*local_index);
                let value = self.local(*local_index, at);
                self.stack.push(value);
            }
            other => self.compute(other, at),
        }
    }

    fn compute(&mut self, operator: &Operator<'_>, at: usize) {
        // Of the instructions that are left, every one that the validator admits says what it takes and leaves.
        let (takes, leaves) = operator.operator_arity(self.types).unwrap_or((0, 0));
        let leaves = leaves as usize;
        match effect(operator) {
            Effect::Arithmetic(floats) => {
                self.pop_all(takes);
                self.stack.push(Value::Open(at, floats));
            }
            Effect::Number => {
                self.pop_all(takes);
                self.stack.push(Value::Number);
            }
            Effect::Blind => {
                self.pop_all(takes);
                self.push(leaves, Value::Kept);
            }
            Effect::Select => {
                self.pop();
                let (second, first) = (self.pop(), self.pop());
                let chosen = self.either(first, second, at);
                self.stack.push(chosen);
            }
            Effect::Plain | Effect::Lanes(_) | Effect::Refuse => {
                for _ in 0..takes {
                    let value = self.pop();
                    self.keep(value);
                }
                self.push(leaves, Value::Kept);
            }
        }
    }

    /// One of two values. If both may be made canonical, it may be when somebody takes it as it is.
    fn either(&mut self, first: Value, second: Value, at: usize) -> Value {
        match (first, second) {
            (Value::Open(_, floats), Value::Open(..) | Value::Number)
            | (Value::Number, Value::Open(_, floats)) => Value::Open(at, floats),
            (Value::Number, Value::Number) => Value::Number,
            (first, second) => {
                self.keep(first);
                self.keep(second);
                Value::Kept
            }
        }
    }

    fn local(&self, local: u32, at: usize) -> Value {
        let local = local as usize;
        match self.locals.get(local).copied().and_then(floats) {
            Some(floats) if self.may_be_open[local] => Value::Open(at, floats),
            _ => Value::Kept,
        }
    }

    fn set(&mut self, local: u32) {
        let value = self.pop();
        let Some(may_be_open) = self.may_be_open.get_mut(local as usize) else { return };
        if *may_be_open && value == Value::Kept {
            *may_be_open = false;
            self.changed = true;
        }
        if !*may_be_open {
            self.keep(value);
        }
    }

    /// Somebody takes a value as it is.
    fn keep(&mut self, value: Value) {
        if let Value::Open(at, floats) = value {
            self.canonical[at] = Some(floats);
        }
    }

    fn enter(&mut self, ty: BlockType) {
        let (params, results) = self.types.block(ty);
        for _ in 0..params {
            let value = self.pop();
            self.keep(value);
        }
        self.frames.push(Frame { base: self.stack.len(), params, results });
        self.push(params, Value::Kept);
    }

    /// All that a block has left, or takes along to another, is kept.
    fn leave(&mut self) {
        self.keep_all();
        self.stack.truncate(self.base());
    }

    fn keep_all(&mut self) {
        for place in self.base()..self.stack.len() {
            let value = std::mem::replace(&mut self.stack[place], Value::Kept);
            self.keep(value);
        }
    }

    fn base(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.base)
    }

    /// What is on top; behind a jump anything may be, and nothing of it is ever computed.
    fn pop(&mut self) -> Value {
        if self.stack.len() > self.base() { self.stack.pop().unwrap_or(Value::Kept) } else { Value::Kept }
    }

    fn pop_all(&mut self, count: u32) {
        for _ in 0..count {
            self.pop();
        }
    }

    fn push(&mut self, count: usize, value: Value) {
        self.stack.extend(std::iter::repeat_n(value, count));
    }
}
