//! Counts.

use super::{Aggregate, FoldOrder, StateError, StateReader, put_varint};
use crate::Timestamp;

/// How many events there are.
///
/// Item `()`, feature `i64`, 0 without events. Exact, in any fold order; 1 to 3 bytes for up to two million events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    events: u64,
}

impl Aggregate for Count {
    type Item<'a> = ();
    type Feature = i64;
    const FEATURES: &'static [&'static str] = &[""];
    const ORDER: FoldOrder = FoldOrder::Any;

    #[inline]
    fn add(&mut self, (): ()) {
        self.events = self.events.wrapping_add(1);
    }

    #[inline]
    fn merge(&mut self, later: &Self) {
        self.events = self.events.wrapping_add(later.events);
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        encode(self.events, out);
    }

    #[inline]
    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        input.positive().map(|events| Count { events })
    }

    fn finish(&self, _as_of: Timestamp) -> i64 {
        self.events as i64
    }
}

/// How many events fulfil a condition.
///
/// Item `bool` or `Option<bool>`, of which none counts as false; feature `i64`, 0 without events. Exact, in any
/// fold order; 1 to 3 bytes for up to two million events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountIf {
    events: u64,
}

impl Aggregate for CountIf {
    type Item<'a> = Option<bool>;
    type Feature = i64;
    const FEATURES: &'static [&'static str] = &[""];
    const ORDER: FoldOrder = FoldOrder::Any;

    #[inline]
    fn add(&mut self, item: Option<bool>) {
        self.events = self.events.wrapping_add(u64::from(item == Some(true)));
    }

    #[inline]
    fn merge(&mut self, later: &Self) {
        self.events = self.events.wrapping_add(later.events);
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        encode(self.events, out);
    }

    #[inline]
    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        input.positive().map(|events| CountIf { events })
    }

    fn finish(&self, _as_of: Timestamp) -> i64 {
        self.events as i64
    }
}

/// The share of the events that fulfil a condition, from 0 to 1.
///
/// Item `bool` or `Option<bool>`, of which none is ignored; feature `Option<f64>`, none without items. The
/// quotient of two exact counts, rounded once; in any fold order; 2 to 6 bytes for up to two million events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    yes: u64,
    no: u64,
}

impl Aggregate for Share {
    type Item<'a> = Option<bool>;
    type Feature = Option<f64>;
    const FEATURES: &'static [&'static str] = &[""];
    const ORDER: FoldOrder = FoldOrder::Any;

    #[inline]
    fn add(&mut self, item: Option<bool>) {
        self.yes = self.yes.wrapping_add(u64::from(item == Some(true)));
        self.no = self.no.wrapping_add(u64::from(item == Some(false)));
    }

    #[inline]
    fn merge(&mut self, later: &Self) {
        self.yes = self.yes.wrapping_add(later.yes);
        self.no = self.no.wrapping_add(later.no);
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        if self.yes != 0 || self.no != 0 {
            put_varint(out, self.yes);
            put_varint(out, self.no);
        }
    }

    #[inline]
    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError> {
        match (input.varint()?, input.varint()?) {
            (0, 0) => Err(StateError::invalid("a share of no event")),
            (yes, no) => Ok(Share { yes, no }),
        }
    }

    fn finish(&self, _as_of: Timestamp) -> Option<f64> {
        // Counts are far below 2^53, where the conversions are exact and the division alone rounds.
        let items = self.yes as f64 + self.no as f64;
        (items > 0.0).then(|| self.yes as f64 / items)
    }
}

#[inline]
fn encode(count: u64, out: &mut Vec<u8>) {
    if count != 0 {
        put_varint(out, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(0);

    #[test]
    fn counts() {
        let (mut count, mut if_true, mut share) = (Count::default(), CountIf::default(), Share::default());
        assert_eq!((count.finish(NOW), if_true.finish(NOW), share.finish(NOW)), (0, 0, None));
        for item in [Some(true), Some(false), None, Some(false), Some(false)] {
            count.add(());
            if_true.add(item);
            share.add(item);
        }
        assert_eq!((count.finish(NOW), if_true.finish(NOW), share.finish(NOW)), (5, 1, Some(0.25)));
    }

    #[test]
    fn empty_states_are_not_read() {
        assert!(Count::decode(&mut StateReader::new(&[0])).is_err());
        assert!(CountIf::decode(&mut StateReader::new(&[0])).is_err());
        assert!(Share::decode(&mut StateReader::new(&[0, 0])).is_err());
    }
}
