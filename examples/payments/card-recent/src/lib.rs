//! The recent use of a card: where it was last, and what it is used for most.

use trifold_sdk::prelude::*;

/// One payment.
#[derive(Input)]
pub struct Payment<'a> {
    /// The card.
    #[entity]
    pub card: &'a str,
    /// When it happened.
    pub event_time: Timestamp,
    /// The payment's id.
    pub event_id: &'a str,
    /// Who was paid; none for cash from a machine.
    pub merchant: Option<&'a str>,
    /// Where it was made.
    pub country: Option<&'a str>,
    /// How it was made.
    pub channel: &'a str,
    /// What was paid, in euros.
    pub amount: f64,
}

/// How a card was used. What fades and what is most frequent depends on the order of payments, and so they are folded in
/// the order of their times, in whatever order they arrive.
#[window_view(event = Payment<'_>, windows = "1h, 1d", lateness = "1h", max_early = "1m")]
pub struct CardRecent {
    /// Payments, refused ones included.
    #[of(())]
    pub payments: Count,
    /// Euros, of which half are forgotten every ten minutes.
    #[of((event.event_time, event.amount))]
    pub burst: DecayedSum<600>,
    /// The two merchants that it paid most often.
    #[of(event.merchant)]
    pub usual_merchants: TopFrequent<2>,
    /// How it was used most often.
    #[of(event.channel)]
    pub usual_channel: TopFrequent<1>,
    /// The first amount, in euros.
    #[of((event.event_time, event.event_id, event.amount))]
    pub first_amount: First<f64>,
    /// Where it was last.
    #[of((event.event_time, event.event_id, event.country))]
    pub last_country: Last<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use trifold_sdk::aggregate::Aggregate;
    use trifold_sdk::fold;

    fn payment(second: i64, merchant: &'static str, country: Option<&'static str>) -> Payment<'static> {
        Payment {
            card: "c-1",
            event_time: Timestamp::from_micros(second * 1_000_000),
            event_id: "p-1",
            merchant: Some(merchant),
            country,
            channel: "chip",
            amount: 8.0,
        }
    }

    #[test]
    fn an_hour_of_shopping() {
        let payments = [payment(0, "m-1", Some("FR")), payment(600, "m-2", Some("DE")), payment(600, "m-2", None)];
        let hour = fold::<CardRecent>(payments).unwrap();
        let now = Timestamp::from_micros(600_000_000);
        assert_eq!(hour.payments.finish(now), 3);
        // Half of the first, and all of the others.
        assert!((hour.burst.finish(now) - 20.0).abs() < 1e-9);
        assert_eq!(hour.usual_merchants.finish(now), ["m-2", "m-1"]);
        assert_eq!(hour.usual_channel.finish(now), ["chip"]);
        assert_eq!(hour.first_amount.finish(now), Some(8.0));
        assert_eq!(hour.last_country.finish(now).as_deref(), Some("DE"));
    }
}
