//! The profile of a card: what its latest payment says about it.

use trifold_sdk::prelude::*;

/// The code of a payment whose amount cannot be right.
pub const IMPLAUSIBLE: u16 = 2;

/// One payment.
#[derive(Input)]
pub struct Payment<'a> {
    /// The card.
    #[entity]
    pub card: &'a str,
    /// When it happened.
    pub event_time: Timestamp,
    /// Who was paid; none for cash from a machine.
    pub merchant: Option<&'a str>,
    /// Where it was made.
    pub country: Option<&'a str>,
    /// How it was made.
    pub channel: &'a str,
    /// What was paid, in euros.
    pub amount: f64,
    /// Whether the bank refused it.
    pub declined: bool,
}

/// What the latest payment was.
#[derive(Output)]
pub struct Profile {
    /// When it happened.
    pub paid_at: Timestamp,
    /// Hour of the week in UTC; 0 is Monday from midnight to one.
    pub hour_of_week: i64,
    /// Natural logarithm of 1 + euros.
    pub log_amount: f64,
    /// Who was paid, and how, as in `m-17/chip`.
    pub used: String,
    /// Where it was made.
    pub last_country: Option<String>,
    /// Whether it was online or in cash, which nobody sees.
    pub is_remote: bool,
    /// Whether the bank refused it.
    pub was_declined: bool,
}

/// What the latest payment says about its card.
#[row_view(ttl = "90d", lateness = "1h", max_early = "1m")]
pub fn card_profile(payment: Payment<'_>) -> Result<Profile, RowError> {
    if !(payment.amount.is_finite() && payment.amount >= 0.0) {
        return Err(RowError::new(IMPLAUSIBLE, format!("the amount is {} euros", payment.amount)));
    }
    Ok(Profile {
        paid_at: payment.event_time,
        hour_of_week: payment.event_time.hour_of_week(),
        log_amount: payment.amount.ln_1p(),
        used: [payment.merchant.unwrap_or("-"), "/", payment.channel].concat(),
        last_country: payment.country.map(str::to_owned),
        is_remote: matches!(payment.channel, "online" | "atm"),
        was_declined: payment.declined,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYMENT: Payment<'static> = Payment {
        card: "c-1",
        // Thursday, 2026-01-01T01:30:00Z.
        event_time: Timestamp::from_micros(1_767_231_000_000_000),
        merchant: Some("m-17"),
        country: None,
        channel: "online",
        amount: 9.0,
        declined: false,
    };

    #[test]
    fn a_payment_makes_a_profile() {
        let profile = card_profile(PAYMENT).unwrap();
        assert_eq!((profile.paid_at, profile.hour_of_week), (PAYMENT.event_time, 73));
        assert!((profile.log_amount - 10.0_f64.ln()).abs() < 1e-12);
        assert_eq!((profile.used.as_str(), profile.last_country.as_deref()), ("m-17/online", None));
        assert!(profile.is_remote && !profile.was_declined);
        let cash = Payment { merchant: None, channel: "atm", country: Some("DE"), ..PAYMENT };
        let profile = card_profile(cash).unwrap();
        assert_eq!((profile.used.as_str(), profile.last_country.as_deref()), ("-/atm", Some("DE")));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for amount in [f64::NAN, f64::INFINITY, -0.5] {
            let refused = card_profile(Payment { amount, ..PAYMENT });
            assert_eq!(refused.map(|_| ()).unwrap_err().code(), IMPLAUSIBLE);
        }
    }
}
