//! What a server takes on at once, and what it says to those it turns away.
//!
//! A request passes, in this order: [`receive`] (how much may be on its way in, and for how long), [`rates`] (how often a
//! caller may ask), its own size, and [`admission`] (how many are computed at once, how many of each view, and who waits).
//! Whoever is turned away there costs no call of the store. What is taken on ends with its [`deadline`], or when its
//! caller leaves.

pub(crate) mod admission;
pub(crate) mod deadline;
pub(crate) mod rates;
pub(crate) mod receive;

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::load::Load;
use admission::Admission;
use rates::Rates;

/// The requests that are computed at once for each processor, where nothing else is said: some of them wait for a store.
const CONCURRENCY_PER_PROCESSOR: usize = 8;

/// What a server takes on at once.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The requests that are computed at once; `None` for eight for each processor.
    pub concurrency: Option<NonZero<usize>>,
    /// How many of them may be of one view; `None` for three quarters.
    pub view_concurrency: Option<NonZero<usize>>,
    /// The requests that may wait for that; each view may have the same share of them.
    pub queue: usize,
    /// How long they may wait.
    pub queue_wait: Duration,
    /// The requests of a caller in a second; `None` for any number.
    pub caller_rate: Option<NonZero<u32>>,
    /// How many of them may come at once; `None` for those of a second.
    pub caller_burst: Option<NonZero<u32>>,
    /// How long a request may take that does not say so itself.
    pub deadline: Option<Duration>,
    /// How long the bytes of a request may take to come in.
    pub receive: Duration,
    /// The bytes that all requests together may have, those on their way in and those being answered.
    pub receive_bytes_max: usize,
    /// The connections at once.
    pub connections_max: usize,
    /// The requests of one connection at once.
    pub connection_requests_max: u32,
    /// How long a new connection may take to say that it speaks HTTP/2.
    pub handshake: Duration,
    /// How long a connection may be silent before it is asked whether it is alive, and how long that may take; `None` to
    /// never ask.
    pub keepalive: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            concurrency: None,
            view_concurrency: None,
            queue: 256,
            queue_wait: Duration::from_millis(250),
            caller_rate: None,
            caller_burst: None,
            deadline: None,
            receive: Duration::from_secs(10),
            receive_bytes_max: 256 << 20,
            connections_max: 10_000,
            connection_requests_max: 256,
            handshake: Duration::from_secs(10),
            keepalive: Some(Duration::from_secs(20)),
        }
    }
}

impl Limits {
    fn concurrency(&self) -> usize {
        let derived = || available_parallelism().map_or(1, NonZero::get) * CONCURRENCY_PER_PROCESSOR;
        self.concurrency.map_or_else(derived, NonZero::get)
    }
}

/// The limits of a running server, with what is in use of them.
#[derive(Debug, Clone)]
pub(crate) struct Gates {
    pub(crate) admission: Arc<Admission>,
    pub(crate) rates: Arc<Option<Rates>>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) load: Load,
}

impl Gates {
    pub(crate) fn new(limits: &Limits, load: Load) -> Self {
        let rate = |rate: NonZero<u32>| Rates::new(rate, limits.caller_burst.unwrap_or(rate));
        let admission = Admission::new(
            limits.concurrency(),
            limits.view_concurrency.map(NonZero::get),
            limits.queue,
            limits.queue_wait,
            load.clone(),
        );
        Gates {
            admission: Arc::new(admission),
            rates: Arc::new(limits.caller_rate.map(rate)),
            deadline: limits.deadline,
            load,
        }
    }
}

/// Why a request was turned away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    /// As many wait as may.
    #[error(
        "{computing} requests are being computed, and {queued} wait, which is as many as may; ask again later"
    )]
    Queue { computing: usize, queued: usize, retry: Duration },
    /// As many requests of one view wait as may.
    #[error("{queued} requests of view {view} wait, which is as many as may of one view; ask again later")]
    ViewQueue { view: String, queued: usize, retry: Duration },
    /// It waited as long as may be.
    #[error("the request waited for {} ms, which is as long as it may; ask again later", .retry.as_millis())]
    Waited { retry: Duration },
    /// Its caller asked too often.
    #[error(
        "caller {caller} asks more than {rate} times a second, which is `caller-rate` of this server; ask again later"
    )]
    Rate { caller: String, rate: u32, retry: Duration },
    /// Its time was over.
    #[error("the request's deadline passed before it was answered")]
    Deadline,
    /// Nobody waits for it.
    #[error("the request was given up by its caller")]
    Cancelled,
}

impl Rejection {
    /// The word that metrics use.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Rejection::Queue { .. } => "queue",
            Rejection::ViewQueue { .. } => "view-queue",
            Rejection::Waited { .. } => "waited",
            Rejection::Rate { .. } => "rate",
            Rejection::Deadline => "deadline",
            Rejection::Cancelled => "cancelled",
        }
    }

    /// What the caller is told.
    pub(crate) fn status(&self) -> Status {
        match self {
            Rejection::Queue { retry, .. }
            | Rejection::ViewQueue { retry, .. }
            | Rejection::Waited { retry }
            | Rejection::Rate { retry, .. } => exhausted(self.to_string(), *retry),
            Rejection::Deadline => Status::deadline_exceeded(self.to_string()),
            Rejection::Cancelled => Status::cancelled(self.to_string()),
        }
    }
}

/// What is exhausted now and will not be after some time, as a status that says so.
pub(crate) fn exhausted(message: String, retry: Duration) -> Status {
    let details = ErrorDetails::with_retry_info(Some(retry));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}
