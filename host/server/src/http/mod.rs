//! Lookups over HTTP, in JSON: what gRPC answers, in other words. `proto/trifold/online/v1/openapi.json` is the contract.
//!
//! ```text
//! POST /v1/features   GetFeatures
//! GET  /v1/views      ListViews
//! GET  /openapi.json  the contract
//! GET  /ready         200, or 503 once the server is told to stop
//! ```
//!
//! Reading order: [`connections`] accepts, [`routes`] says who answers what, `body` reads a request's bytes, `request`
//! makes the question of gRPC of them, `answer` and `views` write what came of it, and [`problem`] what did not.

mod answer;
mod body;
pub(crate) mod connections;
mod problem;
mod request;
pub(crate) mod routes;
mod views;

use std::time::Duration;

use tokio::net::TcpListener;

/// Where and how lookups over HTTP are answered.
#[derive(Debug)]
pub struct Http {
    /// What it listens on.
    pub listener: TcpListener,
    /// How long the head of a request may take, and then its body.
    pub read: Duration,
}
