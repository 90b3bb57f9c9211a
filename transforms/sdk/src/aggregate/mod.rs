//! Aggregators: the parts of which a window view is made.
//!
//! An aggregator is the state of one tile and knows how to take in an event, how to join the state of another
//! tile, how to write itself down and what feature it comes to:
//!
//! ```
//! use trifold_sdk::Timestamp;
//! use trifold_sdk::aggregate::{Aggregate, Sum};
//!
//! let (mut morning, mut evening) = (Sum::default(), Sum::default());
//! morning.add(Some(1e300));
//! morning.add(Some(1.0));
//! evening.add(Some(-1e300));
//! morning.merge(&evening);
//! assert_eq!(morning.finish(Timestamp::from_micros(0)), 1.0);
//! ```
//!
//! | aggregator | item | feature | |
//! |---|---|---|---|
//! | [`Count`] | `()` | `i64` | exact |
//! | [`CountIf`] | `bool` | `i64` | exact |
//! | [`Share`] | `bool` | `Option<f64>` | exact, rounded once |
//! | [`Sum`] | `f64` | `f64` | exact, rounded once |
//! | [`Mean`] | `f64` | `Option<f64>` | exact, rounded once |
//! | [`Variance`], [`SampleVariance`] | `f64` | `Option<f64>` | exact, rounded once |
//! | [`StdDev`], [`SampleStdDev`] | `f64` | `Option<f64>` | exact, rounded once |
//! | [`Moments`], [`SampleMoments`] | `f64` | `mean`, `deviation` | exact, rounded once |
//! | [`SumInt`] | `i64` | `Option<i64>` | exact |
//! | [`Min<T>`](Min), [`Max<T>`](Max) | `T`: `f64`, `i64`, [`Timestamp`] | `Option<T>` | exact |
//! | [`First<T>`](First), [`Last<T>`](Last) | `(Timestamp, &str, T)` | `Option<T>` | exact |
//! | [`TopK<T, K>`](TopK) | `T`: `f64`, `i64` | `Vec<T>` | exact |
//! | [`DistinctCount`] | `u64`, a hash | `i64` | exact for few, then a standard error of 1.6 % |
//! | [`Quantiles<Q>`](Quantiles) | `f64` | `Option<f64>` each | within 0.8 % of the value |
//! | [`TopFrequent<K>`](TopFrequent) | `&str` | `Vec<String>` | exact for few; in the order of event time |
//! | [`DecayedSum<SECONDS>`](DecayedSum) | `(Timestamp, f64)` | `f64` | rounded by event; in the order of event time |
//!
//! Where an item is a value, an `Option` of it will do, and none is ignored. What adds up treats NaN and infinities
//! like IEEE arithmetic; what sorts ignores NaN. The counts in a state have 64 bits, more than anyone has events for,
//! and wrap.

mod codec;
mod count;
mod decayed;
mod distinct;
mod edge;
mod exact;
mod extreme;
mod frequent;
mod item;
mod kept;
mod moments;
mod quantiles;
mod sum;
mod top;

pub use codec::{StateError, StateReader, put_text, put_varint, put_zigzag};
pub use count::{Count, CountIf, Share};
pub use decayed::DecayedSum;
pub use distinct::DistinctCount;
pub use edge::{First, Last};
pub use extreme::{Max, Min};
pub use frequent::TopFrequent;
pub use item::IntoItem;
pub use kept::{Kept, Ordered};
pub use moments::{Moments, SampleMoments, SampleStdDev, SampleVariance, StdDev, Variance};
pub use quantiles::{P5, P10, P25, P50, P75, P90, P95, P99, Percentiles, Permille, Quantiles};
pub use sum::{Mean, Sum, SumInt};
pub use top::TopK;

use crate::Timestamp;

/// The order in which a fold must take events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldOrder {
    /// Any order and any grouping give the same bytes.
    Any,
    /// Events come in ascending (event time, event id), and states are merged from left to right.
    EventTime,
}

impl FoldOrder {
    /// The order that a state of two aggregators needs.
    pub const fn and(self, other: FoldOrder) -> FoldOrder {
        match (self, other) {
            (FoldOrder::Any, FoldOrder::Any) => FoldOrder::Any,
            _ => FoldOrder::EventTime,
        }
    }
}

/// A part of a window view's state.
///
/// `Default` is the empty state, the one of no event. An implementation keeps these promises, for the runners
/// regroup folds as they like and compare bytes:
///
/// - Splitting a fold at any point by `encode` and `decode` changes nothing.
/// - Merging with the empty state, on either side, changes nothing.
/// - With [`FoldOrder::Any`] the bytes depend on the multiset of the events alone.
pub trait Aggregate: Default + Clone {
    /// What one event gives. A column type or a tuple of up to four: bool, i64, f64, u64 (crosses as the bits of an
    /// int64), [`Timestamp`], `&'a str`, an Option of one of them, or `()`. See [`IntoItem`].
    type Item<'a>;
    /// What it comes to: a type of an output field; or a tuple of them where [`FEATURES`](Self::FEATURES) names
    /// several.
    type Feature;
    /// The names of the features; `[""]` for one that bears the field's name alone.
    const FEATURES: &'static [&'static str];
    /// The order in which events and states must come.
    const ORDER: FoldOrder;

    /// Adds an event.
    fn add(&mut self, item: Self::Item<'_>);

    /// Adds a state of later events.
    fn merge(&mut self, later: &Self);

    /// Writes the canonical bytes. The empty state writes none, and every other at least one.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads what [`encode`](Self::encode) wrote of a state that is not empty, and no byte more. Anything else is an
    /// error, never a panic; what it reads encodes to the same bytes.
    fn decode(input: &mut StateReader<'_>) -> Result<Self, StateError>;

    /// The value as of a moment.
    fn finish(&self, as_of: Timestamp) -> Self::Feature;
}
