//! More requests than the server takes on.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use trifold_pipeline::LiveVersion;
use trifold_server::api::column::Values;
use trifold_server::api::{Column, GetFeaturesRequest, GetFeaturesResponse, Int64s};
use trifold_server::client::{Client, ClientError};
use trifold_server::{Limits, ServerConfig};
use trifold_wat_guest::{Act, unruly};

use crate::rig::{Online, Watched, config, echo, open, put, records, score, version, views};

const LONG: Duration = Duration::from_secs(60);

fn at_once(concurrency: usize, view: usize, queue: usize) -> ServerConfig {
    let (concurrency, view_concurrency) = (NonZero::new(concurrency), NonZero::new(view));
    let limits = Limits { concurrency, view_concurrency, queue, queue_wait: LONG, ..Limits::default() };
    ServerConfig { limits, ..config() }
}

fn asking(view: &str, rows: i64) -> GetFeaturesRequest {
    let values = Some(Values::Int64s(Int64s { values: (0..rows).collect() }));
    let entities = vec![Column { name: "id".to_owned(), null_rows: Vec::new(), values }];
    let features = vec![view.to_owned()];
    GetFeaturesRequest { features, entities, as_of_micros: None, row_digests: false, in_hand: Vec::new() }
}

type Asked = JoinHandle<Result<GetFeaturesResponse, Status>>;

/// Asks for one row of a view, without waiting for the answer.
async fn ask(server: &Online, view: &str) -> Asked {
    ask_rows(server, view, 1).await
}

async fn ask_rows(server: &Online, view: &str, rows: i64) -> Asked {
    let (mut client, request) = (server.raw().await, asking(view, rows));
    tokio::spawn(async move { Ok(client.get_features(request).await?.into_inner()) })
}

/// The view `pair`, another one over the key `id`.
fn pair() -> LiveVersion {
    version(1, &echo("pair", &[("id", "int64"), ("z", "int64")], |_| ()))
}

/// A store with the state of both views, that holds up reads of `score`.
async fn held(dir: &std::path::Path, permits: usize) -> (Arc<Watched>, [LiveVersion; 2]) {
    let versions = [score(), pair()];
    let store = Watched::new(open(dir), permits).only(versions[0].state_id());
    for version in &versions {
        put(&store.store, version, Vec::new()).await;
    }
    (Arc::new(store), versions)
}

async fn begun(store: &Watched, count: usize) {
    store.begun.subscribe().wait_for(|&begun| begun == count).await.unwrap();
}

#[tokio::test]
async fn the_queue_is_bounded_and_whoever_is_turned_away_costs_no_store_call() {
    let dir = tempfile::tempdir().unwrap();
    let (store, versions) = held(dir.path(), 0).await;
    let server = Online::limited(store.clone(), views(&versions), at_once(1, 1, 2)).await;
    let mut waiting = vec![ask(&server, "score").await];
    begun(&store, 1).await;
    for _ in 0..2 {
        waiting.push(ask(&server, "score").await);
    }
    server.until(|load| (load.computing, load.queued) == (1, 2)).await;
    for turned_away in 1..=20 {
        let status = ask(&server, "score").await.await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert!(status.message().contains("1 requests are being computed, and 2 wait"), "{status}");
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(LONG));
        assert_eq!(server.rejected("queue"), turned_away);
    }
    assert_eq!(*store.begun.borrow(), 1);
    // The client library says the same in its words, and does not take it for a mistake of the caller's.
    let error = Client::connect(&server.url).await.unwrap().get(&["score".to_owned()], &ids(1), None).await;
    let error = error.unwrap_err();
    assert_eq!(error.retry_after(), Some(LONG));
    assert!(!error.is_request() && !error.is_limit(), "{error}");
    assert!(error.to_string().contains("it may be asked again in 60000 ms"), "{error}");
    store.permits.add_permits(3);
    for asked in waiting {
        assert_eq!(asked.await.unwrap().unwrap().views.len(), 1);
    }
    server.until(|load| (load.computing, load.queued, load.answered) == (0, 0, 3)).await;
    assert_eq!(*store.begun.borrow(), 3);
}

fn ids(rows: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new((0..rows).collect::<Int64Array>());
    RecordBatch::try_from_iter([("id", ids)]).unwrap()
}

#[tokio::test]
async fn a_view_that_hangs_leaves_places_and_queue_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let (store, versions) = held(dir.path(), 0).await;
    let server = Online::limited(store.clone(), views(&versions), at_once(2, 1, 2)).await;
    let mut waiting = vec![ask(&server, "score").await];
    begun(&store, 1).await;
    waiting.push(ask(&server, "score").await);
    server.until(|load| (load.computing, load.queued) == (1, 1)).await;
    let status = ask(&server, "score").await.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("1 requests of view score wait"), "{status}");
    assert!(status.get_details_retry_info().is_some());
    assert_eq!((server.rejected("view-queue"), server.rejected("queue")), (1, 0));
    for _ in 0..10 {
        ask(&server, "pair").await.await.unwrap().unwrap();
    }
    assert!(waiting.iter().all(|asked| !asked.is_finished()));
    store.permits.add_permits(2);
    for asked in waiting {
        asked.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let (store, versions) = held(dir.path(), 0).await;
    let mut config = at_once(1, 1, 5);
    config.limits.queue_wait = Duration::from_millis(20);
    let server = Online::limited(store.clone(), views(&versions), config).await;
    let first = ask(&server, "score").await;
    begun(&store, 1).await;
    let status = ask(&server, "score").await.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("waited for 20 ms"), "{status}");
    assert!(status.get_details_retry_info().is_some());
    assert_eq!((server.rejected("waited"), server.load.now().queued, *store.begun.borrow()), (1, 0, 1));
    store.permits.add_permits(1);
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_whose_deadline_passes_in_the_queue_is_not_computed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, versions) = held(dir.path(), 0).await;
    let server = Online::limited(store.clone(), views(&versions), at_once(1, 1, 5)).await;
    let first = ask(&server, "score").await;
    begun(&store, 1).await;
    let mut client = server.raw().await;
    let mut request = Request::new(asking("score", 1));
    request.set_timeout(Duration::from_millis(50));
    let status = client.get_features(request).await.unwrap_err();
    // The transport of the client's side says so, too, in its own words.
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status}");
    server.until(|load| load.queued == 0).await;
    store.permits.add_permits(10);
    first.await.unwrap().unwrap();
    ask(&server, "score").await.await.unwrap().unwrap();
    assert_eq!(*store.begun.borrow(), 2);
    let client = Client::connect(&server.url).await.unwrap().with_deadline(Duration::from_millis(1));
    let mut client = client;
    store.permits.forget_permits(100);
    let error = client.get(&["score".to_owned()], &ids(1), None).await.unwrap_err();
    assert!(matches!(error, ClientError::Deadline { .. }), "{error}");
}

/// On the thread of the request, and on one of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_names_no_deadline_has_that_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let (store, versions) = held(dir.path(), 0).await;
    let mut config = at_once(2, 2, 5);
    config.limits.deadline = Some(Duration::from_millis(50));
    let server = Online::limited(store.clone(), views(&versions), config).await;
    for (rows, overdue) in [(1, 1), (50, 2)] {
        let status = ask_rows(&server, "score", rows).await.await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        assert!(status.message().contains("deadline passed"), "{status}");
        server.until(|load| load.computing == 0).await;
        assert_eq!(server.rejected("deadline"), overdue);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_gives_its_place_back() {
    let dir = tempfile::tempdir().unwrap();
    let (store, versions) = held(dir.path(), 0).await;
    let server = Online::limited(store.clone(), views(&versions), at_once(1, 1, 5)).await;
    for (rows, count) in [(1, 1), (50, 2)] {
        let first = ask_rows(&server, "score", rows).await;
        begun(&store, count).await;
        let second = ask(&server, "score").await;
        server.until(|load| (load.computing, load.queued) == (1, 1)).await;
        second.abort();
        server.until(|load| (load.computing, load.queued) == (1, 0)).await;
        first.abort();
        server.until(|load| (load.computing, load.queued) == (0, 0)).await;
    }
}

/// Burns the fuel of thousands of rows unless somebody stops it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_computed_for_a_caller_that_left_stops() {
    const ROWS: i64 = 5_000;
    const ROW_FUEL: u64 = 20_000_000;
    let dir = tempfile::tempdir().unwrap();
    let (store, burning) = (open(dir.path()), version(1, &unruly("burning", |_| ())));
    let column =
        |value: &dyn Fn(i64) -> i64| -> ArrayRef { Arc::new((0..ROWS).map(value).collect::<Int64Array>()) };
    let columns = vec![column(&|row| row), column(&|_| Act::Loop as i64), column(&|_| 0)];
    let inputs = RecordBatch::try_new(burning.view().input_schema().clone(), columns).unwrap();
    put(&store, &burning, records(&burning, &inputs, &[0; ROWS as usize])).await;
    let limits = Limits { deadline: None, ..Limits::default() };
    let (rows_max, bytes) = (ROWS as usize, 1 << 20);
    let config = ServerConfig {
        rows_max,
        cells_max: rows_max,
        request_bytes_max: bytes,
        request_fuel: u64::MAX,
        limits,
        ..config()
    };
    let server = Online::limited(Arc::new(store), views(&[burning]), config).await;
    let request = |rows| GetFeaturesRequest {
        entities: vec![Column { name: "key".to_owned(), ..asking("burning", rows).entities.remove(0) }],
        ..asking("burning", rows)
    };
    let (mut client, asked) = (server.raw().await, request(ROWS));
    let leaves = tokio::spawn(async move { client.get_features(asked).await });
    server.until(|load| load.computing == 1).await;
    leaves.abort();
    server.until(|load| load.computing == 0).await;
    let burnt = server.load.now().fuel;
    assert!(burnt < ROWS as u64 * ROW_FUEL / 2, "{burnt} units were burnt for nobody");
    assert_eq!(server.load.now().answered, 0);
    // The deadline stops what stays on its thread, too.
    let mut asked = Request::new(request(16));
    asked.set_timeout(Duration::from_millis(20));
    server.raw().await.get_features(asked).await.unwrap_err();
    server.until(|load| load.computing == 0).await;
    let burnt = server.load.now().fuel - burnt;
    assert!(burnt < 16 * ROW_FUEL, "{burnt} units were burnt after the deadline");
}

#[tokio::test]
async fn a_caller_that_asks_too_often_is_told_when_to_ask_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, versions) = held(dir.path(), 1_000_000).await;
    let limits = Limits { caller_rate: NonZero::new(1), caller_burst: NonZero::new(3), ..Limits::default() };
    let server = Online::limited(store.clone(), views(&versions), ServerConfig { limits, ..config() }).await;
    let mut client = server.raw().await;
    let mut ask = async |name: &str| {
        let mut request = Request::new(asking("score", 1));
        request.metadata_mut().insert("trifold-caller", name.parse().unwrap());
        client.get_features(request).await
    };
    let mut passed = 0;
    let refused = loop {
        match ask("a").await {
            Ok(_) => passed += 1,
            Err(status) => break status,
        }
    };
    assert!(passed >= 3, "{passed}");
    assert_eq!((*store.begun.borrow(), server.rejected("rate")), (passed, 1));
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("caller a asks more than 1 times a second"), "{refused}");
    let retry = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(retry > Duration::ZERO && retry <= Duration::from_secs(1), "{retry:?}");
    ask("b").await.unwrap();
    let again = std::time::Instant::now();
    while ask("a").await.is_err() {
        assert!(again.elapsed() < LONG, "no token comes back");
    }
}

#[tokio::test]
async fn more_values_than_may_be_are_refused_by_the_name_of_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let (store, versions) = held(dir.path(), 10).await;
    let config = ServerConfig { cells_max: 19, ..config() };
    let server = Online::limited(store.clone(), views(&versions), config).await;
    let status = ask_rows(&server, "score", 10).await.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_details_retry_info().is_none());
    for part in ["20 values", "2 of each of 10 rows", "takes 19", "`cells-max`"] {
        assert!(status.message().contains(part), "`{part}` is missing: {status}");
    }
    assert_eq!(*store.begun.borrow(), 0);
    ask_rows(&server, "score", 9).await.await.unwrap().unwrap();
}
