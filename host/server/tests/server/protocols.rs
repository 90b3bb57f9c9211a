//! Stopping and health of what is served beside gRPC's own contract.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use trifold_model::EventTime;
use trifold_server::{Http, Plain, Server};

use crate::rig::{NOW, Online, Watched, config, open, put, score, views};

#[tokio::test]
async fn a_request_over_http_in_flight_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let (store, version) = (Arc::new(Watched::new(open(dir.path()), 0)), score());
    put(&store.store, &version, Vec::new()).await;
    let listeners =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listeners.1.local_addr().unwrap();
    let live = watch::channel(views(&[version])).1;
    let http = Http { listener: listeners.1, read: Duration::from_secs(30) };
    let server = Server::new(store.clone(), live, || EventTime(NOW), config()).with_http(http);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(listeners.0, stopped.map(drop)));
    // One connection that asks, and one that is kept without asking.
    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut asking = TcpStream::connect(address).await.unwrap();
    let body = r#"{"features": ["score"], "entities": {"id": [1]}}"#;
    let head = format!("POST /v1/features HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    asking.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    store.begun.subscribe().wait_for(|&begun| begun == 1).await.unwrap();
    stop.send(()).unwrap();
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0, "it is closed at once");
    assert!(TcpStream::connect(address).await.is_err() && !serving.is_finished());
    store.permits.add_permits(1);
    let mut answer = String::new();
    asking.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"statuses\":[\"empty\"]"), "{answer}");
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn health_knows_the_contract_that_is_offered() {
    for is_offered in [false, true] {
        let scratch = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let live = watch::channel(views(&[score()])).1;
        let by_id = is_offered.then(|| "score".parse().unwrap());
        let plain = Plain { views: by_id.into_iter().collect(), tell: |_| () };
        let store = Arc::new(open(scratch.path()));
        let server = Server::new(store, live, || EventTime(NOW), config()).with_plain(plain).unwrap();
        let load = server.load();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(listener, stopped.map(drop)));
        let online = Online { url, stop, serving, load };
        let service = "feature_store.FeatureStore".to_owned();
        let checked = HealthClient::new(online.channel().await).check(HealthCheckRequest { service }).await;
        match is_offered {
            true => assert_eq!(checked.unwrap().into_inner().status(), ServingStatus::Serving),
            false => assert_eq!(checked.unwrap_err().code(), Code::NotFound),
        }
    }
}
