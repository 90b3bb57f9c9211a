//! How many different values there are.

use super::{Aggregate, FoldOrder, StateError, StateReader, put_varint};
use crate::Timestamp;

/// How many different values there are.
///
/// Item `u64` or `Option<u64>`, a hash of the value from [`hash64`](crate::hash64), of which none is ignored; feature
/// `i64`, 0 without items. In any fold order.
///
/// Up to 2^`P` / 16 different values, 256 with the default `P` of 12, the state is the list of their hashes, cut to 48
/// bits, and the count is exact, unless two of them are equal, as in one of 9 thousand million lists of 256. Beyond that
/// it is a HyperLogLog sketch (Flajolet et al. 2007) of 2^`P` registers over the same bits, and the count is Ertl's
/// improved raw estimate ("New cardinality estimation algorithms for HyperLogLog sketches", 2017), which has no bias
/// to correct in any range. Its standard error is 1.04 / sqrt(2^`P`), 1.6 %. `P` is 4 to 16.
///
/// The state takes 1 to 2 bytes and 6 for each different value; as a sketch 6 bits for each register, 3 KiB. Which
/// of the two it is, depends on the set of hashes alone, since a set that has outgrown the list never shrinks.
#[derive(Debug, Clone)]
pub struct DistinctCount<const P: u32 = 12>(Form);

#[derive(Debug, Clone)]
enum Form {
    /// Ascending hashes of [`HASH_BITS`] bits.
    List(Vec<u64>),
    /// For each of the first `P` bits: the most zeros that follow them in a hash, and one.
    Sketch(Vec<u8>),
}

const HASH_BITS: u32 = 48;
const HASH_BYTES: usize = HASH_BITS as usize / 8;
/// The bits of a register, which holds at most 48 - 4 + 1.
const REGISTER_BITS: usize = 6;
/// A list that is more than so many times longer than another takes that one's hashes up one by one: a search for
/// the place of each is cheaper than a pass over the whole list.
const FEW: usize = 32;

impl<const P: u32> Default for DistinctCount<P> {
    #[inline]
    fn default() -> Self {
        const { assert!(P >= 4 && P <= 16, "the precision of a DistinctCount is 4 to 16") };
        DistinctCount(Form::List(Vec::new()))
    }
}

impl<const P: u32> DistinctCount<P> {
    const REGISTERS: usize = 1 << P;
    const LIST_MAX: usize = Self::REGISTERS / 16;
    /// The bits of a hash after those that choose the register.
    const REST_BITS: u32 = HASH_BITS - P;

    fn insert(&mut self, hash: u64) {
        match &mut self.0 {
            Form::Sketch(registers) => Self::raise(registers, hash),
            Form::List(hashes) => {
                let Err(place) = hashes.binary_search(&hash) else { return };
                hashes.insert(place, hash);
                self.outgrow();
            }
        }
    }

    /// Turns a list that is too long into a sketch.
    #[inline]
    fn outgrow(&mut self) {
        if let Form::List(hashes) = &self.0
            && hashes.len() > Self::LIST_MAX
        {
            let mut registers = vec![0; Self::REGISTERS];
            hashes.iter().for_each(|hash| Self::raise(&mut registers, *hash));
            self.0 = Form::Sketch(registers);
        }
    }

    fn raise(registers: &mut [u8], hash: u64) {
        let register = &mut registers[(hash >> Self::REST_BITS) as usize];
        let rest = hash << (64 - Self::REST_BITS);
        let rank = rest.leading_zeros().min(Self::REST_BITS) + 1;
        *register = (*register).max(rank as u8);
    }

    /// Ertl's improved raw estimator, algorithm 6 of the paper. Only IEEE addition, multiplication, division and
    /// square root, so it is the same everywhere.
    fn estimate(registers: &[u8]) -> f64 {
        const INVERSE_OF_2_LN_2: f64 = 0.721_347_520_444_481_7;
        // Most ranks are alike, so that neighbours in one table would wait for each other's count.
        let mut counts = [[0_u32; HASH_BITS as usize + 2]; 4];
        for four in registers.as_chunks::<4>().0 {
            for (counts, rank) in counts.iter_mut().zip(four) {
                counts[usize::from(*rank)] += 1;
            }
        }
        let size = Self::REGISTERS as f64;
        let count = |rank: u32| f64::from(counts.iter().map(|counts| counts[rank as usize]).sum::<u32>());
        let mut sum = size * tau(1.0 - count(Self::REST_BITS + 1) / size);
        for rank in (1..=Self::REST_BITS).rev() {
            sum = 0.5 * (sum + count(rank));
        }
        sum += size * sigma(count(0) / size);
        INVERSE_OF_2_LN_2 * size * size / sum
    }
}

/// Takes ascending hashes up into a list of ascending hashes.
///
/// The pass goes from the largest to the smallest, at the end of the room for both, so that it overwrites nothing that
/// it has yet to read. Each hash that both have leaves one place of the room empty.
fn unite(hashes: &mut Vec<u64>, others: &[u64]) {
    let mut left = hashes.len();
    let mut place = left + others.len();
    hashes.extend_from_slice(others);
    for other in others.iter().rev() {
        while left > 0 && hashes[left - 1] > *other {
            (left, place) = (left - 1, place - 1);
            hashes[place] = hashes[left];
        }
        if left == 0 || hashes[left - 1] < *other {
            place -= 1;
            hashes[place] = *other;
        }
    }
    if left < place {
        hashes.drain(left..place);
    }
}

/// x + the sum over k from 1 of x^(2^k) 2^(k-1); infinite for 1.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut sum, mut power) = (x, 1.0);
    loop {
        x *= x;
        let before = sum;
        sum += x * power;
        power += power;
        if sum == before {
            return sum;
        }
    }
}

/// A third of 1 - x - the sum over k from 1 of (1 - x^(2^-k))^2 2^-k.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut sum, mut power) = (1.0 - x, 1.0);
    loop {
        x = x.sqrt();
        let before = sum;
        power *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * power;
        if sum == before {
            return sum / 3.0;
        }
    }
}

impl<const P: u32> Aggregate for DistinctCount<P> {
    type Item<'a> = Option<u64>;
    type Feature = i64;
    const FEATURES: &'static [&'static str] = &[""];
    const ORDER: FoldOrder = FoldOrder::Any;

    #[inline]
    fn add(&mut self, item: Option<u64>) {
        if let Some(hash) = item {
            self.insert(hash >> (64 - HASH_BITS));
        }
    }

    fn merge(&mut self, later: &Self) {
        match (&mut self.0, &later.0) {
            (Form::Sketch(registers), Form::Sketch(others)) => {
                for (register, other) in registers.iter_mut().zip(others) {
                    *register = (*register).max(*other);
                }
            }
            (Form::List(hashes), Form::Sketch(_)) => {
                let hashes = std::mem::take(hashes);
                self.0 = later.0.clone();
                hashes.into_iter().for_each(|hash| self.insert(hash));
            }
            (Form::List(hashes), Form::List(others)) if others.len() > 1 + hashes.len() / FEW => {
                unite(hashes, others);
                self.outgrow();
            }
            (_, Form::List(hashes)) => hashes.iter().for_each(|hash| self.insert(*hash)),
        }
    }

    /// The length of the list and its hashes, or 0 and the registers.
    fn encode(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Form::List(hashes) if hashes.is_empty() => {}
            Form::List(hashes) => {
                put_varint(out, hashes.len() as u64);
                for hash in hashes {
                    out.extend_from_slice(&hash.to_le_bytes()[..HASH_BYTES]);
                }
            }
            Form::Sketch(registers) => {
                out.push(0);
                for four in registers.as_chunks::<4>().0 {
                    let packed = four.iter().rev().fold(0, |word, rank| word << REGISTER_BITS | u32::from(*rank));
                    out.extend_from_slice(&packed.to_le_bytes()[..3]);
                }
            }
        }
    }

    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        match input.length(HASH_BYTES)? {
            0 => {
                let mut registers = Vec::with_capacity(Self::REGISTERS);
                for three in input.take(Self::REGISTERS / 4 * 3)?.as_chunks::<3>().0 {
                    let packed = u32::from_le_bytes([three[0], three[1], three[2], 0]);
                    registers.extend([0, 1, 2, 3].map(|place| (packed >> (place * REGISTER_BITS) & 63) as u8));
                }
                if registers.iter().any(|rank| u32::from(*rank) > Self::REST_BITS + 1) {
                    return Err(StateError::invalid("a register counts more zeros than a hash has"));
                }
                Ok(DistinctCount(Form::Sketch(registers)))
            }
            length if length <= Self::LIST_MAX => {
                let mut hashes = Vec::with_capacity(length + 1);
                let sixes = input.take(length * HASH_BYTES)?.as_chunks::<HASH_BYTES>().0;
                let widened =
                    |&[a, b, c, d, e, f]: &[u8; HASH_BYTES]| u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
                hashes.extend(sixes.iter().map(widened));
                if !hashes.is_sorted_by(|left, right| left < right) {
                    return Err(StateError::invalid("the hashes of different values do not ascend"));
                }
                Ok(DistinctCount(Form::List(hashes)))
            }
            _ => Err(StateError::invalid("a list of hashes that is longer than the sketch allows")),
        }
    }

    fn finish(&self, _as_of: Timestamp) -> i64 {
        match &self.0 {
            Form::List(hashes) => hashes.len() as i64,
            Form::Sketch(registers) => (Self::estimate(registers) + 0.5) as i64,
        }
    }
}
