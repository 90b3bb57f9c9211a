//! Square roots of integers.

/// The square root rounded down, and whether that lost anything.
///
/// The processor takes the root of a double, not of 128 bits. Its root is off by some 2^12 at most, a step of Newton's
/// method brings that below one, and from there exact integers decide: no rounding on the way can change the answer.
pub(super) fn root(square: u128) -> (u64, bool) {
    if square < 1 << 126 {
        // The doubles below would divide by zero and lose what they need.
        let root = square.isqrt();
        return (root as u64, root * root != square);
    }
    const HALF_LIMB: f64 = (1_u64 << 32) as f64;
    // Conversions to integers go to the nearest in their range.
    let mut root = (((square >> 64) as u64 as f64).sqrt() * HALF_LIMB) as u64;
    let step = (remainder(square, root) >> 32) as i64 as f64 * HALF_LIMB / (2.0 * root as f64);
    root = root.saturating_add_signed(step as i64);
    let mut rest = remainder(square, root);
    while rest < 0 {
        root -= 1;
        rest += 2 * i128::from(root) + 1;
    }
    while rest > 2 * i128::from(root) {
        rest -= 2 * i128::from(root) + 1;
        root += 1;
    }
    (root, rest != 0)
}

/// What a root that is off by less than 2^32 leaves of a square: less than 2^98, so that it fits though the terms do
/// not.
fn remainder(square: u128, root: u64) -> i128 {
    square.wrapping_sub(u128::from(root) * u128::from(root)) as i128
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    fn check(square: u128) {
        let expected = square.isqrt();
        assert_eq!(root(square), (expected as u64, expected * expected != square), "the root of {square}");
    }

    #[test]
    fn roots_are_those_of_the_standard_library() {
        let mut random = Random::new(0x5EED);
        for _ in 0..200_000 {
            let [high, low] = [random.next(), random.next()];
            let any = u128::from(high) << 64 | u128::from(low);
            check(any);
            check(any >> (high % 128));
            check(any | 1 << 127);
            check(any >> 2 | 1 << 126);
        }
    }

    #[test]
    fn roots_of_squares_and_their_neighbours_are_exact() {
        let mut random = Random::new(0x5EED);
        let edges = [0, 1, 2, 3, 1 << 32, 1 << 63, (1 << 63) + 1, u64::MAX - 2048, u64::MAX - 1, u64::MAX];
        let any = (0..200_000).map(|_| random.next()).flat_map(|word| [word, word | 1 << 63, word | !0 << 40]);
        for word in any.chain(edges) {
            let square = u128::from(word) * u128::from(word);
            for neighbour in [square.saturating_sub(1), square, square + 1, square + 2 * u128::from(word)] {
                check(neighbour);
            }
        }
        for distance in 0..10_000 {
            check(u128::MAX - distance);
            check((1 << 126) + distance);
            check((1 << 126) - distance);
        }
    }
}
