//! What comes out is what was asked for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::RecordBatch;
use payments_generator::{
    Account, Batches, Config, Generator, LATENESS, MAX_EARLY, Payment, Share, Shares, SpineBatches,
};

fn payments(config: &Config) -> (Vec<Payment>, Account) {
    let mut generator = Generator::new(config.clone()).unwrap();
    let payments: Vec<_> = generator.by_ref().collect();
    (payments, generator.account())
}

fn small() -> Config {
    Config { events: 50_000, cards: 1_000, ..Config::default() }
}

#[test]
fn a_seed_gives_the_same_payments_and_another_gives_others() {
    let (first, _) = payments(&small());
    assert_eq!(first, payments(&small()).0);
    assert_ne!(first, payments(&Config { seed: 8, ..small() }).0);
}

/// The first payments of the default seed. If they change, files that others have made cannot be made again.
#[test]
fn the_payments_of_a_seed_stay_the_same() {
    let (payments, _) = payments(&Config { events: 1_000, ..Config::default() });
    let sum = payments.iter().fold(0_u64, |sum, payment| {
        let Payment { number, event_time, arrived_at, card, cents, .. } = *payment;
        let texts = payment.country.unwrap_or("-").len() + payment.channel.len();
        let numbers = [number, event_time as u64, arrived_at as u64, card, cents, payment.merchant.unwrap_or(0)];
        let mix = |sum: u64, number: u64| (sum ^ number).wrapping_mul(0x0100_0000_01B3);
        numbers.into_iter().chain([texts as u64, payment.declined.into()]).fold(sum, mix)
    });
    assert_eq!(sum, 12_297_547_273_847_626_328);
}

#[test]
fn what_was_asked_for_is_there() {
    let config = small();
    let (payments, account) = payments(&config);
    assert_eq!((payments.len() as u64, account.events), (config.events, config.events));
    assert!(payments.windows(2).all(|pair| pair[0].arrived_at <= pair[1].arrived_at));
    let mut found = Account { events: config.events, ..Account::default() };
    let (mut latest, mut first) = (i64::MIN, BTreeMap::new());
    let mut numbers = BTreeSet::new();
    for payment in &payments {
        found.out_of_order += u64::from(payment.event_time < latest);
        found.late += u64::from(payment.arrived_at - payment.event_time > LATENESS);
        let is_early = payment.event_time - payment.arrived_at > MAX_EARLY;
        found.early += u64::from(is_early);
        match first.get(&payment.number) {
            None => drop(first.insert(payment.number, *payment)),
            Some(of) => {
                assert_eq!(Payment { arrived_at: of.arrived_at, cents: of.cents, ..*payment }, *of);
                found.duplicate += u64::from(of.cents == payment.cents);
                found.conflicting += u64::from(of.cents != payment.cents);
            }
        }
        numbers.insert(payment.number);
        if !is_early {
            latest = latest.max(payment.event_time);
        }
    }
    assert_eq!(found, account);
    // As many as the shares say, more or less.
    let about = |count: u64, expected: u64| assert!(count.abs_diff(expected) < expected / 3, "{count} {expected}");
    about(account.late, 500);
    about(account.early, 50);
    about(account.duplicate, 500);
    about(account.conflicting, 50);
    // Those that are to be, late ones and copies.
    about(account.out_of_order, 1_500 + 500 + 550);
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), (0..first.len() as u64).collect::<Vec<_>>());
}

#[test]
fn without_disorder_payments_arrive_in_the_order_of_their_times() {
    let none = Share::default();
    let shares = Shares { out_of_order: none, late: none, early: none, duplicate: none, conflicting: none };
    let (payments, account) = payments(&Config { shares, ..small() });
    assert!(payments.windows(2).all(|pair| pair[0].event_time < pair[1].event_time));
    assert_eq!(account, Account { events: 50_000, ..Account::default() });
}

#[test]
fn few_cards_pay_often_and_few_amounts_are_large() {
    let (payments, _) = payments(&small());
    let mut cards: BTreeMap<u64, usize> = BTreeMap::new();
    payments.iter().for_each(|payment| *cards.entry(payment.card).or_default() += 1);
    let mut counts: Vec<_> = cards.values().copied().collect();
    counts.sort();
    let median = counts[counts.len() / 2];
    assert!(cards.len() > 990 && cards[&1] > 30 * median, "{} {median}", cards[&1]);
    let mut cents: Vec<_> = payments.iter().map(|payment| payment.cents).collect();
    cents.sort();
    assert!(cents[cents.len() - 1] > 50 * cents[cents.len() / 2]);
}

#[test]
fn what_waits_for_its_arrival_does_not_grow_with_the_payments() {
    let mut generator = Generator::new(Config { events: 1_000_000, ..small() }).unwrap();
    let _ = generator.by_ref().nth(200_000);
    let after = generator.pending_count();
    let _ = generator.by_ref().nth(400_000);
    let long_after = generator.pending_count();
    assert!(after > 100 && long_after < 2 * after, "{after} {long_after}");
}

#[test]
fn batches_hold_the_payments() {
    let config = Config { events: 2_500, ..small() };
    let batches = Batches::new(Generator::new(config.clone()).unwrap(), 1_000);
    let batches: Vec<RecordBatch> = batches.map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [1_000, 1_000, 500]);
    let (payments, _) = payments(&config);
    let texts = |name: &str| {
        let columns = batches.iter().map(|batch| batch.column_by_name(name).unwrap().clone());
        let texts = columns.flat_map(|column| {
            let texts: &arrow_array::StringArray = column.as_any().downcast_ref().unwrap();
            texts.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
        });
        texts.collect::<Vec<_>>()
    };
    let expected = |of: fn(&Payment) -> Option<String>| payments.iter().map(of).collect::<Vec<_>>();
    assert_eq!(texts("event_id"), expected(|payment| Some(payment.event_id())));
    assert_eq!(texts("card"), expected(|payment| Some(payment.card_text())));
    assert_eq!(texts("merchant"), expected(|payment| payment.merchant.map(|number| format!("m-{number}"))));
    assert_eq!(texts("country"), expected(|payment| payment.country.map(str::to_owned)));
}

#[test]
fn a_spine_asks_within_the_time_of_the_payments() {
    let config = small();
    let batches: Vec<_> = SpineBatches::new(config.clone(), 70_000).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 70_000);
    let again: Vec<_> = SpineBatches::new(config.clone(), 70_000).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches, again);
    let (payments, _) = payments(&config);
    let (first, last) = (payments[0].event_time, payments[payments.len() - 1].arrived_at);
    for batch in &batches {
        let column = batch.column_by_name("as_of").unwrap();
        let times: &arrow_array::TimestampMicrosecondArray = column.as_any().downcast_ref().unwrap();
        assert!(times.values().iter().all(|at| (first - 2_000_000..=last).contains(at)));
    }
}
