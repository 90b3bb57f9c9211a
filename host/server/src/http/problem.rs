//! Why a request has no answer, as HTTP says it.

use std::time::Duration;

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::codes;

/// A refused request.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Code,
    message: String,
    /// When to ask again.
    retry_after: Option<Duration>,
    /// Whether more of the request may still be on its way.
    is_unread: bool,
}

impl Problem {
    fn new(status: StatusCode, code: Code, message: String) -> Self {
        Problem { status, code, message, retry_after: None, is_unread: false }
    }

    pub(super) fn too_slow(limit: Duration) -> Self {
        let message = format!("the body of the request took longer than {limit:?}");
        let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, message);
        problem.unread()
    }

    pub(super) fn too_large(bytes_max: usize) -> Self {
        let message = format!("the request has more than {bytes_max} bytes, the limit of this server; split it");
        let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, message);
        Problem { is_unread: true, ..problem }
    }

    pub(super) fn broken_off(error: &dyn std::error::Error) -> Self {
        let message = format!("the body of the request cannot be read: {error}");
        let problem = Problem::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message);
        Problem { is_unread: true, ..problem }
    }

    /// The same, of a request of which more may still be on its way.
    pub(super) fn unread(self) -> Self {
        Problem { is_unread: true, ..self }
    }

    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, error.to_string())
    }

    pub(super) fn no_such_path(path: &str) -> Self {
        let known = "POST /v1/features, GET /v1/views, GET /openapi.json and GET /ready";
        let message = format!("there is nothing at {path}; there are {known}");
        Problem::new(StatusCode::NOT_FOUND, Code::NotFound, message)
    }

    pub(super) fn no_such_method(method: &str, path: &str) -> Self {
        let message = format!("{path} does not take {method}; the header `allow` says what it takes");
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, message)
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let retry_after = retry_after(&status);
        let of_http = http_status(status.code(), retry_after.is_some());
        Problem { retry_after, ..Problem::new(of_http, status.code(), status.message().to_owned()) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let number = self.status.as_u16();
        let body = json!({"status": number, "code": codes::name(self.code), "message": self.message});
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = self.retry_after {
            // The header knows whole seconds only.
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_millis().div_ceil(1000).max(1) as u64));
        }
        if self.is_unread {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A limit that passes is told from one that asking again does not change.
fn http_status(code: Code, passes: bool) -> StatusCode {
    match code {
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted if passes => StatusCode::TOO_MANY_REQUESTS,
        Code::ResourceExhausted => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Ok | Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// When a status says that the request may be made again.
fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn when_to_ask_again_is_told_in_whole_seconds() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(1_200)));
        let status = Status::with_error_details(Code::ResourceExhausted, "later", details);
        let response = Problem::from(status).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        let response = Problem::from(Status::resource_exhausted("never")).into_response();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(response.headers().get(RETRY_AFTER), None);
    }
}
