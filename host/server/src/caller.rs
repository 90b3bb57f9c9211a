//! Who asks.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tonic::codegen::http::HeaderMap;

use crate::limits::rates::Rates;
use crate::limits::{Rejection, deadline};

/// The header by which a caller gives its name. Without it, its address stands for it. Nobody checks names: they tell
/// callers apart that mean well.
const NAME: &str = "trifold-caller";

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The name that it gave, or else its address.
    pub(crate) name: String,
    /// When it began to ask.
    pub(crate) begun: Instant,
    /// How long it waits, if it says so.
    pub(crate) timeout: Option<Duration>,
}

/// A caller that has not asked too often: [`Online::let_in`](crate::service::Online::let_in) says so, once for each request of
/// a protocol.
#[derive(Debug)]
pub(crate) struct LetIn(Caller);

impl std::ops::Deref for LetIn {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl Caller {
    /// Takes one of its tokens.
    pub(crate) fn let_in(self, rates: Option<&Rates>, now: Duration) -> Result<LetIn, Rejection> {
        rates.map_or(Ok(()), |rates| rates.take(&self.name, now))?;
        Ok(LetIn(self))
    }

    /// From the headers of a request, whichever protocol it came by, and the other end of its connection.
    pub(crate) fn new(headers: &HeaderMap, peer: Option<SocketAddr>) -> Self {
        let named = headers.get(NAME).and_then(|name| name.to_str().ok()).map(str::to_owned);
        let name = named.or_else(|| Some(peer?.ip().to_string())).unwrap_or_default();
        Caller { name, begun: Instant::now(), timeout: deadline::timeout(headers) }
    }

    /// The same, that began to ask before.
    pub(crate) fn since(self, begun: Instant) -> Self {
        Caller { begun, ..self }
    }

    /// Until when it waits; `default` says how long one waits that does not say so itself.
    pub(crate) fn deadline(&self, default: Option<Duration>) -> Option<Instant> {
        self.timeout.or(default).map(|timeout| deadline::after(self.begun, timeout))
    }
}
