//! Sums without rounding: the same in every order, and rounded once, at the end.

mod accumulator;
mod natural;
#[cfg(test)]
mod random;
mod root;

use accumulator::Accumulator;
use natural::{Head, add_product, nearest, subtract_square};
use root::root;

use super::{StateError, StateReader, put_varint};

const MANTISSA_BITS: u32 = 52;
const EXPONENT_MAX: u32 = 0x7FF;

/// Limbs of the numerator of a variance that need no allocation: twice those of a sum that needs none.
const NEAR: usize = 8;

/// What kinds of doubles were added. Kinds join by `|`, so no order shows in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kinds(u8);

impl Kinds {
    const FINITE: u8 = 1;
    /// -0.0, the one finite number that does not count as [`Kinds::FINITE`]: a sum of nothing else is -0.0 too.
    const NEGATIVE_ZERO: u8 = 2;
    const NAN: u8 = 4;
    const INFINITE: u8 = 8;
    const NEGATIVE_INFINITE: u8 = 16;
    const ALL: u8 = 31;
    /// In encoded states only: sums that are not zero follow, of the numbers and of their squares.
    const SUM: u8 = 32;
    const SQUARES: u8 = 64;

    #[inline]
    fn has(self, kind: u8) -> bool {
        self.0 & kind != 0
    }

    /// The sum, where it is not a matter of adding up.
    fn special(self) -> Option<f64> {
        match (self.has(Self::INFINITE), self.has(Self::NEGATIVE_INFINITE)) {
            _ if self.has(Self::NAN) => Some(f64::NAN),
            (true, true) => Some(f64::NAN),
            (true, false) => Some(f64::INFINITY),
            (false, true) => Some(f64::NEG_INFINITY),
            (false, false) if self.0 == Self::NEGATIVE_ZERO => Some(-0.0),
            (false, false) => None,
        }
    }

    /// Reads kinds, and which of the sums that may follow do.
    fn decode(input: &mut StateReader<'_>, sums: u8) -> Result<(Self, u8), StateError> {
        let byte = input.byte()?;
        let (kinds, follows) = (Kinds(byte & Self::ALL), byte & !Self::ALL);
        let sums_of_nothing = follows != 0 && !kinds.has(Self::FINITE);
        if follows & !sums != 0 || kinds.0 == 0 || sums_of_nothing {
            return Err(StateError::invalid("the kinds of the numbers of a sum"));
        }
        Ok((kinds, follows))
    }
}

/// A double taken apart: `mantissa` times 2^`bit` units of 2^-1074.
struct Parts {
    mantissa: i64,
    bit: u32,
}

/// The parts of a number that is neither zero nor special, or else its kind.
#[inline]
fn parts(value: f64) -> Result<Parts, u8> {
    let bits = value.to_bits();
    let exponent = (bits >> MANTISSA_BITS) as u32 & EXPONENT_MAX;
    let fraction = bits & ((1 << MANTISSA_BITS) - 1);
    if exponent == EXPONENT_MAX || bits << 1 == 0 {
        return Err(kind(value));
    }
    // Subnormal numbers have the exponent of the smallest normal ones, and no leading bit.
    let normal = exponent != 0;
    let magnitude = (u64::from(normal) << MANTISSA_BITS | fraction) as i64;
    let sign = bits as i64 >> 63;
    Ok(Parts { mantissa: (magnitude ^ sign) - sign, bit: exponent - u32::from(normal) })
}

#[cold]
fn kind(value: f64) -> u8 {
    match value {
        _ if value.is_nan() => Kinds::NAN,
        f64::INFINITY => Kinds::INFINITE,
        f64::NEG_INFINITY => Kinds::NEGATIVE_INFINITE,
        _ if value.is_sign_negative() => Kinds::NEGATIVE_ZERO,
        _ => Kinds::FINITE,
    }
}

#[inline]
fn decode_if<const UNIT: u32>(
    follows: bool,
    input: &mut StateReader<'_>,
) -> Result<Accumulator<UNIT>, StateError> {
    if follows { Accumulator::decode(input) } else { Ok(Accumulator::default()) }
}

/// The exact sum of doubles.
#[derive(Debug, Clone, Default)]
pub(super) struct Total {
    kinds: Kinds,
    sum: Accumulator<1074>,
}

impl Total {
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        match parts(value) {
            Ok(Parts { mantissa, bit }) => {
                self.kinds.0 |= Kinds::FINITE;
                self.sum.add_signed(mantissa, bit);
            }
            Err(kind) => self.kinds.0 |= kind,
        }
    }

    #[inline]
    pub(super) fn merge(&mut self, other: &Self) {
        self.kinds.0 |= other.kinds.0;
        self.sum.merge(&other.sum);
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.kinds.0 == 0
    }

    /// Writes a total that is not empty.
    #[inline]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let zero = self.sum.is_zero();
        out.push(if zero { self.kinds.0 } else { self.kinds.0 | Kinds::SUM });
        if !zero {
            self.sum.encode(out);
        }
    }

    #[inline]
    pub(super) fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        let (kinds, follows) = Kinds::decode(input, Kinds::SUM)?;
        Ok(Total { kinds, sum: decode_if(follows & Kinds::SUM != 0, input)? })
    }

    /// The sum, correctly rounded; 0.0 of nothing.
    pub(super) fn sum(&self) -> f64 {
        self.quotient(1)
    }

    /// The sum divided by a count, correctly rounded; 0.0 of nothing.
    pub(super) fn quotient(&self, count: u64) -> f64 {
        if let Some(special) = self.kinds.special() {
            return special;
        }
        let sum = self.sum.magnitude();
        let head = match count {
            1 => Head::new(sum.limbs()),
            // At least 63 bits of a quotient are more than enough to round by.
            _ => Head::of_quotient::<2>(sum.limbs(), &[count]),
        };
        let magnitude = head.scaled(sum.exponent).nearest();
        if sum.negative { -magnitude } else { magnitude }
    }
}

/// The count, the exact sum and the exact sum of squares of doubles.
#[derive(Debug, Clone, Default)]
pub(super) struct Powers {
    count: u64,
    total: Total,
    squares: Accumulator<2148>,
}

impl Powers {
    #[inline]
    pub(super) fn add(&mut self, value: f64) {
        self.count = self.count.wrapping_add(1);
        match parts(value) {
            Ok(Parts { mantissa, bit }) => {
                self.total.kinds.0 |= Kinds::FINITE;
                self.total.sum.add_signed(mantissa, bit);
                let magnitude = u128::from(mantissa.unsigned_abs());
                self.squares.add_large(magnitude * magnitude, 2 * bit);
            }
            Err(kind) => self.total.kinds.0 |= kind,
        }
    }

    #[inline]
    pub(super) fn merge(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        self.total.merge(&other.total);
        self.squares.merge(&other.squares);
    }

    #[inline]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        if self.count == 0 {
            return;
        }
        let (sum, squares) = (!self.total.sum.is_zero(), !self.squares.is_zero());
        let follows = (u8::from(sum) * Kinds::SUM) | (u8::from(squares) * Kinds::SQUARES);
        out.push(self.total.kinds.0 | follows);
        put_varint(out, self.count);
        if sum {
            self.total.sum.encode(out);
        }
        if squares {
            self.squares.encode(out);
        }
    }

    #[inline]
    pub(super) fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        let (kinds, follows) = Kinds::decode(input, Kinds::SUM | Kinds::SQUARES)?;
        let count = input.positive()?;
        let sum = decode_if(follows & Kinds::SUM != 0, input)?;
        let squares = decode_if(follows & Kinds::SQUARES != 0, input)?;
        Ok(Powers { count, total: Total { kinds, sum }, squares })
    }

    /// The mean, correctly rounded.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.total.quotient(self.count))
    }

    /// The sum of the squared distances from the mean, divided by the count less `ddof`, correctly rounded.
    pub(super) fn variance(&self, ddof: u64) -> Option<f64> {
        self.spread(ddof).map(|spread| spread.map_or(f64::NAN, Head::nearest))
    }

    /// The square root of the variance, correctly rounded: taken of the exact variance and not of the rounded one.
    pub(super) fn deviation(&self, ddof: u64) -> Option<f64> {
        let deviation = |Head { bits, exponent, more }: Head| {
            // Rounding a number down before taking its root rounded down changes nothing, so the root's 64 bits are
            // certain, and whether something lies beyond them is known exactly.
            let (root, more_again) = root(bits);
            nearest(u128::from(root), exponent / 2, more || more_again)
        };
        self.spread(ddof).map(|spread| spread.map_or(f64::NAN, deviation))
    }

    /// The exact variance: none for too few numbers, and `Some(None)` where one is NaN or infinite. It is zero or
    /// has at least 127 bits, and its exponent is even.
    fn spread(&self, ddof: u64) -> Option<Option<Head>> {
        let divisor = self.count.checked_sub(ddof).filter(|divisor| *divisor > 0)?;
        if self.total.kinds.has(Kinds::NAN | Kinds::INFINITE | Kinds::NEGATIVE_INFINITE) {
            return Some(None);
        }
        // (n * squares - sum^2) / (n * (n - ddof)), in units that both terms have in common.
        let (sum, squares) = (self.total.sum.magnitude(), self.squares.magnitude());
        let square_exponent = if sum.limbs().is_empty() { squares.exponent } else { 2 * sum.exponent };
        let exponent = squares.exponent.min(square_exponent);
        let place = |of: i32| ((of - exponent) / 64) as usize;
        let (minuend, subtrahend) = (place(squares.exponent), place(square_exponent));
        let length = (minuend + squares.limbs().len() + 1).max(subtrahend + 2 * sum.limbs().len());
        let (mut near, mut far) = ([0; NEAR], Vec::new());
        let numerator = if length <= NEAR {
            &mut near[..length]
        } else {
            far.resize(length, 0);
            &mut far[..]
        };
        add_product(&mut numerator[minuend..], squares.limbs(), self.count);
        if subtract_square(&mut numerator[subtrahend..], sum.limbs()) {
            // No numbers have a negative variance, but bytes that no fold wrote may say so.
            numerator.fill(0);
        }
        let head = match self.count.checked_mul(divisor).filter(|product| *product <= u64::from(u32::MAX)) {
            Some(product) => Head::of_quotient::<3>(numerator, &[product]),
            None => Head::of_quotient::<4>(numerator, &[self.count, divisor]),
        };
        Some(Some(head.scaled(exponent)))
    }
}
