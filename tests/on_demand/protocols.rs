//! Views of all kinds over HTTP and by ids, with events in hand: the rows that gRPC gives.

use serde_json::{Value, json};
use trifold_model::EventTime;
use trifold_pipeline::{LiveVersion, Outcome, Rows};
use trifold_server::client::{Answer, Lookup};
use trifold_tests::http;
use trifold_tests::live::views;
use trifold_tests::online::{Online, server_config};

use crate::lookups::in_hand;
use crate::site::{SECOND, Site, context_version, event, latest_version, numbers_version, requests};

fn versions() -> [LiveVersion; 3] {
    [numbers_version(), latest_version(), context_version()]
}

fn over_http(server: &Online, as_of: i64, held: Value) -> http::Answered {
    let request = json!({
        "features": ["context", "latest", "window_numbers"], "as_of_micros": as_of, "row_digests": true,
        "entities": {"key": [1, 2, 9], "amount": [2.5, null, "NaN"]}, "in_hand": held,
    });
    let answer = http::features(&server.http, &request);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

#[track_caller]
fn check(expected: &Answer, found: &http::Answered) {
    let body = found.json();
    let times: Vec<_> = expected.as_of.iter().map(|time| time.0).collect();
    assert_eq!(body["as_of_micros"], json!(times));
    for version in versions() {
        let (view, name) = (version.view(), &version.view().name);
        let of_grpc = expected.views.iter().find(|answer| *name == *answer.view.as_str()).unwrap();
        let of_http = body["views"].as_array().unwrap().iter().find(|it| it["view"] == name.as_str()).unwrap();
        let statuses = of_grpc.rows.outcomes().iter().map(|outcome| match outcome {
            Outcome::Known(status) => status.name(),
            Outcome::Unavailable(_) => "unavailable",
        });
        assert_eq!(of_http["statuses"], statuses.collect::<Value>());
        assert_eq!(of_http["version"], json!(of_grpc.version));
        assert_eq!(of_http["component_digest"], json!(of_grpc.digest.to_string()));
        let reads: Vec<_> = of_grpc.reads.iter().map(|read| read.view.clone()).collect();
        assert_eq!(
            of_http["reads"].as_array().unwrap().iter().map(|it| it["view"].clone()).collect::<Value>(),
            json!(reads)
        );
        let digests = of_grpc.digests.iter().map(|digest| json!(digest.map(|digest| digest.to_string())));
        assert_eq!(of_http["row_digests"], digests.collect::<Value>());
        let rows = Rows::new(http::outputs(found, view), of_grpc.rows.outcomes().to_vec(), Default::default());
        assert_eq!(rows.canonical().unwrap(), of_grpc.rows.canonical().unwrap(), "{name}");
    }
}

#[test]
fn views_of_all_kinds_answer_over_http_as_over_grpc() {
    let site = Site::new(&[event(1000, 1, Some(4)), event(1010, 1, Some(5)), event(100, 2, None)]);
    let server = site.server(&versions());
    let features: Vec<_> = ["context", "latest", "window_numbers"].map(str::to_owned).into();
    let columns = requests(&[1, 2, 9], &[Some(2.5), None, Some(f64::NAN)]);
    let ask = |as_of: i64, in_hand: &[_]| {
        let lookup = Lookup { features: &features, columns: &columns, as_of: Some(EventTime(as_of)), in_hand };
        server.runtime().block_on(server.client().look_up(lookup)).unwrap()
    };
    check(&ask(1030 * SECOND, &[]), &over_http(&server, 1030 * SECOND, json!({})));
    // With events in hand, of which the second is refused.
    let events = [Some((1040, "x", Some(8))), Some((1041, "y", Some(-8))), None];
    let held = ["latest", "window_numbers"].map(|view| in_hand(view, &events));
    let of_view = json!({
        "event_time": [1040 * SECOND, 1041 * SECOND, null], "event_id": ["x", "y", null], "value": [8, -8, null],
    });
    let told = json!({"latest": of_view, "window_numbers": of_view});
    check(&ask(0, &held), &over_http(&server, 0, told));
}

/// An on-demand view of more than one request field has no id.
#[test]
fn a_view_that_takes_more_than_an_id_is_refused_at_the_start() {
    let site = Site::new(&[event(1, 1, Some(4))]);
    let store = std::sync::Arc::new(site.streamed(&versions()));
    let live = tokio::sync::watch::channel(views(versions())).1;
    let server = trifold_server::Server::new(store, live, || EventTime(0), server_config());
    let plain = trifold_server::Plain { views: vec!["context".parse().unwrap()], tell: |_| () };
    let error = server.with_plain(plain).err().unwrap().to_string();
    assert!(
        error.contains("view context cannot be served by an id: it takes the request fields key, amount"),
        "{error}"
    );
}
