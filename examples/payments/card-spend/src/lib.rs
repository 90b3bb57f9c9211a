//! The spending of a card: how often and how much it paid lately.

use trifold_sdk::prelude::*;

/// The code of a payment whose amount cannot be right.
pub const IMPLAUSIBLE: u16 = 2;

/// One payment.
#[derive(Input)]
pub struct Payment<'a> {
    /// The card.
    #[entity]
    pub card: &'a str,
    /// Who was paid; none for cash from a machine.
    pub merchant: Option<&'a str>,
    /// What was paid, in euros.
    pub amount: f64,
    /// Whether the bank refused it.
    pub declined: bool,
}

fn check(payment: &Payment<'_>) -> Result<(), RowError> {
    if payment.amount.is_finite() && payment.amount >= 0.0 {
        return Ok(());
    }
    Err(RowError::new(IMPLAUSIBLE, format!("the amount is {} euros", payment.amount)))
}

/// How often and how much a card paid.
#[cfg_attr(
    not(feature = "v2"),
    window_view(event = Payment<'_>, windows = "5m, 1h, 1d", lateness = "1h", max_early = "1m", check = check)
)]
#[cfg_attr(
    feature = "v2",
    window_view(event = Payment<'_>, windows = "5m, 1h, 7d", lateness = "1h", max_early = "1m", check = check)
)]
pub struct CardSpend {
    /// Payments, refused ones included.
    #[of(())]
    pub payments: Count,
    /// Euros of all payments.
    #[of(event.amount)]
    pub total: Sum,
    /// Euros of one payment.
    #[of(event.amount)]
    pub amount: Moments,
    /// Euros of the largest payment.
    #[of(event.amount)]
    pub amount_max: Max<f64>,
    /// Different merchants.
    #[of(event.merchant.map(hash64))]
    pub merchants: DistinctCount,
    /// The share of payments that the bank refused.
    #[of(event.declined)]
    pub share_declined: Share,
}

#[cfg(test)]
mod tests {
    use super::*;
    use trifold_sdk::aggregate::Aggregate;
    use trifold_sdk::fold;

    const NOW: Timestamp = Timestamp::from_micros(0);

    fn payment(amount: f64, merchant: Option<&'static str>) -> Payment<'static> {
        Payment { card: "c-1", merchant, amount, declined: amount > 100.0 }
    }

    #[test]
    fn a_day_adds_up() {
        let mut day = fold::<CardSpend>([payment(10.5, Some("m-1")), payment(200.0, None)]).unwrap();
        CardSpend::merge(&mut day, &fold::<CardSpend>([payment(9.5, Some("m-2"))]).unwrap());
        assert_eq!((day.payments.finish(NOW), day.total.finish(NOW)), (3, 220.0));
        assert_eq!(day.amount.finish(NOW).0, Some(220.0 / 3.0));
        assert_eq!((day.amount_max.finish(NOW), day.merchants.finish(NOW)), (Some(200.0), 2));
        assert_eq!(day.share_declined.finish(NOW), Some(1.0 / 3.0));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for amount in [f64::NAN, f64::INFINITY, -0.5] {
            let refused = fold::<CardSpend>([payment(amount, None)]);
            assert_eq!(refused.map(|_| ()).unwrap_err().code(), IMPLAUSIBLE);
        }
    }
}
