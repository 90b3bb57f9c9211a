//! The most frequent texts.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Aggregate, FoldOrder, StateError, StateReader, put_text, put_varint};
use crate::Timestamp;

/// The `K` most frequent texts, the most frequent first; of equally frequent ones the bytewise smaller.
///
/// Item `&str` or `Option<&str>`, of which none is ignored; feature `Vec<String>` of at most `K` texts, empty without
/// items. Exact while there are at most `CAPACITY` different texts, 64 by default. With more it is the sketch of Misra
/// and Gries (1982), merged as by Agarwal et al. ("Mergeable summaries", 2012): a count is too low by at most n /
/// (`CAPACITY` + 1) of n items, however they were divided and merged, so every text that occurs more often is kept, and
/// the order of texts whose counts lie closer together may be wrong.
///
/// What the sketch forgets depends on the order of the items, so the fold order is `event-time`. The state takes 2
/// bytes or a few more for each text kept, and those of the text; long texts are better hashed or cut by the author.
#[derive(Debug, Clone, Default)]
pub struct TopFrequent<const K: usize, const CAPACITY: usize = 64> {
    counts: BTreeMap<String, u64>,
}

impl<const K: usize, const CAPACITY: usize> TopFrequent<K, CAPACITY> {
    const CAPACITY: usize = {
        assert!(K <= CAPACITY, "a TopFrequent answers no more texts than it has the capacity for");
        CAPACITY
    };

    /// Takes a count from all texts and forgets those with no more than that.
    fn subtract(&mut self, taken: u64) {
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(taken);
            *count > 0
        });
    }
}

impl<const K: usize, const CAPACITY: usize> Aggregate for TopFrequent<K, CAPACITY> {
    type Item<'a> = Option<&'a str>;
    type Feature = Vec<String>;
    const FEATURES: &'static [&'static str] = &[""];
    const ORDER: FoldOrder = FoldOrder::EventTime;

    fn add(&mut self, item: Option<&str>) {
        let Some(text) = item else { return };
        if let Some(count) = self.counts.get_mut(text) {
            *count = count.saturating_add(1);
        } else if self.counts.len() < Self::CAPACITY {
            self.counts.insert(text.to_owned(), 1);
        } else {
            self.subtract(1);
        }
    }

    fn merge(&mut self, later: &Self) {
        for (text, count) in &later.counts {
            match self.counts.get_mut(text) {
                Some(sum) => *sum = sum.saturating_add(*count),
                None => {
                    self.counts.insert(text.clone(), *count);
                }
            }
        }
        if self.counts.len() > Self::CAPACITY {
            let mut counts: Vec<u64> = self.counts.values().copied().collect();
            counts.sort_unstable_by_key(|count| Reverse(*count));
            self.subtract(counts[Self::CAPACITY]);
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        if !self.counts.is_empty() {
            put_varint(out, self.counts.len() as u64);
            for (text, count) in &self.counts {
                put_text(out, text);
                put_varint(out, *count);
            }
        }
    }

    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        let length = input.length(2)?;
        if !(1..=Self::CAPACITY).contains(&length) {
            return Err(StateError::invalid("a list of frequent texts is empty or too long"));
        }
        let mut entries: Vec<(String, u64)> = Vec::with_capacity(length);
        for _ in 0..length {
            let text = input.text()?;
            if entries.last().is_some_and(|(before, _)| before.as_str() >= text) {
                return Err(StateError::invalid("frequent texts do not ascend"));
            }
            entries.push((text.to_owned(), input.positive()?));
        }
        Ok(TopFrequent { counts: entries.into_iter().collect() })
    }

    fn finish(&self, _as_of: Timestamp) -> Vec<String> {
        let mut texts: Vec<_> = self.counts.iter().collect();
        texts.sort_by_key(|(_, count)| Reverse(**count));
        texts.into_iter().take(K).map(|(text, _)| text.clone()).collect()
    }
}
