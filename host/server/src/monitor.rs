//! What a process tells those who watch it, over HTTP: metrics, and whether it lives and is ready.
//!
//! ```text
//! GET /metrics    metrics, in the text format of Prometheus
//! GET /health     200 as long as the process answers
//! GET /ready      200, or 503 and why not
//! ```

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

/// A process that is watched.
pub trait Monitored: Send + Sync {
    /// Its metrics, in the text format of Prometheus.
    fn metrics(&self) -> String;

    /// Whether it does what it is there for; otherwise why not.
    fn ready(&self) -> Result<(), String>;
}

/// Answers those who watch, for as long as the process lives.
pub async fn monitor(listener: TcpListener, process: Arc<dyn Monitored>) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(async || "ok\n"))
        .route("/ready", get(ready))
        .with_state(process);
    axum::serve(listener, routes).await
}

async fn metrics(State(process): State<Arc<dyn Monitored>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], process.metrics())
}

async fn ready(State(process): State<Arc<dyn Monitored>>) -> impl IntoResponse {
    match process.ready() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}
