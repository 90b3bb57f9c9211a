//! Arithmetic over three floats with one logarithm: what a transform costs that does little else than read and
//! write columns.

use trifold_sdk::prelude::*;

/// One payment.
#[derive(Input)]
pub struct Payment {
    /// Who pays.
    #[entity]
    pub account: i64,
    /// How much.
    pub amount: f64,
    /// What was there before.
    pub balance: f64,
    /// What the account may spend in a month.
    pub limit: f64,
}

/// The payment in proportion.
#[derive(Output)]
pub struct Proportions {
    /// ln(1 + amount).
    pub amount_log: f64,
    /// The amount as a share of the balance.
    pub share: f64,
    /// The part of the limit that is left.
    pub headroom: f64,
}

/// A payment in proportion to its account.
#[row_view(name = "bench_numeric")]
pub fn numeric(payment: Payment) -> Proportions {
    Proportions {
        amount_log: (1.0 + payment.amount).ln(),
        share: payment.amount / (1.0 + payment.balance),
        headroom: (payment.limit - payment.amount) / payment.limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_has_proportions() {
        let proportions = numeric(Payment { account: 1, amount: 99.0, balance: 197.0, limit: 198.0 });
        assert!((proportions.amount_log - 100.0_f64.ln()).abs() < 1e-12);
        assert_eq!((proportions.share, proportions.headroom), (0.5, 0.5));
    }
}
