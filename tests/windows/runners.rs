//! The runners themselves: a worker over files and the embedded store, the server over its socket, and backfills.

use std::collections::BTreeMap;
use std::sync::Arc;

use tempfile::TempDir;
use trifold_backfill::{Questions, Resources};
use trifold_eventlog::{FileLog, RowFileWriter, RowFormat};
use trifold_model::{Cut, EventTime, Positions};
use trifold_oracle::{self as oracle, Event, Question, Value, View};
use trifold_pipeline::Ask;
use trifold_store::EmbeddedStore;
use trifold_stream::{NoSink, Sink, Worker};
use trifold_tests::live::views;
use trifold_tests::online::{Online, runtime};
use trifold_tests::random::SplitMix64;
use trifold_tests::recorded::Recorded;
use trifold_tests::rows::{self, Row};
use trifold_tests::stores;

use crate::columns::{self, key};
use crate::compare::{check_row, check_unknown, is_unknown};
use crate::guests::{self, Guest};
use crate::stream::{SECOND, entities, log, one_in, pick};

/// Logs of each guest.
const CASES: u64 = 3;
const EVENTS: u64 = 70;

/// A log in files, with the view that is computed over it.
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) guest: &'static Guest,
    pub(crate) view: View,
    pub(crate) log: Vec<Event>,
    pub(crate) recorded: Recorded,
}

impl Site {
    pub(crate) fn new(name: String, guest: &'static Guest, log: Vec<Event>) -> Self {
        let recorded = Recorded::new(log[0].arrival.map(|_| columns::ARRIVAL));
        let site = Site { name, guest, view: (guest.oracle)(), log, recorded };
        for (number, events) in site.log.chunks(40).enumerate() {
            let rows = columns::rows(guest.version().view(), guest.keys, events);
            let path = site.recorded.log().join(format!("{number:04}.parquet"));
            let mut file = RowFileWriter::create(&path, rows.schema(), RowFormat::Parquet).unwrap();
            file.write(&rows).unwrap();
            file.finish().unwrap();
        }
        site
    }

    /// A new directory.
    pub(crate) fn scratch(&self) -> TempDir {
        self.recorded.scratch()
    }

    /// A worker that has restored what the store and the sink hold.
    pub(crate) async fn worker<K: Sink>(
        &self,
        rows_max: usize,
        store: EmbeddedStore,
        sink: K,
    ) -> Worker<FileLog, K> {
        self.recorded.worker(std::slice::from_ref(self.guest.version()), rows_max, store, sink).await
    }

    /// Streams what the store has not had yet, up to an offset or to the end.
    pub(crate) fn apply(&self, rows_max: usize, store: &EmbeddedStore, sink: impl Sink, until: Option<u64>) {
        runtime().block_on(async {
            let mut worker = self.worker(rows_max, store.clone(), sink).await;
            while let Some(polled) = worker.poll(until).unwrap() {
                let step = worker.process(polled).await.unwrap();
                worker.commit(step).await.unwrap();
            }
        });
    }

    /// The rows of a stream to the end, with deaths of the worker.
    pub(crate) fn stream(&self, rows_max: usize, random: &mut SplitMix64) -> BTreeMap<u64, Row> {
        let version = self.guest.version();
        let streamed = self.recorded.stream(std::slice::from_ref(version), rows_max, random);
        rows::files(&streamed.rows(version), version.view())
    }

    /// The rows of a backfill over every event.
    pub(crate) fn backfill(&self, ask: Ask, before: bool, resources: Resources) -> BTreeMap<u64, Row> {
        self.recorded.backfill(self.guest.version(), ask, before, resources)
    }

    /// The answers to the rows of a spine.
    pub(crate) fn spine(
        &self,
        cut: Cut,
        before: bool,
        spine: &[(Vec<Value>, i64)],
        resources: Resources,
    ) -> Vec<Row> {
        let keys = spine.iter().map(|(entity, _)| key(entity)).collect();
        let as_of = spine.iter().map(|(_, at)| EventTime(*at)).collect();
        self.recorded.answers(self.guest.version(), cut, before, Questions { keys, as_of }, resources)
    }

    /// What is known of a log up to an offset.
    pub(crate) fn until(next: u64) -> oracle::Cut {
        oracle::Cut::Position([(0, next)].into())
    }

    #[track_caller]
    pub(crate) fn compare(&self, what: impl Fn() -> String, question: &Question, found: &Row) {
        let expected = oracle::answer(&self.view, &self.log, question);
        check_row(
            self.guest.version().view(),
            || format!("{}: {}: {question:?}", self.name, what()),
            &expected,
            found,
        );
    }

    /// Compares rows with those that the events emit.
    #[track_caller]
    pub(crate) fn compare_emitted(&self, what: &str, found: &BTreeMap<u64, Row>) {
        let emitted = oracle::emitted(&self.view, &self.log);
        let offsets: Vec<_> = emitted.keys().collect();
        assert_eq!(found.keys().collect::<Vec<_>>(), offsets, "{}: {what} has rows for other events", self.name);
        for (offset, (at, expected)) in &emitted {
            let what = || format!("{}: {what} at offset {offset}, as of {at}", self.name);
            check_row(self.guest.version().view(), what, expected, &found[offset]);
        }
    }
}

pub(crate) fn resources(random: &mut SplitMix64) -> Resources {
    Resources {
        shards: pick(random, &[1, 2, 5]),
        threads: pick(random, &[1, 2, 3]),
        // Each thread gets the least there is.
        memory_bytes_max: 1,
        pass_rows_max: pick(random, &[20, 1_000_000]),
    }
}

#[track_caller]
fn check(guest: &'static Guest) {
    for seed in 0..CASES {
        let mut random = SplitMix64(seed + 1_000);
        let log = log(&mut random, guest.keys, EVENTS, true);
        let site = Site::new(format!("{} {:?}, seed {seed}", guest.package, guest.features), guest, log);
        let steps = pick(&mut random, &[1, 7, 100]);
        site.compare_emitted("the stream", &site.stream(steps, &mut random));
        let resources = resources(&mut random);
        site.compare_emitted("the backfill", &site.backfill(Ask::OwnPosition, false, resources.clone()));
        check_online(&site, &mut random);
        let position = random.between(0, EVENTS + 1);
        for cut in [Cut::All, Cut::Arrival, Cut::Position(Positions([(0, position)].into()))] {
            check_every_event(&site, &cut, one_in(&mut random, 2), resources.clone());
            check_spine(&site, &cut, one_in(&mut random, 2), resources.clone(), &mut random);
        }
    }
}

/// Everybody is looked up after each step, at the time of an event, a while after it, and long after.
fn check_online(site: &Site, random: &mut SplitMix64) {
    let dir = site.scratch();
    let store = stores::open(dir.path());
    let server = Online::fixed(Arc::new(store.clone()), views([site.guest.version().clone()]));
    let runtime = runtime();
    let mut worker = runtime.block_on(site.worker(9, store, NoSink));
    let view = site.guest.version().view();
    let entities = entities(site.guest.keys);
    let keys: Vec<_> = entities.iter().map(|entity| key(entity)).collect();
    while let Some(polled) = worker.poll(None).unwrap() {
        let step = runtime.block_on(worker.process(polled)).unwrap();
        let next = runtime.block_on(worker.commit(step)).unwrap().next_offset;
        let cut = Site::until(next);
        for quiet in [0, 11, 61, 5_000] {
            let request = site.log[random.between(0, next) as usize].time + quiet * SECOND;
            let answered = server.look_up(view, &keys, EventTime(request), &[]);
            for (entity, row) in entities.iter().zip(rows::answered(&answered.rows)) {
                let latest = oracle::latest(&site.view, &site.log, entity, &cut);
                let at = latest.map_or(request, |latest| latest.max(request));
                if is_unknown(&site.view, &site.log[..next as usize], at) {
                    check_unknown(|| format!("{}: after {next} events, as of {at}", site.name), &row);
                    continue;
                }
                let question = Question { entity: entity.clone(), at, before: false, cut: cut.clone() };
                site.compare(|| "the server".to_owned(), &question, &row);
            }
        }
    }
}

pub(crate) fn of_oracle(cut: &Cut) -> oracle::Cut {
    match cut {
        Cut::All => oracle::Cut::All,
        Cut::Arrival => oracle::Cut::Arrival,
        Cut::Position(positions) => oracle::Cut::Position(positions.0.clone()),
    }
}

fn check_every_event(site: &Site, cut: &Cut, before: bool, resources: Resources) {
    let found = site.backfill(Ask::EveryEvent(cut.clone()), before, resources);
    let is_asked = |event: &Event| match cut {
        Cut::Position(positions) => positions.includes(0, event.offset),
        _ => true,
    };
    let admitted = oracle::admitted(&site.view, &site.log);
    let asked: Vec<_> = admitted.iter().map(|admitted| admitted.event).filter(|event| is_asked(event)).collect();
    let offsets: Vec<_> = asked.iter().map(|event| event.offset).collect();
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), offsets, "{}: {cut:?}", site.name);
    for event in asked {
        let (entity, cut) = (event.entity.clone(), of_oracle(cut));
        let question = Question { entity, at: event.time, before, cut };
        site.compare(|| format!("the backfill at offset {}", event.offset), &question, &found[&event.offset]);
    }
}

fn check_spine(site: &Site, cut: &Cut, before: bool, resources: Resources, random: &mut SplitMix64) {
    let entities = entities(site.guest.keys);
    let question = |_| {
        let event = random.between(0, EVENTS) as usize;
        let after = pick(random, &[0, 0, 1, -1, SECOND, 10 * SECOND, 61 * SECOND, 5_000 * SECOND]);
        (entities[random.between(0, 4) as usize].clone(), site.log[event].time + after)
    };
    let spine: Vec<_> = (0..50).map(question).collect();
    let found = site.spine(cut.clone(), before, &spine, resources);
    assert_eq!(found.len(), spine.len(), "{}", site.name);
    for ((entity, at), row) in spine.into_iter().zip(&found) {
        let question = Question { entity, at, before, cut: of_oracle(cut) };
        site.compare(|| "the spine".to_owned(), &question, row);
    }
}

#[test]
fn aggregates_in_any_order() {
    check(&guests::NUMBERS);
    check(&guests::NUMBERS_LIMITS);
    check(&guests::NUMBERS_COPIES);
}

#[test]
fn aggregates_in_order() {
    check(&guests::ORDER);
    check(&guests::ORDER_LIMITS);
}

#[test]
fn an_own_fold() {
    check(&guests::FOLD);
    check(&guests::FOLD_LIMITS);
    check(&guests::FOLD_TTL);
}
