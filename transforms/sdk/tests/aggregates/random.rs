//! Numbers that are hard on arithmetic.

pub(super) use super::splitmix::{Random, for_seeds};

impl Random {
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// Between 0 and 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (-53_f64).exp2()
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (2..=items.len()).rev() {
            items.swap(end - 1, self.below(end));
        }
    }

    /// Any finite double, with every exponent as likely as every other.
    pub(super) fn finite(&mut self) -> f64 {
        loop {
            let value = f64::from_bits(self.next());
            if value.is_finite() {
                return value;
            }
        }
    }

    /// Doubles as one feature may have them: one flavour a list, so that like meets like and extremes meet too.
    pub(super) fn doubles(&mut self, count: usize) -> Vec<f64> {
        let flavour = self.below(8);
        let centre = self.finite();
        (0..count)
            .map(|_| match flavour {
                0 => self.below(600) as f64 - 100.0,
                1 => (self.unit() - 0.5) * 1e3,
                2 => self.finite(),
                3 => f64::from_bits(self.next() >> 12) * if self.coin() { 1.0 } else { -1.0 },
                4 => f64::from_bits(centre.to_bits().wrapping_add(self.next() % 64)),
                5 => self.pick(&[f64::MAX, -f64::MAX, f64::MAX / 2.0, 1.0, -1.0, 5e-324, -5e-324]),
                6 => self.pick(&[0.0, -0.0, 1.5, -1.5]),
                _ => (self.unit() * 120.0 - 60.0).exp2() * if self.coin() { 1.0 } else { -1.0 },
            })
            .filter(|value| value.is_finite())
            .collect()
    }

    /// The same with NaNs and infinities now and then.
    pub(super) fn all_doubles(&mut self, count: usize) -> Vec<f64> {
        let mut items = self.doubles(count);
        if self.below(3) == 0 && !items.is_empty() {
            let place = self.below(items.len());
            items[place] = self.pick(&[f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        }
        items
    }
}
