//! The largest values.

use std::cmp::Ordering;

use super::kept::Ordered;
use super::{Aggregate, FoldOrder, StateError, StateReader, put_varint};
use crate::Timestamp;

/// The `K` largest values, the largest first; equal ones count each.
///
/// `T` is `f64` or `i64`; item `T` or `Option<T>`, of which none is ignored; feature `Vec<T>` of at most `K` values,
/// empty without items. In any fold order: which values are the largest, is a matter of the multiset. Doubles have
/// IEEE's total order, and NaN is ignored, as by [`Max`](super::Max). The state takes 1 byte and those of the values, 8
/// for a double. An item costs a search in, and at worst a move of, `K` values.
#[derive(Debug, Clone)]
pub struct TopK<T, const K: usize> {
    /// In descending order.
    values: Vec<T>,
}

impl<T, const K: usize> Default for TopK<T, K> {
    #[inline]
    fn default() -> Self {
        const { assert!(K > 0, "a TopK keeps at least one value") };
        TopK { values: Vec::new() }
    }
}

impl<T: Ordered, const K: usize> Aggregate for TopK<T, K> {
    type Item<'a> = Option<T>;
    type Feature = Vec<T>;
    const FEATURES: &'static [&'static str] = &[""];
    const ORDER: FoldOrder = FoldOrder::Any;

    #[inline]
    fn add(&mut self, item: Option<T>) {
        let Some(value) = item.filter(|value| value.has_place()) else { return };
        let place = self.values.partition_point(|kept| kept.order(&value) != Ordering::Less);
        if place < K {
            self.values.truncate(K - 1);
            self.values.insert(place, value);
        }
    }

    fn merge(&mut self, later: &Self) {
        later.values.iter().for_each(|value| self.add(Some(*value)));
    }

    fn encode(&self, out: &mut Vec<u8>) {
        if !self.values.is_empty() {
            put_varint(out, self.values.len() as u64);
            self.values.iter().for_each(|value| value.put(out));
        }
    }

    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        let length = input.length(1)?;
        if !(1..=K).contains(&length) {
            return Err(StateError::invalid("a list of the largest values is empty or too long"));
        }
        let values = (0..length).map(|_| T::take(input)).collect::<Result<Vec<_>, _>>()?;
        let descend = values.is_sorted_by(|left, right| left.order(right) != Ordering::Less);
        if !descend || values.iter().any(|value| !value.has_place()) {
            return Err(StateError::invalid("the largest values do not descend, or one is NaN"));
        }
        Ok(TopK { values })
    }

    fn finish(&self, _as_of: Timestamp) -> Vec<T> {
        self.values.clone()
    }
}
