//! What a view refuses, or cannot do, has the same answer in every runner and harms nobody else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;
use trifold_backfill::{Backfill, Output, Resources, Watch};
use trifold_eventlog::RowFormat;
use trifold_model::{Cut, ErrorCode, EventTime, RowStatus};
use trifold_oracle::{self as oracle, Event, Question, Value};
use trifold_pipeline::Ask;
use trifold_store::EmbeddedStore;
use trifold_stream::{FeedId, FileSink, NoSink, feed_dir};
use trifold_tests::live::views;
use trifold_tests::online::Online;
use trifold_tests::random::SplitMix64;
use trifold_tests::rows::{self, Row};
use trifold_tests::stores;

use crate::columns::key;
use crate::compare::check_row;
use crate::guests::{self, Guest};
use crate::runners::Site;
use crate::stream::{SECOND, entities, log, pick};

/// The code with which the guest refuses foot 0.
const LAME: ErrorCode = ErrorCode(9);

/// An event at a second.
fn event(offset: u64, entity: Vec<Value>, second: i64, id: &str, word: &str) -> Event {
    Event {
        entity,
        time: second * SECOND,
        id: id.to_owned(),
        arrival: None,
        partition: 0,
        offset,
        fields: BTreeMap::from([
            ("event_time", Value::Int(second * SECOND)),
            ("event_id", Value::Text(id.to_owned())),
            ("real", Value::Float(1.5)),
            ("length", Value::Float(0.25)),
            ("value", Value::Int(2)),
            ("word", Value::Text(word.to_owned())),
            ("flag", Value::Bool(true)),
        ]),
    }
}

/// The row of a foot that the guest will not have; nothing for others.
fn refused(entity: &[Value]) -> Option<Vec<u8>> {
    let code = match entity[1] {
        Value::Int(0) => LAME,
        Value::Int(1) => ErrorCode::TRAP,
        _ => return None,
    };
    Some([&[RowStatus::Error(code).byte()][..], &code.0.to_le_bytes()].concat())
}

#[track_caller]
fn check_refused(site: &Site, what: &str, question: &Question, found: &Row) {
    match refused(&question.entity) {
        Some(expected) => {
            let what = || format!("{}: {what}: {question:?}", site.name);
            check_row(site.guest.version().view(), what, &expected, found);
        }
        None => site.compare(|| what.to_owned(), question, found),
    }
}

#[test]
fn a_row_that_finish_refuses_or_traps_at_is_the_same_error_in_every_runner() {
    for seed in 0..4 {
        let mut random = SplitMix64(seed + 7_000);
        let guest = &guests::FOLD_REFUSES;
        let site = Site::new(format!("refusals, seed {seed}"), guest, log(&mut random, guest.keys, 60, false));
        let emitted = site.stream(pick(&mut random, &[1, 7, 100]), &mut random);
        let own = site.backfill(Ask::OwnPosition, false, Resources::default());
        assert_eq!(own, emitted, "{}", site.name);
        let rows = oracle::emitted(&site.view, &site.log);
        assert_eq!(rows.keys().collect::<Vec<_>>(), emitted.keys().collect::<Vec<_>>(), "{}", site.name);
        let mut refusals = 0;
        for (offset, (at, expected)) in &rows {
            let entity = &site.log[*offset as usize].entity;
            refusals += usize::from(refused(entity).is_some());
            let expected = refused(entity).unwrap_or_else(|| expected.clone());
            let what = || format!("{}: emitted at offset {offset}, as of {at}", site.name);
            check_row(guest.version().view(), what, &expected, &emitted[offset]);
        }
        assert!(refusals > 10 && refusals + 5 < rows.len(), "{}: {refusals} of {} rows", site.name, rows.len());
        let dir = site.scratch();
        let store = stores::open(dir.path());
        site.apply(9, &store, NoSink, None);
        let server = Online::fixed(Arc::new(store), views([guest.version().clone()]));
        let at = site.log.iter().map(|event| event.time).max().unwrap() + SECOND;
        // All in one request, twice: those that are refused beside those that are not.
        let entities = [entities(guest.keys), entities(guest.keys)].concat();
        let keys: Vec<_> = entities.iter().map(|entity| key(entity)).collect();
        let answered = server.look_up(guest.version().view(), &keys, EventTime(at), &[]);
        let spine: Vec<_> = entities.iter().map(|entity| (entity.clone(), at)).collect();
        let spine = site.spine(Cut::All, false, &spine, Resources::default());
        for ((entity, looked_up), spine) in entities.into_iter().zip(rows::answered(&answered.rows)).zip(&spine) {
            let question = Question { entity, at, before: false, cut: oracle::Cut::All };
            check_refused(&site, "the server", &question, &looked_up);
            check_refused(&site, "the spine", &question, spine);
        }
    }
}

/// An event of foot 2 that arrives at a second.
fn arriving(offset: u64, second: i64, arrival: i64) -> Event {
    let foot = vec![Value::Text("ann".to_owned()), Value::Int(2)];
    Event { arrival: Some(arrival * SECOND), ..event(offset, foot, second, &format!("e{offset}"), "") }
}

/// Streams and backfills some events, and holds which of them either sets aside, and why.
#[track_caller]
fn check_aside(site: &Site, store: &EmbeddedStore, expected: &[(&str, u64)]) {
    let dir = site.scratch();
    site.apply(2, store, FileSink::new().with_aside(dir.path().join("aside")), None);
    let streamed = aside(&feed_dir(&dir.path().join("aside"), &FeedId::of(site.guest.version())));
    let out = dir.path().join("out");
    let backfill = Backfill {
        job: site.recorded.job(site.guest.version(), Ask::OwnPosition, false),
        spine: None,
        output: Output { dir: out.clone(), format: RowFormat::Parquet, digest: true, overwrite: false },
        resources: Resources::default(),
        watch: Watch::default(),
    };
    backfill.run().unwrap();
    for lines in [streamed, aside(&out.join("_aside"))] {
        let told = lines.iter().map(|line| (line["reason"].as_str().unwrap(), line["offset"].as_u64().unwrap()));
        assert_eq!(told.collect::<Vec<_>>(), expected, "{lines:?}");
    }
}

#[test]
fn late_and_early_events_are_set_aside_with_the_reason() {
    // Fifteen seconds late and five early are allowed.
    let times = [(100, 100), (85, 100), (84, 100), (105, 100), (106, 100), (106, 101)];
    let events = (0..).zip(times).map(|(offset, (second, arrival))| arriving(offset, second, arrival));
    let site = Site::new("limits".to_owned(), &guests::FOLD_LIMITS, events.collect());
    let dir = site.scratch();
    check_aside(&site, &stores::open(dir.path()), &[("late", 2), ("early", 4)]);
}

/// A time to live bounds lateness, and is told as that; within the windows a value never expires by it.
#[test]
fn a_time_to_live_sets_late_events_aside_and_expires_nothing() {
    let guest = &guests::FOLD_TTL;
    let events = vec![arriving(0, 100, 100), arriving(1, 90, 105), arriving(2, 90, 106)];
    let site = Site::new("a time to live".to_owned(), guest, events);
    let dir = site.scratch();
    let store = stores::open(dir.path());
    check_aside(&site, &store, &[("late", 2)]);
    let server = Online::fixed(Arc::new(store), views([guest.version().clone()]));
    // Its windows are 21 seconds and twenty minutes long, in tiles of ten.
    let (value, empty) = (RowStatus::Value.byte(), RowStatus::Empty.byte());
    for (second, status) in [(100, value), (116, value), (1_200, value), (1_799, value), (1_800, empty)] {
        let (entity, at) = (site.log[0].entity.clone(), second * SECOND);
        let question = Question { entity: entity.clone(), at, before: false, cut: oracle::Cut::All };
        assert_eq!(oracle::answer(&site.view, &site.log, &question)[0], status, "{second} s");
        let answer = server.look_up(guest.version().view(), &[key(&entity)], EventTime(at), &[]);
        site.compare(|| format!("the server at {second} s"), &question, &rows::answered(&answer.rows)[0]);
        let spine = site.spine(Cut::All, false, &[(entity, at)], Resources::default());
        site.compare(|| format!("the spine at {second} s"), &question, &spine[0]);
    }
}

/// The lines of aside files.
fn aside(dir: &Path) -> Vec<Json> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An entity that reaches a limit: what is emitted of it, and answered about it, says so; its neighbour, with an event
/// beside each of its own, has values. An hour later it has values again.
#[track_caller]
fn check_hot(guest: &'static Guest, name: &str, hot: Vec<Event>, limit: &str) {
    let last = hot.iter().map(|event| event.time / SECOND).max().unwrap();
    let mut events = Vec::new();
    for own in hot {
        let neighbour = event(0, vec![Value::Int(2)], own.time / SECOND, "n", "w");
        events.extend([Event { offset: 0, ..own }, Event { time: own.time + 1, ..neighbour }]);
    }
    for number in [1, 2] {
        events.push(event(0, vec![Value::Int(number)], last + 10_000, "later", "w"));
    }
    for (offset, event) in (0..).zip(&mut events) {
        event.offset = offset;
        event.fields.insert("event_time", Value::Int(event.time));
    }
    let reached = events.len() as u64 - 2;
    let site = Site::new(name.to_owned(), guest, events);
    let dir = site.scratch();
    let store = stores::open(dir.path());
    let sink = FileSink::new().with_rows(dir.path().join("rows"), RowFormat::Parquet);
    site.apply(10, &store, sink.clone(), Some(reached));
    let view = guest.version().view();
    let server = Online::fixed(Arc::new(store.clone()), views([guest.version().clone()]));
    let ask = |number: i64, second: i64, until: u64| {
        let (entity, at) = (vec![Value::Int(number)], second * SECOND);
        let answer = server.look_up(view, &[key(&entity)], EventTime(at), &[]);
        let question = Question { entity, at, before: false, cut: Site::until(until) };
        (question, rows::answered(&answer.rows).remove(0))
    };
    let (_, row) = ask(1, last + 1, reached);
    assert!(row.as_ref().is_err_and(|reason| reason.contains(limit)), "{name}: {row:?}");
    let (question, row) = ask(2, last + 1, reached);
    site.compare(|| "the neighbour".to_owned(), &question, &row);
    site.apply(10, &store, sink, None);
    for number in [1, 2] {
        let (question, row) = ask(number, last + 10_000, reached + 2);
        site.compare(|| "an hour later".to_owned(), &question, &row);
    }
    let emitted = rows::files(&feed_dir(&dir.path().join("rows"), &FeedId::of(guest.version())), view);
    let unavailable: Vec<_> =
        emitted.iter().filter_map(|(offset, row)| Some((offset, row.as_ref().err()?))).collect();
    assert!(!unavailable.is_empty(), "{name}: every row has a value");
    let whole = site.backfill(Ask::OwnPosition, false, Resources::default());
    for (offset, (at, expected)) in oracle::emitted(&site.view, &site.log) {
        let what = || format!("{name}: emitted at offset {offset}, as of {at}");
        match &emitted[&offset] {
            Err(_) => assert_eq!(site.log[offset as usize].entity, [Value::Int(1)], "{}", what()),
            found => check_row(view, what, &expected, found),
        }
        // What is unavailable is never compared, but who is: the limit is reached at the same event.
        assert_eq!(whole[&offset].is_err(), emitted[&offset].is_err(), "{}", what());
    }
}

#[test]
fn an_entity_with_too_many_ids_is_unavailable_alone() {
    let id = |number: u64| format!("{number:04}").repeat(1_000);
    let events = (0..300).map(|number| event(number, vec![Value::Int(1)], 60, &id(number), "w"));
    let limit = "limit of 1048575 bytes for the events of one entity in ";
    check_hot(&guests::NUMBERS, "ids", events.collect(), limit);
}

#[test]
fn an_entity_whose_state_grows_too_large_is_unavailable_alone() {
    let word = |number: u64| format!("{number:04}").repeat(100_000);
    let events = (0..3_u64).map(|number| {
        event(number, vec![Value::Int(1)], 60 + 120 * number as i64, &format!("e{number}"), &word(number))
    });
    check_hot(&guests::ORDER, "state", events.collect(), "state limit of 1048575 bytes reached: a tile has ");
}

/// Two versions share a state and disagree about its layout, because the author forgot to say so: what was folded before
/// leaves those entities without values until it has left their windows, and nobody else.
#[test]
fn states_that_a_new_version_does_not_decode_leave_their_entities_without_values() {
    let (old, new) = (&guests::FOLD, &guests::FOLD_REPACKED);
    assert_eq!(old.version().state_id(), new.version().state_id());
    let foot = |number: i64| vec![Value::Text("ann".to_owned()), Value::Int(number)];
    let walk = [(1, 100), (1, 101), (1, 103), (2, 104), (1, 105), (2, 106), (1, 20_000), (2, 20_001)];
    let events = walk
        .iter()
        .zip(0..)
        .map(|(&(number, second), offset)| event(offset, foot(number), second, &format!("e{offset}"), "w"));
    let events: Vec<_> = events.collect();
    let (before, site) =
        (Site::new("the old".to_owned(), old, events.clone()), Site::new("the new".to_owned(), new, events));
    let dir = site.scratch();
    let store = stores::open(dir.path());
    before.apply(10, &store, NoSink, Some(3));
    let view = new.version().view();
    let server = Online::fixed(Arc::new(store.clone()), views([new.version().clone()]));
    let ask = |number: i64, second: i64, until: u64| {
        let at = second * SECOND;
        let answer = server.look_up(view, &[key(&foot(number)), key(&foot(3))], EventTime(at), &[]);
        let [row, nobody] = rows::answered(&answer.rows).try_into().unwrap();
        let question = |number| Question { entity: foot(number), at, before: false, cut: Site::until(until) };
        site.compare(|| "nobody".to_owned(), &question(3), &nobody);
        (question(number), row)
    };
    // What is only finished is a row error of the version that finishes.
    let failure =
        [&[RowStatus::Error(ErrorCode::FAILURE).byte()][..], &ErrorCode::FAILURE.0.to_le_bytes()].concat();
    assert_eq!(ask(1, 107, 3).1, Ok(failure));
    let sink = FileSink::new().with_rows(dir.path().join("rows"), RowFormat::Parquet);
    site.apply(10, &store, sink.clone(), Some(6));
    let (_, row) = ask(1, 107, 6);
    assert!(row.as_ref().is_err_and(|reason| reason.contains("it does not begin with a zero")), "{row:?}");
    let (question, row) = ask(2, 107, 6);
    site.compare(|| "who is new".to_owned(), &question, &row);
    site.apply(10, &store, sink, None);
    for number in [1, 2] {
        let (question, row) = ask(number, 20_002, 8);
        site.compare(|| "long after".to_owned(), &question, &row);
    }
    let emitted = rows::files(&feed_dir(&dir.path().join("rows"), &FeedId::of(new.version())), view);
    for (offset, (at, expected)) in
        oracle::emitted(&site.view, &site.log).into_iter().filter(|(offset, _)| *offset > 2)
    {
        match offset {
            4 => assert!(emitted[&offset].is_err(), "{:?}", emitted[&offset]),
            _ => {
                check_row(view, || format!("emitted at offset {offset}, as of {at}"), &expected, &emitted[&offset])
            }
        }
    }
}
