//! The aggregators whose fold has one right order.

use trifold_sdk::prelude::*;

/// A number of somebody's and a word.
#[derive(Input)]
pub struct Number<'a> {
    /// Whose number it is.
    #[entity]
    pub key: i64,
    /// When it was.
    pub event_time: Timestamp,
    /// Any number.
    pub real: Option<f64>,
    /// A word.
    pub word: Option<&'a str>,
}

/// What somebody's numbers and words come to, in the order of their times.
#[cfg_attr(not(feature = "limits"), window_view(event = Number<'_>, windows = "10s, 1h/20m"))]
#[cfg_attr(
    feature = "limits",
    window_view(event = Number<'_>, windows = "21s/7s, 20m/10m", lateness = "15s", max_early = "5s")
)]
#[derive(Debug)]
pub struct WindowOrder {
    /// Events.
    #[of(())]
    pub events: Count,
    /// The two most frequent words, of which three are counted at a time.
    #[of(event.word)]
    pub frequent: TopFrequent<2, 3>,
    /// A sum that loses half of its weight in seven seconds.
    #[of((event.event_time, event.real))]
    pub fading: DecayedSum<7>,
}
