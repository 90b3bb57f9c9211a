//! The calls of a small view, by hand.

use trifold_sdk::prelude::*;
use trifold_sdk::rt::{Batch, Failure, Group, Span, WindowGuest};

use super::batches::{Answer, folded, group, packed, rows, span, states};

/// A payment.
#[derive(Input)]
struct Payment<'a> {
    #[entity]
    card: &'a str,
    #[entity]
    country: i64,
    amount: Option<f64>,
}

/// A payment as the host has it.
#[derive(Output, Clone)]
struct Sent {
    card: String,
    country: i64,
    amount: Option<f64>,
}

fn check(payment: &Payment<'_>) -> Result<(), RowError> {
    match payment.card {
        "stolen" => Err(RowError::new(9, format!("a stolen card in {}", payment.country))),
        _ => Ok(()),
    }
}

/// What a card pays.
#[window_view(event = Payment<'_>, windows = "1m, 1h", check = check)]
struct Spending {
    #[of(())]
    payments: Count,
    #[of(event.amount)]
    total: Sum,
    #[of(event.amount)]
    largest: Max<f64>,
}

fn payments<const N: usize>(amounts: [Option<f64>; N]) -> Batch {
    rows(amounts.map(|amount| Sent { card: "c1".into(), country: 49, amount }))
}

fn prepared<const N: usize>(amounts: [Option<f64>; N]) -> Batch {
    TrifoldComponent::prepare(payments(amounts)).unwrap().rows
}

fn state<const N: usize>(amounts: [Option<f64>; N]) -> Vec<u8> {
    folded::<TrifoldComponent>(payments(amounts))
}

#[track_caller]
fn check_accumulate(states_in: &[Vec<u8>], groups: &[Group], events: Batch, expected: &[Vec<u8>]) {
    let answer = TrifoldComponent::accumulate(packed(states_in.to_vec()), groups.to_vec(), events).unwrap();
    assert_eq!(states(&answer), expected);
}

#[track_caller]
fn check_failure(answer: Result<impl Sized, Failure>, expected: &str) {
    let Err(failure) = answer else { panic!("it does not fail: {expected}") };
    assert_eq!(failure.message, expected);
}

mod counting {
    use super::*;

    #[window_view(event = Payment<'_>, windows = "15m, 1h")]
    struct Payments {
        #[of(())]
        payments: Count,
    }

    /// The example of `wit/README.md`, section 7.
    #[test]
    fn the_worked_example_of_the_contract() {
        let states = Batch { rows: 2, words: vec![0, 2, 0x0301] };
        let prepared = Batch { rows: 3, words: vec![0] };
        let groups = vec![group(0, 0, 2), group(2, 2, 1), group(1, 0, 3)];
        let answer = TrifoldComponent::accumulate(states, groups, prepared).unwrap();
        assert_eq!(answer.rows, 3);
        assert_eq!(answer.words, [2 << 32, 6 << 32 | 4, 0x0601_0301_0201]);
    }
}

#[test]
fn refused_events_leave_their_neighbours_alone() {
    let sent = ["c1", "stolen", "c2"].map(|card| Sent { card: card.into(), country: 49, amount: Some(1.0) });
    let outcome = TrifoldComponent::prepare(rows(sent)).unwrap();
    let refused: Vec<_> = outcome.rejections.iter().map(|one| (one.row, one.code, one.message.as_str())).collect();
    assert_eq!(refused, [(1, 9, "a stolen card in 49")]);
    assert_eq!(outcome.rows.rows, 3);
}

#[test]
fn a_group_is_folded_onto_its_state() {
    let [one, two] = [[Some(1.0)], [Some(2.0)]].map(state);
    let both = state([Some(1.0), Some(2.0)]);
    let empty = Vec::new();
    // Two tile levels fold the same events: their groups overlap.
    let groups = [group(0, 0, 1), group(1, 0, 1), group(1, 0, 2), group(2, 1, 1), group(0, 1, 0)];
    let expected = [one.clone(), one.clone(), both.clone(), both.clone(), empty.clone()];
    check_accumulate(&[empty.clone(), empty, one], &groups, prepared([Some(1.0), Some(2.0)]), &expected);
    check_accumulate(&[two], &[], prepared([None]), &[]);
}

#[test]
fn a_group_goes_on_from_the_answer_of_an_earlier_one() {
    let amounts = [Some(1.0), None, Some(-4.5), Some(2.0)];
    let [one, two, three, four] =
        [state([amounts[0]]), state([amounts[0], None]), state([amounts[0], None, amounts[2]]), state(amounts)];
    let chain = [group(0, 0, 1), group(1, 1, 1), group(2, 2, 1), group(3, 3, 1)];
    check_accumulate(&[Vec::new()], &chain, prepared(amounts), &[one.clone(), two, three.clone(), four.clone()]);
    // A fork: the answer of the first group serves three others, and the state itself one more.
    let fork = [group(0, 0, 1), group(1, 1, 2), group(1, 1, 3), group(0, 0, 3), group(1, 0, 0), group(3, 0, 0)];
    let expected = [one.clone(), three.clone(), four.clone(), three, one, four];
    check_accumulate(&[Vec::new()], &fork, prepared(amounts), &expected);
    // With no states at all there is nothing to begin from.
    let answer = TrifoldComponent::accumulate(packed([]), vec![group(0, 0, 1)], prepared([None]));
    check_failure(answer, "group 0: 0 is neither one of the 0 states nor the answer for an earlier group");
}

#[test]
fn spans_are_merged() {
    let [one, two] = [[Some(1.0)], [Some(2.0)]].map(state);
    let parts = packed([one.clone(), Vec::new(), two.clone()]);
    let spans = vec![span(0, 3), span(1, 2), span(0, 1), span(1, 1), span(3, 0), span(0, 0)];
    let answer = TrifoldComponent::merge(parts, spans).unwrap();
    let both = state([Some(1.0), Some(2.0)]);
    assert_eq!(states(&answer), [both, two, one, Vec::new(), Vec::new(), Vec::new()]);
}

#[test]
fn windows_are_finished_entity_by_entity() {
    let tiles = [state([Some(1.0)]), state([Some(2.0), None]), state([Some(-8.0)])];
    let keys = rows(["c1", "c2", "c3"].map(|card| Key { card: card.into(), country: 49 }));
    // The second entity has no tile in either window, the third has the first's tiles in its longer one.
    let picks = vec![0, 0, 1, 2, 1, 0];
    let windows = vec![span(0, 1), span(0, 3), span(3, 0), span(6, 0), span(3, 1), span(3, 3)];
    let outcome = TrifoldComponent::finish(packed(tiles), picks, windows, keys, vec![0; 3]).unwrap();
    assert!(outcome.rejections.is_empty());
    let mut answer = Answer::new(&outcome.rows);
    assert_eq!(answer.next::<i64>(), [1, 0, 1]);
    assert_eq!(answer.next::<i64>(), [4, 0, 4]);
    assert_eq!(answer.next::<f64>(), [1.0, 0.0, -8.0]);
    assert_eq!(answer.next::<f64>(), [4.0, 0.0, -5.0]);
    assert_eq!(answer.next::<Option<f64>>(), [Some(1.0), None, Some(-8.0)]);
    assert_eq!(answer.next::<Option<f64>>(), [Some(2.0), None, Some(2.0)]);
    answer.finish();
}

/// The key's columns, as the host has them.
#[derive(Output)]
struct Key {
    card: String,
    country: i64,
}

fn key() -> Batch {
    rows([Key { card: "c1".into(), country: 49 }])
}

#[test]
fn bytes_that_are_no_state_fail_the_call_and_are_named() {
    let good = state([Some(1.0)]);
    let mut long = good.clone();
    long.push(0);
    let cases: [(&[u8], &str); 5] = [
        (&[0], "the state has bytes and no field"),
        (&[0b1000], "the state has more fields than the view"),
        (&[0b001], "the state ends 1 bytes too early"),
        (&good[..good.len() - 1], "the state ends 1 bytes too early"),
        (&long, "1 bytes follow the state"),
    ];
    for (bytes, message) in cases {
        let batch = || packed([good.clone(), bytes.to_vec()]);
        let answer = TrifoldComponent::accumulate(batch(), vec![group(1, 0, 1)], prepared([None]));
        check_failure(answer, &format!("state 1: {message}"));
        check_failure(TrifoldComponent::merge(batch(), vec![span(0, 2)]), &format!("state 1: {message}"));
        let windows = vec![span(0, 1), span(0, 1)];
        let answer = TrifoldComponent::finish(batch(), vec![1], windows, key(), vec![0]);
        check_failure(answer, &format!("tile 1: {message}"));
    }
}

#[test]
fn what_is_not_there_fails_the_call_and_is_named() {
    let states = || packed([state([Some(1.0)]), Vec::new()]);
    let accumulate = |group: Group| TrifoldComponent::accumulate(states(), vec![group], prepared([None, None]));
    check_failure(
        accumulate(group(2, 0, 1)),
        "group 0: 2 is neither one of the 2 states nor the answer for an earlier group",
    );
    check_failure(accumulate(group(0, 1, 2)), "group 0: of 2 events it wants 2 from 1");
    check_failure(accumulate(group(0, 0, u32::MAX)), "group 0: of 2 events it wants 4294967295 from 0");
    let merge = |span: Span| TrifoldComponent::merge(states(), vec![span]);
    check_failure(merge(span(3, 0)), "span 0: of 2 states it wants 0 from 3");
    let finish = |picks: &[u32], windows: &[Span], moments: usize| {
        TrifoldComponent::finish(states(), picks.to_vec(), windows.to_vec(), key(), vec![0; moments])
    };
    let none = span(0, 0);
    check_failure(finish(&[2], &[none; 2], 1), "pick 0: tile 2 is not one of the 2 tiles");
    check_failure(finish(&[1], &[none, span(1, 1)], 1), "window 1: of 1 picks it wants 1 from 1");
    check_failure(finish(&[], &[none; 3], 1), "1 keys come with 1 moments and 3 windows, not 2 for each");
    check_failure(finish(&[], &[none; 2], 2), "1 keys come with 2 moments and 2 windows, not 2 for each");
    let long = Batch { rows: 0, words: vec![0, 0] };
    check_failure(TrifoldComponent::merge(long, Vec::new()), "1 words follow the last input");
    let short = Batch { rows: 1, words: Vec::new() };
    check_failure(
        TrifoldComponent::merge(short, Vec::new()),
        "input states: a buffer of 8 bytes runs past the end of the slab",
    );
}
