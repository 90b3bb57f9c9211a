//! Lookups with a payment in hand, before the stream comes to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use payments_generator::Payment;
use trifold_model::EventTime;
use trifold_pipeline::LiveVersion;
use trifold_stream::NoSink;
use trifold_tests::live::views;
use trifold_tests::online::{Online, runtime};
use trifold_tests::rows::{self, Row};
use trifold_tests::stores;

use crate::log::{Copy, Log, counts, is_early, is_late};
use crate::site::{Emitted, Site, advance, in_hand, key, stored};

const SEED: u64 = 3;
/// How many payments of each kind are taken.
const EACH: usize = 4;

/// What is special about a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Late,
    Early,
    Duplicate,
    Conflicting,
    FirstOfCard,
    OutOfOrder,
    Ordinary,
}

fn kind(log: &Log, offset: u64) -> Kind {
    let payment = log.get(offset);
    if is_late(payment) {
        return Kind::Late;
    } else if is_early(payment) {
        return Kind::Early;
    }
    match log.copy(offset) {
        Some(Copy::Same) => Kind::Duplicate,
        Some(Copy::Differs) => Kind::Conflicting,
        None if log.around(offset).0.len() == 1 => Kind::FirstOfCard,
        None if log.as_of(offset) > payment.event_time => Kind::OutOfOrder,
        None => Kind::Ordinary,
    }
}

/// Some payments of each kind, spread over the log, and the first of all.
fn sample(log: &Log) -> BTreeMap<u64, Kind> {
    let mut of_kind: BTreeMap<Kind, Vec<u64>> = BTreeMap::new();
    for offset in 1..log.payments.len() as u64 {
        of_kind.entry(kind(log, offset)).or_default().push(offset);
    }
    assert_eq!(of_kind.len(), 7, "{:?}", of_kind.keys());
    let mut sample = BTreeMap::from([(0, kind(log, 0))]);
    for (kind, offsets) in of_kind {
        assert!(offsets.len() >= EACH, "{kind:?}: {offsets:?}");
        sample.extend(offsets.iter().step_by(offsets.len() / EACH).map(|offset| (*offset, kind)));
    }
    sample
}

fn look_up(server: &Online, version: &LiveVersion, payment: &Payment, at: i64, with: bool) -> Row {
    let held = with.then(|| in_hand(version, payment));
    let answer = server.look_up(version.view(), &[key(payment)], EventTime(at), held.as_slice());
    rows::answered(&answer.rows).remove(0)
}

#[track_caller]
fn check(what: &str, server: &Online, version: &LiveVersion, payment: &Payment, emitted: Option<&Emitted>) {
    let Some(emitted) = emitted else {
        // It arrives when it arrives, and does not count then.
        let reason = look_up(server, version, payment, payment.arrived_at, true).unwrap_err();
        let word = if is_late(payment) { "late: arrived" } else { "early: happened" };
        assert!(reason.contains("the event in hand does not count") && reason.contains(word), "{what}: {reason}");
        return;
    };
    assert_eq!(look_up(server, version, payment, payment.event_time, true), emitted.row, "{what}");
}

/// The stream stands just before a payment. With it in hand the server answers with the row that the stream then emits,
/// to the byte. What does not count has no answer.
#[test]
fn a_lookup_with_a_payment_in_hand_is_the_row_that_the_stream_emits_for_it() {
    let site = Site::new(SEED);
    let emitted = site.stream(700, SEED);
    let dir = site.recorded.scratch();
    let store = stores::open(dir.path());
    let server = Online::fixed(Arc::new(store.clone()), views(stored().to_vec()));
    let runtime = runtime();
    let mut worker = runtime.block_on(site.recorded.worker(stored(), 1_000, store, NoSink));
    let mut changed = 0;
    for (offset, kind) in sample(&site.log) {
        runtime.block_on(advance(&mut worker, offset));
        let payment = site.log.get(offset);
        for (version, emitted) in stored().iter().zip(&emitted) {
            let what = format!("seed {SEED}, {}, offset {offset}, {kind:?}", version.view().name);
            if offset == 0 {
                // Nothing says yet whether the log holds a payment of the card.
                let reason = look_up(&server, version, payment, payment.event_time, true).unwrap_err();
                assert!(reason.contains("no events of view") && reason.contains("trifold stream"), "{reason}");
                continue;
            }
            check(&what, &server, version, payment, emitted.get(&offset));
            if counts(payment) {
                let without = look_up(&server, version, payment, payment.event_time, false);
                changed += usize::from(without != emitted[&offset].row);
            }
        }
    }
    assert!(changed > 4 * EACH, "{changed} answers differ from those without the payment");
}
