//! What one request may spend on guests.

/// The fuel that a request may burn over all its calls, repeated ones included. A row for which none is left is
/// unavailable, which says nothing about its value.
#[derive(Debug, Clone)]
pub struct Budget {
    limit: u64,
    spent: u64,
}

impl Budget {
    /// As much as it takes, for runners that wait.
    pub fn unlimited() -> Self {
        Budget { limit: u64::MAX, spent: 0 }
    }

    /// At most so many units of fuel.
    pub fn fuel(units: u64) -> Self {
        Budget { limit: units, spent: 0 }
    }

    /// The units burnt so far.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn left(&self) -> u64 {
        self.limit - self.spent
    }

    pub(crate) fn spend(&mut self, units: u64) {
        self.spent = self.spent.saturating_add(units).min(self.limit);
    }
}

#[cfg(test)]
mod tests {
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
}
