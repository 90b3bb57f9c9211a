//! The payments, and which of them count.

use payments_generator::{Account, Config, Generator, Payment, Share, Shares};

const SECOND: i64 = 1_000_000;
/// What the views of the example allow.
const LATENESS: i64 = 3_600 * SECOND;
const MAX_EARLY: i64 = 60 * SECOND;

/// More disorder than anybody has, so that each kind of it meets every other.
pub(crate) fn config(seed: u64) -> Config {
    Config {
        seed,
        events: 3_000,
        cards: 40,
        merchants: 40,
        // The payments of a bit more than the longest window.
        per_day: 2_000,
        shares: Shares {
            out_of_order: Share::percent(15),
            late: Share::percent(3),
            early: Share::percent(1),
            duplicate: Share::percent(4),
            conflicting: Share::percent(2),
        },
    }
}

/// A log: the offset of a payment is its place.
pub(crate) struct Log {
    pub(crate) config: Config,
    pub(crate) payments: Vec<Payment>,
    /// What the generator says of it.
    pub(crate) account: Account,
}

/// How a payment relates to one before it with the same card, time and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copy {
    Same,
    Differs,
}

pub(crate) fn is_late(payment: &Payment) -> bool {
    payment.arrived_at - payment.event_time > LATENESS
}

pub(crate) fn is_early(payment: &Payment) -> bool {
    payment.event_time - payment.arrived_at > MAX_EARLY
}

pub(crate) fn counts(payment: &Payment) -> bool {
    !is_late(payment) && !is_early(payment)
}

/// What a payment is known by, in canonical order.
pub(crate) fn identity(payment: &Payment) -> (i64, String) {
    (payment.event_time, payment.event_id())
}

impl Log {
    pub(crate) fn new(seed: u64) -> Self {
        let config = config(seed);
        let mut generator = Generator::new(config.clone()).unwrap();
        let payments = generator.by_ref().collect();
        Log { config, payments, account: generator.account() }
    }

    pub(crate) fn get(&self, offset: u64) -> &Payment {
        &self.payments[offset as usize]
    }

    /// The payments that count, by offset.
    pub(crate) fn admitted(&self) -> impl Iterator<Item = (u64, &Payment)> {
        (0..).zip(&self.payments).filter(|(_, payment)| counts(payment))
    }

    /// Those of the same card as one of them: known when that one was streamed, itself among them; and later in the log.
    pub(crate) fn around(&self, offset: u64) -> (Vec<&Payment>, Vec<&Payment>) {
        let card = self.get(offset).card;
        let of_card = self.admitted().filter(|(_, payment)| payment.card == card);
        let (known, later): (Vec<_>, Vec<_>) = of_card.partition(|(place, _)| *place <= offset);
        let payments = |of: Vec<(u64, _)>| of.into_iter().map(|(_, payment)| payment).collect();
        (payments(known), payments(later))
    }

    /// The as-of time of the row that a payment emits.
    pub(crate) fn as_of(&self, offset: u64) -> i64 {
        let (known, _) = self.around(offset);
        known.iter().map(|payment| payment.event_time).max().unwrap()
    }

    /// Whether a payment that counts is a copy of one before it that counts.
    pub(crate) fn copy(&self, offset: u64) -> Option<Copy> {
        let own = self.get(offset);
        let (known, _) = self.around(offset);
        let first = known.into_iter().find(|payment| identity(payment) == identity(own))?;
        match first {
            first if std::ptr::eq(first, own) => None,
            first if first.cents == own.cents => Some(Copy::Same),
            _ => Some(Copy::Differs),
        }
    }
}
