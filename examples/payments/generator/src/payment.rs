//! One payment.

use crate::random::SplitMix64;

/// One payment as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// The number behind the event id. Copies have that of what they copy.
    pub number: u64,
    /// When it happened, by the terminal's clock, in microseconds since 1970.
    pub event_time: i64,
    /// When it arrived, in microseconds since 1970.
    pub arrived_at: i64,
    /// The number behind the card.
    pub card: u64,
    /// The number behind the merchant; none for cash from a machine.
    pub merchant: Option<u64>,
    /// Where it was made, two letters; not known of some that were made online.
    pub country: Option<&'static str>,
    /// How it was made: `contactless`, `chip`, `online` or `atm`.
    pub channel: &'static str,
    /// What was paid, in cents.
    pub cents: u64,
    /// Whether the bank refused it.
    pub declined: bool,
}

const COUNTRIES: [&str; 8] = ["AT", "CH", "DE", "ES", "FR", "IT", "NL", "PL"];
const ATM: &str = "atm";
const ONLINE: &str = "online";
/// Each as often as it stands here.
const CHANNELS: [&str; 16] = [
    "contactless",
    "contactless",
    "contactless",
    "contactless",
    "contactless",
    "contactless",
    "contactless",
    "chip",
    "chip",
    "chip",
    "chip",
    ONLINE,
    ONLINE,
    ONLINE,
    ONLINE,
    ATM,
];
/// The largest amounts are this often twice the usual one.
const DOUBLINGS_MAX: u32 = 8;

/// What a payment is about, apart from when it was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purchase {
    pub(crate) card: u64,
    pub(crate) merchant: Option<u64>,
    pub(crate) country: Option<&'static str>,
    pub(crate) channel: &'static str,
    pub(crate) cents: u64,
    pub(crate) declined: bool,
}

impl Purchase {
    /// Somebody's next payment. What a card usually pays and where it is at home follows from its number.
    pub(crate) fn new(random: &mut SplitMix64, cards: u64, merchants: u64) -> Self {
        let card = random.ranked(cards);
        let mut habits = SplitMix64(card);
        let (home, usual) = (pick(&mut habits, &COUNTRIES), habits.between(300, 5_000));
        let channel = pick(random, &CHANNELS);
        let merchant = random.ranked(merchants);
        let is_abroad = random.between(0, 16) == 0;
        let country = if is_abroad { pick(random, &COUNTRIES) } else { home };
        let is_known = channel != ONLINE || random.between(0, 4) > 0;
        let cents = (usual * random.between(40, 200) / 100) << random.doublings(DOUBLINGS_MAX);
        Purchase {
            card,
            merchant: (channel != ATM).then_some(merchant),
            country: is_known.then_some(country),
            channel,
            cents,
            declined: random.between(0, 32) == 0,
        }
    }
}

#[inline]
fn pick(random: &mut SplitMix64, from: &[&'static str]) -> &'static str {
    from[random.between(0, from.len() as u64) as usize]
}

impl Payment {
    /// The event id.
    pub fn event_id(&self) -> String {
        format!("p-{}", self.number)
    }

    /// The card.
    pub fn card_text(&self) -> String {
        format!("c-{}", self.card)
    }

    /// What was paid, in euros: the double next to the cents.
    pub fn amount(&self) -> f64 {
        euros(self.cents)
    }
}

/// Cents as euros. One division of whole numbers, rounded once, is the same on every machine.
pub(crate) fn euros(cents: u64) -> f64 {
    cents as f64 / 100.0
}
