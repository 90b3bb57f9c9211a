//! What a worker refuses, and how it says so.

use std::fs;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use trifold_eventlog::{FileLog, LogOptions, read_row_files};
use trifold_model::{EntityKey, StateId};
use trifold_store::{
    Commit, EmbeddedStore, EntityQuery, Marker, OnlineStore, Page, RowSwitch, SlotPage, SlotSnapshot, Snapshot,
    StateStore, StoreError,
};
use trifold_stream::{Fixed, NoSink, Problem, StreamError, Until, WorkerConfig, feed_dir};

use trifold_pipeline::ArrivalPolicy;
use trifold_pipeline::row_table::RowTable;
use trifold_wat_guest::Act;

use crate::support::{World, config, driver, echo, event, feeds, joined, run, strict, unruly_events};

fn world() -> (World, Fixed) {
    let world = World::new();
    world.write_segment("0.jsonl", &joined(&unruly_events(4, 40)));
    let live = world.live(&[&echo("echo", "", 1)]);
    (world, live)
}

/// Each step is written by itself, and the next one reads what it wrote.
fn written_by_step() -> WorkerConfig {
    WorkerConfig { resident_bytes: 0, ..config(8) }
}

async fn refusal(store: Arc<dyn StateStore>, log: FileLog, live: &Fixed) -> StreamError {
    let mut driver = driver(log, store, NoSink, live.clone(), written_by_step());
    run(&mut driver, Until::End).await.unwrap_err()
}

#[tokio::test]
async fn nothing_in_force_is_an_error_unless_somebody_waits() {
    let (world, _) = world();
    let error = refusal(Arc::new(world.store("run")), world.log(), &world.live(&[])).await;
    assert!(matches!(error, StreamError::NoViews), "{error}");
}

#[tokio::test]
async fn a_state_of_another_log_is_left_alone() {
    let (world, live) = world();
    let store = Arc::new(world.store("run"));
    run(&mut driver(world.log(), store.clone(), NoSink, live.clone(), config(8)), Until::End).await.unwrap();
    let other = LogOptions { name: Some("other".to_owned()), ..LogOptions::default() };
    let error = refusal(store.clone(), FileLog::open(&world.log_dir(), other).unwrap(), &live).await;
    assert!(matches!(&error, StreamError::OtherLog { stored, given, .. } if stored == "log" && given == "other"));
    assert!(error.to_string().contains("with `--log-id log` if that was only renamed"), "{error}");
    world.write_segment("0.jsonl", &joined(&unruly_events(4, 39)));
    let error = refusal(store, world.log(), &live).await;
    assert!(matches!(error, StreamError::AheadOfLog { applied: 40, known: 39, .. }), "{error}");
}

/// The same events, vouched for instead of read with their arrivals.
fn vouched() -> WorkerConfig {
    let mut config = WorkerConfig { assume_on_time: true, ..config(8) };
    config.source.arrival = None;
    config
}

#[tokio::test]
async fn a_state_of_events_that_were_read_in_another_way_is_left_alone() {
    let (world, live) = world();
    let store = Arc::new(world.store("run"));
    let with = |config| driver(world.log(), store.clone(), NoSink, live.clone(), config);
    run(&mut with(vouched()), Until::Offset(16)).await.unwrap();
    let marker = store.marker(feeds(&live)[0].state).await.unwrap();
    let (mut time, mut id) = (vouched(), vouched());
    (time.source.event_time, id.source.event_id) = ("arrived".to_owned(), "key".to_owned());
    let own = r#"event_time="event_time";event_id="event_id";arrival="#;
    for (other, reading) in [
        (config(8), format!(r#"{own}"arrived""#)),
        (time, r#"event_time="arrived";event_id="event_id";arrival=assumed"#.to_owned()),
        (id, r#"event_time="event_time";event_id="key";arrival=assumed"#.to_owned()),
    ] {
        let error = run(&mut with(other), Until::End).await.unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, StreamError::OtherSource { given, .. } if given == reading), "{told}");
        assert!(told.contains(&format!("{own}assumed")) && told.contains("`trifold clear echo`"), "{told}");
    }
    assert_eq!(store.marker(feeds(&live)[0].state).await.unwrap(), marker);
    // Without a word on arrivals the view stands still, as it does without a state.
    let silent = WorkerConfig { assume_on_time: false, ..vouched() };
    let report = run(&mut with(silent), Until::End).await.unwrap();
    assert!(matches!(report.problems[..], [Problem::Arrival(_)]), "{:?}", report.problems);
    run(&mut with(vouched()), Until::End).await.unwrap();
    assert_eq!(store.marker(feeds(&live)[0].state).await.unwrap().unwrap().positions.next(0), 40);
}

#[tokio::test]
async fn vouching_changes_nothing_for_a_view_that_judges_no_arrivals() {
    let (world, _) = world();
    let live = world.live(&[&strict("strict")]);
    let store = Arc::new(world.store("run"));
    let with = |config| driver(world.log(), store.clone(), NoSink, live.clone(), config);
    run(&mut with(vouched()), Until::Offset(16)).await.unwrap();
    run(&mut with(WorkerConfig { assume_on_time: false, ..vouched() }), Until::Offset(24)).await.unwrap();
    // An arrival column does: an event without an arrival is set aside for every view.
    let error = run(&mut with(config(8)), Until::End).await.unwrap_err();
    assert!(matches!(error, StreamError::OtherSource { .. }), "{error}");
}

#[tokio::test]
async fn json_lines_stand_beside_what_says_where_arrivals_came_from() {
    let (world, live) = world();
    let feed = &feeds(&live)[0];
    let (dir, version) = (feed_dir(&world.rows_dir("run"), feed), &live.0.views[&feed.view]);
    let path = dir.join("_rows.json");
    fs::create_dir_all(&dir).unwrap();
    fs::write(&path, "of an earlier life").unwrap();
    run(
        &mut driver(world.log(), Arc::new(world.store("run")), world.sink("run"), live.clone(), vouched()),
        Until::End,
    )
    .await
    .unwrap();
    let described = fs::read_to_string(path).unwrap();
    assert_eq!(described, "{\"format\":1,\"view\":\"echo\",\"arrival\":\"assumed-on-time\"}\n");
    let table = RowTable::of_events(version.view(), ArrivalPolicy::AssumedOnTime, true);
    let rows = read_row_files(&dir, Some(table.schema().clone())).unwrap();
    assert!(rows.map(|rows| rows.unwrap().num_rows()).sum::<usize>() > 30);
    assert!(!feed_dir(&world.aside_dir("run"), feed).join("_rows.json").exists());
}

#[tokio::test]
async fn a_row_beyond_the_native_stack_is_emitted_as_unavailable() {
    let world = World::new();
    let mut deep = event("a", 5, 5, "k", 1);
    deep["act"] = (Act::Recurse as i64).into();
    world.write_segment("0.jsonl", &joined(&[deep.to_string(), event("b", 6, 6, "k", 2).to_string()]));
    let live = world.live(&[&strict("strict")]);
    {
        let store = Arc::new(world.store("run"));
        run(&mut driver(world.log(), store, world.sink("run"), live.clone(), config(8)), Until::End)
            .await
            .unwrap();
    }
    let rows = world.outcome("run", &feeds(&live)[0]).await.rows;
    let statuses: Vec<_> = rows.lines().map(|line| line.contains(r#""_status":"unavailable""#)).collect();
    assert_eq!(statuses, [true, false], "{rows}");
}

/// A store whose records come back damaged, or whose marker another worker moves.
struct Tampered {
    inner: EmbeddedStore,
    /// The only state to be damaged; without one, the marker moves.
    flip: Option<Flip>,
}

#[derive(Clone, Copy)]
struct Flip {
    state: StateId,
    /// The damage is such that the store itself finds it.
    by_store: bool,
}

impl OnlineStore for Tampered {
    fn read<'a>(&'a self, state: StateId, keys: &'a [EntityKey]) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        async move {
            let mut snapshot = self.inner.read(state, keys).await?;
            match (&mut snapshot.marker, self.flip) {
                (_, Some(flip)) if flip.state != state => {}
                (Some(_), Some(Flip { by_store: true, .. })) => {
                    let damage = trifold_store::Damage::Format(9);
                    return Err(StoreError::DamagedRecord { state, key: keys[0].clone(), damage });
                }
                (_, Some(_)) => snapshot.records.iter_mut().flatten().for_each(|record| record.fields[0] ^= 2),
                (Some(marker), None) => *marker.positions.0.get_mut(&0).unwrap() += 1,
                (None, None) => {}
            }
            Ok(snapshot)
        }
        .boxed()
    }

    fn read_slots<'a>(
        &'a self,
        state: StateId,
        queries: &'a [EntityQuery],
    ) -> BoxFuture<'a, Result<SlotSnapshot, StoreError>> {
        self.inner.read_slots(state, queries)
    }

    fn marker(&self, state: StateId) -> BoxFuture<'_, Result<Option<Marker>, StoreError>> {
        self.inner.marker(state)
    }
}

impl StateStore for Tampered {
    fn scan(
        &self,
        state: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.inner.scan(state, after, limit)
    }

    fn scan_slots(
        &self,
        state: StateId,
        after: Option<EntityKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<SlotPage, StoreError>> {
        self.inner.scan_slots(state, after, limit)
    }

    fn switches(&self, state: StateId) -> BoxFuture<'_, Result<Vec<RowSwitch>, StoreError>> {
        self.inner.switches(state)
    }

    fn commit(&self, commits: Vec<Commit>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.commit(commits)
    }

    fn clear(&self, state: StateId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.clear(state)
    }
}

#[tokio::test]
async fn a_damaged_record_stops_its_view_alone_and_is_named() {
    let (world, _) = world();
    let live = world.live(&[&echo("echo", "", 1), &strict("strict")]);
    let state = feeds(&live)[0].state;
    for (by_store, run_name, words) in [
        (false, "fields", ["the stored record of entity 01", "field key"]),
        (true, "record", ["the record of state", "byte 0 names format 9"]),
    ] {
        let store = Tampered { inner: world.store(run_name), flip: Some(Flip { state, by_store }) };
        let mut driver = driver(world.log(), Arc::new(store), NoSink, live.clone(), written_by_step());
        let report = run(&mut driver, Until::End).await.unwrap();
        let [problem] = &report.problems[..] else { panic!("{:?}", report.problems) };
        let told = problem.to_string();
        assert!(matches!(problem, Problem::Record { offset: 8, .. }) && problem.blocks(), "{told}");
        assert!(told.contains("view echo") && told.contains(&state.to_string()), "{told}");
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
        let ends: Vec<_> = report.progress.feeds.iter().map(|feed| (feed.next, feed.blocked)).collect();
        assert_eq!(ends, [(8, true), (40, false)]);
    }
}

#[tokio::test]
async fn two_workers_on_one_state_are_found_out() {
    let (world, live) = world();
    let error = refusal(Arc::new(Tampered { inner: world.store("run"), flip: None }), world.log(), &live).await;
    let state = feeds(&live)[0].state;
    assert!(matches!(&error, StreamError::Overtaken { state: found, .. } if *found == state), "{error}");
}
