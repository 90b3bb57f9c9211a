//! The fields of a struct of aggregators: how they make up a state, and what their features are called.

use crate::aggregate::{Aggregate, FoldOrder, StateError, StateReader};
use crate::value::{OutputField, OutputValues};

/// The longest name of a feature.
const NAME_BYTES_MAX: usize = 64;

/// Writes a state: a bit for each field that is not empty, and then those fields.
pub struct FieldsWriter<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    count: usize,
    next: usize,
}

impl<'a> FieldsWriter<'a> {
    /// A writer of so many fields.
    #[inline]
    pub fn new(count: usize, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.resize(start + count.div_ceil(8), 0);
        FieldsWriter { out, start, count, next: 0 }
    }

    /// Writes the next field.
    #[inline]
    pub fn put<A: Aggregate>(&mut self, field: &A) {
        let before = self.out.len();
        field.encode(self.out);
        if self.out.len() > before {
            self.out[self.start + self.next / 8] |= 1 << (self.next % 8);
        }
        self.next += 1;
    }

    /// Ends the state. Without any field it has no bytes.
    #[inline]
    pub fn finish(self) {
        if self.out.len() == self.start + self.count.div_ceil(8) {
            self.out.truncate(self.start);
        }
    }
}

/// Reads what [`FieldsWriter`] wrote of a state that is not empty.
pub struct FieldsReader<'r, 'a> {
    input: &'r mut StateReader<'a>,
    present: &'a [u8],
    next: usize,
}

impl<'r, 'a> FieldsReader<'r, 'a> {
    /// A reader of so many fields.
    #[inline]
    pub fn new(count: usize, input: &'r mut StateReader<'a>) -> Result<Self, StateError> {
        let present = input.take(count.div_ceil(8))?;
        if present.iter().all(|bits| *bits == 0) {
            return Err(StateError::invalid("the state has bytes and no field"));
        }
        let is_beyond = |bit: usize| present[bit / 8] >> (bit % 8) & 1 == 1;
        if (count..present.len() * 8).any(is_beyond) {
            return Err(StateError::invalid("the state has more fields than the view"));
        }
        Ok(FieldsReader { input, present, next: 0 })
    }

    /// Reads the next field.
    #[inline]
    pub fn take<A: Aggregate>(&mut self) -> Result<A, StateError> {
        let field = self.next;
        self.next += 1;
        if self.present[field / 8] >> (field % 8) & 1 == 0 {
            return Ok(A::default());
        }
        let before = self.input.left();
        let aggregate = A::decode(self.input)?;
        if self.input.left() == before {
            return Err(StateError::invalid("a field of the state has no bytes"));
        }
        Ok(aggregate)
    }
}

/// Whether a field's features have names that no field before it has, and that are short enough. Fields come with
/// the names of their features; `window_bytes` is the length of the longest window.
pub const fn has_names<const N: usize>(
    fields: [(&str, &[&str]); N],
    field: usize,
    window_bytes: usize,
) -> Result<(), NameProblem> {
    let (name, features) = fields[field];
    let mut feature = 0;
    while feature < features.len() {
        if length(name, features[feature]) + 1 + window_bytes > NAME_BYTES_MAX {
            return Err(NameProblem::Long);
        }
        let mut earlier = 0;
        while earlier < field {
            let (other, others) = fields[earlier];
            let mut at = 0;
            while at < others.len() {
                if is_same((name, features[feature]), (other, others[at])) {
                    return Err(NameProblem::Taken);
                }
                at += 1;
            }
            earlier += 1;
        }
        feature += 1;
    }
    Ok(())
}

/// What is wrong with a feature's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameProblem {
    /// It is too long.
    Long,
    /// A field before has a feature of that name.
    Taken,
}

/// The length of a feature's name without the window.
const fn length(field: &str, feature: &str) -> usize {
    field.len() + if feature.is_empty() { 0 } else { 1 + feature.len() }
}

/// A byte of a feature's name without the window.
const fn byte((field, feature): (&str, &str), at: usize) -> u8 {
    if at < field.len() {
        field.as_bytes()[at]
    } else if at == field.len() {
        b'_'
    } else {
        feature.as_bytes()[at - field.len() - 1]
    }
}

const fn is_same(one: (&str, &str), other: (&str, &str)) -> bool {
    let count = length(one.0, one.1);
    if count != length(other.0, other.1) {
        return false;
    }
    let mut at = 0;
    while at < count && byte(one, at) == byte(other, at) {
        at += 1;
    }
    at == count
}

/// Shows the features of a field, window by window.
pub fn features<A: Aggregate<Feature: OutputValues>>(
    field: &str,
    doc: &str,
    windows: &[&str],
    each: &mut dyn FnMut(OutputField<'_>),
) {
    // A documentation that does not end as a sentence becomes one.
    let stop = if doc.ends_with(|last: char| last.is_alphanumeric()) { ". " } else { " " };
    for window in windows {
        for (feature, column) in A::FEATURES.iter().zip(<A::Feature as OutputValues>::TYPES) {
            let (name, what) = match *feature {
                "" => (format!("{field}_{window}"), format!("Over {window}.")),
                feature => (format!("{field}_{feature}_{window}"), format!("The {feature} over {window}.")),
            };
            let doc = if doc.is_empty() { what } else { format!("{doc}{stop}{what}") };
            each(OutputField { name: &name, ty: column.name, nullable: column.nullable, doc: &doc });
        }
    }
}

/// The order in which aggregators of these orders are folded.
pub const fn order<const N: usize>(orders: [FoldOrder; N]) -> FoldOrder {
    let mut order = FoldOrder::Any;
    let mut at = 0;
    while at < N {
        order = order.and(orders[at]);
        at += 1;
    }
    order
}
