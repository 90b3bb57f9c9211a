//! A sum of doubles, or of their squares, that loses nothing.

use super::natural::trimmed;
use crate::aggregate::{StateError, StateReader, put_varint, put_zigzag};

/// Limbs that need no allocation. Four hold the squares of numbers whose exponents differ by 40.
const NEAR: usize = 4;

/// An integer of any size, in units of 2^-`UNIT`: two's complement limbs, of which only a window is kept; below the
/// window everything is zero, above it is the sign.
///
/// `UNIT` is 1074 for doubles, whose smallest is 2^-1074, and 2148 for their squares. This is the long accumulator
/// of Kulisch and Miranker (1986), cut to the limbs in use: events of one feature have like magnitudes, so two or
/// three limbs out of 35 or 69 do.
#[derive(Debug, Clone)]
pub(super) struct Accumulator<const UNIT: u32> {
    /// The place of the lowest limb of the window.
    low: u32,
    limbs: Limbs,
}

#[derive(Debug, Clone)]
enum Limbs {
    Near([u64; NEAR]),
    Far(Vec<u64>),
}

impl Limbs {
    #[inline]
    fn slice(&self) -> &[u64] {
        match self {
            Limbs::Near(limbs) => limbs,
            Limbs::Far(limbs) => limbs,
        }
    }

    #[inline]
    fn slice_mut(&mut self) -> &mut [u64] {
        match self {
            Limbs::Near(limbs) => limbs,
            Limbs::Far(limbs) => limbs,
        }
    }
}

impl<const UNIT: u32> Default for Accumulator<UNIT> {
    #[inline]
    fn default() -> Self {
        Accumulator { low: 0, limbs: Limbs::Near([0; NEAR]) }
    }
}

impl<const UNIT: u32> Accumulator<UNIT> {
    /// The bytes of the largest state: twice the units, and as many bits more as a count of events has.
    const BYTES_MAX: u32 = (2 * UNIT + 64) / 8;
    /// The byte that holds one. Encoded places count from here, so that those of ordinary numbers are short.
    const ORIGIN: u32 = UNIT / 8;

    /// Adds `value` times 2^`bit` units.
    #[inline]
    pub(super) fn add_signed(&mut self, value: i64, bit: u32) {
        let words = i128::from(value) << (bit % 64);
        self.add_words(bit / 64, [words as u64, (words >> 64) as u64]);
    }

    /// Adds `value`, which has less than 127 bits, times 2^`bit` units.
    #[inline]
    pub(super) fn add_large(&mut self, value: u128, bit: u32) {
        let words = value << (bit % 64);
        let over = (value >> 64 << (bit % 64)) >> 64;
        self.add_words(bit / 64, [words as u64, (words >> 64) as u64, over as u64]);
    }

    #[inline]
    fn add_words<const N: usize>(&mut self, low: u32, words: [u64; N]) {
        let place = low.wrapping_sub(self.low) as usize;
        match &mut self.limbs {
            Limbs::Near(limbs) if place <= NEAR - N => {
                if let Some(over) = add(limbs, place, &words) {
                    self.limbs = Limbs::Far([limbs.as_slice(), &[over]].concat());
                }
            }
            _ => self.add_far(low, &words),
        }
    }

    /// Adds limbs that may lie outside of the window.
    fn add_far(&mut self, low: u32, words: &[u64]) {
        self.reach(low, low as usize + words.len());
        let place = (low - self.low) as usize;
        match &mut self.limbs {
            Limbs::Near(limbs) => {
                if let Some(over) = add(limbs, place, words) {
                    self.limbs = Limbs::Far([limbs.as_slice(), &[over]].concat());
                }
            }
            Limbs::Far(limbs) => {
                let over = add(limbs, place, words);
                limbs.extend(over);
            }
        }
    }

    /// Moves or widens the window until it covers the limbs from `low` to `end`.
    fn reach(&mut self, low: u32, end: usize) {
        if self.low <= low && end <= self.low as usize + self.limbs.slice().len() {
            return;
        }
        let (now, limbs) = self.significant();
        let now = if limbs.is_empty() { low } else { now };
        let start = low.min(now);
        let length = end.max(now as usize + limbs.len()) - start as usize;
        let place = (now - start) as usize;
        let widened = if length <= NEAR {
            let mut window = [sign(limbs); NEAR];
            put(&mut window, place, limbs);
            Limbs::Near(window)
        } else {
            let mut window = vec![sign(limbs); length];
            put(&mut window, place, limbs);
            Limbs::Far(window)
        };
        (self.low, self.limbs) = (start, widened);
    }

    /// The limbs that say something, and the place of the lowest: no zeros below, no mere sign above, none for zero.
    fn significant(&self) -> (u32, &[u64]) {
        let limbs = self.limbs.slice();
        let Some(first) = limbs.iter().position(|limb| *limb != 0) else { return (self.low, &[]) };
        let mut limbs = &limbs[first..];
        while let [rest @ .., below, top] = limbs
            && *top == sign(&[*below])
        {
            limbs = &limbs[..rest.len() + 1];
        }
        (self.low + first as u32, limbs)
    }

    #[inline]
    pub(super) fn is_zero(&self) -> bool {
        self.limbs.slice().iter().all(|limb| *limb == 0)
    }

    #[inline]
    pub(super) fn merge(&mut self, other: &Self) {
        if let Limbs::Near(words) = &other.limbs {
            // Windows that begin in the same place, or nearly so, are the rule, and two limbs of one are mere sign.
            if other.low == self.low {
                return self.add_words(other.low, *words);
            }
            if let Limbs::Near(limbs) = &self.limbs {
                let low = self.low.min(other.low);
                let aligned = (lowered(*limbs, self.low - low), lowered(*words, other.low - low));
                if let (Some(limbs), Some(words)) = aligned {
                    (self.low, self.limbs) = (low, Limbs::Near(limbs));
                    return self.add_words(low, words);
                }
            }
        }
        let (low, limbs) = other.significant();
        if !limbs.is_empty() {
            self.add_far(low, limbs);
        }
    }

    /// The sum taken apart.
    pub(super) fn magnitude(&self) -> Magnitude {
        let mut limbs = self.limbs.clone();
        let negative = sign(limbs.slice()) != 0;
        if negative {
            negate(limbs.slice_mut());
        }
        let zeros = limbs.slice().iter().take_while(|limb| **limb == 0).count();
        Magnitude { negative, exponent: (self.low as i32 + zeros as i32) * 64 - UNIT as i32, limbs, zeros }
    }

    /// Writes a sum that is not zero: the place of its lowest byte, how many bytes, and the bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (low, limbs) = self.significant();
        let ([first, ..], [.., last]) = (limbs, limbs) else { return };
        let from = first.trailing_zeros() as usize / 8;
        let to = limbs.len() * 8 - 8 + significant_bytes(*last);
        put_zigzag(out, i64::from(low) * 8 + from as i64 - i64::from(Self::ORIGIN));
        put_varint(out, (to - from) as u64);
        if limbs.len() <= NEAR {
            let mut bytes = [0; NEAR * 8];
            write(limbs, &mut bytes);
            out.extend_from_slice(&bytes[from..to]);
        } else {
            let mut bytes = vec![0; limbs.len() * 8];
            write(limbs, &mut bytes);
            out.extend_from_slice(&bytes[from..to]);
        }
    }

    pub(super) fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        let from = input.zigzag()?.saturating_add(i64::from(Self::ORIGIN));
        let count = input.length(1)?;
        let bytes = input.take(count)?;
        let from = u32::try_from(from).map_err(|_| OUTSIDE)?;
        if from.saturating_add(u32::try_from(count).map_err(|_| OUTSIDE)?) > Self::BYTES_MAX {
            return Err(OUTSIDE);
        }
        let ([low, ..], [.., high]) = (bytes, bytes) else { return Err(LENGTH) };
        let sign = (*high as i8 >> 7) as u8;
        let redundant = matches!(bytes, [.., below, top] if *top == sign && (below ^ sign) < 0x80);
        if *low == 0 || redundant {
            return Err(LENGTH);
        }
        let offset = from % 8;
        let length = (offset as usize + count).div_ceil(8);
        let limbs = if length <= NEAR {
            let mut limbs = [0; NEAR];
            read(bytes, offset, &mut limbs);
            Limbs::Near(limbs)
        } else {
            let mut limbs = vec![0; length];
            read(bytes, offset, &mut limbs);
            Limbs::Far(limbs)
        };
        Ok(Accumulator { low: from / 8, limbs })
    }
}

/// A sum without its sign: its limbs times 2^`exponent`.
pub(super) struct Magnitude {
    pub(super) negative: bool,
    pub(super) exponent: i32,
    limbs: Limbs,
    /// How many limbs at the bottom are zero.
    zeros: usize,
}

impl Magnitude {
    /// The limbs from the lowest that is not zero to the highest that is not, none for zero.
    #[inline]
    pub(super) fn limbs(&self) -> &[u64] {
        trimmed(&self.limbs.slice()[self.zeros..])
    }
}

const OUTSIDE: StateError = StateError::invalid("a sum lies outside of the range of doubles");
const LENGTH: StateError = StateError::invalid("a sum is not in its shortest form");

/// A window moved down by so many places, if all above that falls out of it is mere sign.
#[inline(always)]
fn lowered(mut limbs: [u64; NEAR], places: u32) -> Option<[u64; NEAR]> {
    for _ in 0..places {
        let [first, second, third, top] = limbs;
        if top != sign(&[third]) {
            return None;
        }
        limbs = [0, first, second, third];
    }
    Some(limbs)
}

/// Adds limbs at a place and tells the limb above if the sum needs one.
#[inline(always)]
fn add(limbs: &mut [u64], place: usize, words: &[u64]) -> Option<u64> {
    let above = sign(words);
    let before = sign(limbs);
    let (reached, rest) = limbs[place..].split_at_mut(words.len());
    let mut carry = false;
    for (limb, word) in reached.iter_mut().zip(words) {
        (*limb, carry) = add_with_carry(*limb, *word, carry);
    }
    for limb in rest {
        (*limb, carry) = add_with_carry(*limb, above, carry);
    }
    // Two numbers of one sign whose sum has the other have run over the top limb.
    (before == above && sign(limbs) != above).then_some(above)
}

#[inline(always)]
fn add_with_carry(left: u64, right: u64, carry: bool) -> (u64, bool) {
    let (sum, over) = left.overflowing_add(right);
    let (sum, over_again) = sum.overflowing_add(u64::from(carry));
    (sum, over | over_again)
}

/// What stands above two's complement limbs.
#[inline(always)]
fn sign(limbs: &[u64]) -> u64 {
    limbs.last().map_or(0, |top| (*top as i64 >> 63) as u64)
}

/// Lays limbs into a window that is filled with their sign.
fn put(window: &mut [u64], place: usize, limbs: &[u64]) {
    window[..place].fill(0);
    window[place..place + limbs.len()].copy_from_slice(limbs);
}

fn negate(limbs: &mut [u64]) {
    let mut carry = true;
    for limb in limbs {
        (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
    }
}

/// Lays bytes into limbs that hold them, so many bytes above the bottom, with zeros below and their sign above.
#[inline(always)]
fn read(bytes: &[u8], offset: u32, limbs: &mut [u64]) {
    let (words, rest) = bytes.as_chunks::<8>();
    let last = match bytes.last_chunk() {
        // The words end in the midst of the last eight bytes.
        Some(eight) => (i64::from_le_bytes(*eight) >> (56 - 8 * rest.len()) >> 8) as u64,
        None => short(rest),
    };
    let sign = sign(&[last]);
    let mut below = 0;
    for (place, limb) in limbs.iter_mut().enumerate() {
        let word = match words.get(place) {
            Some(word) => u64::from_le_bytes(*word),
            None if place == words.len() => last,
            None => sign,
        };
        *limb = word << (8 * offset) | below;
        below = word >> (56 - 8 * offset) >> 8;
    }
}

/// A limb of less than eight bytes and their sign.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk(), bytes.last_chunk()) {
        // What both halves have is the same in both.
        (Some(low), Some(high)) => {
            let high = i64::from(i32::from_le_bytes(*high)) << (8 * (bytes.len() - 4));
            u64::from(u32::from_le_bytes(*low)) | high as u64
        }
        _ => {
            let sign = bytes.last().map_or(0, |top| (*top as i8 >> 7) as u64);
            bytes.iter().rev().fold(sign, |word, byte| word << 8 | u64::from(*byte))
        }
    }
}

#[inline]
fn write(limbs: &[u64], bytes: &mut [u8]) {
    for (word, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(limbs) {
        *word = limb.to_le_bytes();
    }
}

/// The bytes of a top limb without those that only repeat the sign.
#[inline]
fn significant_bytes(limb: u64) -> usize {
    let bits = 65 - (limb ^ sign(&[limb])).leading_zeros();
    bits.div_ceil(8) as usize
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    #[test]
    fn bytes_are_laid_out_one_by_one() {
        let mut random = Random::new(0x5EED);
        for offset in 0..8 {
            for count in 1..50 {
                for _ in 0..100 {
                    let bytes: Vec<u8> = (0..count).map(|_| random.limb() as u8).collect();
                    let sign = (bytes[count - 1] as i8 >> 7) as u8;
                    let mut window = [vec![0; offset], bytes.clone(), vec![sign; 8]].concat();
                    window.truncate(window.len() / 8 * 8);
                    let expected: Vec<u64> = window
                        .as_chunks::<8>()
                        .0
                        .iter()
                        .map(|eight| u64::from_le_bytes(*eight))
                        .chain([i64::from(sign as i8) as u64])
                        .collect();
                    let mut limbs = vec![0; expected.len()];
                    read(&bytes, offset as u32, &mut limbs);
                    assert_eq!(limbs, expected, "{random}: {offset} {bytes:?}");
                }
            }
        }
    }
}
