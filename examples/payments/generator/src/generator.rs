//! Payments in the order in which they arrive.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::config::{Config, LATENESS, MAX_EARLY, START, Shares};
use crate::error::GeneratorError;
use crate::payment::{Payment, Purchase};
use crate::random::SplitMix64;

const MILLISECOND: i64 = 1_000;
const SECOND: i64 = 1_000 * MILLISECOND;

/// How long a payment is on its way that is on time.
const ON_TIME: Range<i64> = 50 * MILLISECOND..250 * MILLISECOND;
/// How long one that arrives after younger ones.
const OUT_OF_ORDER: Range<i64> = 5 * SECOND..900 * SECOND;
/// How long one that is late.
const LATE: Range<i64> = LATENESS + SECOND..3 * LATENESS;
/// How far a clock is ahead, beside the time on the way.
const AHEAD: Range<i64> = MAX_EARLY + SECOND..5 * MAX_EARLY;
/// How long after a payment its copy arrives.
const AGAIN: Range<i64> = SECOND..60 * SECOND;
/// By how much the amount of a copy differs, in cents.
const DIFFERENCE: Range<u64> = 1..1_000;
const MILLION: u64 = 1_000_000;

/// What a generator has made so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Events.
    pub events: u64,
    /// Those that come after one that happened later, not counting those by clocks that are ahead.
    pub out_of_order: u64,
    /// Those that arrive more than [`LATENESS`] after they happened.
    pub late: u64,
    /// Those that happened more than [`MAX_EARLY`] after their arrival.
    pub early: u64,
    /// Those that are as they were before, late or not.
    pub duplicate: u64,
    /// Those that were there before with another amount, late or not.
    pub conflicting: u64,
}

/// How an event relates to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copied {
    No,
    Same,
    Differs,
}

/// An event that has happened. Those that arrive together come in the order in which they were made.
#[derive(Debug, Clone, Copy)]
struct Pending {
    place: Reverse<(i64, u64)>,
    payment: Payment,
    copied: Copied,
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Pending {}

/// Payments in the order in which they arrive.
///
/// What waits for its arrival is what happened within three hours and was delayed, so that the memory depends on how
/// many payments happen in a day and on the shares, and not on how many there are in all.
#[derive(Debug, Clone)]
pub struct Generator {
    config: Config,
    random: SplitMix64,
    /// When the last payment happened, by a clock that is right.
    clock: i64,
    /// When the last payment arrives that is on time: these overtake each other never.
    on_time: i64,
    /// The latest event time so far by a clock that is not ahead.
    latest: i64,
    /// How many payments were made, without copies, and how many events.
    payments: u64,
    made: u64,
    pending: BinaryHeap<Pending>,
    account: Account,
}

impl Generator {
    /// Begins.
    pub fn new(config: Config) -> Result<Self, GeneratorError> {
        config.check()?;
        Ok(Generator {
            random: SplitMix64(config.seed),
            config,
            clock: START,
            on_time: i64::MIN,
            latest: i64::MIN,
            payments: 0,
            made: 0,
            pending: BinaryHeap::new(),
            account: Account::default(),
        })
    }

    /// What came out so far.
    pub fn account(&self) -> Account {
        self.account
    }

    /// How many events have happened and not arrived.
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Makes the next payment, and its copy if it has one.
    fn make(&mut self) {
        let gap = self.config.gap();
        // Between half and one and a half times the average, and never nothing.
        self.clock += self.random.between(gap - gap / 2, gap + gap / 2 + 1) as i64;
        let (event_time, arrived_at) = self.times();
        let Purchase { card, merchant, country, channel, cents, declined } =
            Purchase::new(&mut self.random, self.config.cards, self.config.merchants);
        let number = self.payments;
        let payment =
            Payment { number, event_time, arrived_at, card, merchant, country, channel, cents, declined };
        self.payments += 1;
        self.push(payment, Copied::No);
        let copied = self.copied();
        if copied != Copied::No && self.made < self.config.events {
            let arrived_at = arrived_at + self.random.micros(AGAIN.start, AGAIN.end);
            let more =
                if copied == Copied::Same { 0 } else { self.random.between(DIFFERENCE.start, DIFFERENCE.end) };
            self.push(Payment { arrived_at, cents: cents + more, ..payment }, copied);
        }
    }

    /// When the next payment happened by the terminal's clock, and when it arrives.
    fn times(&mut self) -> (i64, i64) {
        let Shares { out_of_order, late, early, .. } = self.config.shares;
        let (clock, fate, mut end) = (self.clock, self.random.between(0, MILLION), 0);
        let mut within = |range: Range<i64>| self.random.micros(range.start, range.end);
        let on_its_way = within(ON_TIME);
        if out_of_order.after(&mut end).contains(&fate) {
            (clock, clock + within(OUT_OF_ORDER))
        } else if late.after(&mut end).contains(&fate) {
            (clock, clock + within(LATE))
        } else if early.after(&mut end).contains(&fate) {
            (clock + on_its_way + within(AHEAD), clock + on_its_way)
        } else {
            self.on_time = self.on_time.max(clock + on_its_way);
            (clock, self.on_time)
        }
    }

    fn copied(&mut self) -> Copied {
        let Shares { duplicate, conflicting, .. } = self.config.shares;
        let (fate, mut end) = (self.random.between(0, MILLION), 0);
        if duplicate.after(&mut end).contains(&fate) {
            Copied::Same
        } else if conflicting.after(&mut end).contains(&fate) {
            Copied::Differs
        } else {
            Copied::No
        }
    }

    fn push(&mut self, payment: Payment, copied: Copied) {
        self.pending.push(Pending { place: Reverse((payment.arrived_at, self.made)), payment, copied });
        self.made += 1;
    }

    fn count(&mut self, payment: &Payment, copied: Copied) {
        let Payment { event_time, arrived_at, .. } = *payment;
        let account = &mut self.account;
        account.events += 1;
        account.out_of_order += u64::from(event_time < self.latest);
        account.late += u64::from(arrived_at - event_time > LATENESS);
        let is_early = event_time - arrived_at > MAX_EARLY;
        account.early += u64::from(is_early);
        account.duplicate += u64::from(copied == Copied::Same);
        account.conflicting += u64::from(copied == Copied::Differs);
        if !is_early {
            self.latest = self.latest.max(event_time);
        }
    }
}

impl Iterator for Generator {
    type Item = Payment;

    fn next(&mut self) -> Option<Payment> {
        // What has yet to happen arrives after the clock.
        while self.made < self.config.events
            && self.pending.peek().is_none_or(|first| first.payment.arrived_at > self.clock)
        {
            self.make();
        }
        let Pending { payment, copied, .. } = self.pending.pop()?;
        self.count(&payment, copied);
        Some(payment)
    }
}
