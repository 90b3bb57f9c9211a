//! Integers without a sign and without a limit, and how they become doubles.
//!
//! An integer is a slice of limbs from the lowest; whoever computes one lays out the room for it, which is seldom
//! large, so that nothing here allocates.

/// A number of which only the beginning is kept: `bits` times 2^`exponent`, or a little more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) bits: u128,
    pub(super) exponent: i32,
    /// Whether the number is larger, by less than 2^`exponent`.
    pub(super) more: bool,
}

impl Head {
    /// The leading bits of an integer, 127 or 128 of them in one that has as many. The exponent is even.
    pub(super) fn new(limbs: &[u64]) -> Self {
        let (below, bits) = match trimmed(limbs) {
            [] => (&[][..], 0),
            [low] => (&[][..], u128::from(*low)),
            [below @ .., low, high] => (below, u128::from(*high) << 64 | u128::from(*low)),
        };
        let exponent = below.len() as i32 * 64;
        let Some((next, below)) = below.split_last() else { return Head { bits, exponent, more: false } };
        // The head is filled from the next limb, by an even number of bits, so that the exponent stays even.
        let room = bits.leading_zeros() & !1;
        let filled = (u128::from(*next) << room) >> 64;
        let more = *next << room != 0 || below.iter().any(|limb| *limb != 0);
        Head { bits: bits << room | filled, exponent: exponent - room as i32, more }
    }

    /// The beginning of an integer divided by each of the divisors.
    ///
    /// Only its `L` leading limbs are divided: rounding down before a division that is rounded down changes nothing,
    /// and whether anything was left out is known. They have 64 `L` - 1 bits or 64 `L`, so the quotient has 64 `L` - 1
    /// or more, less those of the divisors.
    pub(super) fn of_quotient<const L: usize>(limbs: &[u64], divisors: &[u64]) -> Self {
        let (mut leading, exponent, mut more) = leading::<L>(trimmed(limbs));
        for divisor in divisors {
            more |= divide(&mut leading, *divisor);
        }
        let head = Head::new(&leading);
        Head { exponent: head.exponent + exponent, more: head.more || more, ..head }
    }

    /// The number times a power of four.
    pub(super) fn scaled(self, exponent: i32) -> Self {
        Head { exponent: self.exponent + exponent, ..self }
    }

    /// The nearest double.
    pub(super) fn nearest(self) -> f64 {
        nearest(self.bits, self.exponent, self.more)
    }
}

/// An integer without the zeros on top.
pub(super) fn trimmed(mut limbs: &[u64]) -> &[u64] {
    while let [rest @ .., 0] = limbs {
        limbs = rest;
    }
    limbs
}

/// The leading limbs of a trimmed integer, moved up by an even number of bits until at most one is free on top; the
/// exponent of two of the lowest bit, and whether bits were left out.
fn leading<const L: usize>(limbs: &[u64]) -> ([u64; L], i32, bool) {
    let Some(top) = limbs.last() else { return ([0; L], 0, false) };
    let room = top.leading_zeros() & !1;
    let below = |limbs: &mut &[u64]| limbs.split_off_last().copied().unwrap_or(0);
    let (mut rest, mut leading) = (limbs, [0; L]);
    let mut limb = below(&mut rest);
    for leading in leading.iter_mut().rev() {
        let next = below(&mut rest);
        *leading = limb << room | next >> 1 >> (63 - room);
        limb = next;
    }
    let exponent = (limbs.len() as i32 - L as i32) * 64 - room as i32;
    (leading, exponent, limb << room != 0 || rest.iter().any(|limb| *limb != 0))
}

/// Divides, rounds down and tells whether that lost anything.
fn divide(limbs: &mut [u64], divisor: u64) -> bool {
    let mut rest = 0;
    if divisor <= u64::from(u32::MAX) {
        // Half limbs fit the processor's own division, which is many times faster than that of 128 bits.
        for limb in limbs.iter_mut().rev() {
            let high = rest << 32 | *limb >> 32;
            let low = ((high % divisor) << 32) | (*limb & u64::from(u32::MAX));
            *limb = ((high / divisor) << 32) | (low / divisor);
            rest = low % divisor;
        }
    } else {
        let divisor = u128::from(divisor);
        for limb in limbs.iter_mut().rev() {
            let part = u128::from(rest) << 64 | u128::from(*limb);
            *limb = (part / divisor) as u64;
            rest = (part % divisor) as u64;
        }
    }
    rest != 0
}

/// Adds the product of an integer with a factor to limbs that have the room for it.
pub(super) fn add_product(limbs: &mut [u64], integer: &[u64], factor: u64) {
    let (reached, above) = limbs.split_at_mut(integer.len());
    let mut carry = 0;
    for (limb, digit) in reached.iter_mut().zip(integer) {
        // At most 2^64 - 1, twice, and its square: 2^128 - 1.
        let sum = u128::from(*digit) * u128::from(factor) + u128::from(*limb) + u128::from(carry);
        (*limb, carry) = (sum as u64, (sum >> 64) as u64);
    }
    for limb in above {
        let (sum, over) = limb.overflowing_add(carry);
        (*limb, carry) = (sum, u64::from(over));
    }
}

/// Takes the square of an integer away from limbs that have the room for it, and tells whether the difference is
/// negative.
pub(super) fn subtract_square(limbs: &mut [u64], integer: &[u64]) -> bool {
    let mut negative = false;
    for (place, factor) in integer.iter().enumerate() {
        let (reached, above) = limbs[place..].split_at_mut(integer.len());
        let mut borrow = 0;
        for (limb, digit) in reached.iter_mut().zip(integer) {
            let product = u128::from(*digit) * u128::from(*factor) + u128::from(borrow);
            let (difference, under) = limb.overflowing_sub(product as u64);
            (*limb, borrow) = (difference, (product >> 64) as u64 + u64::from(under));
        }
        for limb in above {
            let (difference, under) = limb.overflowing_sub(borrow);
            (*limb, borrow) = (difference, u64::from(under));
        }
        negative |= borrow != 0;
    }
    negative
}

/// The double nearest to `head` times 2^`exponent`, the even one of two; `more` says that the true number is larger
/// than `head`, by less than one, and then `head` needs 55 bits.
pub(super) fn nearest(head: u128, exponent: i32, more: bool) -> f64 {
    const BITS: i32 = 53;
    const LOWEST: i32 = -1074;
    let bits = 128 - head.leading_zeros() as i32;
    if head == 0 {
        return 0.0;
    }
    if exponent + bits > 1024 {
        return f64::INFINITY;
    }
    // The exponent of the result's last bit, which is higher than the precision asks for in a subnormal result.
    let last = (exponent + bits - BITS).max(LOWEST);
    let dropped = last - exponent;
    if dropped > bits {
        // Less than half of the smallest double.
        return 0.0;
    }
    let mantissa = if dropped <= 0 {
        (head << -dropped) as u64
    } else {
        let kept = head.checked_shr(dropped as u32).unwrap_or(0) as u64;
        let rest = head << (128 - dropped);
        let half = 1 << 127;
        kept + u64::from(rest > half || rest == half && (more || kept & 1 == 1))
    };
    // A normal number's leading bit is its exponent's lowest, and a mantissa that was rounded up to the next power of
    // two carries into the exponent, at the end into infinity.
    f64::from_bits((((last - LOWEST) as u64) << (BITS - 1)) + mantissa)
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::super::random::for_seeds;
    use super::*;

    fn big(limbs: &[u64]) -> BigUint {
        limbs.iter().rev().fold(BigUint::ZERO, |high, limb| (high << 64) + *limb)
    }

    const SEEDS: u64 = 30_000;

    /// Checks a quotient's beginning, and that it has so many bits.
    fn check<const L: usize>(limbs: &[u64], divisors: &[u64], bits_min: u64) {
        let head = Head::of_quotient::<L>(limbs, divisors);
        let mut numerator = big(limbs);
        let mut denominator: BigUint = divisors.iter().map(|divisor| BigUint::from(*divisor)).product();
        match head.exponent {
            0.. => denominator <<= head.exponent,
            _ => numerator <<= -head.exponent,
        }
        let case = format!("{limbs:?} / {divisors:?}: {head:?}");
        assert_eq!(&numerator / &denominator, head.bits.into(), "{case}");
        assert_eq!(head.more, &numerator % &denominator != BigUint::ZERO, "{case}");
        assert_eq!(head.exponent % 2, 0, "{case}");
        assert!(numerator == BigUint::ZERO || BigUint::from(head.bits).bits() >= bits_min, "{case}");
    }

    #[test]
    fn quotients_begin_as_the_true_ones() {
        for_seeds(SEEDS, |random| {
            let limbs = random.limbs(9);
            let [count, divisor] = [random.limb().max(1), random.limb().max(1)];
            check::<2>(&limbs, &[count], 63);
            check::<3>(&limbs, &[(count >> 32).max(1)], 127);
            check::<4>(&limbs, &[count, divisor], 127);
            // Exact ones, and their neighbours.
            let mut product = vec![0; limbs.len() + 1];
            add_product(&mut product, &limbs, count);
            check::<2>(&product, &[count], 63);
            check::<4>(&product, &[count, 1], 127);
            product[0] ^= 1;
            check::<4>(&product, &[count, 1], 127);
        });
    }

    #[test]
    fn heads_are_the_leading_bits() {
        for_seeds(SEEDS, |random| {
            let limbs = random.limbs(6);
            let (head, number) = (Head::new(&limbs), big(&limbs));
            assert_eq!(&number >> head.exponent, head.bits.into(), "{random}: {limbs:?}");
            assert_eq!(head.more, BigUint::from(head.bits) << head.exponent != number, "{random}: {limbs:?}");
            assert_eq!(head.exponent % 2, 0, "{random}: {limbs:?}");
            assert!(head.exponent == 0 || head.bits >> 126 != 0, "{random}: {limbs:?}");
        });
    }

    #[test]
    fn products_and_squares_add_up() {
        for_seeds(SEEDS, |random| {
            let (integer, factor, square) = (random.limbs(6), random.limb(), random.limbs(4));
            let mut limbs = vec![0; 8.max(integer.len() + 1)];
            add_product(&mut limbs, &integer, factor);
            let (minuend, subtrahend) = (big(&integer) * factor, big(&square) * big(&square));
            assert_eq!(big(&limbs), minuend, "{random}");
            let negative = subtract_square(&mut limbs, &square);
            assert_eq!(negative, minuend < subtrahend, "{random}");
            if !negative {
                assert_eq!(big(&limbs), minuend - subtrahend, "{random}");
            }
        });
    }
}
