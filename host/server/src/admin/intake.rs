//! Takes components in and publishes them.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tonic::{Status, Streaming};
use trifold_pipeline::{Publisher, PushError, VersionError};
use trifold_registry::{Act, Pushed, Signature};

use crate::admin::api::push_request::Part;
use crate::admin::api::{PushOrder, PushRequest};
use crate::admin::service::registry_status;

/// How long a client may take to send a component, so that one that stalls does not hold up those behind it.
const RECEIVE_WAIT_MAX: Duration = Duration::from_secs(60);

/// Publishes the components that clients send, one at a time: each may take the memory of the largest, and a processor.
pub struct Intake {
    publisher: Arc<Publisher>,
    turn: Arc<Mutex<()>>,
}

impl Intake {
    /// An intake of a process.
    pub fn new(publisher: Publisher) -> Self {
        Intake { publisher: Arc::new(publisher), turn: Arc::default() }
    }

    /// Takes a component through the publish gate, and returns what came of it with the order. Those who wait for their
    /// turn have sent no more than a window of it.
    pub(super) async fn push(
        &self,
        mut parts: Streaming<PushRequest>,
        act: impl Fn(&PushOrder) -> Act,
    ) -> Result<(PushOrder, Pushed), Status> {
        let turn = self.turn.clone().lock_owned().await;
        let received =
            tokio::time::timeout(RECEIVE_WAIT_MAX, receive(&mut parts, self.publisher.bytes_max())).await;
        let (order, wasm) = received.map_err(|_| {
            let waited = RECEIVE_WAIT_MAX.as_secs();
            Status::deadline_exceeded(format!("the component did not come within {waited} s"))
        })??;
        let signature = signature(&order)?;
        let (publisher, pushed, handle) = (self.publisher.clone(), act(&order), Handle::current());
        // The gate compiles and computes, so it must not hold up the threads of requests. It goes on if the client leaves.
        let publishing = spawn_blocking(move || {
            let pushed = handle.block_on(publisher.push(&wasm, pushed, signature.as_ref()));
            drop(turn);
            pushed
        });
        match publishing.await {
            Ok(pushed) => Ok((order, pushed.map_err(push_status)?)),
            Err(error) => Err(Status::internal(format!("the publish gate broke down: {error}"))),
        }
    }
}

/// The order and the component.
async fn receive(parts: &mut Streaming<PushRequest>, bytes_max: usize) -> Result<(PushOrder, Vec<u8>), Status> {
    let Some(Part::Order(order)) = parts.message().await?.and_then(|request| request.part) else {
        return Err(Status::invalid_argument("the first message of a push has the order"));
    };
    let mut wasm = Vec::new();
    while let Some(request) = parts.message().await? {
        let Some(Part::Component(bytes)) = request.part else {
            return Err(Status::invalid_argument("the messages behind the order have bytes of the component"));
        };
        if wasm.len() + bytes.len() > bytes_max {
            return Err(Status::resource_exhausted(format!(
                "component size limit of {bytes_max} bytes reached, which is `component-bytes-max` of the process"
            )));
        }
        wasm.extend_from_slice(&bytes);
    }
    Ok((order, wasm))
}

fn signature(order: &PushOrder) -> Result<Option<Signature>, Status> {
    match order.signature.as_str() {
        "" => Ok(None),
        text => {
            text.parse().map(Some).map_err(|error| Status::invalid_argument(format!("the signature: {error}")))
        }
    }
}

fn push_status(error: PushError) -> Status {
    let text = error.to_string();
    match error {
        PushError::Admission(_) => Status::invalid_argument(text),
        PushError::Registry(error) | PushError::Version(VersionError::Registry(error)) => registry_status(error),
        PushError::Version(_) | PushError::Refused(_) => Status::failed_precondition(text),
        PushError::Gate(_) => Status::internal(text),
    }
}
