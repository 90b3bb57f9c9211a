//! What the runners share, without disks, threads and sockets: steps of a stream, lookups and points in time.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type, UInt64Type};
use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use futures::FutureExt;
use trifold_model::{ArrivalTime, Cut, EventTime, LogId, Positions};
use trifold_oracle::{self as oracle, Event, Value, View};
use trifold_pipeline::lookup::Question;
use trifold_pipeline::windows::sweep;
use trifold_pipeline::{Ask, Changes, Ingested, Parts, PointInTime, Timeline, WindowIngest, lookup};
use trifold_sandbox::Budget;
use trifold_store::{Commit, Marker, OnlineStore, StateStore};
use trifold_tests::live::views;
use trifold_tests::memory::Memory;
use trifold_tests::online::key_columns;
use trifold_tests::random::SplitMix64;
use trifold_tests::rows::answered;

use crate::columns::{decoded, key};
use crate::compare::{check_row, check_unknown, is_unknown};
use crate::guests::{self, Guest};
use crate::stream::{SECOND, entities, log, one_in, pick};

/// Cases of each guest.
const CASES: u64 = 500;

/// A log and what is asked of it.
struct Case {
    guest: &'static Guest,
    seed: u64,
    view: View,
    log: Vec<Event>,
    random: SplitMix64,
}

#[track_caller]
fn check(guest: &'static Guest) {
    for seed in 0..CASES {
        let mut random = SplitMix64(seed);
        let view = (guest.oracle)();
        // A view with limits needs arrivals.
        let arrivals = view.lateness.is_some() || one_in(&mut random, 2);
        let count = 1 + random.between(0, 36);
        let log = log(&mut random, guest.keys, count, arrivals);
        let mut case = Case { guest, seed, view, log, random };
        case.check_stream();
        case.check_points();
    }
}

#[test]
fn aggregates_in_any_order() {
    check(&guests::NUMBERS);
}

#[test]
fn aggregates_in_any_order_within_limits() {
    check(&guests::NUMBERS_LIMITS);
}

#[test]
fn aggregates_of_copies() {
    check(&guests::NUMBERS_COPIES);
}

#[test]
fn aggregates_in_order() {
    check(&guests::ORDER);
}

#[test]
fn aggregates_in_order_within_limits() {
    check(&guests::ORDER_LIMITS);
}

#[test]
fn an_own_fold() {
    check(&guests::FOLD);
}

#[test]
fn an_own_fold_within_limits() {
    check(&guests::FOLD_LIMITS);
}

#[test]
fn an_own_fold_within_a_time_to_live() {
    check(&guests::FOLD_TTL);
}

impl Case {
    fn what(&self) -> String {
        format!("{} {:?}, seed {}", self.guest.package, self.guest.features, self.seed)
    }

    #[track_caller]
    fn compare(&self, what: impl Fn() -> String, question: &oracle::Question, found: &trifold_tests::rows::Row) {
        let expected = oracle::answer(&self.view, &self.log, question);
        let what = || format!("{}: {}: {question:?}", self.what(), what());
        check_row(self.guest.version().view(), what, &expected, found);
    }

    /// In steps of one size; a step may be computed and lost before it is computed again and committed. After steps
    /// everybody is looked up.
    fn check_stream(&mut self) {
        let memory = Memory::default();
        let emitted = oracle::emitted(&self.view, &self.log);
        let most = pick(&mut self.random, &[1, 3, 10, 100]);
        let mut next = 0;
        let mut seen = 0;
        while next < self.log.len() {
            let end = (next + most).min(self.log.len());
            if one_in(&mut self.random, 4) {
                self.step(&memory, next..end);
            }
            let ingested = self.step(&memory, next..end);
            let rows = answered(&ingested.rows);
            for (place, row) in rows.iter().enumerate() {
                let offset = ingested.events.offsets[place];
                let (at, expected) = &emitted[&offset];
                assert_eq!(ingested.as_of[place], EventTime(*at), "{}, offset {offset}", self.what());
                let what = || format!("{}: emitted at offset {offset} as of {at}", self.what());
                check_row(self.guest.version().view(), what, expected, row);
            }
            seen += rows.len();
            self.commit(&memory, ingested, end);
            next = end;
            if one_in(&mut self.random, 3) || next == self.log.len() {
                self.check_lookups(&memory, next as u64);
            }
        }
        assert_eq!(seen, emitted.len(), "{}: rows", self.what());
    }

    fn step(&self, memory: &Memory, rows: std::ops::Range<usize>) -> Ingested {
        let version = self.guest.version();
        let events = decoded(version.view(), self.guest.keys, &self.log, rows);
        let clock = events.arrivals.as_ref().and_then(|arrivals| arrivals.last().copied());
        let budget = &mut Budget::unlimited();
        let ingest = WindowIngest::new(version, &version.transform, events, budget).unwrap();
        let read = memory.read_slots(version.state_id(), ingest.queries()).now_or_never().unwrap().unwrap();
        ingest.fold(read.entities, clock, budget).unwrap()
    }

    /// Writes what a step changed, and what it comes to that nobody may need any more.
    fn commit(&mut self, memory: &Memory, ingested: Ingested, next: usize) {
        let Changes::Slots(mut slots) = ingested.changes else { panic!("a window view has slots") };
        let version = self.guest.version();
        let clock = self.log[..next].iter().filter_map(|event| event.arrival).max();
        if one_in(&mut self.random, 2) {
            let page = memory.scan_slots(version.state_id(), None, 3).now_or_never().unwrap().unwrap();
            let swept = sweep(
                version,
                page,
                |key| slots.stored.iter().any(|slot| slot.key == *key),
                clock.map(ArrivalTime),
                Parts::Untold,
            )
            .unwrap();
            slots.append(swept);
        }
        let marker = Marker {
            incarnation: 1,
            log: LogId("log".into()),
            source: String::new(),
            positions: Positions([(0, next as u64)].into()),
            consumed: Vec::new(),
            release: None,
            arrivals: clock.map(|clock| (0, clock)).into_iter().collect(),
        };
        let commit = Commit {
            state: version.state_id(),
            marker,
            puts: Vec::new(),
            slots: slots.stored,
            switches: Vec::new(),
        };
        memory.commit(vec![commit]).now_or_never().unwrap().unwrap();
    }

    /// Everybody, at the time of their latest event or later.
    fn check_lookups(&mut self, memory: &Memory, next: u64) {
        let at = self.time();
        let version = self.guest.version().clone();
        let entities = entities(self.guest.keys);
        let keys: Vec<_> = entities.iter().map(|entity| key(entity)).collect();
        let asking = Question {
            live: &views([version.clone()]),
            columns: key_columns(version.view(), &keys),
            views: vec![version],
            in_hand: Default::default(),
            time: EventTime(at),
            stopwatch: trifold_pipeline::lookup::stopped,
        };
        let asked = lookup(memory, asking, &mut Budget::unlimited()).now_or_never().unwrap().unwrap();
        let cut = oracle::Cut::Position([(0, next)].into());
        for ((entity, as_of), row) in entities.into_iter().zip(&asked.as_of).zip(answered(&asked.views[0].rows)) {
            let latest = oracle::latest(&self.view, &self.log, &entity, &cut);
            let at = latest.map_or(at, |latest| latest.max(at));
            if is_unknown(&self.view, &self.log[..next as usize], at) {
                check_unknown(|| format!("{}: after {next} events, as of {at}", self.what()), &row);
                continue;
            }
            assert_eq!(*as_of, EventTime(at), "{}", self.what());
            let question = oracle::Question { entity, at, before: false, cut: cut.clone() };
            self.compare(|| "looked up".to_owned(), &question, &row);
        }
    }

    /// A time near one of the log's, or long after all of them.
    fn time(&mut self) -> i64 {
        let event = self.random.between(0, self.log.len() as u64) as usize;
        let after = pick(&mut self.random, &[0, 0, 0, 1, -1, 1, 9, 10, 11, 60, 61, 1_200, 3_600, 4_801, 100_000]);
        self.log[event].time + after * pick(&mut self.random, &[1, SECOND])
    }

    /// Every event at its own position, and two other kinds of questions.
    fn check_points(&mut self) {
        let arrivals = self.log[0].arrival.is_some();
        let cuts = |random: &mut SplitMix64, count: usize| match random.between(0, 3) {
            0 => Cut::Position(Positions([(0, random.between(0, count as u64 + 1))].into())),
            1 if arrivals => Cut::Arrival,
            _ => Cut::All,
        };
        self.check_ask(Ask::OwnPosition, false);
        let count = self.log.len();
        let (cut, before) = (cuts(&mut self.random, count), one_in(&mut self.random, 3));
        self.check_ask(Ask::EveryEvent(cut), before);
        let (cut, before) = (cuts(&mut self.random, count), one_in(&mut self.random, 3));
        self.check_ask(Ask::Spine(cut), before);
    }

    fn check_ask(&mut self, ask: Ask, before: bool) {
        let version = self.guest.version();
        let timeline = Timeline::new(version, ask.clone(), before, &[]);
        let events = decoded(version.view(), self.guest.keys, &self.log, 0..self.log.len());
        let mut rows = vec![timeline.events(events).unwrap().0];
        let mut spine: Vec<(Vec<Value>, i64)> = Vec::new();
        if matches!(ask, Ask::Spine(_)) {
            let entities = entities(self.guest.keys);
            let question = |_| (pick(&mut self.random, &[0, 1, 2, 3]), self.time());
            spine = (0..12).map(question).map(|(entity, at)| (entities[entity].clone(), at)).collect();
            let keys: Vec<_> = spine.iter().map(|(entity, _)| key(entity)).collect();
            let times: Vec<_> = spine.iter().map(|(_, at)| EventTime(*at)).collect();
            rows.push(timeline.questions(&keys, &times, 0, &[]).unwrap());
        }
        let sorted = sorted(&concat_batches(timeline.schema(), &rows).unwrap());
        let mut walk = PointInTime::new(timeline, version.clone());
        let (mut next, budget) = (0, &mut Budget::unlimited());
        let mut answers = Vec::new();
        while next < sorted.num_rows() {
            let rows = (1 + self.random.between(0, 30) as usize).min(sorted.num_rows() - next);
            answers.push(walk.push(sorted.slice(next, rows), budget).unwrap());
            next += rows;
        }
        answers.push(walk.finish(budget).unwrap());
        let emitted = oracle::emitted(&self.view, &self.log);
        let within = |event: &Event| match &ask {
            Ask::EveryEvent(Cut::Position(cut)) => cut.includes(0, event.offset),
            _ => true,
        };
        let expected = match ask {
            Ask::Spine(_) => spine.len(),
            _ => emitted.keys().filter(|offset| within(&self.log[**offset as usize])).count(),
        };
        assert_eq!(answers.iter().map(|of| of.as_of.len()).sum::<usize>(), expected, "{}: {ask:?}", self.what());
        for answered_now in &answers {
            let numbers = answered_now.numbers().values();
            let rows = answered(&answered_now.rows);
            for ((number, row), as_of) in numbers.iter().zip(rows).zip(&answered_now.as_of) {
                let what = || format!("{ask:?}, before {before}, number {number}");
                let (entity, at, cut) = match &ask {
                    Ask::OwnPosition => {
                        let (at, expected) = &emitted[number];
                        assert_eq!(*as_of, EventTime(*at), "{}: {}", self.what(), what());
                        let what = || format!("{}: {}", self.what(), what());
                        check_row(version.view(), what, expected, &row);
                        continue;
                    }
                    Ask::Emitted(_) => unreachable!(),
                    Ask::EveryEvent(cut) => {
                        let event = &self.log[*number as usize];
                        (event.entity.clone(), event.time, cut)
                    }
                    Ask::Spine(cut) => {
                        let (entity, at) = &spine[*number as usize];
                        (entity.clone(), *at, cut)
                    }
                };
                assert_eq!(*as_of, EventTime(at), "{}: {}", self.what(), what());
                let cut = match cut {
                    Cut::All => oracle::Cut::All,
                    Cut::Arrival => oracle::Cut::Arrival,
                    Cut::Position(positions) => oracle::Cut::Position(positions.0.clone()),
                };
                self.compare(what, &oracle::Question { entity, at, before, cut }, &row);
            }
        }
    }
}

/// The rows of a timeline in the order that it asks for.
fn sorted(rows: &RecordBatch) -> RecordBatch {
    let keys = rows.column_by_name("key").unwrap().as_binary::<i32>();
    let moments = rows.column_by_name("moment").unwrap().as_primitive::<Int64Type>();
    let kinds = rows.column_by_name("kind").unwrap().as_primitive::<UInt8Type>();
    let numbers = rows.column_by_name("number").unwrap().as_primitive::<UInt64Type>();
    let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
    order.sort_by_key(|&row| {
        let row = row as usize;
        (keys.value(row), moments.value(row), kinds.value(row), numbers.value(row))
    });
    take_record_batch(rows, &UInt32Array::from(order)).unwrap()
}
