//! The description of a view, to the letter.

use trifold_sdk::prelude::*;
use trifold_sdk::rt::Guest;

/// One payment.
#[derive(Input)]
struct Payment<'a> {
    /// The card's "token".
    #[entity]
    card: &'a str,
    #[entity]
    r#type: i64,
    event_time: Timestamp,
    event_id: &'a str,
    /// In euros,
    /// with cents.
    ///
    /// Negative for refunds.
    amount: Option<f64>,
    embedding: &'a [f32],
}

/// What a card does.
#[derive(Output)]
struct Habits {
    /// Above a thousand.
    is_large: Option<bool>,
    words: Vec<String>,
}

/// Habits of a card.
#[row_view(
    name = "card_habits",
    ttl = "30d",
    lateness = "2h",
    max_early = "5m",
    state_version = 3,
    fuel = 1_000_000,
    memory = "8MiB"
)]
fn habits(payment: Payment<'_>) -> Result<Habits, RowError> {
    let words = vec![payment.card.to_owned(), payment.r#type.to_string(), payment.event_id.to_owned()];
    if payment.embedding.is_empty() {
        return Err("no embedding".into());
    }
    let is_large = payment.amount.map(|euros| euros > 1_000.0);
    Ok(Habits { is_large: is_large.filter(|_| payment.event_time.micros() > 0), words })
}

mod bare {
    use super::*;

    #[derive(Input)]
    struct Row {
        #[entity]
        key: i64,
    }

    /// Nothing but the key.
    #[derive(Output)]
    struct Features {
        key: i64,
    }

    #[row_view]
    fn bare(row: Row) -> Features {
        Features { key: row.key }
    }

    #[test]
    fn what_is_not_said_is_left_out() {
        assert_eq!(
            TrifoldComponent::describe(),
            concat!(
                r#"{"contract":1,"view":"bare","kind":"row","doc":"Nothing but the key.","entity":["key"],"#,
                r#""inputs":[{"name":"key","type":"int64","nullable":false,"source":"event","doc":""}],"#,
                r#""outputs":[{"name":"key","type":"int64","nullable":false,"doc":""}],"#,
                r#""windows":[],"state-version":1,"sdk":"trifold-sdk 0.1.0"}"#,
            )
        );
    }
}

#[test]
fn everything_that_is_said_is_described() {
    assert_eq!(
        TrifoldComponent::describe(),
        concat!(
            r#"{"contract":1,"view":"card_habits","kind":"row","doc":"Habits of a card.","entity":["card","type"],"#,
            r#""inputs":[{"name":"card","type":"utf8","nullable":false,"source":"event","doc":"The card's \"token\"."},"#,
            r#"{"name":"type","type":"int64","nullable":false,"source":"event","doc":""},"#,
            r#"{"name":"event_time","type":"timestamp","nullable":false,"source":"event","doc":""},"#,
            r#"{"name":"event_id","type":"utf8","nullable":false,"source":"event","doc":""},"#,
            r#"{"name":"amount","type":"float64","nullable":true,"source":"event","#,
            r#""doc":"In euros,\nwith cents.\n\nNegative for refunds."},"#,
            r#"{"name":"embedding","type":"list<float32>","nullable":false,"source":"event","doc":""}],"#,
            r#""outputs":[{"name":"is_large","type":"bool","nullable":true,"doc":"Above a thousand."},"#,
            r#"{"name":"words","type":"list<utf8>","nullable":false,"doc":""}],"#,
            r#""ttl-seconds":2592000,"lateness-seconds":7200,"max-early-seconds":300,"windows":[],"#,
            r#""state-version":3,"limits":{"fuel":1000000,"memory-bytes":8388608},"sdk":"trifold-sdk 0.1.0"}"#,
        )
    );
}
