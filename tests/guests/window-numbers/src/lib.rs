//! Every aggregator over one kind of event.

use trifold_sdk::prelude::*;

/// The code of a refused event.
pub const NEGATIVE: u16 = 2;

/// A number of somebody's, and what else an event can bring.
#[derive(Input)]
pub struct Number<'a> {
    /// Whose number it is.
    #[entity]
    pub key: i64,
    /// When it was.
    pub event_time: Timestamp,
    /// The event's id.
    pub event_id: &'a str,
    /// A whole number. An event with a negative one is refused.
    pub value: Option<i64>,
    /// Any number.
    pub real: Option<f64>,
    /// A word.
    pub word: Option<&'a str>,
    /// Yes or no.
    pub flag: Option<bool>,
}

fn check(number: &Number<'_>) -> Result<(), RowError> {
    match number.value {
        Some(value @ i64::MIN..0) => Err(RowError::new(NEGATIVE, format!("{value} is negative"))),
        _ => Ok(()),
    }
}

/// What somebody's numbers come to, in any order.
#[cfg_attr(
    not(any(feature = "limits", feature = "copies")),
    window_view(event = Number<'_>, windows = "10s, 1m, 1h/20m", check = check)
)]
#[cfg_attr(
    feature = "limits",
    window_view(event = Number<'_>, windows = "20s/10s, 21s/7s, 9s/9s", check = check, lateness = "15s", max_early = "5s")
)]
#[cfg_attr(
    feature = "copies",
    window_view(event = Number<'_>, windows = "1m/10s", check = check, lateness = "1h", deduplicate = false)
)]
#[derive(Debug)]
pub struct WindowNumbers {
    /// Events.
    #[of(())]
    pub events: Count,
    /// Events with a flag.
    #[of(event.flag)]
    pub flags: CountIf,
    /// The share of flags.
    #[of(event.flag)]
    pub share: Share,
    /// The sum.
    #[of(event.real)]
    pub sum: Sum,
    /// The sum of whole numbers.
    #[of(event.value)]
    pub total: SumInt,
    /// The mean.
    #[of(event.real)]
    pub mean: Mean,
    /// The variance.
    #[of(event.real)]
    pub variance: Variance,
    /// The deviation of a sample.
    #[of(event.real)]
    pub deviation: SampleStdDev,
    /// Both moments.
    #[of(event.real)]
    pub moments: Moments,
    /// The smallest.
    #[of(event.real)]
    pub least: Min<f64>,
    /// The largest whole number.
    #[of(event.value)]
    pub most: Max<i64>,
    /// The latest moment.
    #[of(event.event_time)]
    pub latest: Max<Timestamp>,
    /// The first word.
    #[of((event.event_time, event.event_id, event.word))]
    pub first: First<String>,
    /// The last number.
    #[of((event.event_time, event.event_id, event.real))]
    pub last: Last<f64>,
    /// Different words.
    #[of(event.word.map(hash64))]
    pub words: DistinctCount,
    /// Quantiles.
    #[of(event.real)]
    pub quantiles: Quantiles<(P5, P50, P99)>,
    /// The largest three.
    #[of(event.real)]
    pub top: TopK<f64, 3>,
}
