//! The sorted and the streamed plan.

use std::collections::BTreeMap;

use trifold_backfill::Plan;
use trifold_model::Cut;
use trifold_pipeline::Ask;

use crate::cuts::{assert_rows, position};
use crate::fixture::{Event, Limits, Random, Scene, echo, random_events, run};
use crate::oracle::{Oracle, Question};

#[test]
fn an_ordered_log_is_streamed_and_gives_the_rows_that_sorting_gives() {
    let seed = 0x5EED_0011;
    let mut random = Random(seed);
    let limits = Limits { ttl: Some(2), lateness: Some(9), max_early: None };
    let version = echo(limits, false);
    for (segments, shards) in [(1, 1), (9, 2), (9, 7), (4, 50)] {
        let mut events = random_events(&mut random, 500);
        events.sort_by_key(|event| event.time);
        let count = events.len();
        // One event out of order, of an entity of its own, is all that keeps a log from being streamed.
        let last = Event { key: 99, time: 0, id: "z".to_owned(), arrival: 0 };
        events.push(last);
        let scene = Scene::new(&events, segments);
        for ask in [Ask::OwnPosition, Ask::EveryEvent(Cut::All)] {
            let what = format!("seed {seed:#x}, segments {segments}, shards {shards}, {ask:?}");
            let mut job = scene.job(&version, ask.clone(), false, true);
            let (report, mut sorted) = run(&scene.backfill(job.clone(), shards)).unwrap();
            assert_eq!(report.plan, Plan::Sorted, "{what}");
            assert_eq!(report.files.len(), shards as usize, "{what}");
            sorted.remove(&(count as u64));
            job.until = Some(position(count as u64));
            let (report, streamed) = run(&scene.backfill(job, shards)).unwrap();
            assert_eq!(report.plan, Plan::Streamed, "{what}");
            assert!(report.files.len() <= shards as usize, "{what}");
            assert_eq!(streamed, sorted, "{what}");
            let oracle = Oracle::new(&events, true, limits, false);
            let expected: BTreeMap<_, _> = (0..count)
                .filter(|&offset| oracle.is_admitted(offset))
                .map(|offset| (offset as u64, oracle.answer(Question::Event(offset), &ask)))
                .collect();
            assert_rows(&streamed, &expected, &what);
        }
    }
}

#[test]
fn what_needs_other_times_is_sorted() {
    let mut events = random_events(&mut Random(0x5EED_0012), 100);
    events.sort_by_key(|event| event.time);
    let scene = Scene::new(&events, 2);
    let version = echo(Limits::default(), false);
    let cases = [
        (Ask::OwnPosition, false, Plan::Streamed),
        (Ask::OwnPosition, true, Plan::Sorted),
        (Ask::EveryEvent(Cut::All), true, Plan::Sorted),
        (Ask::EveryEvent(Cut::Arrival), false, Plan::Sorted),
        (Ask::EveryEvent(Cut::Position(position(60))), false, Plan::Streamed),
    ];
    for (ask, before, plan) in cases {
        let report = scene.backfill(scene.job(&version, ask.clone(), before, true), 2).run().unwrap();
        assert_eq!(report.plan, plan, "{ask:?}, before {before}");
    }
}

#[test]
fn both_plans_and_any_number_of_threads_write_the_same_files() {
    let mut events = random_events(&mut Random(0x5EED_0013), 400);
    let version = echo(Limits::default(), false);
    for ordered in [false, true] {
        if ordered {
            events.sort_by_key(|event| event.time);
        }
        let scene = Scene::new(&events, 6);
        let mut bytes = Vec::new();
        for threads in [1, 2, 5] {
            let mut backfill = scene.backfill(scene.job(&version, Ask::OwnPosition, false, false), 3);
            backfill.resources.threads = threads;
            let report = backfill.run().unwrap();
            let files = report.files.iter().map(|file| std::fs::read(&file.path).unwrap());
            bytes.push(files.collect::<Vec<_>>());
        }
        assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]), "ordered {ordered}");
    }
}
