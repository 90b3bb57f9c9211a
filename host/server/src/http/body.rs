//! The bytes of a request.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::StreamExt;
use tonic::{Code, Status};

use super::problem::Problem;

/// How much of a request that is too large is read and thrown away, in its largest size: a connection that ends while
/// its client still sends takes the answer with it.
const THROWN_AWAY: usize = 4;

/// Reads the body of a request, of so many bytes at most, for which there was this much time.
pub(super) async fn read(body: Body, bytes_max: usize, time: Duration) -> Result<Vec<u8>, Problem> {
    let mut parts = body.into_data_stream();
    let (mut bytes, mut seen) = (Vec::new(), 0_usize);
    while let Some(part) = parts.next().await {
        let part: Bytes = part.map_err(|error| broken(error, time))?;
        seen += part.len();
        if seen <= bytes_max {
            bytes.extend_from_slice(&part);
        } else if seen > bytes_max.saturating_mul(THROWN_AWAY) {
            break;
        }
    }
    if seen > bytes_max { Err(Problem::too_large(bytes_max)) } else { Ok(bytes) }
}

/// What ended a body: a limit of the server, or its client.
fn broken(error: axum::Error, time: Duration) -> Problem {
    match error.into_inner().downcast::<Status>() {
        Ok(status) if status.code() == Code::DeadlineExceeded => Problem::too_slow(time),
        Ok(status) => Problem::from(*status).unread(),
        Err(error) => Problem::broken_off(&*error),
    }
}
