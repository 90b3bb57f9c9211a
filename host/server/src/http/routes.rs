//! Which path is answered by whom.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::watch;

use super::connections::Peer;
use super::problem::Problem;
use super::{answer, body, request, views};
use crate::caller::Caller;
use crate::limits::receive::Begun;
use crate::service::Online;

/// The published contract.
const OPENAPI: &str = include_str!("../../../../proto/trifold/online/v1/openapi.json");

/// What answering takes.
#[derive(Clone)]
struct Serving {
    online: Arc<Online>,
    read: Duration,
    stopping: watch::Receiver<bool>,
}

/// All paths. `read` is how long the body of a request may take.
pub(crate) fn routes(online: Arc<Online>, read: Duration, stopping: watch::Receiver<bool>) -> Router {
    Router::new()
        .route("/v1/features", post(features))
        .route("/v1/views", get(list_views))
        .route("/openapi.json", get(async || ([(CONTENT_TYPE, "application/json")], OPENAPI)))
        .route("/ready", get(ready))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(Serving { online, read, stopping })
}

async fn features(
    State(serving): State<Serving>,
    Extension(Peer(peer)): Extension<Peer>,
    Extension(Begun(begun)): Extension<Begun>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let online = &serving.online;
    let caller = online.let_in(Caller::new(&headers, Some(peer)).since(begun))?;
    let body = body::read(body, online.config.request_bytes_max, serving.read).await?;
    let live = online.live.borrow().clone();
    let asked = request::parse(&body, &live, online.config.rows_max)?;
    let answer = online.answer(&caller, asked.request).await?;
    json(&answer::Answer::new(&answer, asked.int64_as_text))
}

async fn list_views(State(serving): State<Serving>) -> Result<Response, Problem> {
    let live = serving.online.live.borrow().clone();
    json(&views::Views::new(&live))
}

/// An answer as JSON, which always can be written.
fn json(answer: &impl serde::Serialize) -> Result<Response, Problem> {
    let text = serde_json::to_vec(answer).map_err(|error| Problem::internal(&error))?;
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

async fn ready(State(serving): State<Serving>) -> (StatusCode, &'static str) {
    if *serving.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server has been told to stop\n");
    }
    (StatusCode::OK, "ready\n")
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::no_such_path(uri.path())
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    Problem::no_such_method(method.as_str(), uri.path())
}
