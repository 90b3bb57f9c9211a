//! Answering the requests of connections, and ending them in good order.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::codegen::http::Request;
use tower::Service;

use crate::accept::Acceptor;
use crate::connection::Connection;
use crate::limits::receive::Receiving;

/// The other end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What answers a request, and what limits its way in.
type Answering = (Router, Receiving);

/// Answers connections until `stopping` turns true and the requests in flight are finished. The head of a request may take
/// as long as `read`.
pub(crate) async fn serve(
    mut acceptor: Acceptor,
    answering: Answering,
    read: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let mut open = JoinSet::new();
    loop {
        let (connection, peer) = tokio::select! {
            biased;
            // A sender that is gone means the same.
            _ = stopping.wait_for(|stopping| *stopping) => break,
            Some(_) = open.join_next() => continue,
            accepted = acceptor.next() => accepted,
        };
        open.spawn(converse(connection, Peer(peer), answering.clone(), read, stopping.clone()));
    }
    drop(acceptor);
    while open.join_next().await.is_some() {}
}

/// Answers the requests of one connection. One that ends badly concerns nobody else.
async fn converse(
    connection: Connection,
    peer: Peer,
    answering: Answering,
    read: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let answer = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        answered(answering.clone(), request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(read)
        .serve_connection(TokioIo::new(connection), answer);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = &mut connection => return,
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn answered(
    (mut routes, receiving): Answering,
    request: Request<hyper::body::Incoming>,
) -> Result<Response, Infallible> {
    let (request, _held) = receiving.receive(request.map(tonic::body::Body::new));
    // Routes are always ready.
    routes.call(request.map(Body::new)).await
}
