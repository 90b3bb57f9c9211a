//! Single rules, on logs where they show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trifold_backfill::Resources;
use trifold_model::{Cut, EventTime};
use trifold_oracle::{self as oracle, Event, Question, Value, Window};
use trifold_pipeline::Ask;
use trifold_stream::NoSink;
use trifold_tests::live::views;
use trifold_tests::online::{Online, runtime};
use trifold_tests::random::SplitMix64;
use trifold_tests::rows;
use trifold_tests::stores;

use crate::columns::key;
use crate::guests::{self, Guest};
use crate::runners::Site;
use crate::stream::{SECOND, log};

const VALUE: u8 = 0;
const EMPTY: u8 = 1;

/// An event of entity 1 at a second.
fn event(offset: u64, second: i64) -> Event {
    Event {
        entity: vec![Value::Int(1)],
        time: second * SECOND,
        id: format!("e{offset}"),
        arrival: None,
        partition: 0,
        offset,
        fields: BTreeMap::from([
            ("event_time", Value::Int(second * SECOND)),
            ("event_id", Value::Text(format!("e{offset}"))),
            ("real", Value::Float(1.5)),
            ("value", Value::Int(2)),
            ("word", Value::Text("w".to_owned())),
            ("flag", Value::Bool(true)),
        ]),
    }
}

/// The counts of events in the three windows, which are the first columns of the row.
fn counts(row: &[u8]) -> [i64; 3] {
    [2, 11, 20].map(|at| i64::from_le_bytes(row[at..at + 8].try_into().unwrap()))
}

/// Three events, and then nothing happens any more: the windows of ten seconds, a minute and an hour run dry one by
/// one. Of somebody without events nothing is known, which is the same as nothing left.
#[test]
fn a_quiet_period_empties_the_windows() {
    let events = [100, 103, 130].iter().zip(0..).map(|(second, offset)| event(offset, *second));
    let site = Site::new("a quiet period".to_owned(), &guests::NUMBERS, events.collect());
    let dir = site.scratch();
    let store = stores::open(dir.path());
    let runtime = runtime();
    let mut worker = runtime.block_on(site.worker(10, store.clone(), NoSink));
    while let Some(polled) = worker.poll(None).unwrap() {
        let step = runtime.block_on(worker.process(polled)).unwrap();
        runtime.block_on(worker.commit(step)).unwrap();
    }
    let version = site.guest.version();
    let server = Online::fixed(Arc::new(store), views([version.clone()]));
    let quiet = [
        (130, VALUE, [1, 3, 3]),
        (140, VALUE, [1, 3, 3]),
        (141, VALUE, [0, 3, 3]),
        (160, VALUE, [0, 3, 3]),
        (161, VALUE, [0, 2, 3]),
        (190, VALUE, [0, 1, 3]),
        (191, VALUE, [0, 0, 3]),
        // The tiles of the hour have twenty minutes, so all three leave together.
        (4_799, VALUE, [0, 0, 3]),
        (4_800, EMPTY, [0, 0, 0]),
        (1_000_000, EMPTY, [0, 0, 0]),
    ];
    for (second, status, expected) in quiet {
        let at = second * SECOND;
        for (entity, status, expected) in [(1, status, expected), (9, EMPTY, [0, 0, 0])] {
            let entity = vec![Value::Int(entity)];
            let question = Question { entity: entity.clone(), at, before: false, cut: oracle::Cut::All };
            let row = oracle::answer(&site.view, &site.log, &question);
            assert_eq!((row[0], counts(&row)), (status, expected), "{second} s");
            let answer = server.look_up(version.view(), &[key(&entity)], EventTime(at), &[]);
            site.compare(|| format!("the server at {second} s"), &question, &rows::answered(&answer.rows)[0]);
            let spine = site.spine(Cut::All, false, &[(entity, at)], Resources::default());
            site.compare(|| format!("the spine at {second} s"), &question, &spine[0]);
        }
    }
}

/// What the stream emitted is what a backfill finds at the position of each event. With all that is known later it
/// finds other rows exactly where another event of the entity counts by then.
#[test]
fn late_events_change_the_rows_before_them_and_no_others() {
    for guest in [&guests::NUMBERS_LIMITS, &guests::FOLD_LIMITS] {
        let changed: usize = (0..4).map(|seed| check_late_events(guest, seed)).sum();
        assert!(changed > 100, "{}: {changed} rows change", guest.package);
    }
}

/// How many rows change.
#[track_caller]
fn check_late_events(guest: &'static Guest, seed: u64) -> usize {
    let mut random = SplitMix64(seed);
    let log = log(&mut random, guest.keys, 300, true);
    let site = Site::new(format!("{}, late events, seed {seed}", guest.package), guest, log);
    let emitted = site.stream(50, &mut random);
    assert_eq!(site.backfill(Ask::OwnPosition, false, Resources::default()), emitted, "{}", site.name);
    let admitted: Vec<&Event> = oracle::admitted(&site.view, &site.log).iter().map(|of| of.event).collect();
    assert!(admitted.len() < 300, "{}: all events count", site.name);
    let of_entity =
        |event: &Event| admitted.iter().filter(|of| of.entity == event.entity).copied().collect::<Vec<_>>();
    let mut spine = Vec::new();
    let mut expected = BTreeSet::new();
    for event in &admitted {
        let (known, later): (Vec<_>, Vec<_>) =
            of_entity(event).into_iter().partition(|of| of.offset <= event.offset);
        let at = known.iter().map(|known| known.time).max().unwrap();
        let first_tile = |window: &Window| {
            let hop = window.hop * SECOND;
            (at - window.length * SECOND).div_euclid(hop) * hop
        };
        let first = site.view.windows.iter().map(first_tile).min().unwrap();
        let is_copy = |later: &Event| known.iter().any(|known| (known.time, &known.id) == (later.time, &later.id));
        if later.iter().any(|later| (first..=at).contains(&later.time) && !is_copy(later)) {
            expected.insert(event.offset);
        }
        spine.push((event.entity.clone(), at));
    }
    let found = site.spine(Cut::All, false, &spine, Resources::default());
    let differ = admitted.iter().zip(&found).filter(|(event, row)| emitted[&event.offset] != **row);
    assert_eq!(differ.map(|(event, _)| event.offset).collect::<BTreeSet<_>>(), expected, "{}", site.name);
    expected.len()
}
