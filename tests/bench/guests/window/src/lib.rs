//! Five aggregates over three windows: what a card pays.

use trifold_sdk::prelude::*;

/// One payment.
#[derive(Input)]
pub struct Payment {
    /// Who pays.
    #[entity]
    pub card: i64,
    /// How much.
    pub amount: f64,
}

/// What a card pays.
#[cfg_attr(feature = "fine", window_view(name = "bench_window_fine", event = Payment, windows = "5m/1s", lateness = "1h"))]
#[cfg_attr(
    not(any(feature = "ordered", feature = "fine")),
    window_view(name = "bench_window", event = Payment, windows = "5m, 1h, 1d", lateness = "1h")
)]
#[cfg_attr(
    feature = "ordered",
    window_view(
        name = "bench_window_ordered",
        event = Payment,
        windows = "5m, 1h, 1d",
        lateness = "1h",
        order = "event-time"
    )
)]
pub struct Spending {
    /// Payments.
    #[of(())]
    pub payments: Count,
    /// Their sum.
    #[of(event.amount)]
    pub total: Sum,
    /// Their mean.
    #[of(event.amount)]
    pub mean: Mean,
    /// The smallest.
    #[of(event.amount)]
    pub smallest: Min<f64>,
    /// The largest.
    #[of(event.amount)]
    pub largest: Max<f64>,
}
