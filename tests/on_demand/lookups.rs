//! Lookups of on-demand views, alone and with events in hand.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use trifold_model::types::UTC;
use trifold_model::{EventTime, RowStatus};
use trifold_pipeline::Outcome;
use trifold_server::client::{Answer, InHand, Lookup, ViewRows};
use trifold_tests::live::views;
use trifold_tests::online::Online;

use crate::site::{SECOND, Site, context_version, event, latest_version, numbers_version, requests};

const VALUE: Outcome = Outcome::Known(RowStatus::Value);

fn site() -> Site {
    Site::new(&[
        event(1000, 1, Some(4)),
        event(1010, 1, Some(5)),
        event(100, 2, None),
        event(1020, 1, Some(-1)),
        event(1015, 3, Some(7)),
    ])
}

fn get(server: &Online, features: &[&str], columns: &RecordBatch, second: i64) -> Answer {
    server.get(features, columns, Some(EventTime(second * SECOND))).unwrap()
}

fn ints(view: &ViewRows, column: &str) -> Vec<Option<i64>> {
    view.rows.outputs().column_by_name(column).unwrap().as_primitive::<Int64Type>().iter().collect()
}

fn floats(view: &ViewRows, column: &str) -> Vec<Option<f64>> {
    view.rows.outputs().column_by_name(column).unwrap().as_primitive::<Float64Type>().iter().collect()
}

#[test]
fn an_on_demand_view_has_what_the_views_answer_that_it_reads() {
    let site = site();
    let server = site.server(&[numbers_version(), latest_version(), context_version()]);
    let columns = requests(&[1, 2, 9, 1], &[Some(2.5), None, Some(f64::NAN), Some(-0.0)]);
    let answer = get(&server, &["context", "latest", "window_numbers"], &columns, 1030);
    let [context, latest, numbers] = &answer.views[..] else { panic!("{answer:?}") };
    assert!(context.rows.outcomes().iter().all(|outcome| *outcome == VALUE), "{:?}", context.rows.outcomes());
    assert_eq!(ints(context, "key_out"), [Some(1), Some(2), Some(9), Some(1)]);
    assert_eq!(ints(context, "count_out"), ints(numbers, "events_1h"));
    assert_eq!(ints(context, "count_out"), [Some(2), Some(1), Some(0), Some(2)]);
    assert_eq!(floats(context, "share_out"), floats(numbers, "share_1m"));
    // The row of 2 is expired and 9 never had an event.
    let statuses = [RowStatus::Value, RowStatus::Expired, RowStatus::Empty, RowStatus::Value];
    assert_eq!(latest.rows.outcomes(), statuses.map(Outcome::Known));
    assert_eq!(ints(context, "last_out"), [Some(-1), None, None, Some(-1)]);
    let amounts = floats(context, "amount_out");
    assert_eq!(
        (amounts[0], amounts[1], amounts[3].map(f64::to_bits)),
        (Some(2.5), None, Some((-0.0_f64).to_bits()))
    );
    let alone = get(&server, &["context"], &columns, 1030);
    assert_eq!(alone.as_of, answer.as_of);
    assert_eq!(alone.views[0].rows.canonical().unwrap(), context.rows.canonical().unwrap());
    // The digests that the server sends are those of the bytes that a client sees.
    assert_eq!(context.rows.digests().unwrap(), context.digests);
    assert_eq!(context.position, None);
    let reads: Vec<_> = context.reads.iter().map(|read| (read.view.as_str(), read.version)).collect();
    assert_eq!(reads, [("latest", 2), ("window_numbers", 1)]);
    assert_eq!([&context.reads[0].position, &context.reads[1].position], [&latest.position, &numbers.position]);
}

#[test]
fn a_row_is_asked_at_the_latest_time_of_all_that_it_reads() {
    let site = site();
    let server = site.server(&[numbers_version(), latest_version(), context_version()]);
    // The window view refused the event at 1020, which the row view took.
    let answer = get(&server, &["context", "window_numbers"], &requests(&[1, 3], &[None, None]), 0);
    assert_eq!(answer.as_of, [1020, 1015].map(|second| EventTime(second * SECOND)));
    assert_eq!(ints(&answer.views[0], "count_out"), [Some(2), Some(1)]);
}

#[test]
fn a_request_field_that_may_be_null_may_be_left_out() {
    let server = site().server(&[numbers_version(), latest_version(), context_version()]);
    let key = requests(&[1], &[None]).project(&[0]).unwrap();
    assert_eq!(floats(&get(&server, &["context"], &key, 0).views[0], "amount_out"), [None]);
    let amount = requests(&[1], &[None]).project(&[1]).unwrap();
    let error = server.get(&["context"], &amount, None).unwrap_err().to_string();
    assert!(error.contains("view context needs the request columns key, amount; `key` is missing"), "{error}");
}

#[test]
fn what_is_not_in_force_leaves_nothing_but_the_view_itself_unavailable() {
    let site = site();
    let (numbers, latest, context) = (numbers_version(), latest_version(), context_version());
    let store = site.streamed(&[numbers.clone(), latest]);
    let server = Online::fixed(Arc::new(store), views([numbers, context]));
    let answer = get(&server, &["context", "window_numbers"], &requests(&[1, 3], &[None, None]), 0);
    for outcome in answer.views[0].rows.outcomes() {
        let Outcome::Unavailable(reason) = outcome else { panic!("{outcome:?}") };
        assert!(
            reason.contains("input last is the feature latest.value_out, but there is no view latest"),
            "{reason}"
        );
    }
    assert_eq!(answer.views[1].rows.outcomes(), [VALUE, VALUE]);
}

#[test]
fn what_has_no_state_leaves_a_view_unavailable_with_the_reason() {
    let site = site();
    let (numbers, latest, context) = (numbers_version(), latest_version(), context_version());
    let store = site.streamed(std::slice::from_ref(&numbers));
    let server = Online::fixed(Arc::new(store), views([numbers, latest, context]));
    let answer = get(&server, &["context"], &requests(&[1], &[None]), 0);
    let Outcome::Unavailable(reason) = &answer.views[0].rows.outcomes()[0] else { panic!("{answer:?}") };
    assert!(reason.contains("it reads view latest, which is unavailable: no events of view latest"), "{reason}");
}

/// Events in hand of one view: of each row the time, or none, and the value.
pub(crate) fn in_hand(view: &str, events: &[Option<(i64, &str, Option<i64>)>]) -> InHand {
    let times = events.iter().map(|event| event.map(|(second, ..)| second * SECOND));
    let times: ArrayRef = Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone(UTC));
    let ids: ArrayRef = Arc::new(events.iter().map(|event| event.map(|(_, id, _)| id)).collect::<StringArray>());
    let values: ArrayRef =
        Arc::new(events.iter().map(|event| event.and_then(|(.., it)| it)).collect::<Int64Array>());
    let columns = [("event_time", times, true), ("event_id", ids, true), ("value", values, true)];
    InHand { view: view.to_owned(), events: RecordBatch::try_from_iter_with_nullable(columns).unwrap() }
}

fn with(server: &Online, features: &[&str], columns: &RecordBatch, in_hand: &[InHand]) -> Answer {
    let features: Vec<_> = features.iter().map(|&feature| feature.to_owned()).collect();
    let lookup = Lookup { features: &features, columns, as_of: Some(EventTime(0)), in_hand };
    server.runtime().block_on(server.client().look_up(lookup)).unwrap()
}

#[test]
fn an_event_in_hand_counts_for_its_row_in_every_view_that_it_is_for() {
    let site = site();
    let server = site.server(&[numbers_version(), latest_version(), context_version()]);
    let columns = requests(&[1, 1, 1, 9], &[None; 4]);
    let events = [None, Some((1040, "x", Some(8))), Some((1005, "y", Some(6))), Some((50, "z", Some(2)))];
    let held = ["latest", "window_numbers"].map(|view| in_hand(view, &events));
    let answer = with(&server, &["context", "latest"], &columns, &held);
    let context = &answer.views[0];
    assert_eq!(answer.as_of, [1020, 1040, 1020, 50].map(|second| EventTime(second * SECOND)));
    assert_eq!(ints(context, "count_out"), [Some(2), Some(3), Some(3), Some(1)]);
    assert_eq!(ints(context, "last_out"), [Some(-1), Some(8), Some(-1), Some(2)]);
    assert_eq!(ints(&answer.views[1], "value_out"), ints(context, "last_out"));
    // Nothing of it is kept.
    let after = with(&server, &["context"], &columns, &[]);
    assert_eq!(ints(&after.views[0], "count_out"), [Some(2), Some(2), Some(2), Some(0)]);
    // The copy in the log counts.
    let copy = in_hand("latest", &[Some((1020, "e1020", Some(99)))]);
    let answer = with(&server, &["latest"], &requests(&[1], &[None]).project(&[0]).unwrap(), &[copy]);
    assert_eq!(ints(&answer.views[0], "value_out"), [Some(-1)]);
}

#[test]
fn an_event_in_hand_that_does_not_count_takes_the_answer_of_its_row() {
    let site = site();
    let server = site.server(&[numbers_version(), latest_version(), context_version()]);
    let events = [Some((1040, "x", Some(-8))), Some((1040, "y", Some(8)))];
    let held = [in_hand("window_numbers", &events)];
    let answer = with(&server, &["context", "window_numbers"], &requests(&[1, 1], &[None; 2]), &held);
    for view in &answer.views {
        let Outcome::Unavailable(reason) = &view.rows.outcomes()[0] else { panic!("{view:?}") };
        assert!(reason.contains("the event in hand does not count: refused with code 2"), "{reason}");
        assert_eq!(view.rows.outcomes()[1], VALUE);
        assert!(view.rows.outputs().columns().iter().all(|column| column.is_null(0)));
    }
}

#[test]
fn events_in_hand_that_are_none_are_refused() {
    let server = site().server(&[numbers_version(), latest_version(), context_version()]);
    let one = || in_hand("latest", &[Some((1, "x", None))]);
    let without = |columns: &[usize]| InHand { events: one().events.project(columns).unwrap(), ..one() };
    let named = |name: &str| {
        let columns = one().events.columns().to_vec();
        let columns = ["event_time", "event_id", name].into_iter().zip(columns).map(|(name, it)| (name, it, true));
        InHand { events: RecordBatch::try_from_iter_with_nullable(columns).unwrap(), ..one() }
    };
    let two = InHand { events: in_hand("latest", &[None, None]).events, ..one() };
    let cases = [
        (InHand { view: "gone".to_owned(), ..one() }, "no view `gone` is in force"),
        (InHand { view: "context".to_owned(), ..one() }, "it is neither asked for nor read"),
        (without(&[1]), "the column `event_time` is missing"),
        (without(&[0]), "the column `event_id` is missing"),
        (in_hand("latest", &[None]), ""),
        (named("key"), "column `key` is a key field, which is taken from the columns of the request"),
        (named("price"), "column `price` is no field of its events"),
        (two, "column `event_time` has 2 rows and the request has 1"),
    ];
    let columns = requests(&[1], &[None]);
    for (held, part) in cases {
        let features = ["context".to_owned()];
        let lookup = Lookup { features: &features, columns: &columns, as_of: None, in_hand: &[held] };
        let answer = server.runtime().block_on(server.client().look_up(lookup));
        match part {
            "" => drop(answer.unwrap()),
            part => {
                let error = answer.unwrap_err().to_string();
                assert!(error.contains(part), "`{part}` is not in: {error}");
            }
        }
    }
    let features = ["context".to_owned()];
    let twice = [one(), one()];
    let lookup = Lookup { features: &features, columns: &columns, as_of: None, in_hand: &twice };
    let error = server.runtime().block_on(server.client().look_up(lookup)).unwrap_err().to_string();
    assert!(error.contains("events in hand of view latest: it is named twice"), "{error}");
}
