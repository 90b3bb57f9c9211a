//! How many rows a call takes.
//!
//! The size of a call never changes a value, but calls that are stopped and repeated are wasted work. So a
//! transform remembers what its rows use, and calls are sized to stay well below the share that is accepted.

use std::sync::atomic::{AtomicUsize, Ordering};

use trifold_model::RowLimits;

use crate::call::Usage;

/// A call is sized to use this part of a row's limits: half of what is accepted, as rows differ.
const TARGET: u64 = 4;

#[derive(Debug)]
pub(crate) struct Pace {
    rows: AtomicUsize,
    rows_max: usize,
    fuel_target: u64,
    memory_target: u64,
    memory_initial: u64,
}

impl Pace {
    /// Begins with full calls.
    pub(crate) fn new(rows_max: usize, limits: RowLimits, memory_initial: u64) -> Self {
        let rows_max = rows_max.max(1);
        Pace {
            rows: AtomicUsize::new(rows_max),
            rows_max,
            fuel_target: limits.fuel / TARGET,
            memory_target: (limits.memory_bytes / 2).saturating_sub(memory_initial) / 2,
            memory_initial,
        }
    }

    /// The rows of the next call.
    pub(crate) fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// A call of several rows has been stopped.
    pub(crate) fn slow_down(&self, rows: usize) {
        self.rows.store((rows / 2).max(1), Ordering::Relaxed);
    }

    /// A call has been accepted.
    pub(crate) fn learn(&self, rows: usize, usage: Usage) {
        // A single row among full calls is mostly the cost of the call.
        if rows == 1 && self.rows() > 1 {
            return;
        }
        let memory = (usage.memory_bytes as u64).saturating_sub(self.memory_initial);
        let by_fuel = fitting(rows, usage.fuel, self.fuel_target);
        let by_memory = fitting(rows, memory, self.memory_target);
        let fitting = usize::try_from(by_fuel.min(by_memory)).unwrap_or(usize::MAX);
        self.rows.store(fitting.clamp(1, self.rows_max), Ordering::Relaxed);
    }
}

/// The rows that use `target` where `rows` used `used`.
fn fitting(rows: usize, used: u64, target: u64) -> u64 {
    (rows as u64).saturating_mul(target).checked_div(used).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RowLimits = RowLimits { fuel: 1000, memory_bytes: 1 << 20 };

    #[track_caller]
    fn check(rows: usize, fuel: u64, memory_bytes: usize, expected: usize) {
        let pace = Pace::new(4096, LIMITS, 64 << 10);
        pace.learn(rows, Usage { fuel, memory_bytes });
        assert_eq!(pace.rows(), expected);
    }

    #[test]
    fn calls_are_sized_by_what_rows_use() {
        check(10, 250, 64 << 10, 10);
        check(10, 1, 64 << 10, 2500);
        check(10, 0, 64 << 10, 4096);
        check(10, 500, 64 << 10, 5);
        check(10, 1, (64 + 224) << 10, 10);
        check(10, 1, (64 + 448) << 10, 5);
    }

    #[test]
    fn a_bad_row_slows_down_only_until_a_good_one() {
        let pace = Pace::new(4096, LIMITS, 0);
        for rows in [4096, 2048, 2] {
            pace.slow_down(rows);
            assert_eq!(pace.rows(), rows / 2);
        }
        pace.learn(1, Usage { fuel: 1, memory_bytes: 0 });
        assert_eq!(pace.rows(), 250);
    }
}
