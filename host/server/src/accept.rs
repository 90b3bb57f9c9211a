//! Accepting connections, no more than may be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connection::Connection;
use crate::load::Load;

/// How long nothing is accepted after the system refused to: most often it has no files left.
const PAUSE: Duration = Duration::from_millis(50);

/// Open files beside connections: the store, the registry, caches, logs.
const FILES_BESIDE: u64 = 256;

/// The connections that a server may have, over all of its listeners. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    free: Arc<Semaphore>,
    most: usize,
    handshake: Duration,
    load: Load,
}

/// A place for a connection, given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    permit: Option<OwnedSemaphorePermit>,
    connections: Connections,
}

impl Connections {
    /// As many at most, each of which may take so long to say what it speaks.
    pub(crate) fn new(most: usize, handshake: Duration, load: Load) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Connections { free: Arc::new(Semaphore::new(most)), most, handshake, load }
    }

    fn seat(&self) -> Option<Seat> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        self.tell();
        Some(Seat { permit: Some(permit), connections: self.clone() })
    }

    fn tell(&self) {
        self.load.connected(self.most - self.free.available_permits());
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.connections.tell();
    }
}

/// A listener that turns connections away for which there is no place.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listener: TcpListener,
    connections: Connections,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener, connections: Connections) -> Self {
        Acceptor { listener, connections }
    }

    /// The next connection. One beyond the limit is closed at once, so that its client asks elsewhere, or later, instead
    /// of waiting for an answer.
    pub(crate) async fn next(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => match self.connections.seat() {
                    // Answers are written as a whole; waiting for more to send would only delay them.
                    Some(seat) if stream.set_nodelay(true).is_ok() => {
                        return (Connection::new(stream, seat, self.connections.handshake), peer);
                    }
                    Some(_) => {}
                    None => self.connections.load.rejected("connections"),
                },
                Err(error) if is_of_the_client(&error) => {}
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// All connections, as gRPC takes them.
    pub(crate) fn incoming(self) -> impl Stream<Item = io::Result<Connection>> {
        stream::unfold(self, async |mut acceptor| {
            let (connection, _) = acceptor.next().await;
            Some((Ok(connection), acceptor))
        })
    }
}

/// As HTTP takes them.
impl axum::serve::Listener for Acceptor {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        self.next().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Whether a client left before it was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Raises the process's limit of open files, as far as the system allows, to what so many connections need. Returns the
/// connections for which there are files, if they are fewer.
pub fn allow_connections(most: usize) -> Option<usize> {
    let wanted = (most as u64).saturating_add(FILES_BESIDE);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return None;
    }
    let allowed = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum });
    let files = if raised.is_ok() { allowed } else { current.unwrap_or(allowed) };
    let fitting = usize::try_from(files.saturating_sub(FILES_BESIDE)).unwrap_or(usize::MAX);
    (fitting < most).then_some(fitting)
}
