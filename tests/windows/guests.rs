//! The views: each as a component and as the oracle knows it.

use std::sync::OnceLock;

use trifold_oracle::aggregate::*;
use trifold_oracle::{Event, Finish, Value, View, Window, steps};
use trifold_pipeline::LiveVersion;
use trifold_tests::live::{transform, version};

/// A guest built with some features.
pub(crate) struct Guest {
    pub(crate) package: &'static str,
    pub(crate) features: &'static [&'static str],
    /// The names of the entity's key fields.
    pub(crate) keys: &'static [&'static str],
    pub(crate) oracle: fn() -> View,
    version: OnceLock<LiveVersion>,
}

impl Guest {
    const fn new(
        package: &'static str,
        features: &'static [&'static str],
        keys: &'static [&'static str],
        oracle: fn() -> View,
    ) -> Self {
        Guest { package, features, keys, oracle, version: OnceLock::new() }
    }

    pub(crate) fn version(&self) -> &LiveVersion {
        self.version.get_or_init(|| version(1, transform(self.package, self.features)))
    }
}

pub(crate) static NUMBERS: Guest =
    Guest::new("window-numbers", &[], &["key"], || numbers(&[(10, 1), (60, 1), (3_600, 1_200)]));
pub(crate) static NUMBERS_LIMITS: Guest =
    Guest::new("window-numbers", &["limits"], &["key"], || with_limits(numbers(&[(20, 10), (21, 7), (9, 9)])));
pub(crate) static NUMBERS_COPIES: Guest = Guest::new("window-numbers", &["copies"], &["key"], || View {
    lateness: Some(3_600),
    deduplicate: false,
    ..numbers(&[(60, 10)])
});
pub(crate) static ORDER: Guest = Guest::new("window-order", &[], &["key"], || order(&[(10, 1), (3_600, 1_200)]));
pub(crate) static ORDER_LIMITS: Guest =
    Guest::new("window-order", &["limits"], &["key"], || with_limits(order(&[(21, 7), (1_200, 600)])));
pub(crate) static FOLD: Guest =
    Guest::new("window-fold", &[], &["walker", "foot"], || fold(&[(60, 5), (3_600, 60)]));
pub(crate) static FOLD_LIMITS: Guest =
    Guest::new("window-fold", &["limits"], &["walker", "foot"], || with_limits(fold(&[(21, 7), (1_200, 600)])));
pub(crate) static FOLD_TTL: Guest = Guest::new("window-fold", &["ttl"], &["walker", "foot"], || View {
    // The time to live is the shorter one.
    lateness: Some(15),
    ..fold(&[(21, 7), (1_200, 600)])
});
/// Refuses the row of foot 0, and traps at that of foot 1.
pub(crate) static FOLD_REFUSES: Guest =
    Guest::new("window-fold", &["refuses"], &["walker", "foot"], || fold(&[(60, 5), (3_600, 60)]));
/// The states of [`FOLD`] in another layout.
pub(crate) static FOLD_REPACKED: Guest =
    Guest::new("window-fold", &["repacked"], &["walker", "foot"], || fold(&[(60, 5), (3_600, 60)]));

/// A view without limits whose copies count once.
fn view(windows: &[(i64, i64)], refuses: fn(&Event) -> bool, finish: Finish) -> View {
    let windows = windows.iter().map(|&(length, hop)| Window { length, hop }).collect();
    View { windows, lateness: None, max_early: None, deduplicate: true, refuses, finish }
}

fn with_limits(view: View) -> View {
    View { lateness: Some(15), max_early: Some(5), ..view }
}

/// Every aggregator that takes events in any order.
fn numbers(windows: &[(i64, i64)]) -> View {
    let refuses = |event: &Event| matches!(event.get("value"), Value::Int(..0));
    let features = vec![
        count(),
        count_if("flag"),
        share("flag"),
        sum("real"),
        sum_int("value"),
        mean("real"),
        variance("real"),
        sample_std_dev("real"),
        moments("real"),
        min("real"),
        max_int("value"),
        max_int("event_time"),
        first("word"),
        last("real"),
        distinct_count("word"),
        quantiles("real", &[50, 500, 990]),
        largest("real", 3),
    ];
    view(windows, refuses, aggregates(features))
}

/// The others.
fn order(windows: &[(i64, i64)]) -> View {
    let features = vec![count(), top_frequent("word", 2, 3), decayed_sum("real", 7)];
    view(windows, |_| false, aggregates(features))
}

fn fold(windows: &[(i64, i64)]) -> View {
    view(windows, steps::refuses, Box::new(steps::finish))
}
