//! Requests that ask for what is not there, for nothing, or for too much.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime::Runtime;
use tonic::Code;
use tonic::transport::Channel;
use trifold_cli::exit::Exit;
use trifold_server::api::online_service_client::OnlineServiceClient;
use trifold_server::api::{
    Column, GetFeaturesRequest, GetFeaturesResponse, Int64s, RowStatus, Texts, column::Values,
};
use trifold_tests::command::{Running, Trifold};
use trifold_tests::flights;
use trifold_tests::online::runtime;

use crate::site::with_views;

const EVENTS: u64 = 300;
const ROWS_MAX: usize = 500;
const BYTES_MAX: usize = 1 << 16;

/// One server for all requests: none of them may disturb it.
struct Server {
    trifold: Trifold,
    running: Running,
    runtime: Runtime,
    client: OnlineServiceClient<Channel>,
}

/// The server, for as long as some test holds it. A static one would outlive the tests.
fn server() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(start());
        *shared = Arc::downgrade(&server);
        server
    })
}

fn start() -> Server {
    let trifold = with_views();
    let limits = format!("[server]\nrows-max = {ROWS_MAX}\nrequest-bytes-max = {BYTES_MAX}");
    std::fs::write(trifold.path("trifold.toml"), limits).unwrap();
    let (flights, stop) = (flights(), EVENTS.to_string());
    trifold.run(["stream", "--events", flights.to_str().unwrap(), "--stop-at", &stop]).succeeded();
    let running = trifold.start(["serve"]);
    let runtime = runtime();
    let client = runtime.block_on(OnlineServiceClient::connect(running.url.clone())).unwrap();
    Server { trifold, running, runtime, client }
}

fn ask(features: &[&str], entities: Vec<Column>) -> Result<GetFeaturesResponse, tonic::Status> {
    let server = server();
    let features = features.iter().map(|&feature| feature.to_owned()).collect();
    let request =
        GetFeaturesRequest { features, entities, as_of_micros: Some(0), row_digests: true, in_hand: Vec::new() };
    server.runtime.block_on(server.client.clone().get_features(request)).map(tonic::Response::into_inner)
}

fn texts(name: &str, values: &[&str]) -> Column {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    Column { name: name.to_owned(), null_rows: Vec::new(), values: Some(Values::Texts(Texts { values })) }
}

fn numbers(name: &str, values: Vec<i64>) -> Column {
    Column { name: name.to_owned(), null_rows: Vec::new(), values: Some(Values::Int64s(Int64s { values })) }
}

/// The first departure of the log.
fn known() -> Vec<Column> {
    vec![texts("carrier", &["UA"]), numbers("flight", vec![1545])]
}

#[track_caller]
fn check(features: &[&str], entities: Vec<Column>, code: Code, parts: &[&str]) {
    let status = ask(features, entities).unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    for part in parts {
        assert!(status.message().contains(part), "`{part}` is missing: {}", status.message());
    }
    // The next request is none the worse for it.
    let answer = ask(&["flight_profile.route"], known()).unwrap();
    assert_eq!(answer.views[0].statuses, [i32::from(RowStatus::Value)]);
}

#[test]
fn views_and_features_that_are_not_there() {
    let _shared = server();
    let parts = ["no view `nope` is in force", "aircraft_status, flight_profile"];
    check(&["nope"], known(), Code::NotFound, &parts);
    check(&["flight_profile", "nope.x"], known(), Code::NotFound, &parts);
    check(&["No View"], known(), Code::NotFound, &["no view `No View`"]);
    let parts = ["view flight_profile has no feature `nope`", "it has route, hour_of_week"];
    check(&["flight_profile.nope"], known(), Code::NotFound, &parts);
}

#[test]
fn nothing_asked_for() {
    let _shared = server();
    check(&[], known(), Code::InvalidArgument, &["no features are asked for"]);
    check(&["flight_profile"], Vec::new(), Code::InvalidArgument, &["no entities are given"]);
    let none = vec![texts("carrier", &[]), numbers("flight", Vec::new())];
    check(&["flight_profile"], none, Code::InvalidArgument, &["entity column `carrier` has no rows"]);
}

#[test]
fn keys_that_do_not_fit_the_view() {
    let _shared = server();
    let view = ["flight_profile"];
    let check = |entities, parts: &[&str]| check(&view, entities, Code::InvalidArgument, parts);
    let parts = ["view flight_profile needs the entity columns carrier, flight", "`flight` is missing"];
    check(vec![texts("carrier", &["UA"])], &parts);
    check(vec![texts("carrier", &["UA"]), texts("flight", &["1545"])], &["flight", "utf8", "int64"]);
    let uneven = vec![texts("carrier", &["UA", "UA"]), numbers("flight", vec![1545])];
    check(uneven, &["`flight` has 1 rows and `carrier` has 2"]);
    let mut null = known();
    null[1].null_rows = vec![0];
    check(null, &["flight", "row 0 is null"]);
    let mut beyond = known();
    beyond[1].null_rows = vec![7];
    check(beyond, &["flight"]);
    let twice = [known(), vec![texts("carrier", &["UA"])]].concat();
    check(twice, &["entity column `carrier` is given twice"]);
    let superfluous = [known(), vec![texts("tailnum", &["N14228"])]].concat();
    check(superfluous, &["entity column `tailnum` is a key field of no asked view"]);
    let mut nothing = known();
    nothing[0].values = None;
    check(nothing, &["carrier"]);
}

#[test]
fn too_many_rows_and_too_many_bytes() {
    let _shared = server();
    let rows = |count: usize| vec![texts("carrier", &vec!["UA"; count]), numbers("flight", vec![1; count])];
    let parts = ["asks for 501 rows, this server takes 500; split it"];
    check(&["flight_profile.route"], rows(ROWS_MAX + 1), Code::ResourceExhausted, &parts);
    let answer = ask(&["flight_profile.route"], rows(ROWS_MAX)).unwrap();
    assert_eq!(answer.views[0].statuses.len(), ROWS_MAX);
    let long = "U".repeat(BYTES_MAX + 1);
    let large = vec![texts("carrier", &[&long]), numbers("flight", vec![1])];
    check(&["flight_profile"], large, Code::ResourceExhausted, &["65536 bytes"]);
}

#[test]
fn an_entity_that_never_was_is_empty_beside_one_that_is() {
    let _shared = server();
    let entities = vec![texts("carrier", &["UA", "ZZ"]), numbers("flight", vec![1545, 1])];
    let answer = ask(&["flight_profile"], entities).unwrap();
    assert_eq!(answer.views[0].statuses, [RowStatus::Value, RowStatus::Empty].map(i32::from));
    assert!(answer.views[0].row_digests.iter().all(|digest| digest.len() == 16));
    assert_eq!(answer.views[0].position.as_ref().unwrap().next_offsets[&0], EVENTS);
}

/// Asks with `trifold get`.
#[track_caller]
fn check_get(arguments: &[&str], exit: Exit, parts: &[&str]) {
    let server = server();
    let get = ["get", "--server", &server.running.url];
    server.trifold.run(get.iter().chain(arguments)).refused(exit, parts);
}

#[test]
fn the_command_ends_with_the_code_of_the_refusal() {
    let _shared = server();
    let key = "carrier=UA,flight=1545";
    let parts = ["no view `nope` is in force", "aircraft_status, flight_profile"];
    check_get(&["nope", "--key", key], Exit::NotFound, &parts);
    check_get(&["flight_profile@1.route", "--key", key], Exit::Usage, &["version in force", "leave out `@1`"]);
    check_get(&["flight_profile.nope", "--key", key], Exit::NotFound, &["no feature `nope`"]);
    check_get(&["flight_profile", "--key", "carrier=UA"], Exit::Usage, &["flight"]);
    check_get(&["flight_profile", "--key", "carrier=UA,flight=one"], Exit::Usage, &["flight", "one"]);
    check_get(&["flight_profile", "--key", "carrier=UA,tail=N1"], Exit::Usage, &["tail", "carrier, flight"]);
    check_get(&["flight_profile", "--key", "carrier"], Exit::Usage, &["carrier"]);
    check_get(&["flight_profile", "--key", key, "--as-of", "noon"], Exit::Usage, &["`noon` is no time"]);
    check_get(&["flight_profile"], Exit::Usage, &["--key"]);
    check_get(&["--key", key], Exit::Usage, &["FEATURES"]);
    let server = server();
    let get = ["get", "flight_profile.route", "--key", key, "--as-of", "0", "--server", &server.running.url];
    let answer = server.trifold.run(get.into_iter().chain(["--format", "json"])).succeeded().json();
    assert_eq!(answer["rows"][0]["views"][0]["features"]["route"], "EWR-IAH");
}

#[test]
fn a_server_that_is_not_there() {
    let trifold = with_views();
    let get =
        |server: &str| trifold.run(["get", "flight_profile", "--key", "carrier=UA,flight=1", "--server", server]);
    // Port 9 is that of the discard service, which nobody runs.
    get("http://127.0.0.1:9")
        .refused(Exit::Unavailable, &["no server answers at http://127.0.0.1:9", "trifold serve"]);
    get("localhost").refused(Exit::Usage, &["`localhost` is not the URL of a server", "http://127.0.0.1:7411"]);
    get("http://").refused(Exit::Usage, &["is not the URL of a server"]);
}

#[test]
fn a_view_without_state_is_unavailable_and_says_why() {
    let trifold = with_views();
    let running = trifold.start(["serve"]);
    let get = ["get", "flight_profile", "--key", "carrier=UA,flight=1545", "--server", &running.url];
    let reason = "no events of view flight_profile have been applied";
    let ran = trifold.run(get.into_iter().chain(["--format", "json"])).refused(Exit::Unavailable, &[reason]);
    let answer = ran.json();
    let view = &answer["rows"][0]["views"][0];
    assert_eq!(view["status"], "unavailable");
    assert!(view["message"].as_str().unwrap().contains(reason));
    assert!(view["row-digest"].is_null());
}
