//! Requests on their way in: how long their bytes may take, and how many all of them may have.
//!
//! The bytes of a request count until it is answered, since what waits or is computed is in memory, too. A request whose
//! bytes come slowly has no place among those that are computed, but it has memory; so it may take only so long.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::{Layer, Service};

use crate::limits::{Limits, deadline, exhausted};
use crate::load::Load;

/// The service whose requests are streams that stay open for as long as a client likes.
const REFLECTION: &str = "/grpc.reflection.";

/// When a request began, for its deadline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun(pub(crate) Instant);

/// Limits what comes in to a service.
#[derive(Debug, Clone)]
pub(crate) struct Receiving {
    time: Duration,
    bytes_max: usize,
    retry: Duration,
    load: Load,
}

impl Receiving {
    pub(crate) fn new(limits: &Limits, load: Load) -> Self {
        Receiving { time: limits.receive, bytes_max: limits.receive_bytes_max, retry: limits.queue_wait, load }
    }

    /// The same, whose requests may take so long.
    pub(crate) fn within(self, time: Duration) -> Self {
        Receiving { time, ..self }
    }

    /// A request whose body is limited. Its bytes count until what comes with it is dropped.
    pub(crate) fn receive(&self, mut request: Request<Body>) -> (Request<Body>, Arc<Held>) {
        let begun = Instant::now();
        request.extensions_mut().insert(Begun(begun));
        let time = deadline::timeout(request.headers()).map_or(self.time, |own| own.min(self.time));
        let held = Arc::new(Held { bytes: Default::default(), load: self.load.clone() });
        let (counts, receiving) = (held.clone(), self.clone());
        let request = request.map(|body| {
            let over = deadline::after(begun, time);
            Body::new(Incoming { body, held: counts, receiving, over, sleep: None })
        });
        (request, held)
    }
}

impl<S> Layer<S> for Receiving {
    type Service = Received<S>;

    fn layer(&self, inner: S) -> Received<S> {
        Received { inner, receiving: self.clone() }
    }
}

/// A service whose requests are limited on their way in.
#[derive(Debug, Clone)]
pub(crate) struct Received<S> {
    inner: S,
    receiving: Receiving,
}

impl<S, B> Service<Request<Body>> for Received<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path().starts_with(REFLECTION) {
            return Box::pin(self.inner.call(request));
        }
        let (request, held) = self.receiving.receive(request);
        let answering = self.inner.call(request);
        Box::pin(async move {
            let answered = answering.await;
            drop(held);
            answered
        })
    }
}

/// The bytes that a request has.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: AtomicUsize,
    load: Load,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.load.let_go(*self.bytes.get_mut());
    }
}

/// A body that comes in.
struct Incoming {
    body: Body,
    held: Arc<Held>,
    receiving: Receiving,
    over: Instant,
    /// Made when there is something to wait for: most requests are there as a whole.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| this.take(frame?)));
        }
        let over = this.over.into();
        ready!(this.sleep.get_or_insert_with(|| Box::pin(sleep_until(over))).as_mut().poll(context));
        this.receiving.load.rejected("receive");
        Poll::Ready(Some(Err(Status::deadline_exceeded("the request did not come in within its time"))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Incoming {
    fn take(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Status> {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Receiving { bytes_max, retry, load, .. } = &self.receiving;
        if !load.receive(bytes, *bytes_max) {
            load.rejected("receive-bytes");
            let message = format!(
                "the requests at this server have {bytes_max} bytes, which is as many as may; ask again later"
            );
            return Err(exhausted(message, *retry));
        }
        self.held.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(frame)
    }
}
