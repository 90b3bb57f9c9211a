//! The risk of a payment: what is asked for, against what its card usually pays and where it was last.

use trifold_sdk::prelude::*;

/// The code of a payment whose amount cannot be right.
pub const IMPLAUSIBLE: u16 = 2;

/// Payments of an hour, as a multiple of those of five minutes.
const FIVE_MINUTES_PER_HOUR: f64 = 12.0;

/// How much it weighs that a card is elsewhere than before.
const MOVED_WEIGHT: f64 = if cfg!(feature = "v2") { 2.0 } else { 1.5 };

/// A payment that is to be made, and what is known of its card.
#[derive(Request)]
pub struct Purchase<'a> {
    /// The card.
    pub card: &'a str,
    /// What is to be paid, in euros.
    pub amount: f64,
    /// Where.
    pub country: Option<&'a str>,
    /// Payments of the last five minutes.
    #[reads("card_spend.payments_5m")]
    pub payments_5m: Option<i64>,
    /// Payments of the last hour.
    #[reads("card_spend.payments_1h")]
    pub payments_1h: Option<i64>,
    /// Euros of a payment of the last day.
    #[reads("card_spend.amount_mean_1d")]
    pub usual: Option<f64>,
    /// By how much they differ from that.
    #[reads("card_spend.amount_deviation_1d")]
    pub deviation: Option<f64>,
    /// The share of the last day's payments that the bank refused.
    #[reads("card_spend.share_declined_1d")]
    pub share_declined: Option<f64>,
    /// Where the card was last.
    #[reads("card_profile.last_country")]
    pub last_country: Option<&'a str>,
}

/// How a payment compares with those before it.
#[derive(Output)]
pub struct Risk {
    /// The amount, as a multiple of the day's mean.
    pub times_usual: Option<f64>,
    /// How far it is from the mean, in deviations; none where all payments were alike.
    pub deviations: Option<f64>,
    /// The rate of the last five minutes, as a multiple of the last hour's.
    pub velocity: Option<f64>,
    /// Whether it is made elsewhere than the last one; none where either is not known.
    pub moved: Option<bool>,
    /// How unusual it is, between 0 and 1, by weights set by hand.
    pub score: f64,
}

/// How a payment compares with those before it.
#[on_demand_view]
pub fn payment_risk(purchase: Purchase<'_>) -> Result<Risk, RowError> {
    let amount = purchase.amount;
    if !(amount.is_finite() && amount >= 0.0) {
        return Err(RowError::new(IMPLAUSIBLE, format!("the amount is {amount} euros")));
    }
    let above_nothing = |number: &f64| *number > 0.0;
    let count = |payments: Option<i64>| payments.map(|payments| payments as f64);
    let times_usual = purchase.usual.filter(above_nothing).map(|usual| amount / usual);
    let deviations = purchase.deviation.filter(above_nothing);
    let deviations = purchase.usual.zip(deviations).map(|(usual, deviation)| (amount - usual) / deviation);
    let hour = count(purchase.payments_1h).filter(above_nothing);
    let velocity = count(purchase.payments_5m).zip(hour).map(|(now, hour)| now * FIVE_MINUTES_PER_HOUR / hour);
    let moved = purchase.country.zip(purchase.last_country).map(|(here, there)| here != there);
    let signs = [
        0.5 * times_usual.unwrap_or(1.0).ln_1p(),
        0.1 * velocity.unwrap_or(0.0),
        2.0 * purchase.share_declined.unwrap_or(0.0),
        if moved == Some(true) { MOVED_WEIGHT } else { 0.0 },
    ];
    let score = signs.into_iter().fold(-3.0, |sum, sign| sum + sign);
    Ok(Risk { times_usual, deviations, velocity, moved, score: 1.0 / (1.0 + (-score).exp()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURCHASE: Purchase<'static> = Purchase {
        card: "c-1",
        amount: 30.0,
        country: Some("DE"),
        payments_5m: Some(1),
        payments_1h: Some(4),
        usual: Some(10.0),
        deviation: Some(5.0),
        share_declined: Some(0.0),
        last_country: Some("DE"),
    };

    #[test]
    fn a_purchase_is_measured_by_the_cards_last_day() {
        let risk = payment_risk(PURCHASE).unwrap();
        assert_eq!((risk.times_usual, risk.deviations, risk.velocity), (Some(3.0), Some(4.0), Some(3.0)));
        assert_eq!(risk.moved, Some(false));
        let abroad = payment_risk(Purchase { country: Some("PL"), ..PURCHASE }).unwrap();
        assert_eq!(abroad.moved, Some(true));
        assert!(0.0 < risk.score && risk.score < abroad.score && abroad.score < 1.0);
    }

    #[test]
    fn what_is_not_known_is_left_open() {
        let nothing = Purchase {
            payments_5m: None,
            payments_1h: Some(0),
            usual: None,
            deviation: Some(0.0),
            share_declined: None,
            last_country: None,
            ..PURCHASE
        };
        let risk = payment_risk(nothing).unwrap();
        assert_eq!((risk.times_usual, risk.deviations, risk.velocity, risk.moved), (None, None, None, None));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for amount in [f64::NAN, f64::INFINITY, -0.5] {
            let refused = payment_risk(Purchase { amount, ..PURCHASE });
            assert_eq!(refused.map(|_| ()).unwrap_err().code(), IMPLAUSIBLE);
        }
    }
}
