//! What rows cost to compute.

/// The fuel that rows burnt, each in calls of its own. What a unit is depends on the engine that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FuelSummary {
    /// The rows.
    pub rows: u64,
    /// What half of the rows do not exceed.
    pub median: u64,
    /// The most of one row.
    pub max: u64,
    /// All rows together.
    pub total: u64,
}

impl FuelSummary {
    /// The summary of what each of some rows burnt.
    pub fn of(mut rows: Vec<u64>) -> Self {
        rows.sort_unstable();
        FuelSummary {
            rows: rows.len() as u64,
            median: rows.get(rows.len().saturating_sub(1) / 2).copied().unwrap_or(0),
            max: rows.last().copied().unwrap_or(0),
            total: rows.iter().sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_rows_do_not_exceed_the_median() {
        assert_eq!(FuelSummary::of(Vec::new()), FuelSummary::default());
        assert_eq!(FuelSummary::of(vec![9, 1, 5]), FuelSummary { rows: 3, median: 5, max: 9, total: 15 });
        assert_eq!(FuelSummary::of(vec![9, 1, 5, 2]), FuelSummary { rows: 4, median: 2, max: 9, total: 17 });
    }
}
