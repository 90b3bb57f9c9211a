//! Values that a state keeps as they came.

use std::cmp::Ordering;
use std::fmt::Debug;

use super::{StateError, StateReader, put_text, put_varint, put_zigzag};
use crate::Timestamp;

/// The bits of every NaN that a state keeps; which ones an event had, depends on where it was computed.
const NAN: u64 = 0x7FF8_0000_0000_0000;

/// A type of values that states keep: f64, i64, bool, [`Timestamp`] or String, which events give as `&str`.
#[diagnostic::on_unimplemented(
    message = "aggregators do not keep values of type `{Self}`",
    note = "they keep f64, i64, bool, Timestamp and String"
)]
pub trait Kept: Clone + Debug {
    /// What an event gives.
    type Given<'a>;
    /// Keeps a value.
    fn keep(given: Self::Given<'_>) -> Self;
    /// A total order, in which only values with equal bytes are equal.
    fn order(&self, other: &Self) -> Ordering;
    /// Writes the value.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads what `put` wrote.
    fn take(input: &mut StateReader<'_>) -> Result<Self, StateError>;
}

/// A kept type whose values are larger or smaller: f64, i64 and [`Timestamp`].
#[diagnostic::on_unimplemented(
    message = "aggregators do not compare values of type `{Self}`",
    note = "they compare f64, i64 and Timestamp"
)]
pub trait Ordered: for<'a> Kept<Given<'a> = Self> + Copy {
    /// Whether the value has a place in the order; a NaN has none.
    fn has_place(self) -> bool {
        true
    }
}

impl Kept for f64 {
    type Given<'a> = f64;

    #[inline]
    fn keep(given: f64) -> f64 {
        if given.is_nan() { f64::from_bits(NAN) } else { given }
    }

    #[inline]
    fn order(&self, other: &f64) -> Ordering {
        self.total_cmp(other)
    }

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bits().to_le_bytes());
    }

    #[inline]
    fn take(input: &mut StateReader<'_>) -> Result<f64, StateError> {
        let bits = input.word()?;
        let value = f64::from_bits(bits);
        if value.is_nan() && bits != NAN {
            return Err(StateError::invalid("a NaN is not the canonical one"));
        }
        Ok(value)
    }
}

impl Ordered for f64 {
    #[inline]
    fn has_place(self) -> bool {
        !self.is_nan()
    }
}

impl Kept for i64 {
    type Given<'a> = i64;

    #[inline]
    fn keep(given: i64) -> i64 {
        given
    }

    #[inline]
    fn order(&self, other: &i64) -> Ordering {
        self.cmp(other)
    }

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_zigzag(out, *self);
    }

    #[inline]
    fn take(input: &mut StateReader<'_>) -> Result<i64, StateError> {
        input.zigzag()
    }
}

impl Ordered for i64 {}

impl Kept for Timestamp {
    type Given<'a> = Timestamp;

    #[inline]
    fn keep(given: Timestamp) -> Timestamp {
        given
    }

    #[inline]
    fn order(&self, other: &Timestamp) -> Ordering {
        self.cmp(other)
    }

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.micros().to_le_bytes());
    }

    #[inline]
    fn take(input: &mut StateReader<'_>) -> Result<Timestamp, StateError> {
        input.word().map(|bits| Timestamp::from_micros(bits as i64))
    }
}

impl Ordered for Timestamp {}

impl Kept for bool {
    type Given<'a> = bool;

    fn keep(given: bool) -> bool {
        given
    }

    fn order(&self, other: &bool) -> Ordering {
        self.cmp(other)
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(*self));
    }

    fn take(input: &mut StateReader<'_>) -> Result<bool, StateError> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(StateError::invalid("a bool is neither 0 nor 1")),
        }
    }
}

impl Kept for String {
    type Given<'a> = &'a str;

    fn keep(given: &str) -> String {
        given.to_owned()
    }

    fn order(&self, other: &String) -> Ordering {
        self.cmp(other)
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_text(out, self);
    }

    fn take(input: &mut StateReader<'_>) -> Result<String, StateError> {
        input.text().map(str::to_owned)
    }
}
