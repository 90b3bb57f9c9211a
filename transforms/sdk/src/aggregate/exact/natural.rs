//! Integers without a sign and without a limit, and how they become doubles.

/// An integer: limbs from the lowest, the highest not zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Natural(Vec<u64>);

impl Natural {
    pub(super) fn new(mut limbs: Vec<u64>) -> Self {
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        Natural(limbs)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Times 2^(64 `limbs`).
    pub(super) fn shifted(mut self, limbs: usize) -> Self {
        if !self.is_zero() {
            self.0.splice(0..0, std::iter::repeat_n(0, limbs));
        }
        self
    }

    pub(super) fn scaled(mut self, factor: u64) -> Self {
        let mut carry = 0;
        for limb in &mut self.0 {
            let product = u128::from(*limb) * u128::from(factor) + carry;
            *limb = product as u64;
            carry = product >> 64;
        }
        self.0.push(carry as u64);
        Natural::new(self.0)
    }

    pub(super) fn squared(&self) -> Self {
        let mut limbs = vec![0_u64; self.0.len() * 2];
        for (place, left) in self.0.iter().enumerate() {
            let mut carry = 0;
            for (limb, right) in limbs[place..].iter_mut().zip(&self.0) {
                let product = u128::from(*left) * u128::from(*right) + u128::from(*limb) + carry;
                *limb = product as u64;
                carry = product >> 64;
            }
            limbs[place + self.0.len()] = carry as u64;
        }
        Natural::new(limbs)
    }

    /// The difference, or none if it is negative.
    pub(super) fn minus(mut self, other: &Self) -> Option<Self> {
        let mut borrow = false;
        self.0.resize(self.0.len().max(other.0.len()), 0);
        let others = other.0.iter().copied().chain(std::iter::repeat(0));
        for (limb, other) in self.0.iter_mut().zip(others) {
            let (difference, under) = limb.overflowing_sub(other);
            let (difference, under_again) = difference.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (difference, under | under_again);
        }
        (!borrow).then(|| Natural::new(self.0))
    }

    /// The quotient rounded down, and whether that lost anything.
    pub(super) fn divided(mut self, divisor: u64) -> (Self, bool) {
        let mut rest = 0;
        if divisor <= u64::from(u32::MAX) {
            // Half limbs fit the processor's own division, which is many times faster than that of 128 bits.
            for limb in self.0.iter_mut().rev() {
                let high = rest << 32 | *limb >> 32;
                let low = ((high % divisor) << 32) | (*limb & u64::from(u32::MAX));
                *limb = ((high / divisor) << 32) | (low / divisor);
                rest = low % divisor;
            }
        } else {
            let divisor = u128::from(divisor);
            for limb in self.0.iter_mut().rev() {
                let part = u128::from(rest) << 64 | u128::from(*limb);
                *limb = (part / divisor) as u64;
                rest = (part % divisor) as u64;
            }
        }
        (Natural::new(self.0), rest != 0)
    }

    /// The leading bits, 65 to 128 of them in a number that has as many, the exponent of two of the lowest, which is
    /// even, and whether bits were left out.
    pub(super) fn head(&self) -> (u128, i32, bool) {
        let (below, top) = match self.0.as_slice() {
            [] => return (0, 0, false),
            [low] => return (u128::from(*low), 0, false),
            [below @ .., low, high] => (below, u128::from(*high) << 64 | u128::from(*low)),
        };
        let mut exponent = below.len() as i32 * 64;
        let Some((next, below)) = below.split_last() else { return (top, exponent, false) };
        // The head is filled from the next limb, by an even number of bits, so that the exponent stays even.
        let room = top.leading_zeros() & !1;
        exponent -= room as i32;
        let filled = (u128::from(*next) << room) >> 64;
        let left_out = *next << room != 0 || below.iter().any(|limb| *limb != 0);
        (top << room | filled, exponent, left_out)
    }

    /// The double nearest to the number times 2^`exponent`, where `more` says that the number is a little larger.
    /// A number that is not exact needs 55 bits.
    pub(super) fn nearest(&self, exponent: i32, more: bool) -> f64 {
        let (head, shift, left_out) = self.head();
        nearest(head, exponent + shift, more || left_out)
    }
}

/// The double nearest to `head` times 2^`exponent`, the even one of two; `more` says that the true number is larger
/// than `head`, by less than one.
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
