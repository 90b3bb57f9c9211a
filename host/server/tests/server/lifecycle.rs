//! Health, reflection, stopping.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use futures::{StreamExt, stream};
use tonic::Streaming;
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use trifold_model::RowStatus;
use trifold_pipeline::Outcome;
use trifold_server::client::Client;

use crate::rig::{Online, Watched, open, put, score, views};

const SERVICES: [&str; 2] = ["", "trifold.online.v1.OnlineService"];

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

async fn watch(channel: &Channel, service: &str) -> Streaming<HealthCheckResponse> {
    HealthClient::new(channel.clone()).watch(about(service)).await.unwrap().into_inner()
}

fn ids(ids: impl IntoIterator<Item = i64>) -> RecordBatch {
    let ids: ArrayRef = Arc::new(ids.into_iter().collect::<Int64Array>());
    RecordBatch::try_from_iter([("id", ids)]).unwrap()
}

/// Stops a server with one request in flight, while both services are watched.
async fn check_stop(rows: i64) {
    let dir = tempfile::tempdir().unwrap();
    let (store, version) = (Arc::new(Watched::new(open(dir.path()), 0)), score());
    put(&store.store, &version, Vec::new()).await;
    let server = Online::start(store.clone(), views(&[version])).await;
    let channel = server.channel().await;
    let mut watches = Vec::new();
    for service in SERVICES {
        let status = HealthClient::new(channel.clone()).check(about(service)).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "`{service}`");
        let mut watch = watch(&channel, service).await;
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving, "`{service}`");
        watches.push((service, watch));
    }
    let mut client = Client::connect(&server.url).await.unwrap();
    let asking = tokio::spawn(async move { client.get(&["score".to_owned()], &ids(0..rows), None).await });
    store.begun.subscribe().wait_for(|&begun| begun == 1).await.unwrap();
    server.stop.send(()).unwrap();
    for (service, watch) in &mut watches {
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing, "`{service}`");
        assert_eq!(watch.message().await.unwrap(), None, "`{service}` is watched on");
    }
    assert!(!asking.is_finished() && !server.serving.is_finished());
    store.permits.add_permits(1);
    let answer = asking.await.unwrap().unwrap();
    assert_eq!(answer.views[0].rows.outcomes(), vec![Outcome::Known(RowStatus::Empty); rows as usize]);
    server.serving.await.unwrap().unwrap();
    assert!(Client::connect(&server.url).await.is_err());
}

#[tokio::test]
async fn a_request_in_flight_is_finished_on_one_thread() {
    check_stop(100).await;
}

macro_rules! listed {
    ($version:ident, $channel:expr) => {{
        use tonic_reflection::pb::$version as pb;
        let request = pb::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(pb::server_reflection_request::MessageRequest::ListServices(String::new())),
        };
        let mut client = pb::server_reflection_client::ServerReflectionClient::new($channel);
        let answers = client.server_reflection_info(stream::iter([request])).await.unwrap().into_inner();
        let answers: Vec<_> = answers.map(|answer| answer.unwrap().message_response.unwrap()).collect().await;
        let [pb::server_reflection_response::MessageResponse::ListServicesResponse(list)] = answers.as_slice()
        else {
            panic!("{answers:?}")
        };
        list.service.iter().map(|service| service.name.clone()).collect::<Vec<_>>()
    }};
}

#[tokio::test]
async fn reflection_lists_the_services() {
    let dir = tempfile::tempdir().unwrap();
    let server = Online::start(Arc::new(open(dir.path())), views(&[score()])).await;
    let channel = server.channel().await;
    for listed in [listed!(v1, channel.clone()), listed!(v1alpha, channel.clone())] {
        for service in ["trifold.online.v1.OnlineService", "grpc.health.v1.Health"] {
            assert!(listed.iter().any(|name| name == service), "{service} is not among {listed:?}");
        }
    }
}

/// Both below and above the size from which a request gets a thread of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_in_flight_is_finished_on_many_threads() {
    check_stop(1).await;
    check_stop(100).await;
}

/// The only thread answers others while a large request computes.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_large_request_stalls_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (store, version) = (Arc::new(Watched::new(open(dir.path()), 0).stalling()), score());
    put(&store.store, &version, Vec::new()).await;
    let server = Online::start(store.clone(), views(&[version])).await;
    let mut client = Client::connect(&server.url).await.unwrap();
    let asking = tokio::spawn(async move { client.get(&["score".to_owned()], &ids(0..100), None).await });
    store.begun.subscribe().wait_for(|&begun| begun == 1).await.unwrap();
    let mut other = Client::connect(&server.url).await.unwrap();
    assert_eq!(other.views().await.unwrap().len(), 1);
    store.permits.add_permits(1);
    asking.await.unwrap().unwrap();
}
