//! What one request may spend on guests.

use std::fmt;
use std::sync::Arc;

/// The fuel that a request may burn over all its calls, repeated ones included. A row for which none is left is
/// unavailable, which says nothing about its value.
#[derive(Debug, Clone)]
pub struct Budget {
    limit: u64,
    spent: u64,
    /// The most that one view may burn of it.
    each: u64,
    /// Whether it is a view's part of a request's.
    is_part: bool,
    wanted: Wanted,
}

/// Whether anybody still waits for what is computed.
#[derive(Clone, Default)]
struct Wanted(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Wanted {
    fn holds(&self) -> bool {
        self.0.as_ref().is_none_or(|is_wanted| is_wanted())
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wanted({})", self.holds())
    }
}

impl Budget {
    /// As much as it takes, for runners that wait.
    pub fn unlimited() -> Self {
        Budget::fuel(u64::MAX)
    }

    /// At most so many units of fuel.
    pub fn fuel(units: u64) -> Self {
        Budget { limit: units, spent: 0, each: u64::MAX, is_part: false, wanted: Wanted::default() }
    }

    /// The same, of which no view may burn more than so many units.
    pub fn at_most_each(self, units: u64) -> Self {
        Budget { each: units, ..self }
    }

    /// The same, that ends when its request is not wanted any more. That is asked before every call of a guest, so that it
    /// must be cheap to answer.
    pub fn while_wanted(self, is_wanted: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Budget { wanted: Wanted(Some(Arc::new(is_wanted))), ..self }
    }

    /// The units burnt so far.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// The units that may be burnt in all.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// The most that one view may burn of it.
    pub fn each(&self) -> u64 {
        self.each
    }

    /// The units that are left.
    pub fn left(&self) -> u64 {
        self.limit - self.spent
    }

    /// Whether anybody still waits for the answer. If not, every row that was not computed yet is unavailable, and what
    /// was computed is no answer.
    pub fn is_wanted(&self) -> bool {
        self.wanted.holds()
    }

    /// A part of at most so many units, for one view. What comes to be spent of it is to be taken off with
    /// [`Budget::spend`].
    pub fn part(&self, units: u64) -> Budget {
        let limit = units.min(self.left());
        Budget { limit, spent: 0, each: u64::MAX, is_part: true, wanted: self.wanted.clone() }
    }

    /// Takes units off.
    pub fn spend(&mut self, units: u64) {
        self.spent = self.spent.saturating_add(units).min(self.limit);
    }

    /// Why nothing is computed any more.
    pub(crate) fn exhausted(&self) -> String {
        let whose =
            if self.is_part { "what the view may burn of the request's budget" } else { "the request's budget" };
        format!("{whose} of {} units of fuel is spent", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_budget_is_never_overdrawn() {
        let mut budget = Budget::fuel(10);
        budget.spend(7);
        budget.spend(7);
        assert_eq!((budget.spent(), budget.left()), (10, 0));
        let mut budget = Budget::unlimited();
        budget.spend(7);
        assert_eq!((budget.spent(), budget.left()), (7, u64::MAX - 7));
    }

    #[test]
    fn a_part_has_no_more_than_the_whole_and_ends_with_it() {
        let asked = Arc::new(AtomicBool::new(true));
        let is_asked = asked.clone();
        let mut whole = Budget::fuel(10).while_wanted(move || is_asked.load(Ordering::Relaxed));
        whole.spend(4);
        let part = whole.part(100);
        assert_eq!((part.limit(), whole.part(3).limit()), (6, 3));
        assert!(part.is_wanted());
        asked.store(false, Ordering::Relaxed);
        assert!(!part.is_wanted() && !whole.is_wanted());
    }
}
