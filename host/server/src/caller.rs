//! Who asks.

use std::net::SocketAddr;

use tonic::codegen::http::HeaderMap;

/// The header by which a caller gives its name. Without it, its address stands for it.
const NAME: &str = "trifold-caller";

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The name that it gave, or else its address.
    pub(crate) name: String,
}

impl Caller {
    /// From the headers of a request, whichever protocol it came by, and the other end of its connection.
    pub(crate) fn new(headers: &HeaderMap, peer: Option<SocketAddr>) -> Self {
        let named = headers.get(NAME).and_then(|name| name.to_str().ok()).map(str::to_owned);
        let name = named.or_else(|| Some(peer?.ip().to_string())).unwrap_or_default();
        Caller { name }
    }
}
