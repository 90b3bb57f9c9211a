//! Every event asked, at every cut.

use std::collections::BTreeMap;

use trifold_eventlog::RowFormat;
use trifold_model::{Cut, Positions};
use trifold_pipeline::Ask;

use crate::fixture::{Limits, Random, Row, Scene, echo, random_events, run};
use crate::oracle::{Expected, Oracle, Question};

pub(crate) fn position(next: u64) -> Positions {
    Positions([(0, next)].into())
}

#[track_caller]
pub(crate) fn assert_rows(found: &BTreeMap<u64, Row>, expected: &BTreeMap<u64, Expected>, what: &str) {
    let found: BTreeMap<_, _> = found
        .iter()
        .map(|(number, row)| (*number, Expected { as_of: row.as_of, status: row.status, value: row.value }))
        .collect();
    for (number, expected) in expected {
        assert_eq!(found.get(number), Some(expected), "{what}: row {number}");
    }
    assert_eq!(found.len(), expected.len(), "{what}: there are rows that nobody asked for");
}

#[test]
fn the_latest_event_within_the_cut_is_chosen() {
    let seed = 0x5EED_0001;
    let mut random = Random(seed);
    let limits = [
        Limits::default(),
        Limits { ttl: Some(3), ..Limits::default() },
        Limits { ttl: Some(5), lateness: Some(6), max_early: Some(1) },
    ];
    for (round, limits) in limits.into_iter().enumerate() {
        let version = echo(limits, false);
        for shards in [1, 2, 7] {
            let events = random_events(&mut random, 300 + 41 * shards as usize);
            let scene = Scene::new(&events, 1 + shards as usize);
            let cut = random.below(events.len() as u64 + 1);
            let asks = [
                Ask::OwnPosition,
                Ask::EveryEvent(Cut::All),
                Ask::EveryEvent(Cut::Arrival),
                Ask::EveryEvent(Cut::Position(position(cut))),
            ];
            for ask in asks {
                for (before, recorded) in [(false, true), (true, true), (false, false)] {
                    if ask == Ask::EveryEvent(Cut::Arrival) && !recorded {
                        continue;
                    }
                    let what = format!(
                        "seed {seed:#x}, round {round}, shards {shards}, {ask:?}, before {before}, recorded {recorded}"
                    );
                    let oracle = Oracle::new(&events, recorded, limits, before);
                    let asked =
                        if matches!(ask, Ask::EveryEvent(Cut::Position(_))) { cut as usize } else { events.len() };
                    let expected: BTreeMap<_, _> = (0..asked)
                        .filter(|&offset| oracle.is_admitted(offset))
                        .map(|offset| (offset as u64, oracle.answer(Question::Event(offset), &ask)))
                        .collect();
                    let mut backfill = scene.backfill(scene.job(&version, ask.clone(), before, recorded), shards);
                    if round == 1 {
                        backfill.output.format = RowFormat::JsonLines;
                    }
                    let (report, rows) = run(&backfill).unwrap_or_else(|error| panic!("{what}: {error}"));
                    assert_rows(&rows, &expected, &what);
                    let set_aside: u64 = report.aside.values().sum();
                    assert_eq!(set_aside as usize, asked - expected.len(), "{what}: set aside");
                }
            }
        }
    }
}

#[test]
fn only_events_before_the_end_are_read() {
    let seed = 0x5EED_0002;
    let mut random = Random(seed);
    let events = random_events(&mut random, 200);
    let scene = Scene::new(&events, 3);
    let limits = Limits::default();
    let version = echo(limits, false);
    for until in [0, 1, 67, 68, 133, 200, 999] {
        let mut job = scene.job(&version, Ask::OwnPosition, false, true);
        job.until = Some(position(until));
        let (report, rows) = run(&scene.backfill(job, 3)).unwrap();
        let read = until.min(200);
        assert_eq!((report.events_read, rows.len() as u64), (read, read), "seed {seed:#x}, until {until}");
        let oracle = Oracle::new(&events, true, limits, false);
        let expected: BTreeMap<_, _> = (0..read as usize)
            .map(|offset| (offset as u64, oracle.answer(Question::Event(offset), &Ask::OwnPosition)))
            .collect();
        assert_rows(&rows, &expected, &format!("seed {seed:#x}, until {until}"));
    }
}
